"""Assertions for tests of code that adds tasks: what is scheduled or waits to run. `shadows.testing` has them all."""

from collections.abc import Callable, Mapping
from typing import Any

from .amounts import counted
from .execution import Execution, arguments_by_name
from .registry import name_of
from .shadow import Shadow
from .states import ExecutionState

# Far more than a test adds; a snapshot is read a page at a time.
MOST_ROWS = 100_000
# How many executions a failed assertion shows.
MOST_SHOWN = 20

WAITING = (ExecutionState.SCHEDULED, ExecutionState.QUEUED)


async def assert_task_scheduled(
    shadow: Shadow,
    function: Callable[..., Any] | str,
    args: tuple[Any, ...] | None = None,
    kwargs: Mapping[str, Any] | None = None,
    key: str | None = None,
) -> Execution:
    """Fails unless an execution of `function` is scheduled or waits to run; returns the first one that fits.

    args, kwargs: it was added with these arguments, positional or by name (others may be there, too); None fits all.
    key: it has this key.
    """
    waiting = await waiting_executions(shadow)
    for execution in waiting:
        if fits(execution, function, args, kwargs, key):
            return execution
    raise AssertionError(f"{described(function, args, kwargs, key)} is not scheduled. {listed(waiting)}")


async def assert_task_not_scheduled(
    shadow: Shadow,
    function: Callable[..., Any] | str,
    args: tuple[Any, ...] | None = None,
    kwargs: Mapping[str, Any] | None = None,
    key: str | None = None,
) -> None:
    """Fails when an execution that fits is scheduled or waits to run."""
    waiting = await waiting_executions(shadow)
    if any(fits(execution, function, args, kwargs, key) for execution in waiting):
        raise AssertionError(f"{described(function, args, kwargs, key)} is scheduled. {listed(waiting)}")


async def assert_task_count(shadow: Shadow, function: Callable[..., Any] | str | None = None, count: int = 0) -> None:
    """Fails unless exactly `count` executions of `function`, or of all functions, are scheduled or wait to run."""
    waiting = await waiting_executions(shadow)
    found = [each for each in waiting if function is None or each.function_name == name_of(function)]
    if len(found) != count:
        of = "" if function is None else f" of {name_of(function)}"
        scheduled = counted(len(found), f"execution{of} is", f"executions{of} are")
        raise AssertionError(f"{scheduled} scheduled, and not {count}. {listed(waiting)}")


async def assert_no_tasks(shadow: Shadow) -> None:
    """Fails when anything is scheduled or waits to run."""
    await assert_task_count(shadow, count=0)


async def waiting_executions(shadow: Shadow) -> list[Execution]:
    """What is scheduled or waits to run, with its arguments."""
    seen = await shadow.snapshot(limit=MOST_ROWS)
    found = [await shadow.get_execution(row.key) for row in (*seen.scheduled, *seen.queued)]
    return [each for each in found if each is not None and each.state in WAITING]


def fits(
    execution: Execution,
    function: Callable[..., Any] | str,
    args: tuple[Any, ...] | None,
    kwargs: Mapping[str, Any] | None,
    key: str | None,
) -> bool:
    """Whether it is what is asked for. Arguments are compared by the parameters that they are for."""
    if execution.function_name != name_of(function) or key not in (None, execution.key):
        return False
    if args is None and kwargs is None:
        return True
    known = function if callable(function) else execution.function
    if known is None:
        return execution.args == tuple(args or ()) and dict(kwargs or {}).items() <= execution.kwargs.items()
    got = arguments_by_name(known, execution.args, execution.kwargs)
    wanted = arguments_by_name(known, tuple(args or ()), dict(kwargs or {}), with_defaults=False)
    asked = bool(args or kwargs)
    return (not asked or bool(wanted)) and all(name in got and got[name] == value for name, value in wanted.items())


def described(
    function: Callable[..., Any] | str, args: tuple[Any, ...] | None, kwargs: Mapping[str, Any] | None, key: str | None
) -> str:
    """What is asked for, for a message."""
    shown = [repr(value) for value in args or ()] + [f"{name}={value!r}" for name, value in (kwargs or {}).items()]
    if args is None and kwargs is None:
        shown = ["..."]
    return f"{name_of(function)}({', '.join(shown)})" + (f" with the key {key!r}" if key is not None else "")


def listed(executions: list[Execution]) -> str:
    """What there is instead, for a message."""
    if not executions:
        return "Nothing is scheduled or waits to run."
    shown = [
        f"  {described(each.function_name, each.args, each.kwargs, each.key)}, {each.state}"
        for each in executions[:MOST_SHOWN]
    ]
    more = len(executions) - len(shown)
    return "What is:\n" + "\n".join(shown) + (f"\n  and {more} more" if more else "")
