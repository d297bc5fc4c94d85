"""Workers that are executed import the tasks themselves: what goes wrong there is told as it is of a zygote."""

from pathlib import Path

import pytest

from shadows import Shadow
from tests.daemon import TASKS, Daemon, kill
from tests.faults.running import Runner, Running, deaths_of
from tests.recorded import Journal, gate_of
from tests.waiting import wait_for, wait_until

# The zygote has tried the imports when a worker is executed; who comes after it, or for the second time, may fail.
BROKEN = """
import sys

if "shadowsd.master.executed" in sys.orig_argv:
    import nothing_of_this_name
"""
SECOND_BROKEN = """
import sys
import time
from pathlib import Path

if "shadowsd.master.executed" in sys.orig_argv:
    try:
        Path("first").mkdir()
    except FileExistsError:
        while not Path("{gate}").exists():
            time.sleep(0.005)
        import nothing_of_this_name
"""


def test_one_that_can_not_import_ends_a_daemon_that_never_served(tmp_path: Path, brief: Shadow) -> None:
    """It said so with a plain traceback of everything, ended with 1, and was tried again and again."""
    (tmp_path / "work.py").write_text(BROKEN + TASKS)
    with Daemon(tmp_path, brief, spawn="exec") as daemon:
        assert daemon.wait() == 78
        assert 'work.py", line 5' in daemon.output
        assert "ModuleNotFoundError: No module named 'nothing_of_this_name'" in daemon.output
        assert "importlib" not in daemon.output
        assert daemon.lines[-1].startswith("Error: --tasks work:ALL: importing work raised ModuleNotFoundError")


async def test_what_runs_beside_one_that_can_not_import_is_not_blamed_for_the_end(
    tmp_path: Path, brief: Shadow, journal: Journal, running: Runner
) -> None:
    """The daemon ends before it ever served, and kills who did: that is no death."""
    gate = gate_of(str(journal), "import")
    (tmp_path / "work.py").write_text(SECOND_BROKEN.format(gate=gate) + TASKS)
    with Running(tmp_path, brief, journal, spawn="exec") as daemon:
        wait_for(daemon.serving, "one of two serves")
        await daemon.holds("k")
        gate.touch()
        assert daemon.wait() == 78
    assert await deaths_of(brief, "k") == 0
    (tmp_path / "work.py").write_text(TASKS)
    with running():
        await wait_until(lambda: journal.count("start")["k"] == 2, "it runs again")
        journal.open_gate("gate")
        await wait_until(lambda: journal.count("end")["k"] == 1, "it ends")


@pytest.mark.parametrize("reloads", [False, True])
async def test_one_that_can_not_import_later_leaves_the_others_alone(
    tmp_path: Path, running: Runner, reloads: bool
) -> None:
    """In a reload it fails it, with the traceback of the user's module; else its slot is tried again."""
    with running(spawn="exec") as daemon:
        before = daemon.serving()
        (tmp_path / "work.py").write_text(BROKEN + TASKS)
        if reloads:
            answer = daemon.ask("reload", wait=True)
            assert not answer["ok"]
            assert "importing work raised ModuleNotFoundError" in answer["words"]
            assert 'work.py", line 5' in answer["traceback"]
            assert daemon.serving() == before
        else:
            kill(before[1])
            daemon.wait_logged(r'work\.py", line 5')
            assert "raised ModuleNotFoundError" in daemon.endings(1)[0]["cause"]
            assert daemon.serving() == {2: before[2]}
        (tmp_path / "work.py").write_text(TASKS)
        daemon.wait_serving(2, 20)
        await daemon.proves_itself()
