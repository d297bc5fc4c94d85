"""A master that is held up in the midst of its work, and not between two passes."""

import os
import signal
from pathlib import Path
from time import monotonic

from tests.daemon import kill
from tests.faults.running import Runner
from tests.recorded import Journal
from tests.waiting import wait_for

LIMIT_SECONDS = 2


async def test_what_a_pass_is_held_up_for_moves_the_deadlines_of_that_pass(
    tmp_path: Path, journal: Journal, running: Runner
) -> None:
    """A reload reads the settings anew, from a disk that may hang: here, from a pipe. A worker that drains meanwhile
    must have its time afterwards, in the very pass that was held up, and in all that follow."""
    settings = tmp_path / "settings.toml"
    settings.write_text("")
    with running(config=str(settings), concurrency="1", reload_drain_timeout=f"{LIMIT_SECONDS}s") as daemon:
        await daemon.holds("a", "b")
        settings.unlink()
        os.mkfifo(settings)
        daemon.ask("scale", workers=1)
        assert len(daemon.slots(state="draining")) == 1
        kill(daemon.pid, signal.SIGHUP)
        writer = wait_for(lambda: opened(settings), "the master reads its settings")
        end = monotonic() + LIMIT_SECONDS + 1
        wait_for(lambda: monotonic() > end, "the limit is over", LIMIT_SECONDS + 2)
        os.write(writer, b"no settings at all")
        os.close(writer)
        daemon.wait_logged("The master itself was held up for [23]")
        daemon.wait_logged("The reload failed, and generation 1 serves on: .* is no TOML")
        assert len(daemon.slots(state="draining")) == 1
        journal.open_gate("gate")
        wait_for(lambda: journal.count("end") == {"a": 1, "b": 1}, "both end")
        assert journal.count("stopped") == {}
        assert daemon.logged("it did not finish within") == 0


def opened(pipe: Path) -> int | None:
    """The end to write to, once somebody reads."""
    try:
        return os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
    except OSError:
        return None
