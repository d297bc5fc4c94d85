"""`cancel`, `replace` and `clear` at any moment of a task with limits, steps and a chain leave nothing half."""

import asyncio
from collections import Counter
from datetime import timedelta

import pytest

from shadows import (
    ConcurrencyLimit,
    ExecutionCancelled,
    Once,
    Perpetual,
    Progress,
    RateLimit,
    Retry,
    Shadow,
)
from tests.faults.conftest import brief_shadow
from tests.faults.gated import all_is_gone
from tests.features.workers import working
from tests.proxy import Proxy
from tests.waiting import wait_until

SOON = timedelta(milliseconds=1)
TURNS = 60

running: Counter[str] = Counter()
most: Counter[str] = Counter()
ends: Counter[str] = Counter()


@pytest.fixture(autouse=True)
def nothing_ran() -> None:
    for each in (running, most, ends):
        each.clear()


async def everything(
    label: str,
    limit: ConcurrencyLimit = ConcurrencyLimit(2),
    scoped: ConcurrencyLimit = ConcurrencyLimit(1, scope="cancelled"),
    rate: RateLimit = RateLimit(10_000),
    once: Once = Once(),
    progress: Progress = Progress(),
    retry: Retry = Retry(attempts=2, delay=SOON),
    perpetual: Perpetual = Perpetual(SOON),
) -> str:
    """Two runs, of two attempts each, one at a time."""
    running["now"] += 1
    most["now"] = max(most["now"], running["now"])
    try:
        await once("step", asyncio.sleep, 0)
        await progress.increment()
        if retry.attempt == 1:
            raise ValueError(label)
        perpetual.perpetuate(f"{label} again")
        if label.endswith("again"):
            perpetual.cancel()
        ends[label] += 1
        return label
    finally:
        running["now"] -= 1


@pytest.mark.parametrize("delay_ms", [0, 2])
@pytest.mark.parametrize("way", ["cancel", "replace", "clear"])
async def test_at_every_turn_of_the_loop(way: str, delay_ms: float, shadows_url: str, proxy: Proxy) -> None:
    """For the same key again and again, while another key wants the same place. The delay stretches the time in which
    an entry, a question at a limit, or an outcome is on its way."""
    proxy.delay(delay_ms / 1000)
    async with brief_shadow(shadows_url) as near, brief_shadow(proxy.url, name=near.name) as far:
        far.register(everything)
        async with working(far) as worker:
            for turns in range(TURNS):
                await one_turn(near, way, turns, 0.0004 if delay_ms else 0)
            await wait_until(lambda: is_idle(near), "nothing is left to do")
            await wait_until(lambda: worker.slots.idle, "nothing runs")
            await all_is_gone(near)
    assert most["now"] == 1
    assert running["now"] == 0
    # Whatever was not ended from outside has come to its end, both runs of it.
    assert all(ends[f"other {turns}"] == ends[f"other {turns} again"] == 1 for turns in range(TURNS) if way != "clear")
    assert max(ends.values()) == 1


async def one_turn(shadow: Shadow, way: str, turns: int, pause: float) -> None:
    added = await shadow.add(everything, key="a")(f"first {turns}")
    assert added.disposition == "scheduled"
    other = await shadow.add(everything, key=f"other {turns}")(f"other {turns}")
    for _ in range(2 * turns):
        await asyncio.sleep(pause)
    if way == "cancel":
        cancelled = await shadow.cancel("a")
        if cancelled and not ends[f"first {turns}"]:
            with pytest.raises(ExecutionCancelled, match="cancelled"):
                await added.get_result(timeout=5)
    elif way == "replace":
        await shadow.replace(everything, None, "a")(f"second {turns}")
        await wait_until(lambda: ends[f"second {turns} again"], "the replacement has come to its end")
        await wait_until(lambda: is_free(shadow, "a"), "its key is free")
    else:
        await shadow.clear()
        await wait_until(lambda: is_free(shadow, "a"), "what ran has ended, or was cleared")
    if way != "clear":
        await wait_until(lambda: ends[f"other {turns} again"], "the other one has come to its end")
        await wait_until(lambda: is_free(shadow, other.key), "and its key is free")


async def is_free(shadow: Shadow, key: str) -> bool:
    found = await shadow.get_execution(key)
    return found is None or found.state.finished


async def is_idle(shadow: Shadow) -> bool:
    return (await shadow.snapshot()).total == 0
