"""What a worker's events add up to, in portions that can be sent, lost and put back."""

from datetime import timedelta

import msgspec
import pytest

from shadowsd.engine.events import (
    BeatCame,
    EntryParked,
    EntryQuarantined,
    OutageBegan,
    OutageEnded,
    OutcomesFenced,
    Reclaimed,
    ScheduledQuarantined,
)
from shadowsd.observe.tally import (
    DURATION_BOUNDS,
    LONGEST_NAME,
    MOST_BYTES,
    MOST_FUNCTIONS,
    OTHER,
    PUNCTUALITY_BOUNDS,
    Delta,
    Tally,
)
from tests.observe.events import ended, started


def only(deltas: list[Delta]) -> Delta:
    (delta,) = deltas
    return delta


def buckets(counts: list[int], bounds: tuple[float, ...]) -> dict[float, int]:
    """The buckets that are not empty, by their upper bounds."""
    return {bound: count for bound, count in zip((*bounds, float("inf")), counts, strict=True) if count}


def test_runs_are_counted_by_function_and_outcome() -> None:
    tally = Tally()
    for event in (ended(), ended(), ended("failed"), ended("handed back", function="other")):
        tally.observe(event)
    functions = only(tally.take()).functions
    assert functions["job"].outcomes == {"completed": 2, "failed": 1}
    assert functions["other"].outcomes == {"handed back": 1}


def test_durations_fall_into_buckets_up_to_and_with_their_bounds() -> None:
    """As Prometheus has them; only of runs that came to their own end."""
    tally = Tally()
    for seconds in (0.0, 0.001, 0.0011, 3600.0, 3600.1):
        tally.observe(ended("completed", seconds))
    tally.observe(ended("retried", 0.4))
    tally.observe(ended("cancelled", 7.0))
    duration = only(tally.take()).functions["job"].duration
    assert buckets(duration.counts, DURATION_BOUNDS) == {0.001: 2, 0.005: 1, 0.5: 1, 3600.0: 1, float("inf"): 1}
    assert duration.total == pytest.approx(7200.5021)


def test_lateness_is_measured_by_redis_clock() -> None:
    """From the due time of what was scheduled, from the placing of what was not; hosts' clocks don't matter."""
    tally = Tally()
    tally.observe(BeatCame(0.0, to_redis_seconds=990.0))
    tally.observe(started(at_seconds=10.2, placed_at=1000.0))
    tally.observe(started(at_seconds=70.004, placed_at=1060.0, due_at=1059.0))
    tally.observe(started(at_seconds=9.9999, placed_at=1000.0))
    late = only(tally.take()).functions["job"].punctuality
    assert buckets(late.counts, PUNCTUALITY_BOUNDS) == {0.001: 1, 0.25: 1, 5.0: 1}
    assert late.total == pytest.approx(0.2 + 1.004)


def test_before_the_first_beat_lateness_is_unknown() -> None:
    """Redis's time is; a guess would be off by the clocks' distance."""
    tally = Tally()
    tally.observe(started(at_seconds=10.0))
    assert tally.take() == []


def test_a_redelivered_run_is_counted_and_is_not_late() -> None:
    """It was due before its first run, so its lateness would tell how long that took."""
    tally = Tally()
    tally.observe(BeatCame(0.0, to_redis_seconds=990.0))
    tally.observe(started(at_seconds=3600.0, deliveries=2))
    delta = only(tally.take())
    assert delta.redelivered == 1
    assert delta.functions == {}


def test_everything_else_is_counted_too() -> None:
    tally = Tally()
    for event in (
        OutcomesFenced(3), Reclaimed("dead#1", 32, 2), EntryParked("key", "f"), EntryQuarantined("key", "f", "why"),
        ScheduledQuarantined(4), OutageBegan("gone"), OutageEnded(timedelta(seconds=1)),
    ):  # fmt: skip
        tally.observe(event)
    assert only(tally.take()) == Delta(
        reclaims=1, reclaimed_tasks=32, fenced_outcomes=3, quarantined=2 + 1 + 4, parked=1, redis_outages=1
    )


def test_lines_that_the_log_lost_are_counted_from_one_time_to_the_next() -> None:
    dropped = 7
    tally = Tally(lambda: dropped)
    assert only(tally.take()).log_lines_dropped == 7
    assert tally.take() == []
    dropped = 9
    assert only(tally.take()).log_lines_dropped == 2


def test_the_worst_lag_since_the_last_time_is_told() -> None:
    """A mean, or the last value, would hide the one that matters."""
    tally = Tally()
    for lag in (0.001, 0.3, 0.002):
        tally.observe(BeatCame(lag, 0.0))
    assert tally.take_loop_lag_seconds() == 0.3
    assert tally.take_loop_lag_seconds() == 0.0


def test_nothing_is_told_twice_and_nothing_when_nothing_happened() -> None:
    tally = Tally()
    tally.observe(ended())
    assert only(tally.take()).functions["job"].outcomes == {"completed": 1}
    assert tally.take() == []
    tally.observe(ended())
    assert only(tally.take()).functions["job"].outcomes == {"completed": 1}


def test_what_could_not_be_sent_goes_with_the_next() -> None:
    """The master was busy, or is being replaced; no count may be lost for it."""
    tally = Tally()
    tally.observe(BeatCame(0.0, 990.0))
    tally.observe(started(at_seconds=10.2))
    tally.observe(ended())
    tally.observe(OutcomesFenced(1))
    lost = only(tally.take())
    tally.observe(ended("failed"))
    tally.restore(lost)
    tally.observe(ended())
    tally.observe(ended(function="another"))
    whole = only(tally.take())
    assert whole.functions["job"].outcomes == {"completed": 2, "failed": 1}
    assert sum(whole.functions["job"].punctuality.counts) == 1
    assert sum(whole.functions["job"].duration.counts) == 3
    assert whole.functions["another"].outcomes == {"completed": 1}
    assert whole.fenced_outcomes == 1


def test_a_delta_arrives_as_it_was_sent() -> None:
    """Over a socket, in a message with other things; and a newer sender may know more fields."""
    tally = Tally()
    for event in (ended(), OutcomesFenced(2), EntryParked("key", "f")):
        tally.observe(event)
    sent = only(tally.take())
    message = msgspec.msgpack.decode(msgspec.msgpack.encode({"kind": "delta", "delta": sent}))
    assert msgspec.convert(message["delta"], Delta) == sent
    assert msgspec.convert([*message["delta"], "newer"], Delta) == sent


def test_only_so_many_functions_have_labels_of_their_own() -> None:
    """Names that a program makes up must not fill Prometheus; those that were there first keep theirs."""
    tally = Tally()
    for n in range(MOST_FUNCTIONS + 20):
        tally.observe(ended(function=f"made-up-{n}"))
    deltas = tally.take()
    names = [name for delta in deltas for name in delta.functions]
    assert len(names) == MOST_FUNCTIONS + 1
    others = [delta.functions[OTHER] for delta in deltas if OTHER in delta.functions]
    assert [other.outcomes for other in others] == [{"completed": 20}]
    tally.observe(ended(function="made-up-0"))
    tally.observe(ended(function="one more"))
    assert set(only(tally.take()).functions) == {"made-up-0", OTHER}


def test_a_long_name_is_cut() -> None:
    tally = Tally()
    tally.observe(ended(function="x" * 10_000))
    (name,) = only(tally.take()).functions
    assert name == "x" * LONGEST_NAME + "..."


def test_what_is_too_much_for_one_message_is_parted() -> None:
    """A socket takes a message whole or not at all; together the parts are what was counted."""
    tally = Tally()
    tally.observe(OutcomesFenced(1))
    for n in range(400):
        for outcome in ("completed", "failed", "retried"):
            tally.observe(ended(outcome, 0.01 * n, function=f"{'long' * 30}-{n}"))
    deltas = tally.take()
    assert len(deltas) > 1
    assert all(len(msgspec.msgpack.encode(delta)) <= MOST_BYTES for delta in deltas)
    assert sum(delta.fenced_outcomes for delta in deltas) == 1
    whole = Delta()
    for delta in deltas:
        whole.add(delta)
    assert len(whole.functions) == 400
    assert all(counts.outcomes == {"completed": 1, "failed": 1, "retried": 1} for counts in whole.functions.values())
