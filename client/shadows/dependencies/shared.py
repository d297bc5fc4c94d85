"""`Shared`: a value that is made once per worker and closed when the worker stops.

This is not uncalled-for's `Shared`: that one closes what a factory `Depends` on with the first task that
asked, while the value lives on; makes all values under one lock; and runs a factory inside the first task,
whose cancellation ends it for all. Ours only asks the worker's store (`shadowsd/engine/shared.py`) for the
value.
"""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Any, cast, overload

from uncalled_for import DependencyFactory, Provider

from shadows.dependencies.context import running_context


class _Shared(Provider[object]):
    def __init__(self, factory: Callable[..., Any]) -> None:
        self.factory = factory

    async def __aenter__(self) -> object:
        values = running_context("Shared").shared
        if values is None:
            raise RuntimeError("Shared needs a worker that keeps shared values, and this context has none.")
        return await values.value(self.factory)


@overload
def Shared[R](factory: Callable[..., AbstractAsyncContextManager[R]]) -> R: ...
@overload
def Shared[R](factory: Callable[..., AbstractContextManager[R]]) -> R: ...
@overload
def Shared[R](factory: Callable[..., Awaitable[R]]) -> R: ...
@overload
def Shared[R](factory: Callable[..., R]) -> R: ...
def Shared[R](factory: DependencyFactory[R]) -> R:  # noqa: N802 - named like what it declares
    """Declare a value that all tasks of a worker share: `pool: Pool = Shared(open_pool)`.

    The factory is a sync or async function or context manager, and is its value's identity: wherever it is
    declared, it is the same value. A factory that fails fails that task, and is called again for the next
    one.
    """
    return cast(R, _Shared(factory))


SHARED = _Shared
