"""What every test may use: servers that it may break, a proxy before one, and the rules of a CI run."""

import os
import signal
import sys
from collections.abc import Generator, Iterator

import pytest

from shadows.testing import RedisServer
from tests.proxy import Proxy


@pytest.fixture
def own_redis() -> Iterator[RedisServer]:
    """A server on a loopback port for this test alone, which may stop it, kill it, or fill it."""
    with RedisServer(tcp=True) as server:
        yield server


@pytest.fixture
def durable_redis() -> Iterator[RedisServer]:
    """The same with an append-only file: a restart brings its data back."""
    with RedisServer(tcp=True, persistent=True) as server:
        yield server


@pytest.fixture
def proxy(shadows_url: str) -> Iterator[Proxy]:
    """A proxy before the shared server, whose connections the test may count and break."""
    with Proxy(shadows_url) as proxy:
        yield proxy


def pytest_xdist_auto_num_workers() -> int:
    """What `-n auto` means here. Half of the time of these tests goes by in waiting for leases and processes."""
    return 2 * len(os.sched_getaffinity(0))


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """The long ones lie together: whoever is done early takes some of them over."""
    if getattr(config.option, "numprocesses", None):
        config.option.dist = "worksteal"


def pytest_configure() -> None:
    """A run that a shell put into the background ignores Ctrl-C, and so would every process that it starts."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave timed tests out where others run beside them, or coverage slows them down, and those that boot a machine
    of their own unless they are asked for."""
    beside_others = hasattr(config, "workerinput")
    left_out = [
        item for item in items
        if (item.get_closest_marker("timed") and (beside_others or _coverage_runs()))
        or (item.get_closest_marker("systemd") and (beside_others or "systemd" not in str(config.option.markexpr)))
    ]  # fmt: skip
    if left_out:
        items[:] = [item for item in items if item not in left_out]
        config.hook.pytest_deselected(items=left_out)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.skipped and not hasattr(report, "wasxfail"):
        _fail_in_ci(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    if report.skipped:
        _fail_in_ci(report)
    return report


def _fail_in_ci(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Under CI=true a skip is a failure: what CI does not run, nobody runs."""
    if os.environ.get("CI") == "true":
        report.outcome = "failed"
        report.longrepr = f"{report.nodeid} was skipped, and CI must run every test: {report.longrepr}"


def _coverage_runs() -> bool:
    coverage = sys.modules.get("coverage")
    return coverage is not None and coverage.Coverage.current() is not None
