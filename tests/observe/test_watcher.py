"""One port for health and metrics, two, or none: what answers where, and what is left of it at the end."""

import asyncio
import logging
import socket
import threading
from contextlib import closing

import pytest

from shadows import Shadow, Worker
from shadows.errors import ConfigurationError
from shadowsd.observe.addresses import Address
from shadowsd.observe.health import WorkerHealth
from shadowsd.observe.watcher import Watcher
from tests.observe.watching import get, watched
from tests.waiting import wait_until

SOMEWHERE = Address("127.0.0.1", 0)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def watcher_of(shadows: Shadow, health_at: Address | None, metrics_at: Address | None) -> Watcher:
    worker = Worker(shadows)
    return Watcher(worker, WorkerHealth(worker), health_at, metrics_at)


async def test_live_and_ready_are_pages_under_the_names_that_people_know(shadows: Shadow) -> None:
    async with watched(shadows) as it:

        async def is_ready() -> bool:
            return (await it.get("/readyz")).status == 200

        await wait_until(is_ready, "the worker is ready")
        for path in ("/livez", "/healthz", "/health"):
            page = await it.get(path)
            assert (page.status, page.text) == (200, '{"live":true,"reasons":[]}\n')
        for path in ("/readyz", "/ready"):
            page = await it.get(path)
            assert (page.status, page.text) == (200, '{"ready":true,"reasons":[]}\n')
        assert (await it.get("/")).text.split() == [
            "/livez", "/healthz", "/health", "/readyz", "/ready", "/metrics",
        ]  # fmt: skip


async def test_what_is_not_ready_is_503_with_the_reasons(shadows: Shadow) -> None:
    release = asyncio.Event()

    async def waits() -> None:
        await release.wait()

    await shadows.add(waits)()
    async with watched(shadows) as it:
        await wait_until(lambda: it.worker.slots.running, "the task runs")
        it.worker.stop()
        page = await it.get("/readyz")
        assert (page.status, page.text) == (503, '{"ready":false,"reasons":["the worker is stopping"]}\n')
        assert (await it.get("/livez")).status == 200
        release.set()


def test_before_its_worker_has_begun_it_answers(shadows_url: str) -> None:
    """Redis may be away at the start, and a probe must tell that from a process that hangs."""
    with closing(watcher_of(Shadow(url=shadows_url), SOMEWHERE, SOMEWHERE)) as watcher:
        watcher.start()
        assert watcher._health_place is not None
        port = watcher._health_place.port
        assert get(port, "/livez").status == 200
        assert get(port, "/readyz").reasons == ["the worker has not begun yet"]
        page = get(port, "/metrics")
        assert page.value("shadows_redis_up") == 1
        assert page.value("shadows_fenced_outcomes_total") == 0


def test_two_ports_keep_health_and_metrics_apart(shadows_url: str, caplog: pytest.LogCaptureFixture) -> None:
    """One may be open to a load balancer that is not to see the other."""
    health_port, metrics_port = free_port(), free_port()
    ports = Address("127.0.0.1", health_port), Address("127.0.0.1", metrics_port)
    with caplog.at_level(logging.INFO), closing(watcher_of(Shadow(url=shadows_url), *ports)) as watcher:
        watcher.start()
        assert get(health_port, "/livez").status == 200
        assert get(health_port, "/metrics").status == 404
        assert get(metrics_port, "/metrics").status == 200
        assert get(metrics_port, "/livez").status == 404
    assert caplog.messages == [
        f"Health is served at http://127.0.0.1:{health_port}/livez and /readyz.",
        f"Metrics are served at http://127.0.0.1:{metrics_port}/metrics.",
    ]


@pytest.mark.parametrize("kind", ["health", "metrics"])
def test_one_of_both_is_enough(shadows_url: str, kind: str) -> None:
    port = free_port()
    address = Address("127.0.0.1", port)
    given = (address, None) if kind == "health" else (None, address)
    with closing(watcher_of(Shadow(url=shadows_url), *given)) as watcher:
        watcher.start()
        assert get(port, "/livez").status == (200 if kind == "health" else 404)
        assert get(port, "/metrics").status == (404 if kind == "health" else 200)


def test_without_a_port_nothing_is_started_and_nothing_observed(shadows_url: str) -> None:
    """A worker that nobody watches pays nothing for it."""
    before = threading.active_count()
    with closing(watcher_of(Shadow(url=shadows_url), None, None)) as watcher:
        watcher.start()
        assert threading.active_count() == before
        assert watcher._worker.events.observers == []


def test_at_its_end_the_thread_and_the_ports_are_free(shadows_url: str) -> None:
    """Also when it was never started, as when the tasks can't be imported."""
    before, port = threading.active_count(), free_port()
    for starts in (True, False):
        with closing(watcher_of(Shadow(url=shadows_url), Address("127.0.0.1", port), None)) as watcher:
            if starts:
                watcher.start()
    assert threading.active_count() == before
    socket.create_server(("127.0.0.1", port)).close()


def test_when_the_second_port_is_in_use_the_first_is_free_again(shadows_url: str) -> None:
    """Nothing is left behind by a start that failed."""
    port = free_port()
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = Address("127.0.0.1", other.getsockname()[1])
        with pytest.raises(ConfigurationError, match=f"--metrics-port {taken} can't be used: another program"):
            watcher_of(Shadow(url=shadows_url), Address("127.0.0.1", port), taken)
    socket.create_server(("127.0.0.1", port)).close()
