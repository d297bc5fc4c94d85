"""A wrong call of a task is an error in the editor, with the type checkers that people use."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.contracts.sources import ROOT
from tests.processes import write_script

RIGHT = """
from datetime import UTC, datetime
from shadows import Execution, Once, Shadow

async def greet(name: str, greeting: str = "Hello") -> None: ...
def plain(number: int) -> int:
    return number

async def pay(once: Once = Once()) -> int:
    await once("greet", greet, "Jane", greeting="Howdy")
    number: int = await once("plain", plain, 5)
    return number + once.call("in the thread", plain, 5)

async def main(shadows: Shadow, once: Once) -> None:
    execution: Execution = await shadows.add(greet)("Jane")
    await shadows.add(greet, when=datetime.now(UTC), key="k")("Jane", greeting="Howdy")
    await shadows.add(plain)(5)
    await shadows.add("by.name")(1, two=3)
    await shadows.replace(greet, datetime.now(UTC), "k")("Jane")
"""

WRONG = {
    "a_wrong_type": "await shadows.add(greet)(5)",
    "a_missing_argument": "await shadows.add(greet)()",
    "an_unknown_argument": 'await shadows.add(greet)("Jane", salutation="Hi")',
    "a_wrong_type_in_a_step": 'await once("greet", greet, 5)',
    "a_wrong_type_in_a_step_of_a_thread": 'once.call("plain", plain, "five")',
    "a_wrong_type_in_a_replace": 'await shadows.replace(greet, datetime.now(UTC), "k")(5)',
}

CHECKERS = {
    "mypy": ["-m", "mypy", "--strict", "--no-incremental", "--cache-dir=/dev/null"],
    "pyright": ["-m", "pyright", "--pythonpath", sys.executable],
}

each_checker = pytest.mark.parametrize("checker", CHECKERS)


def check(checker: str, directory: Path, source: str) -> tuple[int, str]:
    """What a checker says of a user's file, in a folder of its own beside an installed shadows."""
    path = write_script(directory, "user", source)
    run = subprocess.run(
        [sys.executable, *CHECKERS[checker], path.name],
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
    )
    return run.returncode, run.stdout + run.stderr


@pytest.mark.slow
@each_checker
def test_right_calls_are_accepted(checker: str, tmp_path: Path) -> None:
    code, said = check(checker, tmp_path, RIGHT)
    assert code == 0, said


@pytest.mark.slow
@each_checker
def test_each_wrong_call_is_refused_where_it_stands(checker: str, tmp_path: Path) -> None:
    """One run for all, because a checker starts slowly: the errors are told apart by their lines."""
    source = RIGHT + "".join(f"    {call}\n" for call in WRONG.values())
    first = len(RIGHT.splitlines()) + 1
    _, said = check(checker, tmp_path, source)
    missed = [name for line, name in enumerate(WRONG, start=first) if f"user.py:{line}:" not in said]
    assert not missed, f"{checker} accepts {missed}:\n{said}"


@pytest.mark.slow
def test_what_ships_passes_mypy_strict() -> None:
    run = subprocess.run([sys.executable, "-m", "mypy"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
