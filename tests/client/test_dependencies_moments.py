"""The moments of cron expressions, over both changes of the clock."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from shadows.dependencies.moments import NAMED, Moments

BERLIN, NEW_YORK, LORD_HOWE = map(ZoneInfo, ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe"))
MINUTE = timedelta(minutes=1)


def moments(expression: str, zone: tzinfo, begin: str, count: int) -> list[str]:
    """So many moments from a local time on, as that zone writes them."""
    moment, found = datetime.fromisoformat(begin).replace(tzinfo=zone), []
    schedule = Moments(expression, zone)
    for _ in range(count):
        moment = schedule.after(moment)
        found.append(f"{moment:%m-%d %H:%M%z}")
    return found


# In Berlin 02:00 becomes 03:00 on March 28th, and 03:00 becomes 02:00 on October 31st. In New York the same happens an
# hour earlier in the night in autumn. On Lord Howe Island the clock moves by half an hour: 02:00 becomes 02:30 on
# October 3rd, and 01:30 on April 4th.
@pytest.mark.parametrize(
    ("expression", "zone", "begin", "expected"),
    [
        ("30 2 * * *", BERLIN, "2027-03-27T12:00", ["03-28 03:00+0200", "03-29 02:30+0200"]),
        ("0,15,30 2 * * *", BERLIN, "2027-03-27T12:00", ["03-28 03:00+0200", "03-29 02:00+0200"]),
        ("59 1 * * *", BERLIN, "2027-03-27T12:00", ["03-28 01:59+0100", "03-29 01:59+0200"]),
        ("30 2 * * *", BERLIN, "2027-10-30T12:00", ["10-31 02:30+0200", "11-01 02:30+0100"]),
        ("0 9 * * *", BERLIN, "2027-10-30T12:00", ["10-31 09:00+0100", "11-01 09:00+0100"]),
        ("30 2 * * *", NEW_YORK, "2027-03-13T12:00", ["03-14 03:00-0400", "03-15 02:30-0400"]),
        ("30 1 * * *", NEW_YORK, "2027-11-06T12:00", ["11-07 01:30-0400", "11-08 01:30-0500"]),
        ("15 2 * * *", LORD_HOWE, "2027-10-02T12:00", ["10-03 02:30+1100", "10-04 02:15+1100"]),
        ("45 1 * * *", LORD_HOWE, "2027-04-03T12:00", ["04-04 01:45+1100", "04-05 01:45+1030"]),
        ("0 2 * * *", LORD_HOWE, "2027-04-03T12:00", ["04-04 02:00+1030", "04-05 02:00+1030"]),
    ],
)
def test_a_time_of_day_comes_once_a_day(expression: str, zone: tzinfo, begin: str, expected: list[str]) -> None:
    """Skipped, it is when the clock was put forward; twice there, it is the first."""
    assert moments(expression, zone, begin, len(expected)) == expected


@pytest.mark.parametrize(
    ("expression", "zone", "begin", "expected"),
    [
        ("0 * * * *", BERLIN, "2027-03-28T00:30", ["03-28 01:00+0100", "03-28 03:00+0200", "03-28 04:00+0200"]),
        ("*/30 * * * *", BERLIN, "2027-03-28T01:00", ["03-28 01:30+0100", "03-28 03:00+0200"]),
        ("*/20 2 * * *", BERLIN, "2027-03-28T00:30", ["03-29 02:00+0200", "03-29 02:20+0200"]),
        ("0 */2 * * *", BERLIN, "2027-03-28T00:30", ["03-28 04:00+0200", "03-28 06:00+0200"]),
        ("0 * * * *", BERLIN, "2027-10-31T01:30", ["10-31 02:00+0200", "10-31 02:00+0100", "10-31 03:00+0100"]),
        (
            "*/30 * * * *", BERLIN, "2027-10-31T02:00",
            ["10-31 02:30+0200", "10-31 02:00+0100", "10-31 02:30+0100", "10-31 03:00+0100"],
        ),
        ("30 * * * *", NEW_YORK, "2027-03-14T01:00", ["03-14 01:30-0500", "03-14 03:30-0400"]),
        ("30 * * * *", NEW_YORK, "2027-11-07T01:00", ["11-07 01:30-0400", "11-07 01:30-0500", "11-07 02:30-0500"]),
        ("30 * * * *", LORD_HOWE, "2027-10-03T01:00", ["10-03 01:30+1030", "10-03 02:30+1100", "10-03 03:30+1100"]),
        ("0 * * * *", LORD_HOWE, "2027-10-03T01:00", ["10-03 03:00+1100", "10-03 04:00+1100"]),
        ("30 * * * *", LORD_HOWE, "2027-04-04T01:00", ["04-04 01:30+1100", "04-04 01:30+1030", "04-04 02:30+1030"]),
        ("0 * * * *", LORD_HOWE, "2027-04-04T01:00", ["04-04 02:00+1030", "04-04 03:00+1030"]),
        # From one winter into the next, over the whole summer: the first time that is seen is the summer's.
        ("*/30 2 31 10 *", BERLIN, "2027-01-05T00:00", ["10-31 02:00+0200", "10-31 02:30+0200", "10-31 02:00+0100"]),
    ],
)  # fmt: skip
def test_what_the_clock_shows_is_left_out_or_comes_twice(
    expression: str, zone: tzinfo, begin: str, expected: list[str]
) -> None:
    """As an hourly task should run each hour."""
    assert moments(expression, zone, begin, len(expected)) == expected


def minutes(begin: datetime, days: int) -> Iterator[datetime]:
    for number in range(days * 24 * 60):
        yield begin + number * MINUTE


@pytest.mark.parametrize("zone", [BERLIN, NEW_YORK, LORD_HOWE, ZoneInfo("America/Santiago"), ZoneInfo("Africa/Cairo")])
@pytest.mark.parametrize(("minute", "hour"), [("*", "*"), ("*/7", "*"), ("13", "*"), ("*/15", "1,2"), ("30", "*/3")])
def test_a_shown_time_agrees_with_looking_at_each_minute(zone: tzinfo, minute: str, hour: str) -> None:
    """Three days around each change of that zone in the year, where there is one."""

    def numbers(field: str, limit: int) -> set[int]:
        every = int(field.removeprefix("*/")) if field.startswith("*/") else 1
        return set(range(0, limit, every)) if field.startswith("*") else set(map(int, field.split(",")))

    schedule = Moments(f"{minute} {hour} * * *", zone)
    shown = numbers(minute, 60), numbers(hour, 24)
    for change in changes(zone):
        begin = change - timedelta(days=1)
        expected = [
            each
            for each in minutes(begin + MINUTE, 2)
            if (local := each.astimezone(zone)).minute in shown[0] and local.hour in shown[1]
        ]
        moment, found = begin, []
        while (moment := schedule.after(moment).astimezone(UTC)) <= expected[-1]:
            found.append(moment)
        assert found == expected


@pytest.mark.parametrize("zone", [BERLIN, NEW_YORK, LORD_HOWE, ZoneInfo("America/Santiago"), ZoneInfo("Africa/Cairo")])
@pytest.mark.parametrize("time", ["0 0", "30 0", "15 1", "45 1", "10 2", "30 2", "59 2", "0 3", "59 23"])
def test_a_time_of_day_comes_on_each_day_of_the_year_once(zone: tzinfo, time: str) -> None:
    """Also where it is midnight that is skipped."""
    schedule, moment = Moments(f"{time} * * *", zone), datetime(2026, 12, 31, 23, 59, 30, tzinfo=zone)
    days = []
    for _ in range(365):
        moment = schedule.after(moment)
        days.append(moment.date())
    assert len(set(days)) == 365
    assert str(days[-1]) == "2027-12-31"


def changes(zone: tzinfo) -> list[datetime]:
    """When a zone's offset changes in 2027."""
    hours = [datetime(2027, 1, 1, tzinfo=UTC) + timedelta(minutes=30) * number for number in range(2 * 24 * 365)]
    offsets = [hour.astimezone(zone).utcoffset() for hour in hours]
    found = [hour for hour, offset, before in zip(hours[1:], offsets[1:], offsets, strict=False) if offset != before]
    assert len(found) == 2
    return found


@pytest.mark.timeout(20)
@pytest.mark.parametrize("zone", [BERLIN, NEW_YORK, LORD_HOWE])
@pytest.mark.parametrize("before", [0.000001, 0.4, 1.2, 1.999999, 1700.5, 3599.9, 7200.7])
def test_a_part_of_a_second_changes_nothing(zone: tzinfo, before: float) -> None:
    """A worker asks for the moment after now, which is no whole second. In the hour before a change it looked for that
    change for ever, and its loop stood still: a task that runs hourly stopped every worker, twice a year."""
    for change in changes(zone):
        for expression in ("0 * * * *", "30 * * * *", "* * * * *", "*/20 1,2,3 * * *", "15 2 * * *"):
            moment = change - timedelta(seconds=before)
            schedule = Moments(expression, zone)
            assert schedule.after(moment) == schedule.after(moment.replace(microsecond=0))


@pytest.mark.parametrize("name", NAMED)
def test_a_name_is_short_for_an_expression(name: str) -> None:
    begin = datetime(2027, 5, 5, 5, 5, tzinfo=UTC)
    expected = {
        "@hourly": "2027-05-05T06:00", "@daily": "2027-05-06T00:00", "@midnight": "2027-05-06T00:00",
        "@weekly": "2027-05-09T00:00", "@monthly": "2027-06-01T00:00", "@yearly": "2028-01-01T00:00",
        "@annually": "2028-01-01T00:00",
    }  # fmt: skip
    for written in (name, name.upper(), f" {name} "):
        assert Moments(written, UTC).after(begin).isoformat()[:16] == expected[name]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("* * * * *", "2027-05-05T05:06"),
        ("*/15 9-17 * * MON-FRI", "2027-05-05T09:00"),
        ("0 9 * * mon,wed", "2027-05-05T09:00"),
        ("0 9 * JAN,jun *", "2027-06-01T09:00"),
        ("0 0 13 * FRI", "2027-05-07T00:00"),
        ("0 0 * * 7", "2027-05-09T00:00"),
        ("0 0 29 2 *", "2028-02-29T00:00"),
        ("0 0 L * *", "2027-05-31T00:00"),
        ("0 9 * * MON#1", "2027-06-07T09:00"),
        ("5/20 * * * *", "2027-05-05T05:25"),
    ],
)
def test_fields_are_read_as_cron_reads_them(expression: str, expected: str) -> None:
    assert Moments(expression, UTC).after(datetime(2027, 5, 5, 5, 5, tzinfo=UTC)).isoformat()[:16] == expected


def test_a_moment_is_later_than_the_one_that_was_given_and_in_its_zone() -> None:
    schedule = Moments("0 9 * * *", BERLIN)
    exactly = datetime(2027, 5, 5, 9, tzinfo=BERLIN)
    assert schedule.after(exactly) == exactly + timedelta(days=1)
    assert schedule.after(exactly - timedelta(microseconds=1)) == exactly
    assert schedule.after(exactly.astimezone(UTC)).tzinfo is BERLIN


def test_an_offset_is_a_zone_too() -> None:
    assert moments("0 0 * * *", timezone(timedelta(hours=5, minutes=45)), "2027-05-05T05:05", 1) == ["05-06 00:00+0545"]


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("* * * *", r"Cron\('\* \* \* \*'\) has 4 fields; expected five fields, minute hour.*@annually\."),
        ("0 0 * * * *", "has 6 fields; expected five"),
        ("", "has 0 fields; expected five"),
        ("@reboot", "has 1 field; expected five"),
        ("61 * * * *", "can't be read: Bad minute; expected five"),
        ("0 24 * * *", "can't be read: Bad hour; expected five"),
        ("0 0 * * FUNDAY", "can't be read: Bad day-of-week; expected five"),
        ("0 0 31 2 *", "can't be read: Bad day-of-month; expected five"),
        ("0 0 */3 2 SUN#5", "is never true; expected five"),
        (5, r"Cron\(5\) is no text; expected five"),
    ],
)
def test_what_is_no_expression_is_refused_with_the_form(expression: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Moments(expression, UTC)


class OldZone(tzinfo):
    """As pytz has them: read by `replace`, they are off by some minutes."""

    def localize(self, moment: datetime) -> datetime:
        raise NotImplementedError


@pytest.mark.parametrize("zone", ["Europe/Berlin", None, 5, OldZone()])
def test_what_is_no_time_zone_is_refused(zone: Any) -> None:
    with pytest.raises(ValueError, match=r'time zone that can be used; pass a zoneinfo.ZoneInfo, such as ZoneInfo\("'):
        Moments("@daily", zone)
