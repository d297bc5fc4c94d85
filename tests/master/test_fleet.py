"""What the master hears of its processes, and when."""

import asyncio
import os
import subprocess
from collections.abc import Iterator

import pytest

from shadowsd.master.channel import Channel
from shadowsd.master.child import Child, Exit
from shadowsd.master.clock import Clock
from shadowsd.master.fleet import Fleet


@pytest.fixture
def child() -> Iterator[Child]:
    child = Child(1, 1, 1, False, 4)
    yield child
    child.gave()
    child.close()


async def test_the_last_words_of_a_child_are_heard_when_it_is_reaped(child: Child) -> None:
    """A child that is refused says why and ends at once: its end may be seen first, and its words must not be lost."""
    fleet = Fleet(Clock(), lambda: None)
    fleet.children[1] = child
    process = subprocess.Popen(["true"])  # noqa: ASYNC220
    child.hold(process.pid)
    await asyncio.to_thread(os.waitid, os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert fleet.hear() == []
    with child.given_channel.dup() as theirs:
        Channel(theirs).send({"refused": "it can't be", "traceback": "line 1"})
    (ended,) = fleet.reap()
    process.returncode = 0  # it was reaped
    assert (ended.child, ended.exit) == (child, Exit(0, None))
    assert (child.refused, child.traceback) == ("it can't be", "line 1")
