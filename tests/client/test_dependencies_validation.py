"""Dependencies that can't work are refused when the task is registered, and the message names them."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Annotated, Any, Self

import pytest

from shadows.dependencies import (
    CallArgument,
    CompletionHandler,
    CurrentShadow,
    Dependency,
    Depends,
    ExponentialRetry,
    FailureHandler,
    Outcome,
    Perpetual,
    Progress,
    Retry,
    Runtime,
    Shared,
    Successor,
    TaskArgument,
    TaskKey,
    Timeout,
)
from shadows.dependencies.validation import validate
from shadows.errors import RegistrationError
from shadows.execution import Execution

HOUR = timedelta(hours=1)


class Alert(FailureHandler):
    def on_failure(self, execution: Execution, outcome: Outcome) -> Successor | None:
        return None


class Count(CompletionHandler):
    def on_complete(self, execution: Execution, outcome: Outcome) -> Successor | None:
        return None


class Traced(Runtime):
    async def run(self, execution: Execution, call: Callable[[], Any]) -> object:
        return await call()


class OnlyOne(Dependency[object]):
    single = True

    async def __aenter__(self) -> Self:
        return self


def number() -> int:
    return 1


@asynccontextmanager
async def session(shadow: object = CurrentShadow()) -> AsyncIterator[str]:
    yield "session"


def pool(size: int = 3, opened: str = Depends(session)) -> str:
    return "pool"


async def everything(
    order: int,
    *rest: int,
    retry: ExponentialRetry = ExponentialRetry(attempts=3),
    alert: Alert = Alert(),
    perpetual: Perpetual = Perpetual(every=HOUR),
    count: Count = Count(),
    limit: Timeout = Timeout(HOUR),
    progress: Progress = Progress(),
    key: Annotated[str, TaskKey()],
    opened: str = Depends(session),
    shared: str = Shared(pool),
    double: int = Depends(lambda value: 2 * value, value=CallArgument("order")),
    one: OnlyOne = OnlyOne(),
    **options: int,
) -> None:
    """A task that declares what can be declared."""


async def nothing(order: int) -> None:
    """A task without dependencies."""


async def two_retries(retry: Retry = Retry(), again: ExponentialRetry = ExponentialRetry()) -> None: ...


async def two_perpetuals(a: Perpetual = Perpetual(), b: Perpetual = Perpetual()) -> None: ...


async def two_timeouts(a: Timeout = Timeout(HOUR), b: Timeout = Timeout(HOUR)) -> None: ...


async def two_runtimes(a: Timeout = Timeout(HOUR), b: Traced = Traced()) -> None: ...


async def two_progresses(a: Progress = Progress(), b: Progress = Progress()) -> None: ...


async def two_of_my_own(a: Annotated[int, OnlyOne()], b: OnlyOne = OnlyOne()) -> None: ...


@pytest.mark.parametrize(
    ("task", "kind", "parameters"),
    [
        (two_retries, "2 Retry", "'retry' and 'again'"),
        (two_perpetuals, "2 Perpetual", "'a' and 'b'"),
        (two_timeouts, "2 Timeout", "'a' and 'b'"),
        (two_runtimes, "2 Runtime", "'a' and 'b'"),
        (two_progresses, "2 Progress", "'a' and 'b'"),
        (two_of_my_own, "2 OnlyOne", "'b' and 'a'"),
    ],
)
def test_two_of_a_single_kind_are_refused(task: Callable[..., Any], kind: str, parameters: str) -> None:
    with pytest.raises(RegistrationError) as raised:
        validate(task, "busy")
    message = str(raised.value)
    assert "'busy'" in message
    assert kind in message
    assert parameters in message


async def automatic(
    order: int, key: str = TaskKey(), *rest: int, perpetual: Perpetual = Perpetual(automatic=True), name: str
) -> None: ...


async def seeded(
    order: int = 1, key: str = TaskKey(), *rest: int, perpetual: Perpetual = Perpetual(automatic=True)
) -> None: ...


def threaded(limit: Timeout = Timeout(HOUR)) -> None: ...


async def positional_only(key: str = TaskKey(), /) -> None: ...


async def variadic(*keys: Annotated[int, OnlyOne()]) -> None: ...


async def twice_declared(key: Annotated[str, TaskKey()] = TaskKey()) -> None: ...


@pytest.mark.parametrize(
    ("task", "message"),
    [
        (automatic, "'perpetual'.* requires: 'order', 'name'.*pass automatic=False"),
        (threaded, "Timeout, in its parameter 'limit', but is a plain `def`.*async def"),
        (positional_only, "'key' of task 'a_task' has a dependency and is positional-only"),
        (variadic, "'keys' of task 'a_task' has a dependency and is variadic positional"),
        (twice_declared, "'a_task' can't be registered: Parameter 'key' .* more than one"),
    ],
)
def test_a_signature_that_can_not_work_is_refused(task: Callable[..., Any], message: str) -> None:
    with pytest.raises(RegistrationError, match=message):
        validate(task, "a_task")


@pytest.mark.parametrize("task", [everything, nothing, seeded, int, dict])
def test_what_works_is_accepted(task: Callable[..., Any]) -> None:
    """`int` and `dict` stand for functions written in C, one with and one without a signature."""
    validate(task, "a_task")


class CallableTask:
    async def __call__(self, limit: Timeout = Timeout(HOUR)) -> None: ...


def test_a_callable_object_may_be_async() -> None:
    validate(CallableTask(), "a_task")


def test_an_unknown_name_alone_is_no_reason_to_refuse() -> None:
    async def known(order: "NotHere", key: str = TaskKey()) -> None: ...  # type: ignore[name-defined]  # noqa: F821 - the very thing

    validate(known, "a_task")


def retries(retry: Retry = Retry(attempts=3)) -> int:
    return retry.attempt


def reads_key(key: str = TaskKey()) -> str:
    return key


def reads_argument(order: int = CallArgument()) -> int:
    return order


def needs(order: int) -> int:
    return order


def yields() -> Iterator[int]:
    yield 1


async def yields_async() -> AsyncIterator[int]:
    yield 1


def over_key(key: str = Depends(reads_key)) -> str:
    return key


@pytest.mark.parametrize(
    ("dependency", "message"),
    [
        (Depends(retries), r"Depends\(retries\), whose parameter 'retry' is a Retry.*on the task itself"),
        (Shared(retries), r"Shared\(retries\), whose parameter 'retry' is a Retry"),
        (Shared(reads_key), r"Shared\(reads_key\), whose parameter 'key' is a TaskKey.*outlives"),
        (Shared(over_key), r"Shared\(over_key\), .* Depends\(reads_key\), whose parameter 'key'.*outlives"),
        (Shared(reads_argument), "'order' is a CallArgument.*outlives"),
        (Depends(needs), r"Depends\(needs\), whose parameter 'order' has no value.*TaskArgument"),
        (Depends(number, order=Depends(needs)), r"whose parameter 'order' declares Depends\(needs\)"),
        (Depends(yields), r"yields.*contextlib\.contextmanager"),
        (Depends(yields_async), r"yields.*contextlib\.asynccontextmanager"),
        (Depends(dict), "can't be called: .*Wrap it in a function"),
    ],
)
def test_a_factory_that_can_not_work_is_refused(dependency: Any, message: str) -> None:
    async def task(value: Any = dependency) -> None: ...

    with pytest.raises(RegistrationError, match=f"'value' of task 'a_task' declares .*{message}"):
        validate(task, "a_task")


def optional_order(order: int | None = TaskArgument(optional=True)) -> None: ...


def order_or_zero(order: int = CallArgument(default=0)) -> None: ...


def test_an_argument_that_the_task_does_not_have_is_refused() -> None:
    async def task(number: int, *order: int, value: int = Depends(reads_argument)) -> None: ...

    message = (
        r"The parameter 'value' of task 'a_task' declares Depends\(reads_argument\), whose parameter 'order' is "
        r"CallArgument, but the task has no parameter 'order'\. It has: number, value\..*CallArgument\(..., optional"
    )
    with pytest.raises(RegistrationError, match=message):
        validate(task, "a_task")

    async def renamed(number: int, value: int = Depends(needs, order=TaskArgument("numer"))) -> None: ...

    with pytest.raises(RegistrationError, match=r"TaskArgument\('numer'\), but .*Did you mean 'number'\?"):
        validate(renamed, "a_task")

    async def alias(number: int, value: int = TaskArgument("nothing")) -> None: ...

    with pytest.raises(RegistrationError, match=r"'value' of task 'a_task' declares TaskArgument\('nothing'\), but"):
        validate(alias, "a_task")


def test_an_argument_may_be_missing_where_that_is_said() -> None:
    async def task(a: None = Depends(optional_order), b: None = Depends(order_or_zero)) -> None: ...

    validate(task, "a_task")


def test_a_task_with_keywords_may_be_given_any_argument() -> None:
    async def task(value: int = Depends(reads_argument), **options: int) -> None: ...

    validate(task, "a_task")


@pytest.mark.parametrize("dependency", [TaskArgument(), TaskArgument("value"), CallArgument()])
def test_a_parameter_that_is_its_own_argument_is_refused(dependency: Any) -> None:
    async def task(value: int = dependency) -> None: ...

    with pytest.raises(RegistrationError, match=r"'value' of task 'a_task' declares .*Argument.* its own value"):
        validate(task, "a_task")


def test_a_binding_gives_a_factory_what_it_requires() -> None:
    async def task(value: int = Depends(needs, order=3)) -> None: ...

    validate(task, "a_task")


def test_a_binding_takes_the_place_of_a_dependency_that_could_not_work() -> None:
    async def task(value: int = Depends(retries, retry=Depends(Retry))) -> None: ...

    validate(task, "a_task")
