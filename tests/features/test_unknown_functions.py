"""A task whose function a worker does not know is not dropped: it waits for one that does."""

from datetime import UTC, datetime, timedelta

import pytest

from shadows import ExecutionState, Shadow
from shadows.registry import registry_of

from .workers import finish, working

ran: list[str] = []


async def deployed_later(name: str = "x") -> str:
    ran.append(name)
    return name


@pytest.fixture(autouse=True)
def nothing_ran() -> None:
    ran.clear()


async def test_it_is_parked_and_runs_when_a_worker_comes_that_knows_it(
    brief: Shadow, caplog: pytest.LogCaptureFixture
) -> None:
    """A rolling deploy: clients and some workers are ahead of others. The log names it once, and the remedy."""
    first = await brief.add("deployed_later")("a")
    second = await brief.add("deployed_later")("b")
    await finish(brief)
    await first.sync()
    assert first.state is ExecutionState.QUEUED
    assert caplog.text.count("The function 'deployed_later'") == 1
    assert "--tasks" in caplog.text
    brief.register(deployed_later)
    async with working(brief):
        assert await first.get_result(timeout=10) == "a"
        assert await second.get_result(timeout=10) == "b"
    assert ran == ["a", "b"]
    assert first.attempt == 1


async def test_a_running_worker_that_learns_the_function_runs_what_waits(brief: Shadow) -> None:
    """It need not be started anew."""
    execution = await brief.add("deployed_later")("a")
    async with working(brief):
        with pytest.raises(TimeoutError):
            await execution.get_result(timeout=0.2)
        brief.register(deployed_later)
        assert await execution.get_result(timeout=10) == "a"


async def test_what_a_newer_release_wrote_waits_and_garbage_does_not(brief: Shadow) -> None:
    """Both have a first byte that no format of this release has. The garbage waited, too, for a day."""
    brief.register(deployed_later)
    payloads = {"newer": b"\2\xc1shd and what only that release knows", "garbage": b'{"name": "x"}'}
    executions = {key: await brief.add(deployed_later, key=key)() for key in payloads}
    async with brief.redis() as redis:
        await redis.delete(brief.keys.stream)
        for key, payload in payloads.items():
            entry: dict[str | bytes, str | bytes] = {"k": key, "f": "deployed_later", "p": payload}
            await redis.xadd(brief.keys.stream, dict(entry), id=f"{executions[key].fence}-0")
    await finish(brief)
    assert [entry.key for entry in await brief.quarantine()] == ["garbage"]
    assert (await brief.snapshot()).unknown_count == 1
    await executions["newer"].sync()
    assert executions["newer"].state is ExecutionState.QUEUED
    assert ran == []


async def test_a_parked_task_can_be_cancelled(brief: Shadow) -> None:
    """It is an execution like any other."""
    execution = await brief.add("deployed_later", key="parked")()
    await finish(brief)
    assert await brief.cancel("parked")
    brief.register(deployed_later)
    await finish(brief)
    await execution.sync()
    assert execution.state is ExecutionState.CANCELLED
    assert ran == []


async def test_a_parked_task_keeps_its_key_busy_and_can_be_replaced(brief: Shadow) -> None:
    """Its replacement is the only one that runs."""
    await brief.add("deployed_later", key="parked")("old")
    await finish(brief)
    assert (await brief.add("deployed_later", key="parked")("again")).disposition == "already_scheduled"
    brief.register(deployed_later)
    await brief.replace(deployed_later, None, "parked")("new")
    await finish(brief)
    assert ran == ["new"]


async def test_a_scheduled_task_of_an_unknown_function_waits_the_same(brief: Shadow) -> None:
    """What is parked keeps its submission through both moves."""
    execution = await brief.add("deployed_later", when=timedelta(milliseconds=50))("a")
    await finish(brief)
    brief.register(deployed_later)
    async with working(brief):
        assert await execution.get_result(timeout=10) == "a"


async def test_an_unknown_name_accepts_only_what_needs_no_annotation(shadows: Shadow) -> None:
    """Without the function nobody can say what a datetime should come back as."""
    with pytest.raises(TypeError, match="deployed_later"):
        await shadows.add("deployed_later")(datetime.now(UTC))
    assert "deployed_later" not in registry_of(shadows.name)
