"""The part of stopping that must work when nothing else does."""

import signal
from pathlib import Path

from shadowsd.commands.stopping import FORCED
from tests.processes import Process, write_script

STUCK = """
import asyncio
import logging

from shadowsd.commands.stopping import StopSignals

logging.basicConfig()


async def main():
    def no(): print("asked")

    with StopSignals(no, no, longest_seconds=0.2):
        print("begins")
        await asyncio.sleep(60)


asyncio.run(main())
"""

DONE = """
import asyncio
import signal

from shadowsd.commands.stopping import StopSignals


async def main():
    stopped = asyncio.Event()
    with StopSignals(stopped.set, stopped.set):
        print("begins")
        await stopped.wait()
    print(signal.getsignal(signal.SIGTERM) is signal.SIG_DFL)


asyncio.run(main())
"""


def test_what_can_not_stop_in_time_ends_by_force(tmp_path: Path) -> None:
    with Process(write_script(tmp_path, "stuck", STUCK)) as process:
        process.wait_for("begins")
        process.signal(signal.SIGQUIT)
        assert process.wait() == FORCED
        assert process.lines.count("asked") == 1
        assert "could not stop within 0.2 s and ends by force" in process.output


def test_afterwards_the_signals_are_what_they_were(tmp_path: Path) -> None:
    """An embedding program's own handlers come back, and our thread is gone."""
    for stop in (signal.SIGTERM, signal.SIGQUIT):
        with Process(write_script(tmp_path, "done", DONE)) as process:
            process.wait_for("begins")
            process.signal(stop)
            assert process.wait() == 0, process.output
            assert process.lines == ["begins", "True"]
