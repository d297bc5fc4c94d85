"""`shadowsd top`: seen at a real terminal, where keys end it, and as lines where there is none."""

import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import pytest
from click.testing import CliRunner

from shadows.sync import Shadow
from shadowsd.commands.depths import Depths
from shadowsd.commands.shadowsd import main
from shadowsd.commands.top_view import Sample, head_of, rate_of, rows_of
from tests.commands.commands import Daemon, task_file
from tests.waiting import wait_for

# What moves the cursor and changes colours.
CONTROL = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")
AWAY = "redis://nowhere:1/0"


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    """A running one with two workers."""
    with Daemon(tmp_path, "--workers", "2", "--tasks", task_file(tmp_path)) as daemon:
        daemon.says("Ready")
        yield daemon


class Terminal:
    """`shadowsd top` at a terminal of its own, 150 columns wide."""

    def __init__(self, *arguments: str | Path) -> None:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 150, 0, 0))
        os.set_blocking(self._ours, False)
        self._theirs = theirs
        self._seen = ""
        self.before = termios.tcgetattr(theirs)
        environment = {name: value for name, value in os.environ.items() if name != "COLUMNS"} | {"TERM": "xterm"}
        command = [sys.executable, "-m", "shadowsd.commands.shadowsd", "top", *map(str, arguments)]
        self.process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._ours)
        os.close(self._theirs)

    @property
    def screen(self) -> str:
        """All that was ever drawn."""
        try:
            while part := os.read(self._ours, 1 << 16):
                self._seen += CONTROL.sub("", part.decode(errors="replace"))
        except BlockingIOError:
            pass
        return self._seen

    def shows(self, words: str) -> None:
        """Waits until it has drawn these words."""
        wait_for(lambda: words in self.screen, f"the screen shows {words!r}")

    def press(self, key: str) -> None:
        os.write(self._ours, key.encode())

    @property
    def mode(self) -> list[Any]:
        """How the terminal treats keys."""
        return termios.tcgetattr(self._theirs)


@pytest.mark.parametrize("key", ["q", "signal"])
def test_at_a_terminal_it_is_drawn_again_until_a_key_ends_it(daemon: Daemon, key: str) -> None:
    with Terminal("--control", daemon.control) as terminal:
        terminal.shows("2 workers, 0 of 20 busy")
        terminal.shows("q or Ctrl-C ends")
        drawn = terminal.screen.count("Longest running")
        wait_for(lambda: terminal.screen.count("Longest running") > drawn, "it is drawn again")
        assert terminal.mode != terminal.before
        if key == "signal":
            terminal.process.send_signal(signal.SIGINT)
        else:
            terminal.press(key)
        assert terminal.process.wait(10) == 0
        assert "Traceback" not in terminal.screen
        assert terminal.mode == terminal.before


def test_a_daemon_that_goes_away_is_asked_on(daemon: Daemon) -> None:
    """It may be restarted just now, and who watches that wants to see it come back."""
    with Terminal("--control", daemon.control) as terminal:
        terminal.shows("2 workers")
        daemon.process.terminate()
        assert daemon.wait() == 0
        terminal.shows("No master answers at")
        terminal.shows("What follows is old.")
        terminal.press("q")
        assert terminal.process.wait(10) == 0


def test_without_a_terminal_it_prints_one_look(daemon: Daemon, shadow: Shadow) -> None:
    shadow.add("waits_for")("/nowhere")
    wait_for(lambda: '"busy": 1' in status(daemon), "the task runs")
    result = CliRunner().invoke(main, ["top", "--control", str(daemon.control)])
    assert result.exit_code == 0, result.output
    name, workers, depths, columns, *rows = result.output.splitlines()
    assert name.startswith(f"node serves {shadow.name!r} at ")
    assert workers.startswith("2 workers, 1 of 20 busy, 0.0 tasks/s, 0 suspects")
    assert depths.startswith("In Redis: ")
    assert columns.split("\t")[:3] == ["Slot", "PID", "State"]
    assert [row.split("\t")[0] for row in rows] == ["1", "2"]
    assert sum("waits_for" in row for row in rows) == 1


def test_it_shows_how_often_a_slot_was_filled_again(daemon: Daemon) -> None:
    """A worker that dies every minute looks well whenever somebody looks."""
    victim = json.loads(status(daemon))["slots"][0]
    os.kill(victim["pid"], signal.SIGKILL)
    wait_for(lambda: json.loads(status(daemon))["slots"][0]["pid"] not in (None, victim["pid"]), "it is replaced")
    rows = json.loads(status(daemon))["slots"]
    assert [(row["slot"], row["restarts"]) for row in rows] == [(1, 1), (2, 0)]


def test_what_waits_in_another_redis_is_not_shown_as_this_ones() -> None:
    with Depths("orders", "redis://:hunter2@here:6379/0", AWAY) as depths:
        assert depths.line == f"What waits in {AWAY} is not shown: pass its --url, or set SHADOWS_URL."
    with Depths("orders", "redis://127.0.0.1:1/0", "redis://127.0.0.1:1/0") as depths:
        wait_for(lambda: "could not be reached" in depths.line, "it says why nothing is known")


def test_rates_are_those_of_one_process() -> None:
    """A slot that was filled again begins at 0, which is no rate of less than nothing."""
    before, latest = Sample(answer(7, 100), 10.0), Sample(answer(7, 150), 12.0)
    assert rate_of(latest.answer["slots"][0], before, latest) == 25.0
    assert rows_of(before, latest)[0][5] == "25.0"
    replaced = Sample(answer(8, 3), 12.0)
    assert rate_of(replaced.answer["slots"][0], before, replaced) is None


@pytest.mark.parametrize(
    ("reloading_to", "last", "line"),
    [
        (3, None, "Reloading to generation 3"),
        (None, {"ok": True, "words": "it serves"}, "The last reload went well: it serves"),
        (None, {"ok": False, "words": "no such module"}, "The last reload failed: no such module"),
    ],
)
def test_the_state_of_a_reload_is_a_line(reloading_to: int | None, last: dict[str, Any] | None, line: str) -> None:
    sample = Sample(answer(7, 1) | {"reloading_to": reloading_to, "last_reload": last}, 10.0)
    assert head_of(sample, sample, Depths("orders", AWAY, "redis://another"))[-1] == line


def status(daemon: Daemon) -> str:
    return CliRunner().invoke(main, ["status", "--json", "--control", str(daemon.control)]).output


def answer(pid: int, done: int) -> dict[str, Any]:
    """What a daemon with one worker says."""
    row = {
        "slot": 1, "pid": pid, "state": "ready", "generation": 1, "suspect": False, "busy": 2, "concurrency": 10,
        "done": done, "memory": 1 << 20, "lag_seconds": 0.001, "restarts": 0, "uptime_seconds": 3.0, "silence": "",
        "silent_seconds": 0.0, "longest": None,
    }  # fmt: skip
    node: dict[str, Any] = json.loads(json.dumps({
        "node": "node", "shadow": "orders", "url": AWAY, "pid": 1, "version": "0.2.0", "ready": True, "reasons": [],
        "workers": 1, "suspects": 0, "reloading_to": None, "last_reload": None, "slots": [row],
    }))  # fmt: skip
    return node
