"""Every behaviour at once under hostile names: of keys, of functions, of steps, and as values of limits."""

from typing import Annotated

import pytest

from shadows import ConcurrencyLimit, Cooldown, Debounce, Once, Perpetual, Progress, RateLimit, Retry, Shadow
from tests.faults.behaviours import SOON, limited
from tests.faults.gated import all_is_gone
from tests.faults.life import LABELS, Life
from tests.faults.test_lives import every_key_is_free, two_workers
from tests.features.test_hostile_keys import HOSTILE
from tests.features.workers import finish, working
from tests.recorded import Journal
from tests.waiting import wait_until


@pytest.mark.parametrize("turn", [0, 11, 23])
async def test_hostile_keys_of_all_behaviours(turn: int, brief: Shadow, journal: Journal) -> None:
    """Each kind gets others at each turn; those that are left have keys that begin like one."""
    names = HOSTILE[turn:] + HOSTILE[:turn]
    given = dict(zip(LABELS, [*names, *[f"task:{name}:1" for name in names]], strict=False))
    assert len(set(given.values())) == len(LABELS)
    life = Life(brief, journal, given.__getitem__)
    async with two_workers(brief):
        await life.begin()
        await life.is_full()
        rows = [row.key for row in (await brief.snapshot()).running]
        assert given["limited0"] in rows
        ends = await life.end()
        life.check_ends(ends)
        life.check_limits()
        life.check_runs()
        life.check_followed()
        await life.check_nothing_is_left()
        await every_key_is_free(life)


async def test_hostile_values_that_limits_tell_apart(brief: Shadow) -> None:
    """Each has limits and steps of its own: none waits for another, and none takes another's step."""
    ran: list[str] = []
    steps: list[str] = []

    async def each(
        value: Annotated[str, ConcurrencyLimit(1), RateLimit(1), Cooldown(30 * SOON), Debounce(SOON)],
        once: Once = Once(scope="values"),
        own: Once = Once(),
        progress: Progress = Progress(),
        retry: Retry = Retry(attempts=2),
    ) -> str:
        await progress.set_message(value)
        await own("a step", steps.append, value)
        await once(f"of {value}", steps.append, value)
        if retry.attempt == 1:
            raise ValueError(value)
        ran.append(value)
        return value

    executions = [await brief.add(each, key=value)(value) for value in HOSTILE]
    async with working(brief, concurrency=len(HOSTILE)):
        assert [await execution.get_result(timeout=10) for execution in executions] == HOSTILE
    assert sorted(ran) == sorted(HOSTILE)
    assert sorted(steps) == sorted(2 * HOSTILE)
    await all_is_gone(brief)


FUNCTIONS = [name for name in HOSTILE if name]


async def test_hostile_names_of_functions(brief: Shadow, journal: Journal) -> None:
    """Unknown at first, then known and paused, then run, as chains with limits of their own name."""
    ran: list[str] = []

    async def chained(
        name: str, left: int, limit: ConcurrencyLimit = ConcurrencyLimit(1), perpetual: Perpetual = Perpetual(SOON)
    ) -> str:
        ran.append(name)
        perpetual.perpetuate(name, left - 1)
        if left == 1:
            perpetual.cancel()
        return name

    for name in FUNCTIONS:
        await brief.add(name, key=name)(name, 2)
        await brief.add(name, key=f"{name} again")(name, 1)
    async with working(brief):
        await wait_until(lambda: set_aside(brief, "unknown_count"), "all are parked")
        for name in FUNCTIONS:
            await brief.pause(name)
        brief.register(chained, FUNCTIONS)
        await wait_until(lambda: set_aside(brief, "paused_count"), "all are held")
        assert await brief.paused() == sorted(FUNCTIONS)
        assert ran == []
        for name in FUNCTIONS:
            await brief.resume(name)
        await wait_until(lambda: len(ran) == 3 * len(FUNCTIONS), "all have run")
    await finish(brief)
    assert sorted(ran) == sorted(3 * FUNCTIONS)
    assert (await brief.snapshot()).total == 0
    await all_is_gone(brief)


async def set_aside(shadow: Shadow, count: str) -> bool:
    return bool(getattr(await shadow.snapshot(), count) == 2 * len(FUNCTIONS))


async def test_a_function_of_a_hostile_name_does_not_clear_another(brief: Shadow, journal: Journal) -> None:
    brief.register(limited)
    await brief.pause("limited")
    for name in ("limited", "limited:limited", "unknown:limited", "waiting"):
        await brief.add(name, key=name)(str(journal), name)
    async with working(brief):
        await wait_until(lambda: parked(brief), "they are set aside")
    for name in ("limited:limited", "unknown:limited", "waiting"):
        assert await brief.cancel(name)
    await brief.resume("limited")
    journal.open_gate("gate")
    await finish(brief)
    assert journal.count("end") == {"limited": 1}
    await all_is_gone(brief)


async def parked(shadow: Shadow) -> bool:
    seen = await shadow.snapshot()
    return (seen.unknown_count, seen.paused_count) == (3, 1)
