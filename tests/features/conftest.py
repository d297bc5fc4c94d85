"""The examples of the documents run as they stand: `Shadow()` finds the private server by the environment."""

from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from uuid import uuid4

import pytest

from shadows import Shadow
from shadows.testing import RedisServer


@pytest.fixture(autouse=True)
def environment(shadows_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server and a name for this test alone, for every `Shadow()` in it."""
    monkeypatch.setenv("SHADOWS_URL", shadows_url)
    monkeypatch.setenv("SHADOWS_NAME", f"test-{uuid4()}")


@pytest.fixture
async def brief(shadows_url: str) -> AsyncIterator[Shadow]:
    """A shadow whose workers are taken for dead within half a second, for tests in which workers die."""
    async with Shadow(
        name=f"test-{uuid4()}",
        url=shadows_url,
        heartbeat_interval=timedelta(milliseconds=50),
        missed_heartbeats=8,
    ) as shadows:
        yield shadows
        await shadows.clear()


@pytest.fixture
def quiet_redis() -> Iterator[RedisServer]:
    """A server that nobody else uses, so that its counters tell of this test alone."""
    with RedisServer() as server:
        yield server
