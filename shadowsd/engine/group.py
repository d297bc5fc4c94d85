"""The consumer group of the ready stream, which everything else needs."""

from collections.abc import Awaitable, Callable
from typing import Any

from redis.exceptions import ResponseError

from shadows.keys import GROUP, Keys


async def make_group(call: Callable[..., Awaitable[Any]], keys: Keys) -> bool:
    """Makes it unless it is there: from the beginning of the stream, so that nothing is skipped after a flush.
    Whether it was this call that made it."""
    try:
        await call("XGROUP", "CREATE", keys.stream, GROUP, "0", "MKSTREAM")
    except ResponseError as error:
        if "BUSYGROUP" not in str(error):
            raise
        return False
    return True
