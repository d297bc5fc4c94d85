"""A worker can be watched: by probes that ask whether it lives and works, by Prometheus, and through its log."""

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

import pytest

from shadows.sync import Shadow
from shadows.testing import RedisServer
from tests.observe.watching import Page, get
from tests.processes import Process, write_script
from tests.waiting import wait_for

TASKS = """
import asyncio
import logging
import time
from pathlib import Path


async def greet(name: str) -> str:
    return f"Hello, {name}"


async def fails() -> None:
    raise ValueError("on purpose")


async def blocks(seconds: float) -> None:
    time.sleep(seconds)


async def waits_for(file: str) -> None:
    while not Path(file).exists():
        await asyncio.sleep(0.005)


async def talks(lines: int) -> None:
    for _ in range(lines):
        logging.getLogger("chatty").info("x" * 10_000)
"""

WITHOUT_STDERR = """
import os
import sys

os.close(2)
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


WORKER = ("shadowsd.commands.shadows", "worker")
DAEMON = ("shadowsd.commands.shadowsd", "run", "--workers", "2")
both = pytest.mark.parametrize("program", [WORKER, DAEMON], ids=["worker", "daemon"])


class Watched(Process):
    """`shadows worker`, or the daemon, with its health and its metrics on one port."""

    def __init__(
        self,
        directory: Path,
        *,
        program: tuple[str, ...] = WORKER,
        url: str | None = None,
        stderr: int | None = subprocess.STDOUT,
    ) -> None:
        """stderr: None starts it without any."""
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]
        write_script(directory, "chores", TASKS)
        command = [
            "-m", *program, "--logging-format", "plain", "--app-dir", str(directory),
            "--tasks", "chores", "--reconnection-delay", "50ms", "--healthcheck-port", str(self.port),
            "--metrics-port", str(self.port),
        ]  # fmt: skip
        if stderr is None:
            command.insert(0, str(write_script(directory, "without_stderr", WITHOUT_STDERR)))
        # Where a daemon listens for its commands: the path of a socket is a short one.
        self.runtime = TemporaryDirectory()
        environment = {"XDG_RUNTIME_DIR": self.runtime.name} | ({"SHADOWS_URL": url} if url is not None else {})
        super().__init__(*command, environment=environment, stderr=subprocess.STDOUT if stderr is None else stderr)

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)
        self.runtime.cleanup()

    def get(self, path: str) -> Page:
        page = get(self.port, path)
        assert page.seconds < 1.0, f"{path} took {page.seconds:.2f} s"
        return page

    def is_ready(self) -> bool:
        """Whether it answers, and that it is ready."""
        try:
            return self.get("/readyz").status == 200
        except OSError:
            return False

    def value(self, name: str, **labels: str) -> float | None:
        """One number of its metrics."""
        return self.get("/metrics").value(name, **labels)

    def comes_to(self, least: float, name: str, **labels: str) -> float:
        """Waits until a number is at least this; the children of a daemon tell theirs four times a second."""
        return wait_for(
            lambda: (value := self.value(name, **labels)) is not None and value >= least and value,
            f"{name} is at least {least:g}",
        )


class Start(Protocol):
    def __call__(self, **options: Any) -> Watched: ...


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a worker, and waits until it is ready unless `ready=False`."""
    with ExitStack() as stack:

        def start(*, ready: bool = True, **options: Any) -> Watched:
            worker = stack.enter_context(Watched(tmp_path, **options))
            if ready:
                wait_for(worker.is_ready, "the worker is ready")
            return worker

        yield start


@pytest.fixture
def shadow() -> Iterator[Shadow]:
    with Shadow() as shadow:
        yield shadow
        shadow.clear()


@both
def test_prometheus_can_read_what_became_of_the_tasks(start: Start, shadow: Shadow, program: tuple[str, ...]) -> None:
    """By function and outcome, with how long they ran and how late they began; a daemon adds up its workers'."""
    worker = start(program=program)
    for name in ("Jane", "John"):
        assert shadow.add("greet")(name).get_result(timeout=10) == f"Hello, {name}"
    with pytest.raises(ValueError, match="on purpose"):
        shadow.add("fails")().get_result(timeout=10)
    assert worker.comes_to(2, "shadows_tasks_total", function="greet", outcome="completed") == 2
    assert worker.comes_to(1, "shadows_tasks_total", function="fails", outcome="failed") == 1
    page = worker.get("/metrics")
    assert page.value("shadows_task_duration_seconds_count", function="greet") == 2
    assert page.value("shadows_task_punctuality_seconds_bucket", function="greet", le="+Inf") == 2
    assert page.value("shadows_queue_depth") == 0


@both
def test_an_outage_of_redis_is_no_reason_to_restart_a_worker(
    start: Start, own_redis: RedisServer, program: tuple[str, ...]
) -> None:
    """It lives all the time, takes no work meanwhile and says why, and works again by itself."""
    worker = start(program=program, url=own_redis.url)
    own_redis.kill()
    wait_for(lambda: worker.get("/readyz").status == 503, "the worker is not ready")
    (reason,) = worker.get("/readyz").reasons
    assert reason.startswith("Redis can't be used since ")
    wait_for(lambda: worker.value("shadows_redis_up") == 0, "the metrics tell of the outage")
    assert worker.value("shadows_queue_depth") is None
    assert worker.comes_to(1, "shadows_redis_outages_total", slot="1") == 1
    assert worker.get("/livez").status == 200
    own_redis.start()
    wait_for(worker.is_ready, "the worker is ready again")
    with Shadow(url=own_redis.url) as shadow:
        assert shadow.add("greet")("Jane").get_result(timeout=10) == "Hello, Jane"
    wait_for(lambda: worker.value("shadows_redis_up") == 1, "the metrics tell that it is over")


def test_a_worker_that_waits_for_redis_lives_and_is_not_ready(start: Start, own_redis: RedisServer) -> None:
    """From its start on, so that nobody restarts it for what it can't help."""
    own_redis.stop()
    worker = start(url=own_redis.url, ready=False)
    wait_for(lambda: "begins as soon as Redis can be used" in worker.output, "it waits for Redis")
    assert worker.get("/livez").status == 200
    (reason,) = worker.get("/readyz").reasons
    assert reason.endswith("and the worker has not begun")
    assert worker.value("shadows_redis_up") == 0
    own_redis.start()
    wait_for(worker.is_ready, "the worker is ready")


def test_a_task_that_blocks_the_loop_fails_no_probe(start: Start, shadow: Shadow) -> None:
    """Who restarted the worker for it would lose what it runs; the metrics tell of the block."""
    worker = start()
    blocking = shadow.add("blocks")(3.0)

    def is_blocked() -> bool:
        lag = worker.value("shadows_loop_lag_seconds", slot="1")
        return lag is not None and lag > 0.1

    wait_for(is_blocked, "the block shows")
    assert worker.get("/livez").status == 200
    blocking.get_result(timeout=10)


def test_a_worker_that_drains_is_not_ready_and_lives(start: Start, shadow: Shadow, tmp_path: Path) -> None:
    worker = start()
    shadow.add("waits_for")(str(tmp_path / "file"))
    wait_for(lambda: worker.value("shadows_slots_busy", slot="1") == 1, "the task runs")
    worker.signal(signal.SIGTERM)
    wait_for(lambda: worker.get("/readyz").status == 503, "it is not ready")
    assert worker.get("/readyz").reasons == ["the worker is stopping"]
    assert worker.get("/livez").status == 200
    (tmp_path / "file").touch()
    assert worker.wait() == 0, worker.output


@both
def test_a_log_that_nobody_reads_holds_no_task_up(start: Start, shadow: Shadow, program: tuple[str, ...]) -> None:
    """The lines that find no room are counted; when somebody reads again, the log says how many are missing."""
    reader, writer = os.pipe()
    worker = start(program=program, stderr=writer)
    os.close(writer)
    shadow.add("talks")(1000).get_result(timeout=10)
    assert shadow.add("greet")("Jane").get_result(timeout=10) == "Hello, Jane"
    dropped = worker.comes_to(100, "shadows_log_lines_dropped_total")
    said = b""
    while b" lines of the log are missing here" not in said:
        said = said[-1000:] + os.read(reader, 1 << 16)
    assert f"{dropped:.0f} lines of the log are missing here, because standard error".encode() in said
    worker.signal(signal.SIGTERM)
    assert worker.wait() == 0
    os.close(reader)


@both
@pytest.mark.parametrize("fault", ["its reader is gone", "the disk is full", "there never was one"])
def test_a_log_that_can_not_be_written_ends_nothing(
    start: Start, shadow: Shadow, fault: str, program: tuple[str, ...]
) -> None:
    """It works, and its metrics tell of the lines that were lost."""
    reader, writer = os.pipe()
    full = os.open("/dev/full", os.O_WRONLY)
    os.close(reader)
    worker = start(program=program, stderr={"its reader is gone": writer, "the disk is full": full}.get(fault))
    os.close(writer)
    os.close(full)
    with pytest.raises(ValueError, match="on purpose"):
        shadow.add("fails")().get_result(timeout=10)
    assert shadow.add("greet")("Jane").get_result(timeout=10) == "Hello, Jane"
    worker.comes_to(3, "shadows_log_lines_dropped_total")
    worker.signal(signal.SIGTERM)
    assert worker.wait() == 0
