"""Which calls are sent again, by the errors that they meet."""

from collections.abc import Awaitable, Callable

import pytest

from shadows.connection import Server, again
from shadows.errors import ConnectionFailed, ServerRefused

SERVER = Server("redis://localhost:6379/0")


def failing_once(error: Exception) -> tuple[list[float], Callable[[float], Awaitable[str]]]:
    """A call that fails the first time, and when it was made."""
    calls: list[float] = []

    async def send(seconds: float) -> str:
        calls.append(seconds)
        if len(calls) == 1:
            raise error
        return "the answer"

    return calls, send


async def test_a_call_that_meets_a_server_which_reads_its_data_back_in_is_sent_again() -> None:
    """Somebody who waited for a result while Redis was restarted saw its LOADING as an error of his own."""
    calls, send = failing_once(SERVER.refusal("LOADING Redis is loading the dataset in memory"))
    assert await again(send) == "the answer"
    assert len(calls) == 2


async def test_a_call_whose_reply_did_not_come_is_sent_again() -> None:
    calls, send = failing_once(ConnectionFailed("gone"))
    assert await again(send) == "the answer"
    assert len(calls) == 2


async def test_a_server_that_takes_no_writes_is_told_at_once() -> None:
    """That passes only by somebody's hand, and whoever called should know."""
    calls, send = failing_once(SERVER.refusal("OOM command not allowed"))
    with pytest.raises(ServerRefused, match="OOM"):
        await again(send)
    assert len(calls) == 1
