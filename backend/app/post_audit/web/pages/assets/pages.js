// Theme before the first paint, focus that survives an update, keys inside the table of tasks, files that are dropped.
(() => {
  "use strict";
  const root = document.documentElement;
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const stored = () => { try { return localStorage.getItem("post-audit-theme"); } catch { return null; } };
  const apply = () => { root.dataset.theme = stored() || (dark.matches ? "dark" : "light"); };
  apply();
  dark.addEventListener("change", apply);

  // An update replaces elements; whoever stood on one with a key stands on its successor afterwards.
  let lastKey = null;
  let lastRow = -1;
  document.addEventListener("focusin", (event) => {
    lastKey = event.target.closest?.("[data-key]")?.dataset.key ?? null;
    lastRow = visible(".task").indexOf(event.target.closest?.(".task"));
  });
  const byKey = (key) => [...document.querySelectorAll("[data-key]")].find((item) => item.dataset.key === key);

  const visible = (selector) => [...document.querySelectorAll(selector)].filter((item) => item.offsetParent !== null);
  const step = (row, by) => {
    const rows = visible(".task");
    const next = rows[Math.max(0, Math.min(rows.length - 1, rows.indexOf(row) + by))];
    next?.focus();
    next?.scrollIntoView({ block: "nearest" });
  };

  window.postAudit = {
    toggleTheme() {
      const next = root.dataset.theme === "dark" ? "light" : "dark";
      try { localStorage.setItem("post-audit-theme", next); } catch { /* a browser without storage forgets it */ }
      root.dataset.theme = next;
    },
    restoreFocus() {
      requestAnimationFrame(() => {
        if (lastKey && (document.activeElement === document.body || document.activeElement === null)) {
          // a row that is gone leaves its place to the next one
          const rows = visible(".task");
          const next = byKey(lastKey) ?? (lastRow >= 0 ? rows[Math.min(lastRow, rows.length - 1)] : null);
          next?.focus({ preventScroll: true });
        }
      });
    },
    focus(key) { requestAnimationFrame(() => byKey(key)?.focus()); },
  };

  document.addEventListener("click", (event) => {
    if (event.target.closest?.("[data-theme-toggle]")) window.postAudit.toggleTheme();
    const skip = event.target.closest?.("a.skip");
    if (skip) { event.preventDefault(); document.getElementById("content")?.focus(); }
    const copy = event.target.closest?.("[data-copy]");
    if (copy) navigator.clipboard?.writeText(copy.dataset.copy);
  });

  // Only while the focus is inside the table, and never while somebody types.
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const target = event.target;
    const row = target.closest?.(".task");
    if (!row || (target.matches("input:not([type=checkbox]), textarea, select"))) return;
    const press = (action) => row.querySelector(`[data-action="${action}"]`)?.click();
    const known = { j: () => step(row, 1), k: () => step(row, -1), x: () => press("select"), c: () => press("claim"),
      s: () => press("start"), e: () => press("complete"), o: () => press("open") };
    if (event.key === "ArrowDown") { event.preventDefault(); step(row, 1); return; }
    if (event.key === "ArrowUp") { event.preventDefault(); step(row, -1); return; }
    if (event.key === "Enter" && target === row) { event.preventDefault(); (press("open")); return; }
    if (known[event.key]) { event.preventDefault(); known[event.key](); }
  });

  // A chosen or dropped file goes to the address that its field names.
  document.addEventListener("change", async (event) => {
    const field = event.target;
    if (!field.dataset?.upload || !field.files?.length) return;
    const form = new FormData();
    form.append("file", field.files[0], field.files[0].name);
    const answer = await fetch(field.dataset.upload, { method: "POST", body: form });
    field.closest(".drop")?.classList.toggle("refused", !answer.ok);
    field.value = "";
  });

  const zone = (event) => event.target.closest?.(".drop");
  document.addEventListener("dragover", (event) => {
    const over = zone(event);
    if (over) { over.classList.add("over"); }
  });
  for (const name of ["dragleave", "drop"]) {
    document.addEventListener(name, (event) => zone(event)?.classList.remove("over"));
  }
})();
