"""What the master hears of its processes, and when."""

import asyncio
import os
import resource
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from shadowsd.master.assignment import Client
from shadowsd.master.channel import Channel
from shadowsd.master.child import KEPT_STACK_BYTES, Child, Exit, reap
from shadowsd.master.clock import Clock
from shadowsd.master.fleet import Fleet
from shadowsd.master.generation import Generation, Plan, Stage
from shadowsd.master.settings import Settings
from shadowsd.master.world import STOP, Spawn


@pytest.fixture
def child() -> Iterator[Child]:
    child = Child(1, 1, 1, False, 4)
    yield child
    child.gave()
    child.close()


PLAN = Plan(1, "s", (), None, "/", "fork", "info", "plain")


@pytest.fixture
def zygote() -> Iterator[tuple[Generation, Channel]]:
    """A generation that forks, and what its zygote holds: the test is the zygote."""
    generation = Generation(PLAN)
    generation.stage, generation.forks = Stage.READY, True
    generation.channel, given = Channel.pair()
    theirs = Channel(given)
    yield generation, theirs
    theirs.close()
    generation.ended()


def descriptors() -> set[str]:
    """Those that this process has open."""
    return {each.name for each in Path("/proc/self/fd").iterdir()}


async def ended_process() -> int:
    """The pid of a child of ours that is over, and was not reaped."""
    process = subprocess.Popen(["true"])  # noqa: ASYNC220
    await asyncio.to_thread(os.waitid, os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    process.returncode = 0  # it is reaped by others
    return process.pid


async def test_the_last_words_of_a_child_are_heard_when_it_is_reaped(child: Child) -> None:
    """A child that is refused says why and ends at once: its end may be seen first, and its words must not be lost."""
    fleet = Fleet(Clock(), lambda: None)
    fleet.children[1] = child
    child.hold(await ended_process())
    assert fleet.hear() == []
    with child.given_channel.dup() as theirs:
        Channel(theirs).send({"refused": "it can't be", "traceback": "line 1"})
    (ended,) = fleet.reap()
    assert (ended.child, ended.exit) == (child, Exit(0, None))
    assert (child.refused, child.traceback) == ("it can't be", "line 1")


async def test_the_last_words_of_a_zygote_are_heard_when_it_is_reaped(
    child: Child, zygote: tuple[Generation, Channel]
) -> None:
    """It could not fork, said so, and died: the child that was asked of it never came to be."""
    fleet = Fleet(Clock(), lambda: None)
    generation, theirs = zygote
    fleet.children[1], fleet.generations[1] = child, generation
    generation.pid = await ended_process()
    generation.pidfd = os.pidfd_open(generation.pid)
    theirs.send({"number": 1, "failed": "fork: no"})
    assert fleet.reap() == []
    assert child.lost == Exit(0, None)


async def test_what_a_zygote_says_of_a_child_that_was_given_up_is_passed_over(
    zygote: tuple[Generation, Channel],
) -> None:
    fleet = Fleet(Clock(), lambda: None)
    generation, theirs = zygote
    fleet.generations[1] = generation
    theirs.send({"number": 99, "pid": 1})
    assert fleet.hear() == []


async def test_a_child_that_was_over_before_it_could_be_held_is_lost(
    child: Child, zygote: tuple[Generation, Channel]
) -> None:
    """And how it ended is known, if it was collected as an orphan."""
    fleet = Fleet(Clock(), lambda: None)
    generation, theirs = zygote
    fleet.children[1], fleet.generations[1] = child, generation
    pid = await ended_process()
    fleet._unclaimed[pid] = Exit(5, None)
    await asyncio.to_thread(os.waitpid, pid, 0)
    theirs.send({"number": 1, "pid": pid})
    assert fleet.hear() == []
    (ended,) = fleet.reap()
    assert (ended.child.pid, ended.exit) == (pid, Exit(5, None))


async def test_a_child_for_which_there_is_no_descriptor_is_let_go_of(
    child: Child, zygote: tuple[Generation, Channel], caplog: pytest.LogCaptureFixture
) -> None:
    fleet = Fleet(Clock(), lambda: None)
    generation, theirs = zygote
    fleet.children[1], fleet.generations[1] = child, generation
    theirs.send({"number": 1, "pid": os.getpid()})
    usual = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, usual[1]))
    try:
        assert fleet.hear() == []
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, usual)
    assert child.lost == Exit(None, None)
    assert "The worker in slot 1 could not be taken hold of, and ends: [Errno 24] Too many open files" in caplog.text


async def test_a_zygote_that_takes_no_orders_makes_no_child_and_keeps_no_descriptor(
    zygote: tuple[Generation, Channel], caplog: pytest.LogCaptureFixture
) -> None:
    fleet = Fleet(Clock(), lambda: None)
    generation, theirs = zygote
    fleet.generations[1] = generation
    theirs.close()
    before = descriptors()
    settings = Settings(shadow="s", name="node", app_dir="/", control=Path("/s"), client=Client("s", "redis://x"))
    assert not fleet.spawn(Spawn(1, 1), settings)
    assert fleet.children == {}
    assert descriptors() == before
    assert "No process for slot 1 could be had, which is tried again: the zygote takes no orders now" in caplog.text


async def test_who_was_asked_of_a_zygote_that_is_let_go_of_is_not_waited_for(
    child: Child, zygote: tuple[Generation, Channel]
) -> None:
    fleet = Fleet(Clock(), lambda: None)
    fleet.children[1], fleet.generations[1] = child, zygote[0]
    fleet._loop.add_reader(zygote[0].channel.fileno(), print)  # type: ignore[union-attr]
    fleet.retire(1)
    assert (child.asked, child.lost) == (STOP, Exit(0, None))


async def test_the_end_of_what_a_child_dumped_is_kept(child: Child) -> None:
    """Who dumps its stacks again and again must not fill the memory of its master."""
    for number in range(4):
        for part in range(KEPT_STACK_BYTES // 32768):
            os.write(child.given_stacks, b"%d%d" % (number, part) + b"x" * 32766)
        child.read_stacks()
    assert sum(map(len, child.stacks)) <= KEPT_STACK_BYTES
    assert child.last_stack.startswith("30")


async def test_how_a_process_ended_is_told_for_signals_without_a_name_and_for_who_is_gone() -> None:
    number = signal.SIGRTMIN + 3
    process = subprocess.Popen(["sleep", "60"])  # noqa: ASYNC220
    pidfd = os.pidfd_open(process.pid)
    os.kill(process.pid, number)
    await asyncio.to_thread(os.waitid, os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert reap(pidfd) == Exit(None, number)
    process.returncode = 0  # it was reaped
    assert reap(pidfd) == Exit(None, None)
    os.close(pidfd)
