"""A reload to code that does not work: the code that served before serves on, whole, and the next reload works."""

import os
import signal
from pathlib import Path

import pytest

from shadows import Shadow
from tests.daemon import TASKS, Daemon, kill
from tests.faults.conftest import brief_shadow
from tests.faults.running import SPAWNS, Runner
from tests.faults.test_daemon_boot import DEADLOCK
from tests.recorded import Journal, hold, rest
from tests.waiting import wait_for, wait_until

DEADLY = """
import os
from tests.recorded import hold, write


async def rest(journal: str, label: str, seconds: float = 0) -> str:
    write(journal, "deadly", label)
    os._exit(9)


ALL = [hold, rest]
"""


@SPAWNS
async def test_a_reload_serves_new_code_and_loses_nothing(
    tmp_path: Path, brief: Shadow, journal: Journal, spawn: str
) -> None:
    with Daemon(tmp_path, brief, spawn=spawn) as daemon:
        daemon.wait_ready()
        before = daemon.serving()
        await brief.add(hold, key="old")(str(journal), "old", "gate")
        wait_for(lambda: journal.count("start")["old"] == 1, "the old code runs it")
        answer = daemon.ask("reload", wait=True)
        assert answer["ok"], answer
        after = daemon.serving(generation=2)
        assert set(after) == {1, 2}
        assert not set(after.values()) & set(before.values())
        added = await brief.add(rest, key="new")(str(journal), "new")
        assert await added.get_result(timeout=10) == "new"
        journal.open_gate("gate")
        wait_for(lambda: journal.count("end")["old"] == 1, "the old code ends it")
        assert journal.count("start") == {"old": 1, "new": 1}
        wait_for(lambda: len(daemon.slots()) == 2, "the old workers are gone")
        assert daemon.stop() == 0


@pytest.mark.parametrize(
    ("source", "line", "spawn"),
    [
        ("import nothing_of_this_name\n", "No module named 'nothing_of_this_name'", "exec"),
        ("def broken(:\n", "SyntaxError", "fork"),
        (DEADLOCK, "--boot-timeout (4 s)", "fork"),
    ],
)
async def test_code_that_can_not_be_imported_fails_the_reload_and_touches_nobody(
    tmp_path: Path, brief: Shadow, journal: Journal, spawn: str, source: str, line: str
) -> None:
    # Also the first import must come to its end within it, on a busy machine.
    with Daemon(tmp_path, brief, spawn=spawn, boot_timeout="4s" if source == DEADLOCK else "30s") as daemon:
        daemon.wait_ready()
        before = daemon.serving()
        (tmp_path / "work.py").write_text(source)
        answer = daemon.ask("reload", wait=True)
        assert not answer["ok"]
        assert line in answer["words"] + answer["traceback"]
        assert daemon.serving() == before
        added = await brief.add(rest, key="k")(str(journal), "k")
        assert await added.get_result(timeout=10) == "k"
        (tmp_path / "work.py").write_text(TASKS)
        assert daemon.ask("reload", wait=True)["ok"]
        wait_for(lambda: not set(daemon.serving().values()) & set(before.values()), "all are new")
        assert daemon.stop() == 0


@SPAWNS
async def test_new_code_that_dies_on_its_first_task_is_rolled_back(
    tmp_path: Path, journal: Journal, shadows_url: str, spawn: str
) -> None:
    async with brief_shadow(shadows_url) as shadow:
        with Daemon(tmp_path, shadow, spawn=spawn, concurrency="1") as daemon:
            daemon.wait_ready()
            before = daemon.serving()
            for slot in before:  # so that only the new worker is free
                await shadow.add(hold, key=f"busy{slot}")(str(journal), f"busy{slot}", "gate")
            wait_for(lambda: len(journal.count("start")) == 2, "the old workers are busy")
            added = await shadow.add(rest, key="k")(str(journal), "k")
            (tmp_path / "work.py").write_text(DEADLY)
            answer = daemon.ask("reload", wait=True)
            assert not answer["ok"]
            assert "is gone: exited with 9" in answer["words"]
            assert daemon.status["generation"] == 1
            assert set(before.values()) <= {row["pid"] for row in daemon.slots()}
            journal.open_gate("gate")
            assert await added.get_result(timeout=10) == "k"
            assert journal.count("deadly") == {"k": 1}
            wait_for(lambda: {row["generation"] for row in daemon.slots()} == {1}, "all is of the old code")
            assert daemon.stop() == 0


async def test_a_zygote_that_dies_before_its_canary_is_made_does_not_end_the_master(
    tmp_path: Path, brief: Shadow
) -> None:
    with Daemon(tmp_path, brief) as daemon:
        daemon.wait_ready()
        (old,) = daemon.zygotes
        (tmp_path / "work.py").write_text(f"import time\ntime.sleep(0.5)\n{TASKS}")
        kill(daemon.pid, signal.SIGHUP)
        wait_for(lambda: len(daemon.zygotes) == 2, "a second zygote imports")
        (new,) = daemon.zygotes - {old}
        kill(new)
        daemon.wait_logged("The reload failed, and generation 1 serves on: importing its tasks ended the process")
        assert daemon.ask("reload", wait=True)["ok"]
        assert daemon.stop() == 0


async def test_a_zygote_that_dies_between_its_imports_and_its_canary_fails_the_reload(
    tmp_path: Path, running: Runner
) -> None:
    """It has said that it is ready, and is gone when the canary is to be forked."""
    with running() as daemon:
        before = daemon.serving()
        (tmp_path / "work.py").write_text(
            f"import os\n\nos.register_at_fork(before=lambda: os.kill(os.getpid(), 9))\n{TASKS}"
        )
        answer = daemon.ask("reload", wait=True)
        assert not answer["ok"]
        assert answer["words"] == "its worker in slot 1 is gone: killed by SIGKILL"
        assert daemon.serving(generation=1) == before
        assert daemon.logged("The zygote of generation 2 was killed by SIGKILL") == 1
        (tmp_path / "work.py").write_text(TASKS)
        assert daemon.ask("reload", wait=True)["ok"]
        wait_for(lambda: len(daemon.zygotes) == 1, "the zygotes before are gone")
        await daemon.proves_itself()


async def test_code_that_breaks_while_its_zygote_is_gone_is_tried_again_until_it_works(
    tmp_path: Path, brief: Shadow, journal: Journal
) -> None:
    """The zygote that could not import the code any more stayed, and nobody tried again."""
    with Daemon(tmp_path, brief) as daemon:
        daemon.wait_ready()
        before = daemon.serving()
        (tmp_path / "work.py").write_text("def broken(:\n")
        (zygote,) = daemon.zygotes
        kill(zygote)
        daemon.wait_logged("The tasks can't be imported any more, so no worker can be replaced until they can")
        kill(before[1])
        added = await brief.add(rest, key="k")(str(journal), "k")
        assert await added.get_result(timeout=10) == "k"
        (tmp_path / "work.py").write_text(TASKS)
        daemon.wait_serving(2, 20)
        assert daemon.stop() == 0


async def test_five_hundred_hups_are_at_most_one_more_reload(tmp_path: Path, brief: Shadow) -> None:
    with Daemon(tmp_path, brief) as daemon:
        daemon.wait_ready()
        for _ in range(500):
            os.kill(daemon.pid, signal.SIGHUP)
        daemon.wait_logged("Reloaded: generation 2 serves whole")
        wait_for(lambda: daemon.status.get("reloading_to") is None, "no reload is under way", 20)
        wait_for(lambda: len(daemon.slots()) == 2, "what was replaced is gone")
        assert daemon.logged("Reloaded: ") <= 2
        assert daemon.stop() == 0


async def test_told_to_stop_in_a_reload_it_stops_once(tmp_path: Path, brief: Shadow, journal: Journal) -> None:
    with Daemon(tmp_path, brief) as daemon:
        daemon.wait_ready()
        (tmp_path / "work.py").write_text(DEADLOCK)
        kill(daemon.pid, signal.SIGHUP)
        wait_for(lambda: len(daemon.zygotes) == 2, "the new code is imported")
        added = await brief.add(rest, key="k")(str(journal), "k", 0.5)
        await wait_until(lambda: journal.count("start")["k"] == 1, "a task runs")
        assert daemon.stop(4) == 0
        assert await added.get_result(timeout=1) == "k"
        assert journal.count("start") == {"k": 1}
