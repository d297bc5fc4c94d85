"""`Once` with a scope: a step that is taken once for all executions."""

import asyncio
from datetime import timedelta

from shadows import Once, Shadow

from .workers import finish


async def test_with_a_scope_a_step_is_taken_once_for_all_executions(shadows: Shadow) -> None:
    """By whatever task, for as long as the ttl says."""
    taken: list[str] = []

    def charge(order: str) -> str:
        taken.append(order)
        return f"receipt of {order}"

    async def pay(order: str, once: Once = Once("orders", timedelta(hours=2))) -> str:
        return await once(order, charge, order)

    async def pay_again(order: str, once: Once = Once(scope="orders", ttl=timedelta(hours=2))) -> str:
        return await once(order, charge, order)

    executions = [await shadows.add(task)(order) for task in (pay, pay_again) for order in ("a", "b:c")]
    await finish(shadows)
    assert [await each.get_result() for each in executions] == ["receipt of a", "receipt of b:c"] * 2
    assert sorted(taken) == ["a", "b:c"]
    async with shadows.redis() as redis:
        assert 7100 < await redis.ttl(shadows.keys.once("orders", "b:c")) <= 7200


async def test_runs_at_the_same_time_take_a_scoped_step_one_after_the_other(shadows: Shadow) -> None:
    """Who comes second waits for the first, takes its result, and takes the step itself when the first fails."""
    taken: list[int] = []

    async def charge(n: int) -> int:
        taken.append(n)
        await asyncio.sleep(0.1)
        if len(taken) == 1:
            raise OSError("no answer")
        return n

    async def pay(n: int, once: Once = Once(scope="orders")) -> int:
        return await once("order", charge, n)

    executions = [await shadows.add(pay)(n) for n in range(4)]
    await finish(shadows)
    outcomes = await asyncio.gather(*[each.get_result() for each in executions], return_exceptions=True)
    assert len(taken) == 2
    assert [str(outcome) for outcome in outcomes if outcome != taken[1]] == ["no answer"]
