from __future__ import annotations

from pathlib import Path

import pytest

from app.post_audit.errors import InputError
from app.post_audit.replay.units import Units, read_units


def write(folder: Path, *lines: str) -> Path:
    path = folder / "units.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def read(path: Path, unit: str = "who", time: str | None = None, order_seed: int | None = None) -> Units:
    return read_units(path, unit=unit, variant="arm", outcome="won", time=time, order_seed=order_seed)


def test_the_first_invite_of_a_unit_counts(tmp_path: Path) -> None:
    path = write(tmp_path, "who,arm,won,at", "1,b,0,2", "1,b,1,3", "2,a,yes,1", "2,b,1,9", "3,a,,4")
    units = read(path, time="at")
    assert (units.variants, units.variant.tolist()) == (("a", "b"), [0, 1, 0])
    assert (units.converted.tolist(), units.exposed_to_several) == ([True, True, False], 1)


def test_lines_can_be_units_and_be_shuffled(tmp_path: Path) -> None:
    path = write(tmp_path, "arm,won", *(f"{'ab'[number % 2]},{number % 2}" for number in range(50)))
    plain, mixed = read(path, unit="row"), read(path, unit="row", order_seed=1)
    assert plain.variant.tolist() == [0, 1] * 25
    assert mixed.variant.tolist() != plain.variant.tolist()
    assert mixed.variant.tolist() == read(path, unit="row", order_seed=1).variant.tolist()


def test_dates_are_times(tmp_path: Path) -> None:
    path = write(tmp_path, "who,arm,won,at", "1,a,0,2025-11-09T01:00:00+05:30", "2,b,1,2025-11-08T19:00:00")
    assert read(path, time="at").variant.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        (["who,arm", "1,a"], "no column named won"),
        (["who,arm,won,at", "1,a,perhaps,1"], "Line 2: the outcome 'perhaps'"),
        (["who,arm,won,at", "1,a,1,1"], "1 variants"),
        (["who,arm,won,at", "1,,1,1"], "names no variant"),
        (["who,arm,won,at", "1,a,1,soon"], "'soon' is no time"),
        (["who,arm,won,at", *(f"{n},v{n},1,1" for n in range(11))], "11 variants"),
    ],
    ids=["column", "outcome", "one variant", "no variant", "time", "eleven"],
)
def test_an_unusable_file_is_refused(tmp_path: Path, lines: list[str], complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        read(write(tmp_path, *lines), time="at")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read(tmp_path / "none.csv")
