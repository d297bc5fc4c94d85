"""`--check-config` imports the tasks in a process that is thrown away, and says whether the daemon would start."""

from pathlib import Path

import psutil
import pytest
from click.testing import CliRunner, Result

from shadowsd.commands.shadowsd import main
from tests.commands.commands import TASKS, task_file

MISCONFIGURED = 78
GREET = "async def greet() -> None: ...\n"


def check(directory: Path, *arguments: str, source: str = TASKS) -> Result:
    """Checks a module of tasks."""
    name = task_file(directory, source)
    return CliRunner().invoke(main, ["--tasks", name, "--app-dir", str(directory), *arguments, "--check-config"])


def test_what_can_be_imported_is_listed(tmp_path: Path) -> None:
    result = check(tmp_path, "--workers", "1", "--shadows", "orders")
    assert result.exit_code == 0, result.output
    assert result.output.startswith("These settings can be used: 1 worker of 'orders', which know blocks, fail, greet,")


def test_a_module_that_raises_is_shown_with_its_traceback(tmp_path: Path) -> None:
    result = check(tmp_path, source="import nowhere_at_all\n")
    assert result.exit_code == MISCONFIGURED
    assert "chores.py" in result.output
    assert "importing chores raised ModuleNotFoundError" in result.output


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("import os; os._exit(3)", "importing the tasks ended the process: exited with 3."),
        ("import time; time.sleep(60)", "takes longer than --boot-timeout allows (0.5 s)."),
    ],
)
def test_an_import_that_gives_no_answer_is_ended_and_named(tmp_path: Path, source: str, words: str) -> None:
    result = check(tmp_path, "--boot-timeout", "500ms" if "sleep" in source else "30s", source=source)
    assert result.exit_code == MISCONFIGURED
    assert words in result.output
    assert not [child for child in psutil.Process().children() if "zygote" in " ".join(child.cmdline())]


def test_what_forbids_a_fork_is_told(tmp_path: Path) -> None:
    """It costs memory and time, and nobody would see it before the first start."""
    started = "threading.Thread(target=threading.Event().wait, daemon=True, name='poller').start()"
    source = f"import threading\n{started}\n{GREET}"
    result = check(tmp_path, source=source)
    assert result.exit_code == 0, result.output
    assert "Each worker is executed, not forked: the imports left the thread 'poller'." in result.output
    assert "not forked" not in check(tmp_path, "--spawn", "exec", source=source).output
