"""The master's clock stands still while the master itself could not act."""

import pytest

from shadowsd.master import clock as module
from shadowsd.master.clock import LATE_SECONDS, Clock


class Time:
    """What `monotonic` says."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(module, "monotonic", lambda: self.now)


def test_a_pass_that_is_in_time_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    time = Time(monkeypatch)
    clock = Clock()
    clock.expect(1.0)
    time.now += 1.0 + LATE_SECONDS / 2
    assert clock.arrive() == 0.0
    assert clock.now() == time.now


def test_every_deadline_moves_by_what_the_master_was_late(monkeypatch: pytest.MonkeyPatch) -> None:
    time = Time(monkeypatch)
    clock = Clock()
    clock.expect(1.0)
    deadline = clock.now() + 10
    time.now += 21
    assert clock.arrive() == 20.0
    assert deadline - clock.now() == 9.0
    clock.expect(1.0)
    time.now += 31
    assert clock.arrive() == 30.0
    assert deadline - clock.now() == 8.0


def test_a_stamp_from_before_the_pause_is_as_fresh_as_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a paused machine the children could not stamp either."""
    time = Time(monkeypatch)
    clock = Clock()
    clock.expect(1.0)
    stamp = time.now
    time.now += 60
    clock.arrive()
    assert clock.silent_for(stamp) == 0.0
    clock.expect(5.0)
    time.now += 5
    assert clock.arrive() == 0.0
    assert clock.silent_for(stamp) == 5.0
    assert clock.silent_for(time.now + 1) == 0.0
