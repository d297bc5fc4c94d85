"""A dependency reads the arguments of its task."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from shadows import CallArgument, Depends, Shadow, Shared, TaskArgument, TaskKey
from shadows.errors import RegistrationError

from .workers import finish


async def load_user(user_id: int = TaskArgument()) -> str:
    return f"user {user_id}"


@asynccontextmanager
async def open_account(user: str = Depends(load_user), currency: str = TaskArgument("pays_in")) -> AsyncIterator[str]:
    yield f"{currency} account of {user}"


async def pay(user_id: int, amount: int, pays_in: str = "EUR", account: str = Depends(open_account)) -> str:
    return f"{amount} from the {account}"


async def test_a_factory_gets_the_argument_of_its_own_parameters_name(shadows: Shadow) -> None:
    """Wherever it stands: here two levels down."""
    execution = await shadows.add(pay)(7, 100, pays_in="USD")
    await finish(shadows)
    assert await execution.get_result() == "100 from the USD account of user 7"


async def test_an_argument_that_was_left_out_has_its_default(shadows: Shadow) -> None:
    """A dependency sees what its task sees."""
    execution = await shadows.add(pay)(user_id=7, amount=100)
    await finish(shadows)
    assert await execution.get_result() == "100 from the EUR account of user 7"


async def test_a_factory_is_asked_once_for_each_task_and_not_for_each_argument(shadows: Shadow) -> None:
    """Two tasks that run at the same time each have their own."""

    async def task(user_id: int, a: str = Depends(load_user), b: str = Depends(load_user)) -> list[str]:
        return [a, b]

    executions = [await shadows.add(task)(number) for number in range(20)]
    await finish(shadows)
    for number, execution in enumerate(executions):
        assert await execution.get_result() == [f"user {number}"] * 2


async def test_an_optional_argument_is_none_in_tasks_that_have_no_such_parameter(shadows: Shadow) -> None:
    """One factory can so serve tasks of several kinds."""

    def tenant_of(tenant: str | None = TaskArgument(optional=True), key: str = TaskKey()) -> str:
        return tenant or f"nobody for {key}"

    async def with_tenant(tenant: str, of: str = Depends(tenant_of)) -> str:
        return of

    async def without(of: str = Depends(tenant_of)) -> str:
        return of

    first, second = await shadows.add(with_tenant)("acme"), await shadows.add(without, key="k")()
    await finish(shadows)
    assert await first.get_result() == "acme"
    assert await second.get_result() == "nobody for k"


async def test_a_task_gives_one_parameter_the_value_of_another(shadows: Shadow) -> None:
    """Also what a dependency provides."""

    async def task(user_id: int, user: str = Depends(load_user), again: str = TaskArgument("user")) -> str:
        return again

    execution = await shadows.add(task)(3)
    await finish(shadows)
    assert await execution.get_result() == "user 3"


async def test_a_binding_passes_an_argument_under_another_name(shadows: Shadow) -> None:
    """For factories that know nothing of tasks."""

    def double(value: int) -> int:
        return 2 * value

    async def task(
        order: int,
        twice: int = Depends(double, value=TaskArgument("order")),
        same: int = Depends(double, value=CallArgument("order")),
    ) -> list[int]:
        return [twice, same]

    execution = await shadows.add(task)(4)
    await finish(shadows)
    assert await execution.get_result() == [8, 8]


async def test_a_name_that_the_task_does_not_have_is_refused_when_it_is_registered(shadows: Shadow) -> None:
    """Long before the first run, and with the whole way to it."""

    async def refund(user: int, pays_in: str, account: str = Depends(open_account)) -> None: ...

    with pytest.raises(RegistrationError) as refused:
        shadows.register(refund)
    assert str(refused.value).startswith(
        "The parameter 'account' of task 'refund' declares Depends(open_account), whose parameter 'user' is "
        "Depends(load_user), whose parameter 'user_id' is TaskArgument, but the task has no parameter 'user_id'. "
        "Did you mean 'user'? "
    )


async def test_a_shared_value_has_no_task_to_read_from(shadows: Shadow) -> None:
    """It outlives the task that asked first."""

    async def task(user_id: int, user: str = Shared(load_user)) -> None: ...

    with pytest.raises(RegistrationError, match=r"'user_id' is a TaskArgument.*outlives"):
        shadows.register(task)
