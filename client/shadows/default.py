"""`shadows.add`: adding a task without making a `Shadow`, on the one that the environment configures.

Each event loop has its own, since connections belong to a loop. An async generator closes it with the loop:
`asyncio.run` and its kin end all that are open, and nothing else tells that a loop is about to close.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, overload

from .execution import Execution
from .priorities import Priority
from .shadow import Shadow
from .times import When

# Of each loop: its shadow, and what closes it.
_held: dict[asyncio.AbstractEventLoop, tuple[Shadow, AsyncIterator[None]]] = {}


@overload
def add[**P](
    function: Callable[P, Any], when: When = None, key: str | None = None, *, priority: Priority = "normal"
) -> Callable[P, Awaitable[Execution]]: ...
@overload
def add(
    function: str, when: When = None, key: str | None = None, *, priority: Priority = "normal"
) -> Callable[..., Awaitable[Execution]]: ...
def add(
    function: Callable[..., Any] | str, when: When = None, key: str | None = None, *, priority: Priority = "normal"
) -> Callable[..., Awaitable[Execution]]:
    """Schedules a call on the shadow that the environment configures: `await add(greet)("Jane")`.

    SHADOWS_NAME and SHADOWS_URL say which; they are read at the first add in each event loop. Otherwise as
    `Shadow.add`; `shadows.sync.add` is the one for code without a loop.
    """

    async def submit(*args: Any, **kwargs: Any) -> Execution:
        shadow = await default_shadow()
        return await shadow.add(function, when, key, priority=priority)(*args, **kwargs)

    return submit


async def default_shadow() -> Shadow:
    """The shadow of the running loop; closed with it."""
    loop = asyncio.get_running_loop()
    held = _held.get(loop)
    if held is None:
        for gone in [other for other in _held if other.is_closed()]:
            del _held[gone]  # it was closed without ending its generators
        shadow = Shadow()
        held = _held[loop] = (shadow, closing(loop, shadow))
        # Begins the generator, so that the loop knows of it; this does not give way to another task.
        await anext(held[1])
    return held[0]


async def closing(loop: asyncio.AbstractEventLoop, shadow: Shadow) -> AsyncIterator[None]:
    """Waits for the end of the loop, and closes the shadow then."""
    try:
        yield
    finally:
        _held.pop(loop, None)
        await shadow.__aexit__(None, None, None)
