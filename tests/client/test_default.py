"""`from shadows import add`: a default shadow for each event loop."""

import asyncio
from uuid import uuid4

import pytest

from shadows import Disposition, Shadow, Worker, add
from shadows.default import _held, default_shadow
from shadows.errors import ArgumentsError, ConfigurationError
from shadows.testing import RedisServer
from tests.waiting import wait_for


async def greet(name: str) -> str:
    return name.upper()


@pytest.fixture
def name(shadows_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """What the environment says."""
    name = f"test-{uuid4()}"
    monkeypatch.setenv("SHADOWS_NAME", name)
    monkeypatch.setenv("SHADOWS_URL", shadows_url)
    return name


async def test_what_is_added_reaches_the_shadow_of_the_environment(name: str) -> None:
    execution = await add(greet, key="k")("Jane")
    assert (await add(greet, key="k")("Jane")).disposition is Disposition.ALREADY_SCHEDULED
    async with Shadow(name) as shadow, Worker(shadow) as worker:
        await worker.run_until_finished()
    assert await execution.get_result() == "JANE"


async def test_all_adds_of_a_loop_share_one_shadow(name: str) -> None:
    executions = await asyncio.gather(*(add(greet)(str(number)) for number in range(50)))
    assert {execution.shadow for execution in executions} == {await default_shadow()}


async def test_wrong_arguments_are_refused(name: str) -> None:
    with pytest.raises(ArgumentsError):
        await add(greet)("Jane", "John")  # type: ignore[call-arg] # that is the point


async def test_a_wrong_environment_is_refused_and_can_be_corrected(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHADOWS_NAME", "{}")
    with pytest.raises(ConfigurationError):
        await add(greet)("Jane")
    monkeypatch.setenv("SHADOWS_NAME", name)
    assert await add(greet)("Jane")


def test_each_loop_has_its_own_and_closes_it_at_its_end(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections belong to a loop; left open at its end, they would be a warning each, and a leak."""

    async def once() -> Shadow:
        await add(greet)("Jane")
        assert " name=shadows:" in str(await asyncio.to_thread(server.command, "CLIENT", "LIST"))
        return await default_shadow()

    with RedisServer() as server:
        monkeypatch.setenv("SHADOWS_URL", server.url)
        first, second = asyncio.run(once()), asyncio.run(once())
        assert first is not second
        assert not _held
        wait_for(lambda: " name=shadows:" not in str(server.command("CLIENT", "LIST")), "both are closed")


def test_a_loop_that_ends_without_ceremony_is_forgotten(name: str) -> None:
    """Old frameworks close loops by hand."""
    loop = asyncio.new_event_loop()
    loop.run_until_complete(default_shadow())
    loop.close()
    assert loop in _held

    async def once() -> None:
        await default_shadow()
        assert loop not in _held

    asyncio.run(once())
