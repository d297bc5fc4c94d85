"""The arguments in the lines of a run: those that are marked, and only for somebody who reads them."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import pytest

from shadows import Logged, Shadow
from tests.features.workers import finish


@dataclass
class Order:
    """An argument that counts how often it is rendered, and may refuse."""

    number: int
    refusal = None
    rendered = 0

    def __repr__(self) -> str:
        Order.rendered += 1
        if Order.refusal is not None:
            raise Order.refusal
        return f"order {self.number}"


@pytest.fixture(autouse=True)
def unrendered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Order, "rendered", 0)
    monkeypatch.setattr(Order, "refusal", None)


async def ships(order: Annotated[Order, Logged]) -> int:
    return order.number


def ships_in_a_thread(order: Annotated[Order, Logged]) -> int:
    return order.number


async def keeps_to_itself(order: Order) -> int:
    return order.number


@pytest.mark.parametrize("task", [ships, ships_in_a_thread])
@pytest.mark.parametrize(
    "refusal",
    [RuntimeError("no"), SystemExit(3), asyncio.CancelledError(), KeyboardInterrupt(), RecursionError()],
    ids=repr,
)
async def test_an_argument_whose_repr_raises_disturbs_nothing(
    task: Any, refusal: BaseException, shadows: Shadow, log: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is shown as unprintable, and the task runs: a log line must not end a worker."""
    monkeypatch.setattr(Order, "refusal", refusal)
    execution = await shadows.add(task, key="the key")(Order(7))
    await finish(shadows)
    assert await execution.get_result() == 7
    name = task.__name__
    assert log() == [f"{name}(order=<Order: {type(refusal).__name__}>) started.", f"{name} completed after some ms."]


@pytest.mark.parametrize("task", [ships, ships_in_a_thread])
async def test_nothing_is_rendered_for_nobody(task: Any, shadows: Shadow, caplog: pytest.LogCaptureFixture) -> None:
    """INFO is off unless somebody turns it on, and then a marked argument costs nothing."""
    caplog.set_level(logging.WARNING, "shadows.worker")
    await shadows.add(task)(Order(7))
    await finish(shadows)
    assert Order.rendered == 0
    assert not caplog.records


async def test_what_is_not_marked_is_never_rendered(shadows: Shadow, log: Callable[[], list[str]]) -> None:
    """Not even to be thrown away."""
    await shadows.add(keeps_to_itself, key="the key")(Order(7))
    await finish(shadows)
    assert Order.rendered == 0
    assert log() == ["keeps_to_itself started.", "keeps_to_itself completed after some ms."]


async def test_a_call_that_does_not_fit_its_function_still_starts(
    shadows_url: str, shadows: Shadow, log: Callable[[], list[str]]
) -> None:
    """Pickled calls are not compared with the function, and the failure itself says more."""

    async def takes_one(order: Annotated[Order, Logged]) -> None: ...

    async with Shadow(shadows.name, shadows_url, serializer="pickle") as pickling:
        await pickling.add("takes_one", key="the key")(Order(7), Order(8))
        pickling.register(takes_one)
        await finish(pickling)
    assert log() == ["takes_one(<ArgumentsError>) started.", "takes_one failed at attempt 1."]
