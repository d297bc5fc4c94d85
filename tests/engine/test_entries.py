"""An entry is read from its fields, whoever wrote them."""

import pytest

from shadows.keys import SUSPECTS
from shadowsd.engine.entries import Entry, id_of, number_of

from .parts import entry_of


def test_what_submit_writes_is_read_as_a_first_attempt() -> None:
    """Its own number is that of its submission."""
    entry = entry_of("key", "job", "1000")
    assert (entry.key, entry.function, entry.payload, entry.id) == ("key", "job", b"", "1000-0")
    assert (entry.attempt, entry.submission, entry.due, entry.redelivered) == (1, "1000", None, False)


def test_a_retry_and_a_scheduled_entry_say_more() -> None:
    """Their attempt, their submission, and when they were due."""
    entry = entry_of(a="3", n="900", w="1234.5")
    assert (entry.attempt, entry.submission, entry.due) == (3, "900", 1234.5)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ([], "no field k, f, p"),
        ([b"k", b"x"], "no field f, p"),
        ([b"hello", b"world"], "was not written by shadows"),
        ([b"k", b"\xff", b"f", b"job", b"p", b""], "utf-8"),
        ([b"k", b"x", b"f", b"job", b"p", b"", b"a", b"many"], "invalid literal"),
        ([b"k", b"x", b"f", b"job", b"p", b"", b"w", b"soon"], "could not convert"),
        ([b"k", b"x", b"f", b"job", b"p", b"", b"n", b"\xff"], "utf-8"),
    ],
)
def test_a_damaged_entry_says_what_is_wrong_with_it(fields: list[bytes], message: str) -> None:
    """As a ValueError, which the reader turns into a quarantine."""
    with pytest.raises(ValueError, match=message):
        Entry(1, "1000", fields, 1, "w#1")


def test_an_id_that_is_none_of_ours_is_damage_too() -> None:
    """`XADD *` after one of ours makes such ids."""
    assert (number_of(b"1000-0"), number_of(b"1000-1")) == ("1000", "1000-1")
    assert (id_of("1000"), id_of("1000-1")) == ("1000-0", "1000-1")
    with pytest.raises(ValueError, match="has the id 1000-1, and ours end in -0"):
        Entry(1, "1000-1", [b"k", b"x", b"f", b"job", b"p", b""], 1, "w#1")


def test_a_second_delivery_is_a_redelivery() -> None:
    """Somebody was handed it before."""
    assert Entry(1, "1000", [b"k", b"x", b"f", b"job", b"p", b""], 2, "w#1").redelivered


def test_a_suspect_was_handed_out_before() -> None:
    """It has a new number since its second death, and no deliveries under that: its runs looked like first ones."""
    suspect = Entry(SUSPECTS, "7", [b"k", b"x", b"f", b"job", b"p", b""], 1, "worker#1")
    assert suspect.redelivered
