"""A worker with a `fallback_task` runs what it does not know, instead of letting it wait."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shadows import CurrentExecution, Depends, Execution, Retry, Shadow, TaskArgument, TaskKey, Worker
from shadows.errors import ConfigurationError
from shadows.registry import registry_of

from .workers import finish, working

seen: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []


@pytest.fixture(autouse=True)
def nothing_seen() -> None:
    seen.clear()


async def note(*args: Any, execution: Execution = CurrentExecution(), **kwargs: Any) -> str:
    seen.append((execution.function_name, args, kwargs))
    return f"noted {execution.function_name}"


async def known(name: str) -> str:
    return f"known {name}"


async def test_it_gets_the_arguments_and_knows_the_name(shadows: Shadow) -> None:
    """By `CurrentExecution`, as any task does."""
    execution = await shadows.add("retired")(1, "two", three=[3])
    await finish(shadows, fallback_task=note)
    assert await execution.get_result() == "noted retired"
    assert seen == [("retired", (1, "two"), {"three": [3]})]


async def test_what_is_known_runs_as_ever(shadows: Shadow) -> None:
    """The fallback is for the rest."""
    shadows.register(known)
    first, second = await shadows.add("known")("x"), await shadows.add("unknown")("x")
    await finish(shadows, fallback_task=note)
    assert await first.get_result() == "known x"
    assert await second.get_result() == "noted unknown"


async def test_arguments_are_what_msgpack_carried(brief: Shadow) -> None:
    """The client knew that it is a datetime; this worker does not, and gets the text that travelled."""

    async def remind(at: datetime, whom: str) -> None: ...

    moment = datetime(2031, 5, 1, 12, tzinfo=UTC)
    execution = await brief.add(remind)(moment, whom="Jane")
    forget(brief, "remind")
    await finish(brief, fallback_task=note)
    await execution.get_result()
    ((name, (at,), kwargs),) = seen
    assert (name, kwargs) == ("remind", {"whom": "Jane"})
    assert isinstance(at, str)
    assert datetime.fromisoformat(at) == moment


async def test_its_annotations_are_not_held_against_the_arguments(shadows: Shadow) -> None:
    """They were meant for another function; a wrong one must not send the entry to the quarantine."""

    async def numbers(*args: int, **kwargs: int) -> str:
        return f"{args} {kwargs}"

    execution = await shadows.add("retired")("one", two="two")
    await finish(shadows, fallback_task=numbers)
    assert await execution.get_result() == "('one',) {'two': 'two'}"


async def test_its_own_dependencies_are_filled(shadows: Shadow) -> None:
    """Also with arguments of the unknown function."""

    def tenant_of(tenant: str = TaskArgument(optional=True)) -> str:
        return tenant

    def plain(*args: Any, key: str = TaskKey(), owner: str = Depends(tenant_of), **kwargs: Any) -> list[str]:
        return [key, owner]

    execution = await shadows.add("retired", key="k")(tenant="acme")
    await finish(shadows, fallback_task=plain)
    assert await execution.get_result() == ["k", "acme"]


async def test_it_is_retried_with_the_same_arguments(shadows: Shadow) -> None:
    """What it raises is the outcome, as with any task."""

    async def refuse(
        *args: Any, execution: Execution = CurrentExecution(), retry: Retry = Retry(attempts=2), **kwargs: Any
    ) -> None:
        seen.append((execution.function_name, args, kwargs))
        raise LookupError(f"nobody knows {execution.function_name}")

    execution = await shadows.add("retired")(1)
    await finish(shadows, fallback_task=refuse)
    with pytest.raises(LookupError, match="nobody knows retired"):
        await execution.get_result()
    assert seen == [("retired", (1,), {})] * 2


async def test_what_was_parked_before_is_run_too(brief: Shadow) -> None:
    """By workers that had no fallback."""
    execution = await brief.add("retired")(1)
    await finish(brief)
    assert seen == []
    async with working(brief, fallback_task=note):
        assert await execution.get_result(timeout=10) == "noted retired"
    assert (await brief.snapshot()).unknown_count == 0


async def test_a_strike_holds_an_unknown_name_too(shadows: Shadow) -> None:
    """It is an execution like any other."""
    execution = await shadows.add("retired")(1)
    await shadows.strike("retired")
    await finish(shadows, fallback_task=note)
    await execution.sync()
    assert execution.state == "cancelled"
    assert seen == []


async def test_run_at_most_counts_the_unknown_name(shadows: Shadow) -> None:
    """And not that of the fallback."""
    for number in range(3):
        await shadows.add("retired")(number)
    async with Worker(shadows, fallback_task=note) as worker:
        await worker.run_at_most({"retired": 2})
    assert len(seen) == 2


async def only_one(name: str) -> None: ...


async def needs_one(name: str, *args: Any, **kwargs: Any) -> None: ...


async def depends_on_nothing(*args: Any, value: int = Depends(only_one), **kwargs: Any) -> None: ...


@pytest.mark.parametrize(
    ("fallback", "message"),
    [
        (only_one, r"fallback_task is only_one\(name: .*str.*\); expected a function that takes whatever"),
        (needs_one, r"fallback_task is needs_one\(name"),
        (depends_on_nothing, r"fallback_task can't be used: .*'value' of task 'depends_on_nothing'.*no value"),
        ("app.tasks:note", r"fallback_task is 'app.tasks:note', which can't be called"),
    ],
)
async def test_one_that_could_not_take_everything_is_refused(shadows: Shadow, fallback: Any, message: str) -> None:
    """Before it is needed."""
    with pytest.raises(ConfigurationError, match=message):
        Worker(shadows, fallback_task=fallback)


async def test_any_number_of_names_is_no_burden(shadows: Shadow) -> None:
    """They come from outside: whoever adds chooses them."""
    executions = [await shadows.add(f"retired_{number}", when=timedelta(0))(number) for number in range(600)]
    await finish(shadows, fallback_task=note)
    assert await executions[-1].get_result() == "noted retired_599"
    assert len(seen) == 600


def forget(shadows: Shadow, name: str) -> None:
    """As in another process, which never knew it."""
    registry = registry_of(shadows.name)
    task = registry._by_name.pop(name)
    registry._by_function.pop(task.function)
