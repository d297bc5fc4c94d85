"""The Python of the README and of the guides runs as it stands, and prints what they say it prints.

A page is one session, as `python -m asyncio` would run it. A comment before a block says what else it is:

- `<!-- file: name.py -->`: a file of that name, run as a script (by pytest when it is a test).
- `<!-- output -->`: what the block before it prints; numbers may differ in times of day, and before `ms`.
- `<!-- not run: why -->`: only to be read.
"""

import ast
import asyncio
import inspect
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest

from tests.processes import ROOT, run_script

GUIDES = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs" / "guides").glob("*.md"))
PAGES = ["README.md", "docs/getting-started.md", *GUIDES]
BLOCK = re.compile(
    r"^(?:<!-- (?P<mark>[^\n]*) -->\n)?```(?P<language>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)
# The settings that the guide tells its readers to make.
PYTEST = (
    "-m", "pytest", "-q", "-p", "no:cacheprovider",
    "-o", "asyncio_mode=auto", "-o", "asyncio_default_fixture_loop_scope=function",
)  # fmt: skip
TIMES = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}|\b\d+(?= ms\b)")


@dataclass(frozen=True)
class Block:
    """One fenced block of a page."""

    mark: str
    language: str
    text: str
    line: int


def blocks_of(page: str) -> Iterator[Block]:
    text = (ROOT / page).read_text()
    for found in BLOCK.finditer(text):
        line = text.count("\n", 0, found.start("text")) + 1
        yield Block(found["mark"] or "", found["language"], found["text"], line)


class Session:
    """One page, read from top to bottom."""

    def __init__(self, page: str, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.page = page
        self.directory = directory
        self.module = ModuleType(re.sub(r"\W", "_", Path(page).stem))
        # Where dataclasses and hints look for the names of a module.
        monkeypatch.setitem(sys.modules, self.module.__name__, self.module)

    async def run(self, block: Block) -> str | None:
        """Runs a block; returns what it printed when that went elsewhere than to this process's output."""
        kind, _, name = block.mark.partition(": ")
        if kind == "file":
            path = self.directory / name
            path.write_text(block.text)
            as_test = PYTEST if name.startswith("test_") else ()
            return await asyncio.to_thread(run_script, *as_test, path)
        # The lines of the page, so that a traceback points at them.
        source = "\n" * (block.line - 1) + block.text
        code = compile(source, str(ROOT / self.page), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        result = eval(code, self.module.__dict__)
        if inspect.isawaitable(result):
            await result
        return None


def without_times(text: str) -> str:
    return TIMES.sub("<time>", text)


@pytest.mark.parametrize("page", PAGES)
async def test_a_page_runs_and_prints_what_it_says(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    session = Session(page, tmp_path, monkeypatch)
    printed, checked = "", 0
    for block in blocks_of(page):
        if block.language == "python" and not block.mark.startswith("not run: "):
            elsewhere = await session.run(block)
            printed = capsys.readouterr().out if elsewhere is None else elsewhere
        elif block.mark == "output":
            assert without_times(printed) == without_times(block.text), f"{page}:{block.line}"
            checked += 1
    assert checked, f"{page} shows no output, so nothing of it was compared"


@pytest.mark.parametrize("page", PAGES)
def test_every_block_of_a_page_says_what_it_is(page: str) -> None:
    for block in blocks_of(page):
        assert block.language in ("python", "bash", "text"), f"{page}:{block.line}"
        if block.language == "text":
            assert block.mark == "output", f"{page}:{block.line} shows text that nobody compares with anything"


def test_the_readme_holds_two_commands_that_start_from_a_bare_python() -> None:
    """The second is run by `.ci/run`, word for word; both are one line, for a shell's history."""
    commands = {
        block.mark: block.text.strip() for block in blocks_of("README.md") if block.text.startswith("python3 -m venv")
    }
    assert set(commands) == {"first command", ".ci/run: tests"}
    for command in commands.values():
        assert "\n" not in command
    assert commands["first command"].endswith("&& .venv/bin/shadowsd demo")


@pytest.mark.parametrize("page", ["README.md", "docs/getting-started.md"])
def test_a_block_can_be_pasted_at_the_prompt(page: str) -> None:
    """That of Python 3.12 ends a block at its first blank line; the rest was an `IndentationError`, once."""
    for block in blocks_of(page):
        if block.language == "python" and not block.mark.startswith("file"):
            assert not re.search(r"\n\n+ ", block.text), f"{page}:{block.line}"
