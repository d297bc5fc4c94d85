"""A scope of shared values, and what runs tasks in it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from shadowsd.engine.shared import SharedScope
from tests.runs import context_of, execution_of, run

SHADOW, WORKER = object(), object()


def scope() -> SharedScope:
    return SharedScope(SHADOW, WORKER)


async def run_in(scope: SharedScope | None, task: Callable[..., Any]) -> Any:
    execution = execution_of(task)
    return await run(execution, context_of(execution, SHADOW, WORKER, scope))


class Pool:
    """A factory that counts how often it was opened and closed."""

    def __init__(self, name: str = "pool", log: list[str] | None = None) -> None:
        self.name = name
        self.log = log if log is not None else []
        self.may_open = asyncio.Event()
        self.may_open.set()

    @asynccontextmanager
    async def __call__(self) -> AsyncIterator[str]:
        self.log.append(f"open {self.name}")
        await self.may_open.wait()
        yield self.name
        self.log.append(f"close {self.name}")
