"""`shadowsd demo`: the newcomer's first command needs no server, shows a crash survived, and ends by itself."""

import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes import Process
from tests.waiting import wait_for

# It takes about eight seconds on a machine that does nothing else.
PATIENCE_SECONDS = 60


class Demo(Process):
    """The command, in an environment that is configured for quite another shadow."""

    def __init__(self, temporary: Path) -> None:
        environment = {
            "TMPDIR": str(temporary), "SHADOWS_NAME": "another", "SHADOWS_SERIALIZER": "pickle",
            "SHADOWS_SECRET": "kept by both", "SHADOWSD_WORKERS": "0",
        }  # fmt: skip
        super().__init__("-m", "shadowsd.commands.shadowsd", "demo", environment=environment)

    def says(self, words: str) -> None:
        """Waits until it has printed this."""
        wait_for(
            lambda: words in self.output or self.process.poll() is not None, f"it says {words!r}", PATIENCE_SECONDS
        )
        assert words in self.output, self.output


@pytest.fixture(scope="module")
def temporary() -> Iterator[Path]:
    """Where it keeps its Redis while it runs. Short: it would go elsewhere otherwise, and nothing be seen here."""
    with tempfile.TemporaryDirectory(prefix="d-", dir="/tmp") as directory:
        yield Path(directory)


@pytest.fixture
def place() -> Iterator[Path]:
    """The same for one test."""
    with tempfile.TemporaryDirectory(prefix="d-", dir="/tmp") as directory:
        yield Path(directory)


@pytest.fixture(scope="module")
def printed(temporary: Path) -> str:
    """What it prints, to its end."""
    with Demo(temporary) as process:
        code = process.wait(PATIENCE_SECONDS)
        assert code == 0, process.output
        return process.output


def test_tasks_run_now_later_again_and_again(printed: str) -> None:
    assert "greet     Hello, Ada!" in printed
    assert re.search(r"Grace's greeting began \d+ ms after its time", printed)
    assert "page 1 came at attempt 3." in printed
    assert printed.count("I run every second.") > 1
    assert "All 60 thumbnails are made." in printed
    # The log of a worker has lines for the start and the end of each run, which would drown the story.
    assert "thumbnail with key" not in printed


def test_the_crash_is_survived_and_its_cause_is_named(printed: str) -> None:
    assert re.search(r"The worker in slot \d .* is gone: killed by SIGKILL", printed)
    assert "All 6 orders are packed." in printed
    assert re.search(r"quarantine\. Its cause there: .*killed by SIGKILL", printed)
    (after,) = re.findall(r"began to run again after ([\d and]+) ms", printed)
    assert all(int(milliseconds) >= 0 for milliseconds in after.split(" and "))


def test_the_reload_kept_both_workers(printed: str) -> None:
    (made,) = re.findall(r"never fewer than 2 workers served, and the (\d+) thumbnails", printed)
    assert int(made) > 0


def test_it_says_how_it_ended_and_what_to_try_next(printed: str) -> None:
    assert re.search(r"ended with exit code 0\. \d+ tasks are done, one is in the quarantine, 0 are left\.", printed)
    assert "shadowsd --tasks myapp.tasks" in printed


def test_it_writes_plain_lines_where_no_terminal_is(printed: str) -> None:
    assert printed.isascii()
    assert "\x1b" not in printed


@pytest.mark.usefixtures("printed")
def test_nothing_of_it_stays(temporary: Path) -> None:
    assert_nothing_is_left(temporary)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_demo_that_is_stopped_half_way_cleans_up_too(place: Path, number: signal.Signals) -> None:
    with Demo(place) as process:
        process.says("Packing order")
        process.signal(number)
        assert process.wait() == 1
        assert "Traceback" not in process.output
    assert_nothing_is_left(place)


def test_a_long_temporary_directory_is_no_hindrance(tmp_path: Path) -> None:
    """The control socket was too long for the kernel where TMPDIR is, as below a test runner."""
    long = tmp_path / ("x" * 80)
    long.mkdir()
    with Demo(long) as process:
        process.says("Ready: 2 workers serve")
        process.signal(signal.SIGTERM)
        assert process.wait() == 1


def test_a_demo_that_nobody_reads_any_more_cleans_up_too(place: Path) -> None:
    """`shadowsd demo | head` left its Redis running: rich ends a process at once whose output is closed."""
    command = [sys.executable, "-m", "shadowsd.commands.shadowsd", "demo"]
    environment = os.environ | {"TMPDIR": str(place)}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    assert process.stdout is not None
    assert process.stderr is not None
    with process:
        while "Hello, Ada!" not in process.stdout.readline():
            assert process.poll() is None
        process.stdout.close()
        told = process.stderr.read()
        assert process.wait(PATIENCE_SECONDS) == 1
    assert told == "Error: The demo was stopped before its end; nothing of it is left.\n"
    assert_nothing_is_left(place)


def assert_nothing_is_left(temporary: Path) -> None:
    """Neither a file nor a process."""
    assert list(temporary.iterdir()) == []
    assert not [place for place in places_of_processes() if str(temporary) in place]


def places_of_processes() -> list[str]:
    """Where all processes of this machine work, and their command lines: those of the demo change their titles, and
    with them what can be seen of their environment."""
    found = []
    for directory in Path("/proc").glob("[0-9]*"):
        try:
            found += [str((directory / "cwd").readlink()), (directory / "cmdline").read_text(errors="replace")]
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
    return found
