"""`shadows worker` as a process: what it runs, how it is stopped, and what it says when it can't begin."""

import json
import re
import signal
import socket
from pathlib import Path

import pytest

from shadows import ExecutionState
from shadows.sync import Shadow
from shadows.testing import RedisServer
from tests.commands.commands import Worker, run, task_file
from tests.waiting import wait_for


@pytest.fixture
def app(tmp_path: Path) -> list[str]:
    """The options of a worker that knows the tasks of these tests."""
    return ["--app-dir", str(tmp_path), "--tasks", f"{task_file(tmp_path)}:collection"]


def test_it_runs_what_was_added_on_uvloop_and_ends_when_nothing_is_left(shadow: Shadow, app: list[str]) -> None:
    execution = shadow.add("greet")("Jane")
    with Worker(*app, "--until-finished") as worker:
        assert worker.wait() == 0, worker.output
    assert "Hello, Jane, from uvloop!" in worker.output
    assert execution.get_result(timeout=5) == "JANE"


def test_it_knows_the_built_in_tasks_without_any_option(shadow: Shadow) -> None:
    shadow.add("trace")("startup completed")
    with Worker("--until-finished") as worker:
        assert worker.wait() == 0, worker.output
    assert "shadows.task.trace: startup completed" in worker.output


def test_a_task_of_the_users_keeps_its_name_before_a_built_in_one(shadow: Shadow, tmp_path: Path) -> None:
    """`sleep` is a name that many will want; their own must run, whatever we ship."""
    module = task_file(tmp_path, "async def sleep(hours: int) -> None:\n    print(f'{hours} hours')\n")
    shadow.add("sleep")(8)
    with Worker("--app-dir", tmp_path, "--tasks", module, "--until-finished") as worker:
        assert worker.wait() == 0, worker.output
    assert "8 hours" in worker.output


def test_its_options_come_from_the_environment(shadow: Shadow, tmp_path: Path) -> None:
    """Several modules in one variable, as a container's environment has them."""
    task_file(tmp_path, "async def first() -> None: ...\n", "one")
    task_file(tmp_path, "async def second() -> None: ...\n", "two")
    environment = {
        "SHADOWS_WORKER_APP_DIR": str(tmp_path), "SHADOWS_TASKS": "one, two:second", "SHADOWS_WORKER_NAME": "orders-1",
        "SHADOWS_WORKER_CONCURRENCY": "7",
    }  # fmt: skip
    with Worker(**environment) as worker:
        worker.says("begins")
        (info,) = shadow.workers()
    assert (info.name, info.concurrency) == ("orders-1", 7)
    assert {"first", "second"} <= set(info.tasks)


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_at_the_first_signal_it_finishes_what_runs_and_takes_nothing_new(
    shadow: Shadow, app: list[str], tmp_path: Path, stop: signal.Signals, shadows_redis: RedisServer
) -> None:
    running = shadow.add("waits_for")(str(tmp_path / "file"))
    with Worker(*app) as worker:
        worker.says("it waits")
        worker.signal(stop)
        worker.says("nothing new is taken")
        # The read that was on its way is let go, and what it would have brought was still taken.
        wait_for(lambda: shadows_redis.command("INFO", "clients")["blocked_clients"] == 0, "no read waits")
        late = shadow.add("greet")("Jane")
        (tmp_path / "file").touch()
        assert worker.wait() == 0, worker.output
    assert running.get_result(timeout=5) == "it came"
    late.sync()
    assert late.state is ExecutionState.QUEUED
    assert not shadow.workers()


@pytest.mark.parametrize(
    "stops", [(signal.SIGTERM, signal.SIGTERM), (signal.SIGINT, signal.SIGTERM), (signal.SIGQUIT,)], ids=str
)
def test_at_the_second_signal_or_a_quit_it_hands_back_what_runs(
    shadow: Shadow, app: list[str], tmp_path: Path, stops: tuple[signal.Signals, ...]
) -> None:
    """Handed back, it waits for another worker at once, and not until a lease has ended."""
    execution = shadow.add("waits_for")(str(tmp_path / "never"))
    with Worker(*app) as worker:
        worker.says("it waits")
        for number, stop in enumerate(stops):
            if number:
                worker.says("nothing new is taken")
            worker.signal(stop)
        assert worker.wait() == 0, worker.output
    execution.sync()
    assert execution.state is ExecutionState.QUEUED
    assert not shadow.workers()


def test_a_plain_function_does_not_keep_it_from_stopping_at_once(shadow: Shadow, app: list[str]) -> None:
    execution = shadow.add("plain")(60)
    with Worker(*app) as worker:
        worker.says("it sleeps")
        worker.signal(signal.SIGQUIT)
        assert worker.wait() == 0, worker.output
    execution.sync()
    assert execution.state is ExecutionState.QUEUED


@pytest.mark.parametrize("task", ["blocks", "stubborn"])
def test_a_third_signal_ends_it_by_force(shadow: Shadow, app: list[str], task: str) -> None:
    """A task that blocks the loop, or swallows its cancellation, must not make a process that only `kill -9` ends."""
    shadow.add(task)()
    with Worker(*app) as worker:
        worker.says("it blocks" if task == "blocks" else "it stays")
        for words in ("nothing new is taken", "Stopping at once"):
            worker.signal(signal.SIGTERM)
            worker.says(words)
        worker.signal(signal.SIGTERM)
        assert worker.wait() == 1, worker.output
    assert "ends by force" in worker.output


def test_without_redis_it_waits_with_one_line_and_begins_by_itself(own_redis: RedisServer, app: list[str]) -> None:
    own_redis.stop()
    with Worker(*app, "--until-finished", "--reconnection-delay", "50ms", SHADOWS_URL=own_redis.url) as worker:
        worker.says("begins as soon as Redis can be used")
        own_redis.start()
        assert worker.wait() == 0, worker.output
    assert worker.output.count("WARNING") == 2, worker.output
    assert "Redis can be used after" in worker.output


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGQUIT])
def test_it_can_be_stopped_while_it_waits_for_redis(own_redis: RedisServer, stop: signal.Signals) -> None:
    own_redis.stop()
    with Worker(SHADOWS_URL=own_redis.url) as worker:
        worker.says("begins as soon as Redis can be used")
        worker.signal(stop)
        assert worker.wait() == 0, worker.output


def test_no_place_shows_the_password(own_redis: RedisServer) -> None:
    """Neither the log, nor what every user of the machine sees in `ps`."""
    own_redis.config("requirepass", "geheim")
    with Worker("--url", own_redis.url.replace("//", "//:geheim@")) as worker:
        worker.says("begins")
        assert "geheim" not in worker.output
        title = Path(f"/proc/{worker.pid}/cmdline").read_bytes()
    assert title.startswith(b"shadows worker ")
    assert b"geheim" not in title


def test_json_logs_have_one_object_a_line(shadow: Shadow) -> None:
    shadow.add("fail")("on purpose\nand on two lines")
    with Worker("--until-finished", "--logging-format", "json") as worker:
        assert worker.wait() == 0, worker.output
    lines = [json.loads(line) for line in worker.lines]
    (failed,) = [line for line in lines if line["level"] == "ERROR"]
    assert failed["logger"] == "shadows.worker"
    assert "on purpose\nand on two lines" in failed["exc_info"]
    assert failed["timestamp"]


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("nowhere", "there is no module 'nowhere'"),
        ("chores.nowhere", "there is no module 'chores.nowhere'"),
        ("chores:colection", "Did you mean 'collection'?"),
        ("chores.py", "there is no module 'chores.py'"),
        ("chores.py", "Name the module, without the .py of its file: chores."),
        ("app/chores.py", "for a file app/tasks.py that is app.tasks"),
        ("chores:", "expected module:member or module"),
    ],
)
def test_a_wrong_path_ends_it_with_78_and_one_sentence(tmp_path: Path, path: str, words: str) -> None:
    task_file(tmp_path)
    with Worker("--app-dir", tmp_path, "--tasks", path) as worker:
        assert worker.wait() == 78, worker.output
    (line,) = worker.lines
    assert line.startswith("Error: ")
    assert words in line


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("def broken():\n    raise ValueError('no such table')\nbroken()\n", "ValueError: no such table"),
        ("import nowhere_at_all\n", "ModuleNotFoundError: No module named 'nowhere_at_all'"),
        ("async def tasks() -> None\n", "SyntaxError: expected ':'"),
        ("import sys\nsys.exit(3)\n", "SystemExit: 3"),
    ],
)
def test_a_module_that_fails_ends_it_with_78_and_the_modules_own_traceback(
    tmp_path: Path, source: str, words: str
) -> None:
    """It is the user's code that is to be mended, so of the traceback only that part is shown."""
    with Worker("--app-dir", tmp_path, "--tasks", task_file(tmp_path, source, "wrong")) as worker:
        assert worker.wait() == 78
    assert words in worker.lines
    assert f'File "{tmp_path}/wrong.py", line' in worker.output
    assert "shadowsd" not in worker.output
    assert worker.lines[-1].startswith("Error: --tasks wrong: importing wrong ")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--concurrency", "0"], 78, "concurrency is 0; expected a whole number from 1"),
        (["--concurrency", "many"], 78, "'many' is not a valid integer"),
        (["--redelivery-timeout", "5 parsecs"], 78, "'5 parsecs' is not a duration. Write it like 50ms, 10s"),
        (["--redelivery-timeout", "0"], 78, "redelivery_timeout is"),
        (["--logging-format", "xml"], 78, "'xml' is not one of 'rich', 'plain', 'journal', 'json'"),
        (["--app-dir", "/nowhere"], 78, "Directory '/nowhere' does not exist"),
        (["--shadows", "{x}"], 78, "A shadow can't be named '{x}'"),
        (["--url", "http://localhost"], 78, "has the scheme 'http'"),
        (["--nothing"], 2, "No such option"),
        (["--metrics-port", "http"], 78, "'http' has no port from 0 to 65535; expected PORT or HOST:PORT"),
        (["--healthcheck-port", ":8080"], 78, "Write 0.0.0.0:8080 for all interfaces, or 8080 for this machine only."),
        (["--healthcheck-port", "nowhere.invalid:8080"], 78, "the host 'nowhere.invalid' is not known"),
    ],
)
def test_what_it_can_not_use_is_named_with_the_exit_code_for_it(arguments: list[str], code: int, words: str) -> None:
    with Worker(*arguments) as worker:
        assert worker.wait() == code
    assert words in worker.lines[-1]
    assert "Traceback" not in worker.output


def test_help_names_every_environment_variable() -> None:
    text = run("worker", "--help").output
    for option in (
        "NAME", "CONCURRENCY", "REDELIVERY_TIMEOUT", "APP_DIR", "UNTIL_FINISHED", "LOGGING_FORMAT", "TASKS",
        "HEALTHCHECK_PORT", "METRICS_PORT",
    ):  # fmt: skip
        assert f"SHADOWS_WORKER_{option}" in text


def test_a_port_in_use_ends_it_with_78_and_one_sentence_before_anything_is_imported(tmp_path: Path) -> None:
    """And nothing is left behind: not even the other port, which was free."""
    module = task_file(tmp_path, "print('imported')")
    with socket.create_server(("127.0.0.1", 0)) as other, socket.create_server(("127.0.0.1", 0)) as free:
        taken, port = other.getsockname()[1], free.getsockname()[1]
        free.close()
        with Worker(
            "--app-dir", tmp_path, "--tasks", module, "--healthcheck-port", str(port), "--metrics-port", str(taken)
        ) as worker:
            assert worker.wait() == 78
    (line,) = worker.lines
    assert line == (
        f"Error: --metrics-port 127.0.0.1:{taken} can't be used: another program listens there. Choose another port, "
        "or 0 for one that is free; `ss -ltnp` shows who it is."
    )


def test_its_ports_come_from_the_environment_and_the_chosen_ones_are_logged(shadow: Shadow, app: list[str]) -> None:
    environment = {"SHADOWS_WORKER_HEALTHCHECK_PORT": "localhost:0", "SHADOWS_WORKER_METRICS_PORT": "[::1]:0"}
    with Worker(*app, "--until-finished", **environment) as worker:
        assert worker.wait() == 0, worker.output
    assert re.search(r"Health is served at http://localhost:[1-9]\d*/livez and /readyz\.", worker.output)
    assert re.search(r"Metrics are served at http://\[::1\]:[1-9]\d*/metrics\.", worker.output)


def test_what_was_logged_comes_before_the_error_that_ends_it(tmp_path: Path) -> None:
    """The log is written by a thread, the error by click; a person reads them in the order in which they were said."""
    source = "import logging\nlogging.warning('about to fail')\nraise ValueError('no such table')\n"
    with Worker("--app-dir", tmp_path, "--tasks", task_file(tmp_path, source, "wrong")) as worker:
        assert worker.wait() == 78
    assert worker.lines[0].endswith("about to fail")
    assert worker.lines[1].startswith("Traceback")


@pytest.mark.slow
def test_a_redis_that_stops_under_it_does_not_keep_it_from_stopping_at_once(
    own_redis: RedisServer, app: list[str], tmp_path: Path
) -> None:
    with Shadow(url=own_redis.url) as shadow:
        shadow.add("waits_for")(str(tmp_path / "never"))
        with Worker(*app, SHADOWS_URL=own_redis.url) as worker:
            worker.says("it waits")
            own_redis.pause()
            worker.signal(signal.SIGQUIT)
            code = worker.wait(30)
            own_redis.resume()
        assert code == 0, worker.output
        wait_for(lambda: shadow.snapshot().ready_count == 1, "the task still waits for a worker")
