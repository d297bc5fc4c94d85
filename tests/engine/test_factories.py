"""Factories that are planned ahead are entered as if they were not."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from uncalled_for import Dependency

from shadows.dependencies import CallArgument, Depends
from shadows.dependencies.context import DependencyFailed
from shadowsd.engine.factories import Factory, planned
from shadowsd.engine.inject import Injection
from tests.runs import execution_of, run

made: list[str] = []


@pytest.fixture(autouse=True)
def nothing_made() -> None:
    made.clear()


async def connection() -> str:
    made.append("connection")
    return "connection"


@asynccontextmanager
async def session(opened: str = Depends(connection)) -> AsyncIterator[str]:
    made.append("session")
    yield f"session on {opened}"
    made.append("closed")


async def user(order: int = CallArgument(), opened: str = Depends(connection)) -> str:
    made.append("user")
    return f"user of {order} on {opened}"


async def test_each_is_made_once_and_what_it_opened_is_closed() -> None:
    """Two that need the same share it, and the arguments of the call reach them all."""

    async def task(order: int, who: str = Depends(user), where: str = Depends(session)) -> tuple[str, str]:
        made.append("ran")
        return who, where

    assert await run(execution_of(task, 7)) == ("user of 7 on connection", "session on connection")
    assert made == ["connection", "user", "session", "ran", "closed"]


class Own(Dependency[str]):
    """A dependency of somebody's own, which a factory needs."""

    async def __aenter__(self) -> str:
        return "own"

    async def __aexit__(self, *error: object) -> None:
        made.append("own closed")


async def test_a_factory_may_need_any_other_dependency() -> None:
    async def needs(own: str = Own()) -> str:  # type: ignore[assignment] # as all of them are declared
        return own

    async def task(value: str = Depends(needs)) -> str:
        return value

    assert await run(execution_of(task)) == "own"
    assert made == ["own closed"]


async def test_a_factory_that_needs_itself_fails_its_run() -> None:
    """And no worker, which looks at all its tasks before it begins."""

    async def endless(again: Any = None) -> None: ...

    endless.__defaults__ = (Depends(endless),)

    async def task(value: None = Depends(endless)) -> None: ...

    assert Injection(task).needed
    with pytest.raises(DependencyFailed, match="RecursionError"):
        await run(execution_of(task))


def test_only_plain_ones_are_planned() -> None:
    """What has bindings, and what is of another kind, is left as it was declared."""
    bound, other = Depends(user, order=5), CallArgument("order")
    found = planned({"plain": Depends(user), "bound": bound, "other": other})  # type: ignore[dict-item] # as declared
    assert type(found["plain"]) is Factory
    assert [found["bound"], found["other"]] == [bound, other]
