"""Ends blocked reads that nobody waits for any more: Redis would still hand new entries to them."""

from logging import getLogger

from redis.exceptions import ResponseError

from shadows.connection import Link
from shadows.errors import ServerRefused

logger = getLogger("shadows.worker")


async def cut_off(link: Link, reader: int, incarnation: str) -> None:
    """Closes the reading connection of one incarnation of a worker. Its name is checked, since a server that
    was restarted gives the same numbers to others."""
    try:
        listed = await link.call("CLIENT", "LIST", "ID", reader)
        if f"name=shadows:reader:{incarnation} ".encode() in listed:
            await link.call("CLIENT", "KILL", "ID", reader)
    except (ResponseError, ServerRefused) as error:
        # Not every user of Redis may do that. What is handed out so is noticed later.
        logger.debug("The reading connection %d could not be closed: %s", reader, error)
