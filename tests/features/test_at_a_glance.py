"""The first example of the documents: add now and later here, run there."""

import re
import sys
from datetime import datetime, timedelta, timezone  # as users write it, and as the examples do
from pathlib import Path

import pytest

from shadows import Shadow, Worker
from tests.processes import run_script, write_script


async def greet(name: str, greeting="Hello") -> None:  # type: ignore[no-untyped-def] # as it stands in the example
    print(f"{greeting}, {name} at {datetime.now()}!")  # noqa: DTZ005 # as it stands in the example


async def test_the_example_of_the_welcome_page_prints_two_greetings(capsys: pytest.CaptureFixture[str]) -> None:
    """The words of the page, with one shadow that stands for both processes."""
    async with Shadow() as shadows:
        await shadows.add(greet)("Jane")

        now = datetime.now(timezone.utc)  # noqa: UP017 # as it stands in the example
        soon = now + timedelta(seconds=3)
        await shadows.add(greet, when=soon)("John", greeting="Howdy")

    async with Shadow() as shadows:  # noqa: SIM117 # as it stands in the example
        async with Worker(shadows) as worker:
            await worker.run_until_finished()

    jane, john = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"Hello, Jane at \d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}!", jane)
    assert re.fullmatch(r"Howdy, John at \d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}!", john)


ADD = """
import asyncio
from datetime import datetime, timedelta, timezone

from shadows import Shadow
from tasks import greet


async def main():
    async with Shadow() as shadows:
        await shadows.add(greet)("rohit")

        now = datetime.now(timezone.utc)
        soon = now + timedelta(seconds=0.3)
        await shadows.add(greet, when=soon)("rahul", greeting="what'sgood")


asyncio.run(main())
"""

TASKS = """
from datetime import datetime


async def greet(name: str, greeting="Hello") -> None:
    print(f"{greeting}, {name} at {datetime.now()}!")
"""

WORK = """
import asyncio

from shadows import Shadow, Worker
from tasks import greet


async def main():
    async with Shadow() as shadows:
        shadows.register(greet)
        async with Worker(shadows) as worker:
            await worker.run_until_finished()


asyncio.run(main())
"""


def test_the_example_of_the_package_page_runs_in_two_processes(tmp_path: Path) -> None:
    """One process adds and ends, another one finds the tasks and runs them; it registers the function first."""
    write_script(tmp_path, "tasks", TASKS)
    run_script(write_script(tmp_path, "add", ADD))
    printed = run_script(write_script(tmp_path, "work", WORK))
    greetings = [line.partition(" at ")[0] for line in printed.splitlines()]
    assert greetings == ["Hello, rohit", "what'sgood, rahul"]


async def test_worker_is_loaded_only_when_it_is_asked_for(tmp_path: Path) -> None:
    """A process which only adds pays for no engine."""
    script = "import sys, shadows\nprint('shadowsd' in sys.modules)\nshadows.Worker\nprint('shadowsd' in sys.modules)"
    assert run_script(write_script(tmp_path, "light", script)).split() == ["False", "True"]
    assert "shadowsd" in sys.modules


def test_a_name_that_shadows_does_not_have_is_an_ordinary_attribute_error() -> None:
    """The door for `Worker` must not hide misspellings."""
    import shadows  # noqa: PLC0415 # the module as users see it

    with pytest.raises(AttributeError, match="no attribute 'Wroker'"):
        shadows.Wroker  # noqa: B018
