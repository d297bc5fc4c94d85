"""Whatever a task raises, returns or asks for ends that task, and nothing else."""

import asyncio
from typing import Any, Self

import pytest

from shadows import Execution, Shadow
from shadows.dependencies import CompletionHandler, Outcome, Successor
from tests.features.workers import working
from tests.recorded import Journal, rest
from tests.waiting import wait_until


class Grumpy:
    def __repr__(self) -> str:
        raise RuntimeError("no repr")


class GrumpyError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no str")

    __repr__ = __str__


async def unencodable() -> Any:
    return Grumpy()


async def grumpy() -> None:
    raise GrumpyError


async def leaves() -> None:
    raise SystemExit(3)


def leaves_thread() -> None:
    raise SystemExit(3)


async def stops_iterating() -> None:
    raise StopAsyncIteration


def stops_iterating_thread() -> None:
    raise StopIteration(1)


async def cancels_itself() -> None:
    raise asyncio.CancelledError


class Chain(CompletionHandler):
    """A completion handler of a user's own, which wants the task to be followed by one with these arguments."""

    def __init__(self, *args: Any) -> None:
        self.args = args

    async def __aenter__(self) -> Self:
        return self

    def on_complete(self, execution: Execution, outcome: Outcome) -> Successor | None:
        return Successor(args=self.args)


async def follows_wrongly(count: int, chain: Chain = Chain("not", "a", "number")) -> None:
    """Its successor gets arguments that it does not take."""


async def follows_never(count: int, chain: Chain = Chain(object())) -> None:
    """Its successor gets an argument that can't travel."""


BAD_TASKS = [
    unencodable, grumpy, leaves, leaves_thread, stops_iterating, stops_iterating_thread, cancels_itself
]  # fmt: skip


@pytest.mark.parametrize("task", BAD_TASKS, ids=lambda task: task.__name__)
async def test_whatever_a_task_raises_or_returns_ends_that_task_only(
    task: Any, brief: Shadow, journal: Journal
) -> None:
    async with working(brief, concurrency=1):
        bad = await brief.add(task)()
        good = await brief.add(rest)(str(journal), "good")
        assert await good.get_result(timeout=5) == "good"
        with pytest.raises(BaseException) as caught:  # noqa: PT011 # SystemExit and the like, too
            await bad.get_result(timeout=5)
        assert not isinstance(caught.value, TimeoutError)
        await bad.sync()
        assert bad.state in ("failed", "cancelled")


@pytest.mark.parametrize("task", [follows_wrongly, follows_never], ids=lambda task: task.__name__)
async def test_a_successor_that_can_not_be_encoded_fails_its_task(task: Any, brief: Shadow, journal: Journal) -> None:
    """It used to leave the slot taken and the entry pending for ever."""
    async with working(brief, concurrency=1) as worker:
        bad = await brief.add(task)(1)
        good = await brief.add(rest)(str(journal), "good")
        assert await good.get_result(timeout=5) == "good"
        with pytest.raises(Exception, match="follows_"):
            await bad.get_result(timeout=5)
        await wait_until(lambda: worker.slots.idle, "all slots are free")
