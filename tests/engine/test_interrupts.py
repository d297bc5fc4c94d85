"""A Ctrl-C that hits a task by chance, and a KeyboardInterrupt that is the task's own, are told apart."""

import asyncio
import signal
from collections.abc import Callable

import pytest

from shadowsd.engine.interrupts import from_signal


def raises() -> None:
    raise KeyboardInterrupt


def raises_again() -> None:
    try:
        raises()
    except KeyboardInterrupt as error:
        raise KeyboardInterrupt from error


def is_hit() -> None:
    signal.raise_signal(signal.SIGINT)


def is_hit_and_cleans_up() -> None:
    try:
        is_hit()
    finally:
        list(range(3))


def is_hit_under_asyncio() -> None:
    async def twice() -> None:
        is_hit()
        is_hit()

    asyncio.run(twice())


@pytest.mark.parametrize("function", [raises, raises_again])
def test_what_a_task_raises_is_its_own(function: Callable[[], None]) -> None:
    """It fails the task; handed back, it would end one worker after the other."""
    with pytest.raises(KeyboardInterrupt) as caught:
        function()
    assert not from_signal(caught.value)


@pytest.mark.parametrize("function", [is_hit, is_hit_and_cleans_up, is_hit_under_asyncio])
def test_what_a_signal_raises_is_not(function: Callable[[], None]) -> None:
    """Python's own handler raises at the first, asyncio's at the second."""
    with pytest.raises(KeyboardInterrupt) as caught:
        function()
    assert from_signal(caught.value)


def test_one_that_was_never_raised_is_no_signal() -> None:
    """As a future may hold it."""
    assert not from_signal(KeyboardInterrupt())
