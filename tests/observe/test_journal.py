"""The log of a process whose standard error is the journal of systemd, which reads a priority from each line."""

import logging
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from shadowsd.observe.journal import priority
from tests.observe.logging_scripts import script
from tests.processes import Process
from tests.waiting import PATIENCE_SECONDS

CHOOSE = """
from shadowsd.observe.logs import default_format
configure_logging("debug", default_format())
"""


class Stream:
    """What systemd gives a service for its standard error: one end of a stream, and its name in the environment."""

    def __init__(self) -> None:
        self._ours, self._theirs = socket.socketpair()
        status = os.fstat(self.descriptor)
        self.environment = {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}

    @property
    def descriptor(self) -> int:
        return self._theirs.fileno()

    def next(self) -> str:
        """The next line; a process that says nothing fails the test."""
        self._ours.settimeout(PATIENCE_SECONDS)
        with self._ours.makefile("r") as file:
            return file.readline()

    def lines(self) -> list[str]:
        """All that was written; for when the process has ended."""
        self._theirs.close()
        with self._ours, self._ours.makefile("rb") as file:
            return file.read().decode().splitlines()

    def close(self) -> None:
        self._theirs.close()
        self._ours.close()


@pytest.fixture
def stream() -> Iterator[Stream]:
    stream = Stream()
    yield stream
    stream.close()


def logged(stream: Stream, path: Path) -> list[str]:
    with Process(path, environment=stream.environment, stderr=stream.descriptor) as process:
        assert process.wait() == 0, process.output
    return stream.lines()


def test_each_line_begins_with_its_priority(tmp_path: Path, stream: Stream) -> None:
    """Without the time, which the journal has."""
    body = """
for level in ("debug", "info", "warning", "error", "critical"):
    getattr(logger, level)("%s is said", level)
"""
    assert logged(stream, script(tmp_path, CHOOSE + body)) == [
        "<7>DEBUG   shadows.worker: debug is said",
        "<6>INFO    shadows.worker: info is said",
        "<4>WARNING shadows.worker: warning is said",
        "<3>ERROR   shadows.worker: error is said",
        "<2>CRITICAL shadows.worker: critical is said",
    ]


@pytest.mark.parametrize(("level", "expected"), [(1, 7), (19, 7), (25, 5), (35, 4), (99, 2)])
def test_a_level_between_two_has_the_priority_of_the_lower_one(level: int, expected: int) -> None:
    """What stands above information, and below a warning, is a notice."""
    assert priority(level) == expected
    assert priority(logging.INFO) == 6


def test_each_line_of_a_traceback_has_the_priority(tmp_path: Path, stream: Stream) -> None:
    """The journal takes each for an entry: with the first alone, `journalctl -p err` would hide why."""
    body = """
try:
    raise ValueError("first\\nsecond\\n\\n<6>third\\0fourth")
except ValueError:
    logger.exception("It failed.")
"""
    lines = logged(stream, script(tmp_path, CHOOSE + body))
    assert lines[:2] == ["<3>ERROR   shadows.worker: It failed.", "<3>Traceback (most recent call last):"]
    assert lines[-5:] == ["<3>ValueError: first", "<3>second", "<3>", "<3><6>third", "<3>fourth"]
    assert all(line.startswith("<3>") for line in lines)


def test_a_line_that_can_not_be_formatted_has_the_priority_of_its_level(tmp_path: Path, stream: Stream) -> None:
    lines = logged(stream, script(tmp_path, CHOOSE + 'logger.warning("%d", "one")\n'))
    assert lines[0].startswith("<4>What was logged at ")
    assert all(line.startswith("<4>") for line in lines)


def test_who_was_redirected_by_its_parent_has_no_journal(tmp_path: Path, stream: Stream) -> None:
    """It inherits the name of a stream that its standard error is not."""
    path = script(tmp_path, CHOOSE + 'logger.warning("here")\n')
    with Process(path, environment=stream.environment) as process:
        assert process.wait() == 0
        (line,) = process.lines
    assert line.endswith(" WARNING shadows.worker: here")


def test_what_a_command_ends_with_is_an_error_there(tmp_path: Path, stream: Stream) -> None:
    """Also the traceback of a module of the user's, and also when no log was configured yet."""
    (tmp_path / "wrong.py").write_text("raise ValueError('no such table')\n")
    arguments = ("-m", "shadowsd.commands.shadows", "worker", "--app-dir", tmp_path, "--tasks", "wrong")
    with Process(*arguments, environment=stream.environment, stderr=stream.descriptor) as process:
        assert process.wait() == 78
    lines = stream.lines()
    assert "<3>ValueError: no such table" in lines
    assert lines[-1].startswith("<3>Error: --tasks wrong: importing wrong ")
    assert all(line.startswith("<3>") for line in lines)


@pytest.mark.parametrize("program", [("shadows", "worker"), ("shadowsd", "run")])
def test_a_format_that_was_asked_for_is_taken(tmp_path: Path, stream: Stream, program: tuple[str, str]) -> None:
    name, command = program
    arguments = ("-m", f"shadowsd.commands.{name}", command, "--logging-format", "json", "--url", "redis://127.0.0.1:1")
    control = {"XDG_RUNTIME_DIR": str(tmp_path)}
    with Process(*arguments, environment=stream.environment | control, stderr=stream.descriptor) as process:
        assert stream.next().startswith('{"level": ')
        process.kill()
