"""Strikes hold back tasks, or tasks with certain arguments, without a deploy."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from shadows import Disposition, ExecutionCancelled, ExecutionState, Perpetual, Shadow
from shadows.errors import ArgumentsError
from tests.waiting import wait_until

from .workers import finish, working

ran: list[Any] = []


async def bill(customer: int, amount: float = 0.0) -> None:
    ran.append(customer)


async def greet(customer: int) -> None:
    ran.append(("greet", customer))


@pytest.fixture(autouse=True)
def nothing_ran() -> None:
    ran.clear()


async def test_a_struck_function_is_not_added(shadows: Shadow) -> None:
    """Nothing is written; the caller sees it by the disposition."""
    await shadows.strike(bill)
    execution = await shadows.add(bill, key="bill")(1)
    assert execution.disposition is Disposition.STRUCK
    assert execution.state is ExecutionState.CANCELLED
    assert await shadows.get_execution("bill") is None


async def test_a_restored_function_is_added_again(shadows: Shadow) -> None:
    """`restore` takes what `strike` took."""
    await shadows.strike(bill)
    await shadows.restore(bill)
    await shadows.add(bill)(1)
    await finish(shadows)
    assert ran == [1]


@pytest.mark.parametrize(
    ("operator", "value", "left"),
    [
        ("==", 3, [1, 2, 4, 5]),
        ("!=", 3, [3]),
        (">", 3, [1, 2, 3]),
        (">=", 3, [1, 2]),
        ("<", 3, [3, 4, 5]),
        ("<=", 3, [4, 5]),
        ("between", (2, 4), [1, 5]),
        ("between", [2, 4], [1, 5]),
    ],
)
async def test_a_parameter_is_compared_with_every_operator(
    shadows: Shadow, operator: str, value: Any, left: list[int]
) -> None:
    """Of five customers those that compare so are left out; `between` takes its bounds in."""
    await shadows.strike(bill, "customer", operator, value)
    for customer in range(1, 6):
        await shadows.add(bill)(customer)
    await finish(shadows)
    assert sorted(ran) == left


@pytest.mark.parametrize("operator", ["==", "!=", ">", ">=", "<", "<=", "between"])
async def test_what_was_queued_before_the_strike_is_not_run(shadows: Shadow, operator: str) -> None:
    """The worker looks too, and cancels what is struck."""
    values = {"!=": 0, "<": 2, ">": 0, "between": (1, 1)}
    execution = await shadows.add(bill)(1)
    spared = await shadows.add(greet)(1)
    await shadows.strike("bill", "customer", operator, values.get(operator, 1))
    await finish(shadows)
    assert ran == [("greet", 1)]
    with pytest.raises(ExecutionCancelled, match="struck"):
        await execution.get_result()
    await spared.get_result()


async def test_a_parameter_can_be_struck_in_every_task_that_has_it(shadows: Shadow) -> None:
    """One customer's data is broken, whatever is to be done with it."""
    await shadows.strike(None, "customer", "==", 7)
    for customer in (7, 8):
        await shadows.add(bill)(customer)
        await shadows.add(greet)(customer=customer)
    await finish(shadows)
    assert sorted(ran, key=str) == [("greet", 8), 8]


async def test_a_default_counts_as_an_argument(shadows: Shadow) -> None:
    """What the task would get is what is compared."""
    await shadows.strike(bill, "amount", "<=", 0.0)
    await shadows.add(bill)(1)
    await shadows.add(bill)(2, amount=5.0)
    await finish(shadows)
    assert ran == [2]


async def test_every_client_and_worker_follows_at_once(shadows: Shadow) -> None:
    """Struck in one process, held back in another that is busy with the same shadow."""
    async with Shadow(name=shadows.name) as other, working(other):
        await (await other.add(bill)(1)).get_result()
        await shadows.strike(bill)
        assert (await other.add(bill)(2)).disposition is Disposition.STRUCK
        await shadows.restore(bill)

        async def added() -> bool:
            return (await other.add(bill)(3)).disposition is Disposition.SCHEDULED

        await wait_until(added, "the restored function can be added")
        await wait_until(lambda: 3 in ran, "the restored function ran")
    assert 2 not in ran


async def test_a_new_process_knows_all_strikes_before_its_first_add(shadows: Shadow) -> None:
    """Also before its first run; `wait_for_strikes_loaded` is for who wants to be sure even earlier."""
    await shadows.strike(bill)
    async with Shadow(name=shadows.name) as other:
        await other.wait_for_strikes_loaded()
        assert [str(strike) for strike in other.strikelist.strikes] == ["bill"]
    async with Shadow(name=shadows.name) as third:
        assert (await third.add(bill)(1)).disposition is Disposition.STRUCK


async def test_a_struck_run_of_a_perpetual_task_is_skipped_and_the_chain_goes_on(shadows: Shadow) -> None:
    """Else a strike of an hour would end a monitor for ever."""
    runs: list[int] = []

    async def monitor(perpetual: Perpetual = Perpetual(every=timedelta(milliseconds=20))) -> None:
        runs.append(len(runs))

    await shadows.add(monitor, key="monitor")()
    async with working(shadows):
        await wait_until(lambda: len(runs) >= 2, "the monitor runs")
        await shadows.strike(monitor)

        held, submissions = len(runs), set[int]()

        async def was_skipped_three_times() -> bool:
            execution = await shadows.get_execution("monitor")
            assert execution is not None
            submissions.add(execution.submission)
            return len(submissions) > 3

        await wait_until(was_skipped_three_times, "three runs were skipped")
        assert len(runs) == held
        await shadows.restore(monitor)
        await wait_until(lambda: len(runs) > held, "the monitor runs again")


async def test_values_that_can_not_be_compared_are_not_struck_and_warned_of_once(
    shadows: Shadow, caplog: pytest.LogCaptureFixture
) -> None:
    """A strike that is a little wrong must not stop everything, nor fill the log."""
    await shadows.strike(bill, "customer", ">", "a word")
    await asyncio.gather(*[shadows.add(bill)(n) for n in range(3)])
    await finish(shadows)
    assert sorted(ran) == [0, 1, 2]
    assert caplog.text.count("can't be compared with a int") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((None, None), "got neither, which would strike every task"),
        (("bill", "customer", "~=", 1), "can't use the operator '~='; expected one of =="),
        (("bill", "customer", "between", 1), "needs two bounds, got 1"),
    ],
)
async def test_a_strike_without_sense_is_refused(shadows: Shadow, arguments: Any, message: str) -> None:
    """At once, in the caller."""
    with pytest.raises(ArgumentsError, match=message):
        await shadows.strike(*arguments)
