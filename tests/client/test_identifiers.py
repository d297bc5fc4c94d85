"""Fresh keys are UUIDs of version 7; all others must be text."""

import os
import time
from typing import Any
from uuid import UUID

import pytest

from shadows.errors import ArgumentsError
from shadows.identifiers import KEYS_AT_ONCE, KeySource, checked, fresh_key


def test_a_fresh_key_is_a_uuid_of_version_7() -> None:
    """Other tools can read them."""
    for _ in range(1000):
        uuid = UUID(fresh_key())
        assert (uuid.version, uuid.variant) == (7, "specified in RFC 4122")


def test_fresh_keys_differ_beyond_what_is_fetched_at_a_time() -> None:
    """The random digits of one fetch are used once."""
    source = KeySource()
    keys = [source.fresh() for _ in range(KEYS_AT_ONCE * 3 + 1)]
    assert len(set(keys)) == len(keys)


def test_a_fresh_key_begins_with_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Milliseconds since 1970, so that keys sort by when they were made."""
    monkeypatch.setattr(time, "time_ns", lambda: 0x0123456789AB * 1_000_000)
    assert fresh_key().startswith("01234567-89ab-7")


def test_a_forked_copy_makes_keys_of_its_own() -> None:
    """Both have the same digits in memory, and must not use them twice."""
    fresh_key()
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.write(writing, "\n".join(fresh_key()[14:] for _ in range(5)).encode())
        os._exit(0)
    os.waitpid(child, 0)
    there = os.read(reading, 1000).decode().split()
    here = [fresh_key()[14:] for _ in range(5)]
    assert len(there) == 5
    assert not set(here) & set(there)
    os.close(reading)
    os.close(writing)


def test_forgetting_drops_the_fetched_digits() -> None:
    """What the copy does first."""
    source = KeySource()
    source.fresh()
    following = source._digits[source._at : source._at + 3]
    source.forget()
    assert source.fresh()[15:18] != following or source._digits[:3] == following


@pytest.mark.parametrize("key", ["", "plain", "ключ", "\0", "🗝️"])
def test_any_text_is_a_key(key: str) -> None:
    """However odd."""
    assert checked(key, "key") == key


@pytest.mark.parametrize(
    ("key", "message"),
    [
        (5, "The key 5 is a int; expected a str"),
        (b"x", r"is a bytes; expected a str\. Decode it"),
        ("\ud800", r"is no text: surrogates not"),
    ],
)
def test_what_can_not_be_sent_is_refused(key: Any, message: str) -> None:
    """Here, and not when it has joined a batch of others."""
    with pytest.raises(ArgumentsError, match=message):
        checked(key, "key")
