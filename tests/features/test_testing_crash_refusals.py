"""What `testing.crash_everywhere` can't try, it says."""

import asyncio
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from shadows import testing
from tests.processes import write_script


async def test_a_call_that_keeps_what_the_next_one_needs_is_told_of() -> None:
    lock = asyncio.Lock()

    async def task() -> None:
        async with lock:
            await asyncio.sleep(0)

    with pytest.raises(
        AssertionError, match=r"task had no outcome after \S+ after its worker died after the beginning"
    ):
        await testing.crash_everywhere(task, within=timedelta(milliseconds=500))


async def test_a_task_with_too_many_awaits_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shadows.crashing.MOST_CRASHES", 3)

    async def task() -> None:
        for _ in range(10):
            await asyncio.sleep(0)

    with pytest.raises(AssertionError, match="died 3 times and has more awaits"):
        await testing.crash_everywhere(task)


async def test_a_task_whose_source_is_not_there_is_refused(tmp_path: Path) -> None:
    def made(source: str, file: str) -> Callable[..., Any]:
        space: dict[str, Any] = {}
        exec(compile(source, file, "exec"), space)
        task: Callable[..., Any] = space["task"]
        return task

    source = "async def task():\n    pass\n"
    with pytest.raises(ValueError, match=r"'<string>' can't be read as Python"):
        await testing.crash_everywhere(made(source, "<string>"))
    path = write_script(tmp_path, "moved", "\n" + source)
    with pytest.raises(
        ValueError, match=rf"task can't be found in {re.escape(str(path))}, line 1: the file was changed"
    ):
        await testing.crash_everywhere(made(source, str(path)))

    class Called:
        async def __call__(self) -> None: ...

    with pytest.raises(ValueError, match=r"The awaits of .* can't be found, a Called"):
        await testing.crash_everywhere(Called())
