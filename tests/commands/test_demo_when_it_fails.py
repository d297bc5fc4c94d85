"""`shadowsd demo` when something in it does not go as told: it ends with a sentence, and takes everything with it."""

import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import tempfile
import termios
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from shadows import Shadow
from shadowsd.commands.demo import command, daemon
from shadowsd.commands.demo.acts import Demo, Recovery
from shadowsd.commands.demo.command import serving
from shadowsd.commands.demo.daemon import Daemon, Record
from shadowsd.commands.demo.telling import Teller
from shadowsd.commands.shadowsd import main
from tests.daemon import lives
from tests.processes import SOURCES, Process
from tests.waiting import wait_until

TASKS = "from shadowsd.commands.demo.tasks import thumbnail\n\nALL = [thumbnail]\n"


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where the demo keeps what it needs: as short as a socket's path must be."""
    with tempfile.TemporaryDirectory(prefix="d-", dir="/tmp") as directory:
        monkeypatch.setattr(tempfile, "tempdir", directory)
        yield Path(directory)


@pytest.fixture
def own_signals() -> Iterator[None]:
    """It takes two signals over, and its process ends with it; this one does not."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def run_demo() -> Result:
    return CliRunner().invoke(main, ["demo"])


@pytest.mark.usefixtures("own_signals")
def test_a_demo_that_takes_too_long_says_so_and_leaves_nothing(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "LIMIT_SECONDS", 0.5)
    result = run_demo()
    assert result.exit_code == 1
    assert "Error: The demo did not come to its end within 0.5 s; nothing of it is left." in result.output
    assert list(place.iterdir()) == []


@pytest.mark.usefixtures("own_signals")
def test_a_daemon_that_can_not_begin_is_shown_in_its_own_words(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are no records of a log: it never came to writing one."""
    monkeypatch.setattr(daemon, "TASKS", "nowhere")
    result = run_demo()
    assert result.exit_code == 1
    assert "The daemon could not begin:\n" in result.output
    assert "there is no module 'nowhere'" in result.output
    assert list(place.iterdir()) == []


def of(shadow: Shadow, directory: Path, heard: list[Record]) -> Daemon:
    """A daemon of the demo's on a shadow of a test's."""
    return Daemon(directory, shadow.name, shadow.settings.url, heard.append)


async def test_a_daemon_that_does_not_end_is_killed(
    shadows: Shadow, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With all its children: nothing of the demo may be left."""
    monkeypatch.setattr(daemon, "END_SECONDS", 0.2)
    async with of(shadows, place, []) as stuck:
        await serving(stuck)
        workers = [row["pid"] for row in await stuck.ready()]
        assert stuck.process is not None
        stuck.process.send_signal(signal.SIGSTOP)
    assert len(workers) == 2
    assert stuck.process.returncode == -signal.SIGKILL
    await wait_until(lambda: not any(map(lives, workers)), "its workers are gone")


async def test_a_reload_that_fails_ends_the_demo_with_its_reason(
    shadows: Shadow, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = place / "demo_tasks.py"
    module.write_text(TASKS)
    monkeypatch.setattr(daemon, "TASKS", "demo_tasks:ALL")
    teller = Teller()
    async with of(shadows, place, []) as ours:
        await serving(ours)
        module.write_text("import nothing_of_this_name\n")
        with pytest.raises(click.ClickException, match=r"The reload failed, and the old code served on: .*demo_tasks"):
            await Demo(teller, shadows, Recovery()).reload(ours)
    assert ours.process is not None
    assert ours.process.returncode == 0


async def test_a_worker_that_is_gone_before_it_can_be_watched_is_no_error() -> None:
    """Its number came from the daemon a moment ago."""
    recovery = Recovery()
    with (
        Process("-c", "import sys; sys.stdin.read()") as gone,
        Process("-c", "input()", prefix=("sleep", "60")) as killed,
    ):
        assert gone.wait() == 0
        recovery.watch([gone.pid, killed.pid])
        assert recovery._watched == {killed.pid}
        killed.kill()
        await wait_until(lambda: recovery._died_at is not None, "its end is seen")


def test_at_a_terminal_long_lines_are_broken_below_their_words() -> None:
    """So that who speaks stays to be seen at the left."""
    master, slave = pty.openpty()
    with open(master, "rb", buffering=0) as screen:  # noqa: PTH123 # a descriptor
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 60, 0, 0))
        words = "The killer is in the quarantine, and the orders that shared its worker are all packed."
        said = f"from shadowsd.commands.demo.telling import Teller; Teller().say('demo', {words!r})"
        environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "NO_COLOR")}
        environment |= {"PYTHONPATH": SOURCES, "TERM": "xterm"}
        with subprocess.Popen([sys.executable, "-c", said], stdin=slave, stdout=slave, env=environment) as process:
            os.close(slave)
            assert process.wait(30) == 0
        shown = screen.read(10_000).decode()
    # Only the time is dim.
    assert re.search(r"\x1b\[2m *[0-9.]+ s  \x1b\[0m", shown)
    assert shown.count("\x1b[2m") == 1
    first, *rest = re.sub(r"\x1b\[[0-9;]*m", "", shown).rstrip("\r\n").split("\r\n")
    assert first.endswith(" s  demo      The killer is in the quarantine, and the ")
    assert all(line.startswith(" " * 19) for line in rest)
    assert [line.strip() for line in rest] == ["orders that shared its worker are all", "packed."]
