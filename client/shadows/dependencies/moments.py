"""The moments of a cron expression in a time zone, right where that zone's clock is put forward or back.

cronsim says which local times an expression means; what they are on the line of time is decided here. (Its own handling
of zones misses moments where a clock moves by half an hour.) The rules are those of cron on Debian:

- An expression with a fixed minute and hour means times of day. Each is once a day: a time that the clock skips is the
  moment at which it was put forward, and of a time that comes twice it is the first.
- One whose minute or hour begins with `*` means what the clock shows: a time that is skipped is left out, and one that
  comes twice is two moments.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone, tzinfo

from shadows import lazy
from shadows.amounts import counted

NAMED = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
SECOND = timedelta(seconds=1)
# No zone changes its offset twice within so long.
STRIDE = timedelta(days=1)
EXPECTED = (
    "expected five fields, minute hour day-of-month month day-of-week, as in '*/15 9-17 * * MON-FRI', or one of "
    + ", ".join(NAMED)
)


class Moments:
    """When an expression is true, one moment after the other."""

    def __init__(self, expression: str, zone: tzinfo) -> None:
        """Raises ValueError, with the form that is expected, for an expression that means no moment."""
        if not isinstance(expression, str):
            raise ValueError(f"Cron({expression!r}) is no text; {EXPECTED}.")
        if not isinstance(zone, tzinfo) or hasattr(zone, "localize"):
            raise ValueError(
                f"Cron({expression!r}, tz={zone!r}) has no time zone that can be used; pass a zoneinfo.ZoneInfo, such "
                f'as ZoneInfo("Europe/Berlin"), or datetime.UTC.'
            )
        self._zone = zone
        self._fields = NAMED.get(expression.strip().lower(), expression)
        fields = self._fields.split()
        if len(fields) != 5:
            raise ValueError(f"Cron({expression!r}) has {counted(len(fields), 'field')}; {EXPECTED}.")
        self._times_of_day = not (fields[0].startswith("*") or fields[1].startswith("*"))
        try:
            next(self._local_times(datetime(2000, 1, 1)))  # noqa: DTZ001 # a local time
        except lazy.cronsim().CronSimError as error:
            raise ValueError(f"Cron({expression!r}) can't be read: {error}; {EXPECTED}.") from None
        except StopIteration:
            raise ValueError(f"Cron({expression!r}) is never true; {EXPECTED}.") from None

    def after(self, moment: datetime) -> datetime:
        """The first moment after another one."""
        moment = moment.astimezone(UTC)
        found = self._time_of_day_after(moment) if self._times_of_day else self._shown_after(moment)
        return found.astimezone(self._zone)

    def _local_times(self, local: datetime) -> Iterator[datetime]:
        times: Iterator[datetime] = lazy.cronsim().CronSim(self._fields, local)
        return times

    def _time_of_day_after(self, moment: datetime) -> datetime:
        # In an hour that comes twice, the second time, this passes moments that are over; hence the loop.
        return next(
            found
            for local in self._local_times(self._shown_at(moment))
            if (found := self._first_moment_of(local)) > moment
        )

    def _first_moment_of(self, local: datetime) -> datetime:
        moment = local.replace(tzinfo=self._zone, fold=0).astimezone(UTC)
        if self._shown_at(moment) == local:
            return moment
        # It is skipped: read with the offset from before the change it is after that, and the other way round.
        before = local.replace(tzinfo=self._zone, fold=1).astimezone(UTC)
        return self._change_between(before, moment)

    def _shown_after(self, moment: datetime) -> datetime:
        offset = self._offset_at(moment)
        local = self._shown_at(moment)
        while True:
            found = (next(self._local_times(local)) - offset).replace(tzinfo=UTC)
            change = self._first_change(moment, found)
            if change is None:
                return found
            # The clock is put forward or back before that: go on from what it shows then, that included.
            moment, offset = change, self._offset_at(change)
            local = self._shown_at(change) - SECOND

    def _first_change(self, begin: datetime, end: datetime) -> datetime | None:
        """When the zone's offset changes first between two moments, if it does."""
        if isinstance(self._zone, timezone):
            return None
        offset = self._offset_at(begin)
        while begin < end:
            ahead = min(begin + STRIDE, end)
            if self._offset_at(ahead) != offset:
                return self._change_between(begin, ahead)
            begin = ahead
        return None

    def _change_between(self, before: datetime, after: datetime) -> datetime:
        """The first second of the offset that holds at `after`, and does not at `before`."""
        offset = self._offset_at(after)
        # A clock is changed at a whole second. With parts of one there may be no second between these two, and no end.
        before, after = before.replace(microsecond=0), after.replace(microsecond=0)
        while after - before > SECOND:
            middle = before + (after - before) // 2 // SECOND * SECOND
            if self._offset_at(middle) == offset:
                after = middle
            else:
                before = middle
        return after

    def _shown_at(self, moment: datetime) -> datetime:
        return moment.astimezone(self._zone).replace(tzinfo=None, fold=0)

    def _offset_at(self, moment: datetime) -> timedelta:
        return moment.astimezone(self._zone).utcoffset() or timedelta(0)
