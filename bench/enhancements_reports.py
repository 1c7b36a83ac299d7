"""How fast audit reports are read, and in how much memory: 100,000 findings as SARIF and as CSV.

    python bench/enhancements_reports.py [--json] [--findings 100000]

Each report is made in a folder for temporary files and read in a process of its own, whose largest resident size is
told; the rate is per second that the processor was busy with it, so that a shared machine tells the same. "read" is
the reader alone, one finding after another; "parse" is all of it: the scan, the reader, and what
`parse_files` keeps for the import. `write_sarif` and `write_csv` are for other benches too.
"""

from __future__ import annotations

import csv
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT / "backend"))

RULES = 400
FILES = 5_000
LEVELS = ("error", "warning", "note")
WORDS = (
    "injection",
    "unused variable",
    "slow query",
    "missing test",
    "hard-coded secret",
    "open redirect",
    "dead code",
)


def entries(findings: int, seed: int = 1) -> Iterator[tuple[str, str, str, int, str]]:
    """Yield (rule, level, file, line, message) of as many different findings."""
    chosen = random.Random(seed)
    for number in range(findings):
        rule = chosen.randrange(RULES)
        yield (
            f"RULE-{rule:04d}",
            LEVELS[rule % len(LEVELS)],
            f"src/module_{chosen.randrange(FILES) % 97}/file_{chosen.randrange(FILES):05d}.ts",
            number % 3_000 + 1,
            f"{WORDS[rule % len(WORDS)]} in function {number}: parameter {number % 17} of it reaches line {number}",
        )


def write_sarif(path: Path, findings: int, *, shift: int = 0) -> None:
    """Write a SARIF report of about 410 bytes a finding; `shift` moves the lines."""
    rules = [
        {
            "id": f"RULE-{rule:04d}",
            "shortDescription": {"text": f"{WORDS[rule % len(WORDS)]} {rule}"},
            "properties": {"tags": ["external/cwe/cwe-089"] if rule % 3 == 0 else ["quality"]},
        }
        for rule in range(RULES)
    ]
    driver = {"name": "Bench", "version": "1.0", "rules": rules}
    with path.open("w", encoding="utf-8") as file:
        file.write(
            '{"version": "2.1.0", "runs": [{"tool": {"driver": ' + json.dumps(driver) + '}, "results": [\n'
        )
        for number, (rule, level, place, line, message) in enumerate(entries(findings)):
            result = {
                "ruleId": rule,
                "ruleIndex": int(rule[5:]),
                "level": level,
                "message": {"text": message},
                "locations": [
                    {
                        "physicalLocation": {
                            "artifactLocation": {"uri": place, "uriBaseId": "%SRCROOT%"},
                            "region": {"startLine": line + shift, "startColumn": 5, "endColumn": 40},
                        }
                    }
                ],
                "partialFingerprints": {"primaryLocationLineHash": f"{number:016x}:1"},
            }
            file.write((",\n" if number else "") + json.dumps(result))
        file.write("\n]}]}\n")


def write_csv(path: Path, findings: int) -> None:
    """Write a CSV report with six columns."""
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["id", "title", "severity", "file", "line", "description"])
        severities = {"error": "high", "warning": "medium", "note": "low"}
        for rule, level, place, line, message in entries(findings):
            rows.writerow([rule, message, severities[level], place, line, f"Reported by rule {rule}."])


def _measure(path: str, kind: str) -> None:
    """Read one report in this process, and print what it took."""
    from app.post_audit.steps.enhancements.parsing import parse_files  # noqa: PLC0415 - counted from here
    from app.post_audit.steps.enhancements.policy import EnhancementsPolicy  # noqa: PLC0415 - as above
    from app.post_audit.steps.enhancements.readers import reader_for  # noqa: PLC0415 - as above
    from app.post_audit.steps.enhancements.readers.reader import Head, Notes  # noqa: PLC0415 - as above
    from app.post_audit.steps.enhancements.report_file import open_report  # noqa: PLC0415 - as above

    policy = EnhancementsPolicy()
    begun, busy = time.perf_counter(), time.process_time()
    if kind == "read":
        with open_report(Path(path), policy) as report:
            head = Head(name=report.name, text=report.head)
            reader = reader_for(head)
            notes = Notes(head=head, policy=policy, source=reader.name)
            number = sum(1 for _ in reader.read(report.stream(), notes))
    else:
        number = len(parse_files([Path(path)], policy)[0].findings)
    seconds, busy = time.perf_counter() - begun, time.process_time() - busy
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        json.dumps(
            {
                "findings": number,
                "seconds": round(seconds, 3),
                "busy_seconds": round(busy, 3),
                "resident_mb": round(resident, 1),
            }
        )
    )


def main(arguments: list[str]) -> int:
    """Print the figures."""
    if arguments[:1] == ["--measure"]:
        _measure(*arguments[1:])
        return 0
    findings = int(arguments[arguments.index("--findings") + 1]) if "--findings" in arguments else 100_000
    figures = []
    with tempfile.TemporaryDirectory() as folder:
        for name, write in (("report.sarif", write_sarif), ("report.csv", write_csv)):
            path = Path(folder) / name
            write(path, findings)
            for kind in ("read", "parse"):
                done = subprocess.run(
                    [sys.executable, __file__, "--measure", str(path), kind],
                    check=True,
                    capture_output=True,
                    text=True,
                )
                figure = {
                    "report": name,
                    "kind": kind,
                    "mb": round(path.stat().st_size / 1e6, 1),
                    **json.loads(done.stdout),
                }
                figure["findings_per_second"] = round(figure["findings"] / figure["busy_seconds"])
                figures.append(figure)
    if "--json" in arguments:
        print(json.dumps(figures))
        return 0
    for figure in figures:
        print(
            f"{figure['report']:13} {figure['kind']:6} {figure['mb']:6.1f} MB {figure['findings']:7} findings "
            f"{figure['seconds']:7.2f} s ({figure['busy_seconds']:.2f} busy) "
            f"{figure['findings_per_second']:7}/s {figure['resident_mb']:7.1f} MB resident"
        )
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
