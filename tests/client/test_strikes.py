"""What a strike holds back, and how strikes survive what others write."""

import asyncio
import logging
from typing import Any

import pytest

from shadows import Shadow
from shadows.errors import ArgumentsError
from shadows.strikes import Strike, Strikes, checked_strike


async def bill(customer: int, amount: float = 0.0) -> None: ...


def list_of(shadows: Shadow, *strikes: Strike) -> Strikes:
    shadows.strikelist.strikes = list(strikes)
    return shadows.strikelist


@pytest.mark.parametrize(
    ("strike", "args", "kwargs", "held"),
    [
        (Strike("bill", None, "==", None), (1,), {}, True),
        (Strike("other", None, "==", None), (1,), {}, False),
        (Strike("bill", "customer", "==", 1), (1,), {}, True),
        (Strike("bill", "customer", "==", 1), (2,), {}, False),
        (Strike("bill", "customer", "==", 1), (), {"customer": 1}, True),
        (Strike(None, "customer", "==", 1), (1,), {}, True),
        (Strike(None, "missing", "==", 1), (1,), {}, False),
        (Strike("bill", "amount", "==", 0.0), (1,), {}, True),
        (Strike("bill", "customer", "between", (1, 3)), (1,), {}, True),
        (Strike("bill", "customer", "between", (1, 3)), (3,), {}, True),
        (Strike("bill", "customer", "between", (1, 3)), (4,), {}, False),
    ],
)
async def test_a_call_is_compared_with_each_strike(
    shadows: Shadow, strike: Strike, args: tuple[Any, ...], kwargs: dict[str, Any], held: bool
) -> None:
    """By function, by parameter, however the argument was passed; bounds are included."""
    struck = list_of(shadows, strike).struck(bill, "bill", args, kwargs)
    assert (struck is strike) == held


async def test_without_the_function_only_keyword_arguments_have_names(shadows: Shadow) -> None:
    """A client that adds by name compares those, and the worker compares all."""
    strikes = list_of(shadows, Strike("bill", "customer", "==", 1))
    assert strikes.struck(None, "bill", (1,), {}) is None
    assert strikes.struck(None, "bill", (), {"customer": 1}) is not None


async def test_arguments_that_do_not_fit_the_function_are_not_struck(shadows: Shadow) -> None:
    """They are refused by whoever looks at them next, with a better message."""
    assert list_of(shadows, Strike("bill", "customer", "==", 1)).struck(bill, "bill", (1, 2, 3), {}) is None


async def test_a_strike_that_can_not_be_read_is_warned_of_once_and_the_others_hold(
    shadows: Shadow, caplog: pytest.LogCaptureFixture
) -> None:
    """Somebody else wrote it, or a newer release."""
    await shadows.strike(bill)
    async with shadows.redis() as redis:
        await redis.hset(shadows.keys.strikes, b"\xff garbage", "1")
    with caplog.at_level(logging.WARNING, "shadows"):
        await shadows.strikelist.load()
        await shadows.strikelist.load()
    assert [str(strike) for strike in shadows.strikelist.strikes] == ["bill"]
    assert caplog.text.count("can't be read") == 1


async def test_many_who_ask_at_once_share_the_first_reading(shadows: Shadow) -> None:
    """A thousand adds at the start of a process read the strikes once."""
    async with shadows.redis() as redis:
        before = (await redis.info("commandstats")).get("cmdstat_hgetall", {"calls": 0})["calls"]
        await asyncio.gather(*[shadows.strikelist.load_once() for _ in range(50)])
        await shadows.strikelist.load_once()
        after = (await redis.info("commandstats"))["cmdstat_hgetall"]["calls"]
    assert after - before == 1


async def test_the_same_strike_twice_is_one(shadows: Shadow) -> None:
    """Redis keeps them by what they say; restoring lifts it altogether."""
    await shadows.strike(bill, "customer", "==", 1)
    await shadows.strike(bill, "customer", "==", 1)
    assert len(shadows.strikelist.strikes) == 1
    await shadows.restore(bill, "customer", "==", 1)
    assert shadows.strikelist.strikes == []


@pytest.mark.parametrize(
    ("function", "parameter", "message"),
    [
        ("\udcff", None, r"The function name '\\udcff' is no text"),
        (b"bill", None, "The function name b'bill' is a bytes"),
        (None, "\udcff", r"The parameter '\\udcff' is no text"),
        ("bill", 5, "The parameter 5 is a int"),
    ],
)
def test_a_strike_on_what_is_no_text_is_refused(function: Any, parameter: Any, message: str) -> None:
    """Half a surrogate pair was an encoder's error that named neither; bytes were taken, and struck nothing."""
    with pytest.raises(ArgumentsError, match=message):
        checked_strike(function, parameter, "==", 1)


def test_a_strike_reads_as_a_sentence() -> None:
    """In logs, and at the command line."""
    assert str(Strike("bill", None, "==", None)) == "bill"
    assert str(Strike(None, "customer", ">", 5)) == "every task where customer > 5"


def test_a_strike_on_a_function_alone_has_no_operator_that_matters() -> None:
    """Else lifting it would need the same one."""
    assert checked_strike("bill", None, ">", 5) == checked_strike("bill", None, "==", None)
