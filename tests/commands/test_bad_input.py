"""What a daemon is told wrong is refused at once: one sentence with the remedy, its exit code, nothing left behind."""

import json
import os
import socket
from pathlib import Path

import psutil
import pytest
from click.testing import CliRunner

from shadowsd.commands.shadowsd import main
from tests.commands.commands import Daemon, task_file
from tests.waiting import wait_for

BROKEN = "def greet(:\n"
MISCONFIGURED = 78
# Nobody listens there.
NOWHERE = "redis://127.0.0.1:1/0"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--tasks", "nowhere"), "there is no module 'nowhere', neither in"),
        (("--tasks", "chores:number"), "chores:number is a int; expected a list of task functions. Write number = ["),
        (("--tasks", "chores:gret"), "has no member 'gret'; expected a list of task functions. Did you mean 'greet'?"),
        (("--tasks", "broken"), "importing broken raised SyntaxError; see its traceback. Correct the module"),
        (("--workers", "0"), "--workers is 0; expected a whole number from 1"),
        (("--workers", "-1"), "--workers is -1; expected a whole number from 1"),
        (("--drain-timeout", "0"), "--drain-timeout is 0s; expected a duration of at least 1ms, such as 30s."),
        (("--control", "/proc/none/control.sock"), "can't be used: No such file or directory: /proc/none. Give a path"),
        (("--app-dir", "/nowhere"), "--app-dir /nowhere is no directory. Give the one that holds"),
    ],
)
def test_a_wrong_option_ends_the_start_with_its_remedy(tmp_path: Path, arguments: tuple[str, ...], words: str) -> None:
    task_file(tmp_path, "number = 5\nasync def greet() -> None: ...\n")
    task_file(tmp_path, BROKEN, "broken")
    with Daemon(tmp_path, *arguments) as daemon:
        assert daemon.wait(30) == MISCONFIGURED, daemon.output
        assert [line for line in daemon.lines if line.startswith("Error: ")] == daemon.lines[-1:]
        assert words in daemon.lines[-1]
        assert "Traceback" not in daemon.output
        assert_nothing_is_left(tmp_path, daemon)


def test_a_port_in_use_ends_the_start(tmp_path: Path) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        Daemon(tmp_path, "--metrics-port", str(taken.getsockname()[1])) as daemon,
    ):
        assert daemon.wait() == MISCONFIGURED, daemon.output
        assert "can't be used: another program listens there. Choose another port" in daemon.lines[-1]
        assert_nothing_is_left(tmp_path, daemon)


def test_a_second_master_on_the_same_control_path_is_refused_and_the_first_serves_on(tmp_path: Path) -> None:
    with Daemon(tmp_path, "--workers", "1") as first:
        first.says("Ready")
        with Daemon(tmp_path, "--workers", "1") as second:
            assert second.wait() == MISCONFIGURED
            assert "Another shadowsd runs with the control path" in second.lines[-1]
            assert "give this one a --control of its own." in second.lines[-1]
        assert status(first)["ready"]
        first.process.terminate()
        assert first.wait() == 0, first.output
        assert_nothing_is_left(tmp_path, first, second)


def test_an_unreachable_redis_is_waited_for_and_said_once(tmp_path: Path) -> None:
    """A daemon that gave up would need somebody to start it again when Redis is back."""
    with Daemon(tmp_path, "--workers", "1", SHADOWS_URL=NOWHERE) as daemon:
        daemon.says("Redis can't be used now, and is tried again until it can")
        answer = wait_for(lambda: status(daemon), "it answers")
        assert not answer["ready"]
        assert any("Redis can't be used" in reason for reason in answer["reasons"])
        assert NOWHERE in answer["redis"]["error"]
        assert daemon.output.count("Redis can't be used now") == 1
        daemon.process.terminate()
        assert daemon.wait() == 0, daemon.output
        assert_nothing_is_left(tmp_path, daemon)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("worker = 3", "there is no setting 'worker'. Did you mean 'workers'?"),
        ("check-config = true", "there is no setting 'check-config'. There are app_dir, boot_timeout,"),
        ("concurrency = [3]", "'concurrency' is a list; expected one value. Write it as concurrency = 10."),
        ("workers = true", "'workers' is true or false; expected one value."),
        ("[workers]", "'workers' is a table; expected one value."),
        ("tasks = true", """'tasks' is true or false; expected texts. Write it as tasks = ["app.tasks"]."""),
        ('workers = "many"', "'workers' can't be used: 'many' is not a number of workers."),
        ('spawn = "spoon"', "'spawn' can't be used: 'spoon' is not one of 'fork', 'exec'."),
        ('tasks = ["a:b:c"]', "'tasks' can't be used: 'a:b:c' does not name tasks"),
        ("workers 8", "is no TOML: "),
    ],
)
def test_a_wrong_file_is_refused_by_its_name(tmp_path: Path, text: str, words: str) -> None:
    """Whoever wrote the file must not look for the mistake on the command line."""
    file = tmp_path / "shadowsd.toml"
    file.write_text(text)
    result = CliRunner().invoke(main, ["--config", str(file), "--check-config"])
    assert result.exit_code == MISCONFIGURED, result.output
    assert result.output.startswith(f"Error: --config {file}")
    assert words in result.output


def test_numbers_and_single_texts_in_a_file_are_what_they_would_be_as_options(tmp_path: Path) -> None:
    """`drain-timeout = 30` and `concurrency = [3]` in a file used to end in a traceback, and `tasks = "chores"` in a
    refusal that did not say what was wrong."""
    task_file(tmp_path)
    file = tmp_path / "shadowsd.toml"
    file.write_text('tasks = "chores:greet"\ndrain-timeout = 30\nmax_memory = "200M"\nworkers = 5\n')
    arguments = ["--config", str(file), "--app-dir", str(tmp_path), "--shadows", "orders", "--check-config"]
    result = CliRunner().invoke(main, arguments)
    assert result.output == "These settings can be used: 5 workers of 'orders', which know fail, greet, sleep, trace.\n"


def status(daemon: Daemon) -> dict[str, object]:
    """What `shadowsd status` tells; empty before the daemon answers."""
    result = CliRunner().invoke(main, ["status", "--json", "--control", str(daemon.control)])
    answer: dict[str, object] = json.loads(result.stdout) if result.exit_code == 0 else {}
    return answer


def assert_nothing_is_left(directory: Path, *daemons: Daemon) -> None:
    """No socket, no lock, and no process of the daemons' sessions, which all that they start belong to."""
    assert not list(directory.glob("control.sock*"))
    sessions = {daemon.pid for daemon in daemons}
    left = [process.pid for process in psutil.process_iter() if session_of(process.pid) in sessions]
    assert left == []


def session_of(pid: int) -> int:
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return 0
