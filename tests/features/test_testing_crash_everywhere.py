"""`testing.crash_everywhere`: a task that dies at each of its awaits, and runs again, comes to the same end."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from shadows import CurrentExecution, CurrentShadow, Depends, Execution, Perpetual, Retry, Shadow, TaskKey, testing

HERE = Path(__file__)


def line_of(text: str) -> int:
    """The first line of this file that holds `text`."""
    return next(number for number, line in enumerate(HERE.read_text().splitlines(), 1) if text in line)


class Bank:
    """A bank in memory; none of its calls really waits, as it is with most things that tests make."""

    def __init__(self) -> None:
        self.charges: list[int] = []
        self.mails: list[int] = []

    async def charged(self, order: int) -> bool:
        return order in self.charges

    async def charge(self, order: int) -> None:
        self.charges.append(order)

    def forget(self) -> None:
        self.charges.clear()
        self.mails.clear()


bank = Bank()


@pytest.fixture(autouse=True)
def new_bank() -> Iterator[None]:
    bank.forget()
    yield
    bank.forget()


async def careless(order: int) -> None:
    await bank.charge(order)  # the careless one
    await asyncio.sleep(0)


async def careful(order: int) -> str:
    if not await bank.charged(order):
        await bank.charge(order)
    return f"order {order}"


async def hasty(order: int) -> None:
    if order not in bank.mails:
        bank.mails.append(order)
        await bank.charge(order)  # marked as done before it is


async def test_a_task_that_may_be_done_twice_passes() -> None:
    died = await testing.crash_everywhere(careful, 1, check=lambda: list(bank.charges), prepare=bank.forget)
    # Before and after each of its two awaits, when it has ended, and when its dependencies are closed.
    assert died == 6


async def test_the_await_is_named_after_which_work_is_done_twice() -> None:
    with pytest.raises(AssertionError) as caught:
        await testing.crash_everywhere(careless, 1, check=lambda: list(bank.charges), prepare=bank.forget)
    place = f"{HERE}:{line_of('# the careless one')}"
    assert str(caught.value) == (
        f"careless comes to another end when its worker dies after the await at {place}, and it is redelivered.\n"
        "  undisturbed: returned None; check() gave [1]\n"
        "  with the death: returned None; check() gave [1, 1]"
    )


async def test_the_await_is_named_before_which_work_is_lost() -> None:
    with pytest.raises(
        AssertionError, match=rf"dies before the await at \S+:{line_of('# marked as done before it is')},"
    ):
        await testing.crash_everywhere(hasty, 1, check=lambda: list(bank.charges), prepare=bank.forget)


async def test_nothing_of_a_dead_call_runs_any_more() -> None:
    ran = []

    async def task() -> None:
        try:
            async with asyncio.timeout(0.05):
                await asyncio.sleep(0)
        except BaseException:
            ran.append("except")
            raise
        finally:
            ran.append("finally")

    # Twice only where it had ended before it died.
    with pytest.raises(AssertionError, match=r"dies after task ended,[^~]*\['finally', 'finally'\]$") as caught:
        await testing.crash_everywhere(task, check=lambda: list(ran), prepare=ran.clear)
    assert "except" not in str(caught.value)


async def test_what_a_dead_call_runs_beside_stops_with_it() -> None:
    ran: list[str] = []

    async def side(name: str) -> None:
        await asyncio.sleep(0)
        ran.append(name)

    async def task() -> None:
        await asyncio.gather(side("a"), side("b"))

    with pytest.raises(AssertionError, match=r"with the death: returned None; check\(\) gave \['a', 'a', 'b'\]"):
        await testing.crash_everywhere(task, check=lambda: list(ran), prepare=ran.clear)


async def test_dependencies_of_a_dead_call_are_closed_as_not_done() -> None:
    committed: list[str] = []

    @asynccontextmanager
    async def transaction() -> AsyncIterator[list[str]]:
        written: list[str] = []
        yield written
        committed.extend(written)

    async def task(written: list[str] = Depends(transaction), key: str = TaskKey()) -> None:
        if key not in committed:
            await asyncio.sleep(0)
            written.append(key)
            await asyncio.sleep(0)

    assert await testing.crash_everywhere(task, check=lambda: len(committed), prepare=committed.clear) == 6


async def test_a_death_between_the_commit_and_the_outcome_is_tried_too() -> None:
    committed = []

    @asynccontextmanager
    async def transaction() -> AsyncIterator[None]:
        yield
        committed.append(1)

    async def task(inside: None = Depends(transaction)) -> None: ...

    with pytest.raises(AssertionError, match="dies after its dependencies were closed,"):
        await testing.crash_everywhere(task, check=lambda: list(committed), prepare=committed.clear)


async def test_a_plain_function_dies_when_it_has_ended() -> None:
    calls = []

    def plain() -> int:
        calls.append(1)
        return len(calls)

    with pytest.raises(
        AssertionError, match=r"dies after plain ended, and it is redelivered.\n  undisturbed: returned 1\n"
    ):
        await testing.crash_everywhere(plain, prepare=calls.clear)


async def test_async_with_and_async_for_are_awaits() -> None:
    @asynccontextmanager
    async def opened() -> AsyncIterator[None]:
        yield

    async def numbers() -> AsyncIterator[int]:
        yield 1
        yield 2

    async def whole() -> int:
        async with opened():
            total = 0
            async for number in numbers():
                total += number
            return total + sum([number async for number in numbers()])

    # Around the beginning and the end, around two numbers each time and before their end, and the two at the end.
    assert await testing.crash_everywhere(whole) == 4 + 2 * 5 + 2


async def test_awaits_of_what_the_task_calls_are_tried_if_they_stand_in_its_file() -> None:
    async def inner() -> None:
        await asyncio.sleep(0)

    async def task() -> None:
        await inner()

    assert await testing.crash_everywhere(task) == 2 + 2 + 2


async def test_retries_are_part_of_a_run_and_redeliveries_are_told() -> None:
    seen = []

    async def task(execution: Execution = CurrentExecution(), retry: Retry = Retry(attempts=2)) -> int:
        seen.append((execution.attempt, execution.redelivered))
        await asyncio.sleep(0)
        if execution.attempt == 1:
            raise ConnectionError
        return execution.attempt

    assert await testing.crash_everywhere(task) == 8
    assert seen[:5] == [(1, False), (2, False), (1, False), (1, True), (2, False)]


async def test_what_a_task_adds_is_part_of_its_end() -> None:
    async def follow(order: int) -> None: ...

    async def twice(shadows: Shadow = CurrentShadow()) -> None:
        await shadows.add(follow)(1)

    async def once(key: str = TaskKey(), shadows: Shadow = CurrentShadow()) -> None:
        await shadows.add(follow, key=f"follow {key}")(1)

    with pytest.raises(AssertionError, match=r"with the death: returned None, added follow\(1\), follow\(1\)$"):
        await testing.crash_everywhere(twice)
    assert await testing.crash_everywhere(once) == 4


async def test_an_exception_is_an_end_as_well() -> None:
    async def task() -> None:
        await asyncio.sleep(0)
        raise LookupError("no such order")

    assert await testing.crash_everywhere(task) == 4


async def test_the_next_run_of_a_perpetual_task_is_not_looked_at() -> None:
    runs = []

    async def task(perpetual: Perpetual = Perpetual()) -> None:
        runs.append(1)

    assert await testing.crash_everywhere(task) == 2
    assert len(runs) == 2 + 2 * 2


async def test_looks_may_be_async_and_are_no_places_to_die() -> None:
    async def look() -> list[int]:
        await asyncio.sleep(0)
        return list(bank.charges)

    async def forget() -> None:
        await asyncio.sleep(0)
        bank.forget()

    assert await testing.crash_everywhere(careful, 1, check=look, prepare=forget) == 6


async def test_functions_have_their_own_code_back_afterwards() -> None:
    before = careful.__code__
    await testing.crash_everywhere(careful, 1)
    assert careful.__code__ is before
    assert not [name for name in globals() if name.startswith("_shadows")]
