"""What can't be put around tasks is refused when the worker is made."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, Self

import pytest

from shadows.dependencies import (
    Dependency,
    Depends,
    ExponentialRetry,
    FailureHandler,
    Outcome,
    Perpetual,
    Retry,
    Runtime,
    Successor,
    Timeout,
)
from shadows.errors import ConfigurationError
from shadows.execution import Execution
from shadowsd.engine.around import Around

HOUR = timedelta(hours=1)


class Traced(Dependency[object]):
    async def __aenter__(self) -> Self:
        return self


class Spanned(Runtime):
    async def run(self, execution: Execution, call: Callable[[], Awaitable[object]]) -> object:
        return await call()


class Alert(FailureHandler):
    def on_failure(self, execution: Execution, outcome: Outcome) -> Successor | None:
        return None


def load() -> int:
    return 1


def needs(order: int) -> int:
    return order


async def task() -> None: ...


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (5, "dependencies is 5; expected a mapping"),
        ("trace", "dependencies is 'trace'; expected a mapping"),
        ({1: Traced()}, "the name 1; expected a mapping"),
        ({"trace": load}, r"'trace' is <function load.*Write Depends\(load\)\."),
        ([Traced], r"'dependencies\[0\]' is <class.*Write Traced\(\)\."),
        ({"trace": 5}, "'trace' is 5, which is none; expected a mapping"),
        ({"again": Perpetual()}, "'again' is a Perpetual: it would repeat every task for ever"),
        ({"load": Depends(needs)}, r"'load' declares Depends\(needs\), whose parameter 'order' has no value"),
        ({"a": Retry(), "b": ExponentialRetry()}, "'a' and 'b' are both a Retry"),
        ({"a": Spanned(), "b": Spanned(), "c": Timeout(HOUR), "d": Timeout(HOUR)}, "'c' and 'd' are both a Timeout"),
    ],
)
def test_it_is_refused(given: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        Around(given)


def test_what_can_stand_beside_each_other_does() -> None:
    given: dict[str, Any] = {
        "a": Spanned(), "b": Timeout(HOUR), "c": Retry(), "d": Alert(), "e": Alert(), "f": Depends(load),
        "g": Depends(load), "h": Traced(), "i": Traced(),
    }  # fmt: skip
    assert [name for name, _ in Around(given).of(task, "task", [])] == [*"abcdefghi"]
    assert [name for name, _ in Around([Traced(), Traced()]).of(task, "task", [])] == [
        "dependencies[0]", "dependencies[1]",
    ]  # fmt: skip
    assert Around().of(task, "task", []) == []
