"""/admin/ab-test: which invite message wins, how sure that is, and whether the numbers can be trusted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Any, Final

from app.post_audit.codec import to_json
from app.post_audit.formats import count, ist, percent, ratio_in_words
from app.post_audit.steps.conversions import STEP
from app.post_audit.steps.conversions.by_hand import ByHand, end_experiment, switch_to
from app.post_audit.web import conversions as api
from app.post_audit.web.access import Person, Role
from app.post_audit.web.pages import charts, deeds, states
from app.post_audit.web.pages.elements import box, button, icon, link, moment, pairs, text, text_button, word
from app.post_audit.web.pages.experiment_words import (
    STATUS,
    chart_headline,
    evidence_headline,
    headline,
    lead,
    lede,
)
from app.post_audit.web.pages.page import House, Page, Part, Query, Tab
from app.post_audit.web.pages.view import View
from app.post_audit.web.pages.words import how_many

__all__ = ["PAGES"]

_ALL: Final = 10_000
_EPOCHS_SHOWN: Final = 6


def _load(house: House, query: Query) -> dict[str, Any]:
    """Read every experiment's head and one of them whole, through the functions of the API."""
    overview: Any = to_json(api.experiments(house.database).model_dump(mode="json"))
    experiments = overview["experiments"]
    chosen = next((one for one in experiments if str(one["id"]) == query.get("experiment")), None)
    chosen = chosen or (experiments[0] if experiments else None)
    if chosen is None:
        return {"experiments": [], "one": None, "as_of": overview["as_of"], "mode": "", "capped": None}
    one: Any = api.experiment_detail(house.database, str(chosen["id"])).model_dump(mode="json")
    status: Any = house.database.call("post_audit_read_status")
    for letter, variant in zip("ABCDEFGHIJKLMNOPQRSTUVWXYZ", one["variants"], strict=False):
        variant["letter"] = letter
    return {
        "experiments": [{"id": each["id"], "name": each["name"]} for each in experiments],
        "one": one,
        "as_of": overview["as_of"],
        "mode": status["modes"]["conversions"],
    }


def _variant(one: Mapping[str, Any], identifier: str | None) -> dict[str, Any] | None:
    return next((variant for variant in one["variants"] if variant["id"] == identifier), None)


# ---- head ----


def _draw_head(view: View, data: Mapping[str, Any]) -> None:
    one = data["one"]
    if one is None:
        with box("div", "head"), box("div", "head-text"):
            text("No experiment is running.", "h1")
            text("One that is started in ab_test_config appears here within seconds.", "p", "lede")
        return
    words, icon_name, kind = STATUS[one["status"]]
    with box("div", "head"):
        with box("div", "head-text"):
            with box("p", "eyebrow"):
                word(
                    one["status_word"][0].upper() + one["status_word"][1:] if one["status_word"] else words,
                    icon_name,
                    kind,
                )
                with box("span", "meta"):
                    text(one["name"])
                    if one["started_at"] is not None:
                        text(f" · since {charts.day(one['started_at'])}")
            text(headline(one), "h1")
            text(lede(one, data["mode"]), "p", "lede")
            with box("p", "meta"):
                moment(datetime.fromisoformat(one["as_of"]), form="day", before="Counted ")
                switch = {"act": "automatic switch is on", "propose": "a switch waits for your word"}
                text(f" · {switch.get(data['mode'], 'the step is paused')}")
        if view.visit.allows(Role.OPERATOR):
            with box("div", "actions"):
                for variant in one["variants"]:
                    if not (variant["is_active"] and variant["is_winner"]):
                        button(
                            f"Switch to {variant['letter']} now",
                            partial(_switch, view, one, variant),
                            key=f"switch-{variant['id']}",
                        )
                button("Stop", lambda: _stop(view, one), key="stop")
    if len(data["experiments"]) > 1:
        with box("div", "chips"):
            for each in data["experiments"]:
                link(
                    each["name"],
                    f"/admin/ab-test?experiment={each['id']}",
                    "chip",
                    aria_current="page" if each["id"] == one["id"] else None,
                )


async def _switch(view: View, one: Mapping[str, Any], variant: Mapping[str, Any]) -> None:
    if not await deeds.confirm(
        view,
        f"Send {variant['letter']} to everybody but the holdout?",
        [
            f"{variant['label']} becomes the active message, whatever the evidence says.",
            "n8n is told at once. You can take it back under “What was decided before”.",
        ],
        f"Switch to {variant['letter']}",
    ):
        return

    def wanted(person: Person) -> ByHand:
        assessment = api.shown(view.house.database, str(one["id"]), one["version"])
        return switch_to(assessment, str(variant["id"]), person.name, STEP.policy)

    await _by_hand(view, wanted)


async def _by_hand(view: View, wanted: Callable[[Person], ByHand]) -> None:
    """Carry out an approver's wish, or propose an operator's."""

    def deed(person: Person) -> str:
        decision = api.carry_out(view.house.database, wanted(person), person)
        view.visit.record(f"experiment.{decision['state']}", f"decision:{decision['id']}")
        if decision["state"] == "proposed":
            return "Proposed. It is done when an approver agrees."
        view.house.deliver()
        return str(decision["headline"])

    await view.act(Role.OPERATOR, deed)


async def _stop(view: View, one: Mapping[str, Any]) -> None:
    active = _variant(one, one["active_variant"])
    name = active["label"] if active is not None else "nobody's message"
    if not await deeds.confirm(
        view,
        f"End {one['name']}?",
        [
            f"{name} goes to everybody from now on, and nothing is compared any more.",
            "You can take it back by undo.",
        ],
        "End it",
        is_danger=True,
    ):
        return

    def wanted(person: Person) -> ByHand:
        assessment = api.shown(view.house.database, str(one["id"]), one["version"])
        return end_experiment(assessment, person.name, STEP.policy)

    await _by_hand(view, wanted)


# ---- messages ----


def _draw_arms(_view: View, one: dict[str, Any] | None) -> None:
    if one is None:
        return
    text("Messages", "h2", "hidden-text")
    bounds = [variant["interval"] for variant in one["variants"] if variant["interval"] is not None]
    low = min((bound[0] for bound in bounds), default=0.0)
    high = max((bound[1] for bound in bounds), default=1.0)
    with box("div", "panel arms"), box("table", "table stack"):
        with box("thead"), box("tr"):
            for name, classes in (
                ("Message", ""),
                ("Share", "number"),
                ("Invites counted", "number"),
                ("Claims", "number"),
                ("Claim rate", "number"),
                ("Where the true rate may lie", "end"),
            ):
                text(name, "th", classes, scope="col")
        with box("tbody"):
            for variant in one["variants"]:
                _draw_arm(one, variant, low, high)
            _draw_difference(one)


def _draw_arm(one: Mapping[str, Any], variant: Mapping[str, Any], low: float, high: float) -> None:
    is_leader = variant["id"] == one["leader"]
    with box("tr", "arm"):
        with box("td", "cell-name"), box("div", "name"):
            text(variant["letter"], classes="letter is-accent" if is_leader else "letter")
            with box("div"):
                text(variant["label"], "b")
                text(_role(one, variant), classes="sub")
        text(percent(variant["share_basis_points"] / _ALL), "td", "number", data_label="Share")
        with box("td", "number", data_label="Counted"):
            text(count(variant["units"]))
            if variant["immature"]:
                text(f"+ {count(variant['immature'])} too young", classes="sub")
        text(count(variant["converted"]), "td", "number", data_label="Claims")
        text("–" if variant["rate"] is None else percent(variant["rate"], 2), "td", "rate cell-rate")
        with box("td", "wide-cell"):
            if variant["interval"] is not None and variant["rate"] is not None:
                _draw_interval(variant["interval"], variant["rate"], (low, high), 1, is_leader=is_leader)


def _role(one: Mapping[str, Any], variant: Mapping[str, Any]) -> str:
    roles = []
    if variant["is_active"]:
        roles.append("the active message")
    if variant["id"] == one["leader"] and one["rival"] is not None and not variant["is_winner"]:
        roles.append("ahead")
    if variant["is_winner"]:
        roles.append("won")
    if variant["share_basis_points"] == 0:
        roles.append("sent to nobody")
    return ", ".join(roles) or ("holdout" if one["winner"] else "compared with it")


def _draw_interval(
    bound: tuple[float, float], middle: float, scale: tuple[float, float], decimals: int, *, is_leader: bool
) -> None:
    """Draw where a rate may lie, on the scale of the whole table, with room for the words at both ends."""
    low, high = scale
    width = max(high - low, 1e-9)

    def place(value: float) -> float:
        return 18 + 64 * (value - low) / width

    label = f"between {percent(bound[0], decimals)} and {percent(bound[1], decimals)}"
    with box("div", "interval is-accent" if is_leader else "interval", role="img", aria_label=label):
        box("div", "range").style(
            f"left:{place(bound[0]):.1f}%;width:{place(bound[1]) - place(bound[0]):.1f}%"
        )
        box("div", "dot").style(f"left:{place(middle):.1f}%")
        text(percent(bound[0], decimals), classes="low").style(f"left:{place(bound[0]):.1f}%")
        text(percent(bound[1], decimals), classes="high").style(f"left:{place(bound[1]):.1f}%")


def _draw_difference(one: Mapping[str, Any]) -> None:
    found = lead(one)
    if found is None:
        return
    with box("tr", "arm"):
        with box("td", "cell-name"):
            text(f"{found.leader} against {found.rival}", "b")
            text("how much more it brings", classes="sub")
        for _ in range(3):
            box("td")
        text(found.lift_words, "td", "rate lift cell-rate")
        with box("td", "wide-cell"):
            if found.high is None:
                return
            low, high = min(found.low, 0.0), max(found.high, 0.0)

            # a bound beside zero would stand on its line: both are written on the right then
            is_apart = found.low > 0

            def place(value: float) -> float:
                return (8 if is_apart else 18) + (56 if is_apart else 64) * (value - low) / max(
                    high - low, 1e-9
                )

            label = f"between {found.low_words} and {found.high_words}; zero is no difference"
            with box("div", "interval has-zero is-accent", role="img", aria_label=label):
                box("div", "range").style(
                    f"left:{place(found.low):.1f}%;width:{place(found.high) - place(found.low):.1f}%"
                )
                box("div", "zero").style(f"left:{place(0.0):.1f}%")
                box("div", "dot").style(f"left:{place(found.lift):.1f}%")
                if not is_apart:
                    text(found.low_words, classes="low").style(f"left:{place(found.low):.1f}%")
                words = f"{found.low_words} to {found.high_words}" if is_apart else found.high_words
                text(words, classes="high").style(f"left:{place(found.high):.1f}%")
                text("no difference", classes="zero-note").style(f"left:{max(13.0, place(0.0)):.1f}%")


# ---- pictures ----


def _draw_charts(_view: View, one: dict[str, Any] | None) -> None:
    if one is None:
        return
    evidence = one["evidence"]
    with box("div", "charts"):
        with box("div", "panel"):
            text(evidence_headline(one), "h2", "chart-title")
            text(_evidence_sentence(one), "p", "small")
            if evidence["history"]:
                charts.chart(
                    charts.evidence_options(
                        evidence["history"], one["threshold"], projected_at=one["projected_decision_at"]
                    ),
                    f"Evidence over time. Today {charts.odds(one['e_value'] or 1.0)}; "
                    f"enough is {charts.odds(one['threshold'])}.",
                )
            else:
                text("The line begins when the first invites are old enough to count.", "p", "meta")
        with box("div", "panel"):
            text(chart_headline(one), "h2", "chart-title")
            text(
                f"Each band holds the true rate with {percent(1 - one['alpha'])} confidence, however often you look.",
                "p",
                "small",
            )
            if one["history"]:
                rates = "; ".join(
                    f"{variant['letter']} {percent(variant['rate'], 2)}"
                    for variant in one["variants"]
                    if variant["rate"] is not None
                )
                charts.chart(
                    charts.bands_options(one["history"], one["variants"], leader=one["leader"]),
                    f"Claim rates over time with their bands. Now {rates}.",
                )
            else:
                text("The bands begin when the first invites are old enough to count.", "p", "meta")


def _evidence_sentence(one: Mapping[str, Any]) -> str:
    if one["e_value"] is None:
        return "Nobody can be compared yet."
    return (
        "If both messages were equally good, a lead this strong would appear at most "
        f"{ratio_in_words(one['e_value'])}. "
        f"We switch at {charts.odds(one['threshold'])}."
    )


# ---- can these numbers be trusted? ----


def _draw_checks(_view: View, data: Mapping[str, Any]) -> None:
    one = data["one"]
    if one is None:
        return
    checks = _checks(one)
    passed = sum(state == "ok" for state, _, _ in checks)
    with box("div", "part-head"):
        text("Can these numbers be trusted?", "h2")
        with box("span", "meta"):
            text(f"{passed} of {len(checks)} checks pass")
            moment(datetime.fromisoformat(one["as_of"]), before=" · ")
    icons = {"ok": ("tick", ""), "warn": ("question", "is-warn"), "bad": ("alert", "is-bad")}
    with box("ul", "checks"):
        for state, title, sentence in checks:
            icon_name, kind = icons[state]
            with box("li", kind):
                icon(icon_name)
                with box("div"):
                    text(title, "h3")
                    text(sentence, "p")


def _checks(one: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Each check as its state, a title that says how it went, and the numbers behind it."""
    sharing = one["sharing"]
    checks = [_sharing_check(sharing)]
    checks += [_guardrail_check(one, guardrail) for guardrail in one["guardrails"]]
    immature = sum(variant["immature"] for variant in one["variants"])
    checks.append(
        (
            "ok",
            "Only invites old enough count",
            f"{one['window_hours']} h to claim; {count(immature)} are too young.",
        )
    )
    share = sharing["exposed_share"]
    is_mixed = share is not None and share > sharing["exposed_limit"]
    checks.append(
        (
            "bad" if is_mixed else "ok",
            "Some suppliers saw several messages" if is_mixed else "One supplier, one message",
            f"{percent(share or 0.0, 2)} saw several; limit {percent(sharing['exposed_limit'])}.",
        )
    )
    checks.append(_freshness_check(one))
    fewest = min((variant["units"] for variant in one["variants"]), default=0)
    enough = fewest >= one["minimum_units"]
    checks.append(
        (
            "ok" if enough else "warn",
            "Enough of each" if enough else "Too few of one yet",
            f"At least {count(fewest)} of each message; {count(one['minimum_units'])} are needed.",
        )
    )
    return checks


def _sharing_check(sharing: Mapping[str, Any]) -> tuple[str, str, str]:
    if sharing["status"] == "unknown":
        return "warn", "The split is not known", "No share was recorded for the invites that count."
    total = max(sum(sharing["assigned"].values()), 1)
    due = max(sum(sharing["due"].values()), 1e-9)
    got = " to ".join(percent(number / total, 1) for number in sharing["assigned"].values())
    planned = " to ".join(percent(number / due) for number in sharing["due"].values())
    strayed = sharing["status"] == "strayed"
    return (
        "bad" if strayed else "ok",
        "The split is not as planned" if strayed else "The split is fair",
        f"{got}, planned {planned}; blocks a switch below {charts.odds(sharing['threshold'])}.",
    )


def _guardrail_check(one: Mapping[str, Any], guardrail: Mapping[str, Any]) -> tuple[str, str, str]:
    label = guardrail["label"][0].upper() + guardrail["label"][1:]
    if guardrail["status"] == "not_measured":
        return "warn", f"{label} are not measured", "Nobody records them; that is not the same as none."
    letters = {variant["id"]: variant["letter"] for variant in one["variants"]}
    rates = ", ".join(
        f"{percent(variant['rate'] or 0.0, 2)} for {letters.get(variant['id'], variant['id'])}"
        for variant in guardrail["variants"]
    )
    if guardrail["status"] == "breached":
        return "bad", f"{label} are too many", f"{rates}; that message is stopped."
    return "ok", f"{label} stay alike", f"{rates}; a message that does clearly more harm is stopped."


def _freshness_check(one: Mapping[str, Any]) -> tuple[str, str, str]:
    if one["last_invite_at"] is None:
        return "warn", "Nothing has come in", "No invite is known."
    age = datetime.fromisoformat(one["as_of"]) - datetime.fromisoformat(one["last_invite_at"])
    hours = age.total_seconds() / 3600
    fresh = hours <= 24  # noqa: PLR2004 - a day without an invite is worth a look
    return (
        "ok" if fresh else "warn",
        "Data is fresh" if fresh else "Data is old",
        f"Newest invite {ist(datetime.fromisoformat(one['last_invite_at']))}.",
    )


# ---- decisions ----


def _draw_decisions(view: View, one: dict[str, Any] | None) -> None:
    if one is None:
        return
    text("What was decided before", "h2").style("margin-bottom: 8px")
    if not one["switches"]:
        states.empty("Nothing was switched yet", "Every switch, stop and undo is kept here with its numbers.")
        return
    with box("table", "table stack"):
        with box("thead"), box("tr"):
            for name, classes in (("When", ""), ("Decision", ""), ("By", ""), ("Undo", "end")):
                text(name, "th", classes, scope="col")
        with box("tbody"):
            for place, past in enumerate(one["switches"]):
                _draw_decision(view, past, is_latest=place == 0)


def _draw_decision(view: View, past: Mapping[str, Any], *, is_latest: bool) -> None:
    number = past["decision_id"]
    with box("tr"):
        with box("td"):
            moment(datetime.fromisoformat(past["at"]), form="day")
        with box("td"):
            link(past["headline"], f"/admin/decisions/{number}", "title")
            text(_shares(past["after"]), classes="sub")
        text("automatic" if past["actor"] == "protocol" else past["actor"], "td")
        with box("td", "end"):
            if past["undone_by"] is not None:
                link(f"Undone by {past['undone_by']}", f"/admin/decisions/{past['undone_by']}", "meta")
            elif past["state"] != "applied":
                text(
                    {"proposed": "waits", "superseded": "replaced"}.get(past["state"], past["state"]),
                    classes="meta",
                )
            elif not is_latest:
                text("A newer one stands on it", classes="meta")
            elif view.visit.allows(Role.APPROVER):
                shown = {"id": number, "headline": past["headline"], "counts": {"applied": 1}}
                text_button(
                    "Undo",
                    lambda: deeds.undo(view, shown),
                    key=f"undo-{number}",
                    aria_label=f"Undo decision {number}",
                )


def _shares(after: Mapping[str, Any]) -> str:
    shares = after.get("allocation_basis_points") or {}
    return " · ".join(f"{name.replace('_', ' ')} {percent(share / _ALL)}" for name, share in shares.items())


# ---- aside ----


def _draw_projection(_view: View, one: dict[str, Any] | None) -> None:
    if one is None:
        return
    text("If nothing changes", "h2")
    rows = []
    leader = _variant(one, one["leader"])
    if one["winner"] is not None:
        rows.append(
            ("Active message", str((_variant(one, one["active_variant"]) or {"letter": "none"})["letter"]))
        )
    elif one["projected_decision_at"] is not None and leader is not None:
        rows.append((f"Switch to {leader['letter']}", f"about {charts.day(one['projected_decision_at'])}"))
    else:
        rows.append(("Next decision", "not foreseeable yet"))
    holdout = one["allocation"]["holdout_basis_points"]
    rows.append(("Holdout", "after a winner" if holdout is None else percent(holdout / _ALL)))
    rows.append(("Window to claim", f"{one['window_hours']} h"))
    gained = round(one["gained_conversions"])
    rows.append(("Against even shares", f"{abs(gained):,} claims {'fewer' if gained < 0 else 'more'}"))
    pairs(rows)


def _draw_epochs(_view: View, one: dict[str, Any] | None) -> None:
    if one is None:
        return
    text("Who got what", "h2")
    letters = {variant["id"]: variant["letter"] for variant in one["variants"]}
    rows = []
    for epoch in reversed(one["epochs"][-_EPOCHS_SHOWN:]):
        name = (
            "Now"
            if epoch["is_present"]
            else f"Since {charts.day(epoch['first_hour'])}"
            if epoch["first_hour"]
            else "Before"
        )
        shares = epoch["basis_points"]
        words = (
            "not known"
            if shares is None
            else " · ".join(f"{letters.get(key, key)} {share / 100:.0f}" for key, share in shares.items())
        )
        rows.append((name, words))
    pairs(rows)
    total = sum(sum(epoch["assigned"].values()) for epoch in one["epochs"])
    text(
        f"{how_many(total, 'supplier', 'suppliers')} in all. Only invites sent in the same hour are compared, "
        "so a change of share cannot fake a win.",
        "p",
        "meta",
    ).style("margin-top: 8px")


PAGES = (
    Page(
        path="/admin/ab-test",
        title="Messages",
        tab=Tab(name="Messages", icon="fork", order=20),
        load=_load,
        parts=(
            Part(place="head", draw=_draw_head),
            Part(place="head", draw=_draw_arms, shows=lambda data, _: data["one"]),
            Part(place="head", draw=_draw_charts, shows=lambda data, _: data["one"]),
            Part(place="main", draw=_draw_checks),
            Part(place="main", draw=_draw_decisions, shows=lambda data, _: data["one"]),
            Part(place="aside", draw=_draw_projection, shows=lambda data, _: data["one"]),
            Part(place="aside", draw=_draw_epochs, shows=lambda data, _: data["one"]),
        ),
    ),
)
