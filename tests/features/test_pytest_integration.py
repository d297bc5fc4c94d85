"""Testing with shadows: the snippets of the documents, with the fixture that they show."""

from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import uuid4

import pytest

from shadows import Shadow, Worker

processed: set[int] = set()
confirmed: set[int] = set()


async def process_order(order_id: int) -> None:
    processed.add(order_id)
    async with Shadow() as shadows:
        await shadows.add(send_confirmation)(order_id)


async def send_confirmation(order_id: int) -> None:
    confirmed.add(order_id)


def order_is_processed(order_id: int) -> bool:
    return order_id in processed


def confirmation_was_sent(order_id: int) -> bool:
    return order_id in confirmed


@pytest.fixture
async def test_shadows(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Shadow]:
    name = f"test-{uuid4()}"
    monkeypatch.setenv("SHADOWS_NAME", name)
    async with Shadow(name=name) as shadows:
        yield shadows
        await shadows.clear()


async def test_order_processing(test_shadows: Shadow) -> None:
    test_shadows.register(process_order)
    test_shadows.register(send_confirmation)

    await test_shadows.add(process_order)(order_id=123)

    async with Worker(test_shadows) as worker:
        await worker.run_until_finished()

    assert order_is_processed(123)
    assert confirmation_was_sent(123)


async def test_run_until_finished_waits_for_what_is_scheduled(shadows: Shadow) -> None:
    """Otherwise a test would end before the part of a workflow that comes a little later."""
    await shadows.add(send_confirmation, when=timedelta(milliseconds=200))(9)
    async with Worker(shadows) as worker:
        await worker.run_until_finished()
    assert confirmation_was_sent(9)


async def test_a_worker_may_run_again_after_it_finished(shadows: Shadow) -> None:
    """Step by step through a workflow, with one worker."""
    async with Worker(shadows) as worker:
        for order_id in (21, 22):
            await shadows.add(send_confirmation)(order_id)
            await worker.run_until_finished()
            assert confirmation_was_sent(order_id)


async def test_a_worker_that_is_stopped_before_it_runs_takes_nothing(shadows: Shadow) -> None:
    """A signal may come while a process still starts; it must not be forgotten."""
    await shadows.add(send_confirmation)(23)
    async with Worker(shadows) as worker:
        worker.stop()
        await worker.run_forever()
    assert not confirmation_was_sent(23)
