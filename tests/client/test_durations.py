"""Durations are read as people write them, and written so that they can be read again."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadows.durations import format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("50ms", 0.05),
        ("10s", 10),
        ("10m", 600),
        ("1h", 3600),
        ("2d", 172_800),
        ("1w", 604_800),
        ("90", 90),
        ("1.5", 1.5),
        (".5s", 0.5),
        ("1.5s", 1.5),
        ("1h30m", 5400),
        (" 1h 30m ", 5400),
        ("1 H", 3600),
        ("0", 0),
        ("5us", 0.000005),
        ("2.s", 2),
    ],
)
def test_a_duration_is_read(text: str, seconds: float) -> None:
    """A bare number is seconds."""
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "s",
        "1x",
        "-5s",
        "1h1h",
        "1,5s",
        "10 20",
        "1e3",
        "inf",
        "nan",
        "٣s",
        "1h30",
        "5s!",
        "1..5s",
        ".",
    ],
)
def test_what_is_no_duration_is_refused_with_the_accepted_forms(text: str) -> None:
    """A wrong setting is found at the start, by its value."""
    with pytest.raises(ValueError, match=r"Write it like 50ms, 10s, 1.5s, 10m, 1h, 1h30m, 2d, or 90") as caught:
        parse_duration(text)
    assert repr(text) in str(caught.value)


def test_a_duration_longer_than_any_is_refused() -> None:
    """`timedelta` ends at a billion days."""
    with pytest.raises(ValueError, match="longer than 999999999 days"):
        parse_duration("99999999999d")
    with pytest.raises(ValueError, match="longer than"):
        parse_duration("9" * 10_000)


def test_a_timedelta_is_taken_as_it_is() -> None:
    """Options come from the command line as text and from code as durations."""
    assert parse_duration(timedelta(seconds=5)) == timedelta(seconds=5)


@pytest.mark.parametrize(
    ("duration", "text"),
    [
        (timedelta(0), "0s"),
        (timedelta(milliseconds=50), "50ms"),
        (timedelta(microseconds=50), "50us"),
        (timedelta(microseconds=1500), "1500us"),
        (timedelta(seconds=1.5), "1.5s"),
        (timedelta(seconds=90), "1m30s"),
        (timedelta(hours=1, minutes=30), "1h30m"),
        (timedelta(days=2), "2d"),
        (timedelta(seconds=10), "10s"),
        (timedelta(seconds=100), "1m40s"),
        (-timedelta(seconds=5), "-5s"),
    ],
)
def test_a_duration_is_written_short(duration: timedelta, text: str) -> None:
    """In logs and messages."""
    assert format_duration(duration) == text


@given(st.timedeltas())
def test_what_is_written_is_read_again_exactly(duration: timedelta) -> None:
    """To the microsecond, the whole range."""
    text = format_duration(duration)
    if duration < timedelta(0):
        assert text.startswith("-")
    else:
        assert parse_duration(text) == duration
