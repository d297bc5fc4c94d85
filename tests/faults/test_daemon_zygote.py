"""A zygote that is stuck, and the commands of people who look at a daemon or hurry it."""

import contextlib
import json
import os
import signal
from pathlib import Path

from shadows import Shadow
from tests.daemon import TASKS, Daemon, kill, lives, state_of
from tests.processes import Process
from tests.recorded import Journal, rest
from tests.waiting import wait_for, wait_until


async def test_a_zygote_that_does_not_answer_is_replaced_and_its_slot_filled(
    tmp_path: Path, brief: Shadow, journal: Journal
) -> None:
    """Requests to it never ended: slots stayed empty, and the daemon could not be stopped any more."""
    with Daemon(tmp_path, brief, boot_timeout="3s") as daemon:
        daemon.wait_ready()
        (zygote,) = daemon.zygotes
        kill(zygote, signal.SIGSTOP)
        await wait_until(lambda: state_of(zygote) == "T", "the zygote is stuck")
        kill(daemon.serving()[1])
        daemon.wait_logged("Ending the worker in slot 1 by SIGABRT: it was not ready within --boot-timeout")
        after = daemon.wait_serving(2, 20)
        assert len(after) == 2
        assert not lives(zygote)
        wait_for(lambda: len(daemon.slots()) == 2, "nothing of the request is left")
        assert daemon.stop() == 0


async def test_a_stuck_zygote_does_not_keep_the_daemon_from_stopping(tmp_path: Path, brief: Shadow) -> None:
    with Daemon(tmp_path, brief, drain_timeout="500ms") as daemon:
        daemon.wait_ready()
        (zygote,) = daemon.zygotes
        kill(zygote, signal.SIGSTOP)
        kill(daemon.serving()[1])
        wait_for(lambda: daemon.slots(state="starting"), "a worker was asked for")
        family = daemon.pids
        assert daemon.stop(10) == 0
        assert not any(map(lives, family))


async def test_a_zygote_of_whom_nothing_is_wanted_is_killed_when_it_is_stuck_at_the_end(
    tmp_path: Path, brief: Shadow
) -> None:
    with Daemon(tmp_path, brief) as daemon:
        daemon.wait_ready()
        family = daemon.pids
        kill(daemon.zygotes.pop(), signal.SIGSTOP)
        assert daemon.stop(10) == 0
        assert not any(map(lives, family))


async def test_told_to_stop_again_and_again_until_the_very_end_it_exits_with_0(tmp_path: Path, brief: Shadow) -> None:
    """In the last moments, when nobody listened any more, one more TERM killed what had stopped well."""
    with Daemon(tmp_path, brief) as daemon:
        daemon.wait_ready()
        while daemon.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(daemon.pid, signal.SIGTERM)
        assert daemon.process.returncode == 0
        assert daemon.logged("Stopping: ") == 1


async def test_the_commands_of_people_tell_what_happened_by_their_exit_codes(
    tmp_path: Path, brief: Shadow, journal: Journal
) -> None:
    with Daemon(tmp_path, brief) as daemon:
        daemon.wait_ready()
        code, output = command(daemon, "status", "--json")
        assert code == 0
        assert json.loads(output)["ready"]
        kill(daemon.serving()[1])
        wait_for(lambda: daemon.endings(1), "the end is noted")
        code, output = command(daemon, "status", "1")
        assert code == 0
        assert "killed by SIGKILL" in output
        code, output = command(daemon, "stacks")
        assert code == 0
        assert "in serve" in output
        (tmp_path / "work.py").write_text("import nothing_of_this_name\n")
        code, output = command(daemon, "reload", "--wait")
        assert code == 1
        assert "No module named 'nothing_of_this_name'" in output
        assert 'work.py", line 1' in output
        (tmp_path / "work.py").write_text(TASKS)
        assert command(daemon, "reload", "--wait")[0] == 0
        assert command(daemon, "scale", "1")[0] == 0
        daemon.wait_serving(1)
        added = await brief.add(rest, key="k")(str(journal), "k")
        assert await added.get_result(timeout=10) == "k"
        assert command(daemon, "stop")[0] == 0
        assert daemon.wait() == 0
        code, output = command(daemon, "status")
        assert code == 1
        assert "No master answers" in output


def command(daemon: Daemon, *words: str) -> tuple[int, str]:
    """One run of `shadowsd`; its exit code and what it printed."""
    with Process("-m", "shadowsd.commands.shadowsd", *words, "--control", daemon.control) as process:
        return process.wait(), process.output


async def test_each_generation_has_a_number_of_its_own(tmp_path: Path, brief: Shadow) -> None:
    """The number of one that failed was given to the next one, and two in a log were not to be told apart."""
    with Daemon(tmp_path, brief) as daemon:
        daemon.wait_ready()
        (tmp_path / "work.py").write_text("def broken(:\n")
        assert not daemon.ask("reload", wait=True)["ok"]
        await wait_until(lambda: len(daemon.pids) == 4, "the failed zygote is gone")
        (tmp_path / "work.py").write_text(TASKS)
        assert daemon.ask("reload", wait=True)["ok"]
        assert daemon.status["generation"] == 3
        assert daemon.stop() == 0
