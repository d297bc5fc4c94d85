"""When an execution is due travels as a moment or as a duration, never as something in between."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from shadows.errors import ArgumentsError
from shadows.times import absolute, due_text


@pytest.mark.parametrize(
    ("when", "text"),
    [
        (None, ""),
        (timedelta(0), "+0"),
        (timedelta(milliseconds=1500), "+1500"),
        (timedelta(microseconds=600), "+1"),
        (timedelta(seconds=-1), "+0"),
        (datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC), "1000"),
        (datetime(1970, 1, 1, 2, 0, 1, tzinfo=timezone(timedelta(hours=2))), "1000"),
        (datetime(1960, 1, 1, tzinfo=UTC), "0"),
    ],
)
def test_a_time_is_written_as_the_scripts_read_it(when: Any, text: str) -> None:
    """A sign marks a duration, which Redis adds to its own clock; nothing is before now, or before 1970."""
    assert due_text(when) == text


@pytest.mark.parametrize(
    ("when", "message"),
    [
        (datetime(2030, 1, 1), "2030-01-01T00:00:00, without a time zone"),  # noqa: DTZ001 # the mistake
        (5, "is 5, a int; expected an aware datetime"),
        ("tomorrow", "is 'tomorrow', a str"),
    ],
)
def test_what_is_no_clear_moment_is_refused(when: Any, message: str) -> None:
    """Before anything is sent."""
    with pytest.raises(ArgumentsError, match=message):
        due_text(when)


def test_a_duration_has_a_moment_too_by_this_hosts_clock() -> None:
    """Only to be shown."""
    moment = absolute(timedelta(hours=1))
    assert moment is not None
    assert timedelta(minutes=59) < moment - datetime.now(UTC) <= timedelta(hours=1)
    assert absolute(None) is None
    assert absolute(datetime(2030, 1, 1, tzinfo=UTC)) == datetime(2030, 1, 1, tzinfo=UTC)
