"""From processes to values: what a debugger took is not held against a worker."""

from collections.abc import Iterator
from time import monotonic

import pytest

from shadowsd.master import seen
from shadowsd.master.child import Child
from shadowsd.master.clock import Clock
from shadowsd.master.hangs import QUIET, Kind
from shadowsd.master.page import Phase


@pytest.fixture
def silent() -> Iterator[Child]:
    """A worker that was last heard a minute ago."""
    child = Child(1, 1, 1, False, 4)
    child.page.stamp_loop(monotonic() - 60, 0.0, 0, 0, 0, Phase.READY)
    child.page.stamp_thread(monotonic(), 0)
    child.pid, child.ready_at = 1, 1.0
    yield child
    child.gave()
    child.close()


def test_a_worker_that_a_debugger_let_go_of_begins_to_be_silent_anew(
    silent: Child, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was ended in the moment before it could stamp again, for the time in which it was held."""
    monkeypatch.setattr(seen, "state_of", lambda _: "t")
    held = seen.silence_of(silent, Clock())
    assert held.kind is Kind.TRACED
    assert held.seconds > 59
    monkeypatch.setattr(seen, "state_of", lambda _: "S")
    assert seen.silence_of(silent, Clock()).seconds < 5


def test_only_those_that_serve_can_be_silent(silent: Child, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seen, "state_of", lambda _: "S")
    assert seen.silence_of(silent, Clock()).kind is Kind.LOOP_BLOCKED
    silent.ready_at = None
    assert seen.silence_of(silent, Clock()) == QUIET
