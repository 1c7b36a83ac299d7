"""Numbers, money and times as people read them: in decisions, alerts, pages and on the command line.

Everything here is pure and independent of the machine's locale and time zone. A value and its unit are held
together by a no-break space. Groups are Indian (18,42,500), because the readers are.
"""

from __future__ import annotations

import math
from datetime import datetime, timedelta, timezone
from typing import Final

__all__ = ["IST", "count", "counted", "duration", "ist", "ist_time", "percent", "ratio_in_words", "rupees"]

IST: Final = timezone(timedelta(hours=5, minutes=30), "IST")
"""India's time has had this one offset since 1945 and no daylight saving, so it needs no time zone files."""

_NO_BREAK_SPACE: Final = "\N{NO-BREAK SPACE}"
_PAISE_PER_RUPEE: Final = 100
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_UNITS: Final = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))
_SECONDS_WITH_A_DECIMAL: Final = 10
_EXACT_ODDS: Final = 100
_LARGEST_ODDS: Final = 1_000_000


def count(number: int) -> str:
    """Group a whole number the Indian way: three digits, then pairs.

    >>> count(1842500)
    '18,42,500'
    """
    digits = str(abs(number))
    head, groups = digits[:-3], [digits[-3:]]
    while head:
        head, pair = head[:-2], head[-2:]
        groups.insert(0, pair)
    return ("-" if number < 0 else "") + ",".join(groups)


def counted(number: int, thing: str) -> str:
    """Write how many things there are, where more than one end with an s: `1 bug`, `1,200 bugs`."""
    return f"{count(number)} {thing}{'' if number == 1 else 's'}"


def rupees(paise: int) -> str:
    """Write integer paise as rupees; the paise are shown only when they are not zero.

    >>> rupees(184_250_000), rupees(86_250)
    ('₹18,42,500', '₹862.50')
    """
    whole, rest = divmod(abs(paise), _PAISE_PER_RUPEE)
    return ("-" if paise < 0 else "") + "₹" + count(whole) + (f".{rest:02d}" if rest else "")


def percent(ratio: float, decimals: int = 0) -> str:
    """Write a ratio (0.914) as a percentage (91 %) with so many decimals.

    Raises `ValueError` unless finite.
    """
    if not math.isfinite(ratio):
        message = f"{ratio} is not a share"
        raise ValueError(message)
    # Adding zero turns the -0.0 that rounding can leave into 0.0.
    return f"{round(ratio * 100, decimals) + 0.0:.{decimals}f}{_NO_BREAK_SPACE}%"


def ist(moment: datetime) -> str:
    """Write a moment as day and time in India: `12 Nov, 14:32 IST`.

    Raises `ValueError` without a time zone.
    """
    local = _in_india(moment)
    return f"{local.day} {_MONTHS[local.month - 1]}, {local:%H:%M} IST"


def ist_time(moment: datetime) -> str:
    """Write a moment as time of day in India: `14:32 IST`. Raises `ValueError` without a time zone."""
    return f"{_in_india(moment):%H:%M} IST"


def duration(seconds: float) -> str:
    """Write a length of time in its one or two largest units: `420 ms`, `1.5 s`, `2 min 5 s`, `2 d 4 h`.

    Raises `ValueError` unless finite.
    """
    if not math.isfinite(seconds):
        message = f"{seconds} is not a length of time"
        raise ValueError(message)
    seconds = round(float(seconds), 3)
    length = abs(seconds)
    sign = "-" if seconds < 0 else ""
    if 0 < length < 1:
        return f"{sign}{length * 1000:.0f}{_NO_BREAK_SPACE}ms"
    if length < _SECONDS_WITH_A_DECIMAL and not length.is_integer():
        return f"{sign}{length:.1f}{_NO_BREAK_SPACE}s"
    # Rounding to the second of the two units makes 2 h 59 min 59 s 3 h, and never 2 h 60 min.
    place = next((index for index, (_, size) in enumerate(_UNITS) if length >= size), len(_UNITS) - 1)
    smallest = _UNITS[min(place + 1, len(_UNITS) - 1)][1]
    rest = round(length / smallest) * smallest
    parts: list[str] = []
    for name, size in _UNITS:
        amount, rest = divmod(rest, size)
        if amount:
            parts.append(f"{amount}{_NO_BREAK_SPACE}{name}")
    return sign + " ".join(parts) if parts else f"0{_NO_BREAK_SPACE}s"


def ratio_in_words(e_value: float) -> str:
    """Write how seldom evidence of this strength appears where there is nothing: `1 time in 9`.

    An e-value of E appears with a probability of at most 1/E when there is no difference (Ville's
    inequality). So E is rounded down: "at most 1 time in 9" is true for 9.8. Above 100 two digits are kept,
    and nobody is told more than 1 in 10,00,000. Raises `ValueError` for what is no e-value (negative or not a
    number).
    """
    if not e_value >= 0:
        message = f"{e_value} is not an e-value"
        raise ValueError(message)
    odds = max(1, int(min(e_value, _LARGEST_ODDS)))
    if odds >= _EXACT_ODDS:
        step = int(10 ** (len(str(odds)) - 2))
        odds -= odds % step
    return f"1 time in {count(odds)}"


def _in_india(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        message = f"{moment.isoformat()} has no time zone"
        raise ValueError(message)
    return moment.astimezone(IST)
