"""When a worker may believe that a lease which ended is a worker that died; decided with values."""

from typing import Any

import pytest

from shadowsd.engine.sweep import Sweeper, reader_of

LEASE = 10.0


@pytest.fixture
def sweeper(monkeypatch: pytest.MonkeyPatch) -> Any:
    return Sweeper(None, None, None, None, LEASE, 0)  # type: ignore[arg-type] # deciding needs nobody


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr("shadowsd.engine.sweep.monotonic", lambda: now[0])
    return now


def beat(sweeper: Sweeper, clock: list[float], after: float, *, connection: int = 1, redis_runs: float = 1.0) -> None:
    """One beat comes through `after` seconds; Redis's own clock went on by that much times `redis_runs`."""
    clock[0] += after
    sweeper.beat_came_through(connection, clock[0], sweeper._redis_clock + after * 1000 * redis_runs)


def steady(sweeper: Sweeper, clock: list[float]) -> None:
    """Beats for a whole lease period."""
    for _ in range(7):
        beat(sweeper, clock, 2)


def test_nobody_is_judged_before_a_whole_lease_of_steady_beats(sweeper: Sweeper, clock: list[float]) -> None:
    assert not sweeper.may_judge
    for _ in range(5):
        beat(sweeper, clock, 2)
    assert not sweeper.may_judge
    assert 0 < sweeper.judges_in <= 4
    steady(sweeper, clock)
    assert sweeper.may_judge
    assert sweeper.judges_in == 0


def test_a_failed_beat_begins_the_waiting_anew(sweeper: Sweeper, clock: list[float]) -> None:
    steady(sweeper, clock)
    sweeper.beat_failed()
    assert not sweeper.may_judge
    assert sweeper.judges_in == LEASE


def test_a_new_connection_begins_the_waiting_anew(sweeper: Sweeper, clock: list[float]) -> None:
    steady(sweeper, clock)
    beat(sweeper, clock, 2, connection=2)
    assert not sweeper.may_judge


def test_a_gap_between_beats_begins_the_waiting_anew(sweeper: Sweeper, clock: list[float]) -> None:
    steady(sweeper, clock)
    beat(sweeper, clock, 6)
    assert not sweeper.may_judge


@pytest.mark.parametrize("runs", [1800.0, -1800.0])
def test_a_jump_of_the_clock_of_redis_begins_the_waiting_anew(
    runs: float, sweeper: Sweeper, clock: list[float]
) -> None:
    """Set forward by an hour, it ends the leases of all who live."""
    steady(sweeper, clock)
    beat(sweeper, clock, 2, redis_runs=runs)
    assert not sweeper.may_judge
    steady(sweeper, clock)
    assert sweeper.may_judge


@pytest.mark.parametrize(
    ("row", "reader"), [(b"\x81\xa6reader\x07", 7), (b"\x80", 0), (None, 0), (b"\xc1", 0), (b"\x01", 0)]
)
def test_the_reader_of_a_beat_is_known_or_not(row: bytes | None, reader: int) -> None:
    assert reader_of(row) == reader
