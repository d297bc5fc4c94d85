"""What the tests of faults share: shadows with short leases, and real worker processes on them."""

import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from shadows import Shadow
from shadows import scripts as all_scripts
from shadows.scripts import Script
from shadows.testing import RedisServer
from tests.faults.running import Runner, running_daemon
from tests.processes import ROOT, Process
from tests.proxy import Predicate, Proxy
from tests.recorded import TASKS, Journal

HEARTBEAT_MS = 60
MISSED = 8
LEASE_SECONDS = HEARTBEAT_MS * MISSED / 1000
SCRIPTS = [each for each in vars(all_scripts).values() if isinstance(each, Script)]

# The tests of these files start a daemon, or all that a task can ask for, for each case.
SLOW_FILES = ("test_daemon_", "test_lives", "test_gates_stopped", "test_cancel_limited")

type Starter = Callable[..., Process]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks them as slow."""
    for item in items:
        if item.path.name.startswith(SLOW_FILES):
            item.add_marker(pytest.mark.slow)


def brief_shadow(url: str, **options: Any) -> Shadow:
    """A shadow of its own name, whose workers are taken for dead within half a second."""
    settings: dict[str, Any] = {
        "name": f"test-{uuid4()}", "url": url, "heartbeat_interval": timedelta(milliseconds=HEARTBEAT_MS),
        "missed_heartbeats": MISSED,
    }  # fmt: skip
    shadow = Shadow(**settings | options)
    for task in TASKS:
        shadow.register(task)
    return shadow


@pytest.fixture
async def brief(shadows_url: str) -> AsyncIterator[Shadow]:
    """A shadow with short leases on the shared server."""
    async with brief_shadow(shadows_url) as shadow:
        yield shadow


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal")


@pytest.fixture
def running(tmp_path: Path, brief: Shadow, journal: Journal) -> Runner:
    """Runs a daemon on `brief` in the directory of the test, with the options of `shadowsd run`; see running.py."""
    return partial(running_daemon, tmp_path, brief, journal)


@pytest.fixture
def start_worker() -> Iterator[Starter]:
    """Starts a process with a `Worker` on a shadow, and waits until it is ready; kills it after the test."""
    with ExitStack() as stack:

        def start(
            shadow: Shadow, url: str | None = None, environment: dict[str, str] | None = None, **options: Any
        ) -> Process:
            settings = shadow.settings
            given = {
                "shadow": shadow.name,
                "url": url or settings.url,
                "heartbeat_ms": settings.heartbeat_interval.total_seconds() * 1000,
                "missed_heartbeats": settings.missed_heartbeats,
                "execution_ttl_ms": settings.ttl_ms,
                "redelivery_ms": 300_000,
            }
            process = stack.enter_context(
                Process(ROOT / "tests" / "worker_process.py", json.dumps(given | options), environment=environment)
            )
            process.wait_for("ready")
            return process

        yield start


def runs(script: Script) -> Predicate:
    """Matches the calls of one script."""
    names = (script.digest.encode(), script.source)
    return lambda words: words[0].upper() in (b"EVALSHA", b"EVAL") and words[1] in names


@pytest.fixture
async def far(proxy: Proxy, shadows_redis: RedisServer) -> AsyncIterator[Shadow]:
    """A shadow behind the proxy, on a server that knows every script: the first reply to be lost is a real one."""
    for script in SCRIPTS:
        shadows_redis.command("SCRIPT", "LOAD", script.source)
    async with brief_shadow(proxy.url) as shadow:
        yield shadow


@pytest.fixture
async def near(far: Shadow, shadows_url: str) -> AsyncIterator[Shadow]:
    """The same shadow, without the proxy between."""
    async with brief_shadow(shadows_url, name=far.name) as shadow:
        yield shadow
