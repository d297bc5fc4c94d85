"""The pytest plugin of `shadows`: its fixtures, and nothing that an unrelated test run would have to pay for.

pytest imports this module in every project where shadows is installed. Inside the package it would bring
in redis.asyncio each time (100 ms), and before coverage starts to look. So it lies beside the package, and
opens that when the first test asks for a fixture: hence the `import_module` calls.
"""

import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from shadows import Shadow
    from shadows.testing import RedisServer


def async_fixture[F: Callable[..., object]](function: F) -> F:
    """A fixture that pytest-asyncio takes in its strict mode too; without it another plugin may run it."""
    owner = import_module("pytest_asyncio" if find_spec("pytest_asyncio") else "pytest")
    fixture: F = owner.fixture(function)
    return fixture


@pytest.fixture(scope="session")
def shadows_redis() -> "Iterator[RedisServer]":
    """A private Redis server for this test run, on a unix socket, started in about 20 ms."""
    with import_module("shadows.testing").RedisServer() as server:
        yield server


@pytest.fixture
def shadows_url(shadows_redis: "RedisServer") -> str:
    """The URL of the private server."""
    return shadows_redis.url


@async_fixture
async def shadows(shadows_url: str) -> "AsyncIterator[Shadow]":
    """A `Shadow` of its own name on the private server, cleared after the test."""
    async with import_module("shadows").Shadow(name=f"test-{uuid.uuid4()}", url=shadows_url) as shadows:
        yield shadows
        await shadows.clear()
