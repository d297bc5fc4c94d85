"""No file that ships, and no test, is longer than a person reads in one go, and there is no list of exceptions."""

from pathlib import Path

import pytest

from tests.contracts.sources import CLIENT, DAEMON, ROOT, TESTS

LIMIT = 300

FILES = sorted(
    path for folder in (CLIENT, DAEMON, TESTS) for path in folder.rglob("*") if path.suffix in (".py", ".lua", ".pyi")
)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_has_at_most_300_lines(path: Path) -> None:
    lines = len(path.read_text().splitlines())
    assert lines <= LIMIT, f"{lines} lines, and {LIMIT} are allowed: find the second idea in it, and move that out"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_is_named_for_what_it_holds(path: Path) -> None:
    assert path.stem not in {"utils", "helpers", "common", "base", "misc", "manager"}
