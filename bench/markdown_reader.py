"""How well Markdown reports written by people are read: precision, recall, F1 and accuracy of states, file by file.

    python bench/markdown_reader.py [--json] [--show] [GOLD.json ...]

A finding that was read matches one of the labels when its line is one of the label's lines, or when the titles are
nearly the same. Each label is matched once: what is read twice counts as wrong, and so does what lies in a range of
noise. What lies in an optional range with the state given there is left out of the count.

Without files: the labelled reports of `backend/tests/data/markdown`, and those of ../shared/data/audits where they
are. "Left out" is the figure over all files but one, and of that one alone: the reader knows no report by name, so its
rules are the same for each; a figure that falls when one file is left out rests on that file.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT / "backend"))

from tests.support.markdown_scores import Score, labelled, score_of  # noqa: E402 - after the path


def main(arguments: list[str]) -> int:
    """Print the figures."""
    show = "--show" in arguments
    wanted = [argument for argument in arguments if not argument.startswith("--")]
    pairs = [(r, g) for r, g in labelled() if not wanted or any(word in str(r) for word in wanted)]
    scores = [(report, score_of(report, gold)) for report, gold in pairs]
    if "--json" in arguments:
        print(json.dumps([_row(report, score) for report, score in scores]))
        return 0
    for folder in sorted({report.parent for report, _ in scores}):
        ours = [(report, score) for report, score in scores if report.parent == folder]
        print(f"{folder.name}:  precision recall     F1 states   left out")
        for report, score in ours:
            others = sum((s for r, s in ours if r != report), Score())
            print(
                f"  {report.name[:44]:44} {score.precision:6.3f} {score.recall:6.3f} {score.f1:6.3f} "
                f"{score.states:6.3f}   rest {others.f1:.3f}"
            )
            if show:
                print("\n".join(score.details))
        total = sum((score for _, score in ours), Score())
        print(
            f"  {'together':44} {total.precision:6.3f} {total.recall:6.3f} {total.f1:6.3f} {total.states:6.3f}\n"
        )
    return 0


def _row(report: Path, score: Score) -> dict[str, Any]:
    return {
        "report": report.name,
        "precision": round(score.precision, 4),
        "recall": round(score.recall, 4),
        "f1": round(score.f1, 4),
        "states": round(score.states, 4),
    }


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
