"""An example that needs no server, shows what happens, and ends by itself."""

import re
from pathlib import Path

import pytest

from tests.processes import ROOT, Process, run_script

EXAMPLE = ROOT / "docs" / "examples" / "count_words.py"


@pytest.fixture(scope="module")
def temporary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the example keeps its Redis while it runs."""
    return tmp_path_factory.mktemp("temporary")


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory, temporary: Path) -> str:
    """What it says of five texts: the fourth is scheduled; the fifth is the largest, and fails once."""
    library = tmp_path_factory.mktemp("library")
    for number, words in enumerate((1, 2, 3, 4, 500), start=1):
        (library / f"{number}.md").write_text("shadow " * words)
    (library / "6.bin").write_bytes(b"not a text")
    return run_script(EXAMPLE, library, environment={"TMPDIR": str(temporary)})


def test_it_counts_each_file_once(printed: str) -> None:
    counted = re.findall(r"([\d,]+) words  (\d)\.md", printed)
    assert sorted(counted, key=lambda row: row[1]) == [
        ("1", "1"), ("2", "2"), ("3", "3"), ("4", "4"), ("500", "5"),
    ]  # fmt: skip


def test_one_file_is_scheduled_and_one_is_retried(printed: str) -> None:
    notes = dict(re.findall(r"words  (\d\.md)   <- (\w+)", printed))
    assert notes == {"4.md": "scheduled", "5.md": "failed"}


def test_it_ends_with_the_word_that_was_used_most(printed: str) -> None:
    assert re.search(r"shadow +█+ 510$", printed, re.MULTILINE)


@pytest.mark.usefixtures("printed")
def test_nothing_is_left_of_its_redis(temporary: Path) -> None:
    assert list(temporary.iterdir()) == []
    assert not [command for command in commands_running() if str(temporary) in command]


def test_a_directory_without_texts_is_refused_in_one_sentence(tmp_path: Path) -> None:
    with Process(EXAMPLE, tmp_path / "nowhere") as process:
        assert process.wait() == 1
        assert process.lines == [
            f"{tmp_path}/nowhere holds no .md or .txt file. Name one that does: count_words.py DIRECTORY"
        ]


def commands_running() -> list[str]:
    """The command lines of all processes of this machine."""
    found = []
    for directory in Path("/proc").iterdir():
        if directory.name.isdigit():
            try:
                found.append((directory / "cmdline").read_text(errors="replace"))
            except (FileNotFoundError, ProcessLookupError):
                continue
    return found
