"""Durations as people write them: `50ms`, `10s`, `1h30m`, `90` (seconds), to `timedelta` and back."""

import re
from datetime import timedelta
from decimal import Decimal

ACCEPTED = "Write it like 50ms, 10s, 1.5s, 10m, 1h, 1h30m, 2d, or 90 for seconds"
MICROSECONDS = {
    "us": 1,
    "ms": 1_000,
    "s": 1_000_000,
    "m": 60_000_000,
    "h": 3_600_000_000,
    "d": 86_400_000_000,
    "w": 604_800_000_000,
}
# [0-9] and not \d, which takes the digits of every script.
PART = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)\s*(us|ms|s|m|h|d|w)\s*")
NUMBER = re.compile(r"[0-9]+(?:\.[0-9]*)?|\.[0-9]+")


def parse_duration(text: str | timedelta) -> timedelta:
    """The duration that `text` names; a bare number is seconds. Raises ValueError with the accepted forms."""
    if isinstance(text, timedelta):
        return text
    written = text.strip().lower()
    if NUMBER.fullmatch(written):
        written += "s"
    microseconds = Decimal(0)
    seen: set[str] = set()
    position = 0
    while part := PART.match(written, position):
        number, unit = part.groups()
        if unit in seen:
            raise ValueError(f"{text!r} names the unit {unit!r} twice. {ACCEPTED}.")
        seen.add(unit)
        microseconds += Decimal(number) * MICROSECONDS[unit]
        position = part.end()
    if not seen or position != len(written):
        raise ValueError(f"{text!r} is not a duration. {ACCEPTED}.")
    try:
        return timedelta(microseconds=int(microseconds.to_integral_value()))
    except OverflowError:
        raise ValueError(f"{text!r} is longer than {timedelta.max.days} days, the longest duration there is.") from None


def format_duration(duration: timedelta) -> str:
    """The shortest exact form of `duration` that `parse_duration` reads (negative ones get a minus sign)."""
    microseconds = duration // timedelta(microseconds=1)
    if microseconds < 0:
        return f"-{format_duration(-duration)}"
    if microseconds < MICROSECONDS["s"]:
        return _below_a_second(microseconds)
    parts = []
    for unit in ("d", "h", "m"):
        count, microseconds = divmod(microseconds, MICROSECONDS[unit])
        if count:
            parts.append(f"{count}{unit}")
    if microseconds:
        seconds = f"{microseconds // MICROSECONDS['s']}.{microseconds % MICROSECONDS['s']:06}"
        parts.append(f"{seconds.rstrip('0').rstrip('.')}s")
    return "".join(parts)


def _below_a_second(microseconds: int) -> str:
    if not microseconds:
        return "0s"
    if microseconds % 1_000:
        return f"{microseconds}us"
    return f"{microseconds // 1_000}ms"
