"""The consumer groups of the work streams, which everything else needs."""

from collections.abc import Awaitable, Callable
from typing import Any

from redis.exceptions import ResponseError

from shadows.keys import GROUP, Keys

from .intake import Intake


async def make_group(call: Callable[..., Awaitable[Any]], keys: Keys, intake: Intake) -> bool:
    """Makes that of the ready stream unless it is there, those that this worker reads beside it, and those of the
    streams that lost theirs: from the beginning, so that nothing is skipped. Whether it was this call that made the
    first."""
    made = await _make(call, keys.stream)
    for beside in keys.streams[1:]:
        # One that does not exist is made, with its group, by whoever puts something into it.
        if (intake.in_use and beside in intake.streams) or await call("EXISTS", beside):
            await _make(call, beside)
    return made


async def _make(call: Callable[..., Awaitable[Any]], stream: str) -> bool:
    try:
        await call("XGROUP", "CREATE", stream, GROUP, "0", "MKSTREAM")
    except ResponseError as error:
        if "BUSYGROUP" not in str(error):
            raise
        return False
    return True
