"""Cron tasks in three zones while the clocks change: each moment once, in order, and at its wall time."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from shadows import Cron, CurrentExecution, CurrentShadow, Execution, Shadow, testing
from shadowsd.engine.automatic import seed

from .workers import working

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
ZONES = {
    name.partition("/")[2]: ZoneInfo(name) for name in ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe")
}
# A time of day that some zone skips, or has twice; what the clock shows each hour; and that in two hours only.
DAILY, HOURLY, SHOWN = "15 2 * * *", "0 * * * *", "*/20 1,2 * * *"
WINDOW = 3 * DAY


def changes_of(zone: ZoneInfo) -> list[datetime]:
    """The next two changes of its clock, to the hour before."""
    begin = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + WINDOW
    hours = (begin + number * HOUR for number in range(24 * 370))
    return [hour for hour in hours if shown(hour, zone).utcoffset() != shown(hour + HOUR, zone).utcoffset()][:2]


def shown(moment: datetime, zone: ZoneInfo) -> datetime:
    """What a clock on the wall shows."""
    return moment.astimezone(zone)


def minutes(begin: datetime, end: datetime) -> Iterator[datetime]:
    minute = begin.replace(second=0, microsecond=0) + MINUTE
    while minute <= end:
        yield minute
        minute += MINUTE


def expected(expression: str, zone: ZoneInfo, begin: datetime, end: datetime) -> list[datetime]:
    """Counted out by looking at the clock on the wall each minute."""
    if expression == HOURLY:
        return [each for each in minutes(begin, end) if shown(each, zone).minute == 0]
    if expression == SHOWN:
        return [
            each
            for each in minutes(begin, end)
            if shown(each, zone).hour in (1, 2) and shown(each, zone).minute in (0, 20, 40)
        ]
    first: dict[date, datetime] = {}
    # From the day before, since the first of a day counts.
    for each in minutes(begin - 2 * DAY, end):
        local = shown(each, zone)
        if local.time() >= time(2, 15):
            first.setdefault(local.date(), each)
    return [each for each in list(first.values())[1:] if begin < each <= end]


class Ticks:
    """Which tasks ran, and for which moment by the clock that the test moves."""

    def __init__(self, shadows: Shadow) -> None:
        self.shadows = shadows
        self.seen: list[tuple[datetime, str]] = []
        self.schedules: dict[str, tuple[str, ZoneInfo]] = {}

    def register_all(self) -> None:
        for city, zone in ZONES.items():
            for expression in (DAILY, HOURLY, SHOWN):
                self.schedules[f"{city} {expression}"] = expression, zone
                self.register(f"{city} {expression}", Cron(expression, tz=zone))

    def register(self, name: str, schedule: Cron) -> None:
        async def tick(
            cron: Cron = schedule, execution: Execution = CurrentExecution(), shadows: Shadow = CurrentShadow()
        ) -> None:
            assert execution.when is not None
            self.seen.append((execution.when + shadows.ahead, name))

        self.shadows.register(tick, [name])

    def of(self, name: str) -> list[datetime]:
        return [moment for moment, seen in self.seen if seen == name]

    async def next_of(self, name: str) -> tuple[datetime, int]:
        found = await self.shadows.get_execution(name)
        assert found is not None
        assert found.when is not None
        return found.when, found.fence


@pytest.mark.parametrize("number", [0, 1], ids=["first change", "second change"])
@pytest.mark.parametrize("city", ZONES)
async def test_each_moment_comes_once_at_its_wall_time(shadows: Shadow, city: str, number: int) -> None:
    """Two workers run, and in the midst of it a hundred more come and look whether all is scheduled."""
    change = changes_of(ZONES[city])[number]
    ticks = Ticks(shadows)
    async with testing.clock(shadows, within=timedelta(seconds=60)) as clock, working(shadows):
        await clock.forward(change - WINDOW / 2 - clock.now())
        ticks.register_all()
        begin = clock.now()
        for _ in range(6):
            await clock.forward(WINDOW / 6)
            before = {name: await ticks.next_of(name) for name in ticks.schedules}
            for _ in range(17):
                await seed(shadows)
            assert {name: await ticks.next_of(name) for name in ticks.schedules} == before
        end = clock.now()
    for name, (expression, zone) in ticks.schedules.items():
        assert ticks.of(name) == expected(expression, zone, begin, end), name
    moments = [moment for moment, _ in ticks.seen]
    assert moments == sorted(moments)
