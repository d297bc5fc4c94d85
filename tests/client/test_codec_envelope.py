"""Payloads are versioned, bounded and, with a secret, signed for one use."""

import sys
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadows.codec.codec import Codec
from shadows.errors import (
    ArgumentsError,
    ConfigurationError,
    NewerFormat,
    PayloadError,
    PayloadTooLarge,
)
from tests.client.roundtrips import returned, returning, sent, taking

SECRET = b"a long random secret"


class Point:
    def __init__(self, x: int) -> None:
        self.x = x


def test_a_signed_payload_comes_back() -> None:
    """Signing changes nothing for those who share the secret."""
    codec = Codec("test", secret=SECRET)
    assert sent(date, date(2026, 1, 1), codec) == date(2026, 1, 1)
    assert returned(date, date(2026, 1, 1), codec) == date(2026, 1, 1)
    assert codec.decode_value(codec.encode_value(5)) == 5
    assert str(codec.decode_error("task", "key", codec.encode_error("task", "key", KeyError("a")))) == "'a'"


def test_a_signed_payload_comes_back_by_the_fast_path_too() -> None:
    """The second call of the same classes takes it."""
    codec, signature = Codec("test", secret=SECRET), taking(int)
    for number in (1, 2, 2**70):
        payload = codec.encode_call(signature, "task", "key", (number,), {})
        assert codec.decode_call(signature, "task", "key", payload) == ((number,), {})
        with pytest.raises(PayloadError, match="signature of a call"):
            codec.decode_call(signature, "task", "other", payload)


@pytest.mark.parametrize(
    ("shadow", "secret", "function", "key"),
    [
        ("other", SECRET, "task", "key"),
        ("test", b"another secret", "task", "key"),
        ("test", SECRET, "other", "key"),
        ("test", SECRET, "task", "other"),
        ("test", SECRET, "taskk", "ey"),
        ("testkey", SECRET, "task", ""),
    ],
)
def test_a_signature_holds_for_one_shadow_key_and_function(shadow: str, secret: bytes, function: str, key: str) -> None:
    """Who can write to Redis must not be able to replay one task's payload as another's."""
    payload = Codec("test", secret=SECRET).encode_call(None, "task", "key", (1,), {})
    with pytest.raises(PayloadError, match="does not match"):
        Codec(shadow, secret=secret).decode_call(None, function, key, payload)


def test_a_signature_holds_for_one_kind() -> None:
    """A result must not pass for a call."""
    codec = Codec("test", secret=SECRET)
    result = codec.encode_result(None, "task", "key", [[], {}])
    with pytest.raises(PayloadError, match="signature of a call"):
        codec.decode_call(None, "task", "key", result)
    with pytest.raises(PayloadError, match="signature of a error"):
        codec.decode_error("task", "key", result)


@given(st.data())
def test_every_changed_bit_of_a_signed_payload_is_noticed(data: st.DataObject) -> None:
    """Header, signature and body are covered alike."""
    codec = Codec("test", secret=SECRET)
    payload = bytearray(codec.encode_call(None, "task", "key", (1, "two"), {"three": 3}))
    payload[data.draw(st.integers(0, len(payload) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(PayloadError):
        codec.decode_call(None, "task", "key", bytes(payload))


def test_unsigned_and_signed_do_not_mix() -> None:
    """A reader with a secret trusts nothing else; one without it can't trust what it can't check."""
    plain, signed = Codec("test"), Codec("test", secret=SECRET)
    with pytest.raises(PayloadError, match="not signed, but this process has a secret"):
        signed.decode_call(None, "task", "key", plain.encode_call(None, "task", "key", (), {}))
    with pytest.raises(PayloadError, match="is signed, but this process has no secret"):
        plain.decode_call(None, "task", "key", signed.encode_call(None, "task", "key", (), {}))


@pytest.mark.parametrize("payload", [b"", b"\1", b"\0\0\x92", b"\1\x04\x92", b"\1\2short", b"\1\0", b"\1\0\xc1"])
def test_garbage_is_a_payload_error(payload: bytes) -> None:
    """Anybody can write to a stream by hand; the worker sets it aside and lives."""
    for codec in (Codec("test"), Codec("test", secret=SECRET), Codec("test", "pickle")):
        with pytest.raises(PayloadError):
            codec.decode_call(None, "task", "key", payload)
        with pytest.raises(PayloadError):
            codec.decode_result(None, "task", "key", payload)
        with pytest.raises(PayloadError):
            codec.decode_error("task", "key", payload)
        with pytest.raises(PayloadError):
            codec.decode_value(payload)


@given(st.binary(max_size=40), st.booleans())
def test_no_bytes_at_all_raise_anything_else(tail: bytes, headed: bool) -> None:
    """Other exceptions would end the worker instead of the entry."""
    codec, payload = Codec("test"), (b"\1\0" if headed else b"") + tail
    for decode in (
        lambda: codec.decode_call(taking(list[date] | int), "task", "key", payload),
        lambda: codec.decode_result(returning(dict[str, date]), "task", "key", payload),
        lambda: codec.decode_error("task", "key", payload),
        lambda: codec.decode_value(payload),
    ):
        try:
            decode()
        except PayloadError:
            continue


@pytest.mark.parametrize("tail", [b"", b"\0", b"whatever it may be"])
@pytest.mark.parametrize("version", [2, 3, 255])
@pytest.mark.parametrize("secret", [None, SECRET])
def test_a_newer_format_is_told_apart(secret: bytes | None, version: int, tail: bytes) -> None:
    """The engine parks such entries for a worker of the newer release, and says so. These bytes are a promise of
    every release to all that came before it: they may never change."""
    codec = Codec("test", secret=secret)
    payload = bytes((version,)) + b"\xc1shd" + tail
    with pytest.raises(NewerFormat, match=rf"format version {version}, .* up to version 1") as caught:
        codec.decode_call(None, "task", "key", payload)
    assert (caught.value.version, caught.value.supported) == (version, 1)


@pytest.mark.parametrize(
    "payload",
    [
        b'{"n": 1}',
        b"[]",
        b"\x80\x04N.",
        b"\x92\x90\x80",
        b"\2",
        b"\2\0\x92\x90\x80",
        b"\2\xc1sh",
        b"\xff" * 40,
        b"\1\xc1shd",
    ],
)
@pytest.mark.parametrize("secret", [None, SECRET])
def test_garbage_is_never_taken_for_a_newer_format(secret: bytes | None, payload: bytes) -> None:
    """Whatever began with a byte above 1, as all text and every pickle does, was taken for a newer format: it was
    parked for a day, and the log asked for an update."""
    codec = Codec("test", secret=secret)
    with pytest.raises(PayloadError) as caught:
        codec.decode_call(None, "task", "key", payload)
    assert not isinstance(caught.value, NewerFormat)


def test_a_payload_that_is_too_large_is_refused_with_the_remedy() -> None:
    """One huge payload blocks Redis for everybody."""
    codec = Codec("test", maximum_bytes=100)
    for annotation in (str, list[str]):
        signature = taking(annotation)
        small, large = ("a", "a" * 200) if annotation is str else (["a"], ["a" * 200])
        codec.encode_call(signature, "task", "key", (small,), {})
        with pytest.raises(PayloadTooLarge, match=r"arguments of task\(\) take 2\d\d bytes, .* limit is 100\. Store"):
            codec.encode_call(signature, "task", "key", (large,), {})
    with pytest.raises(PayloadTooLarge, match=r"result of task\(\)"):
        codec.encode_result(None, "task", "key", "a" * 200)
    with pytest.raises(PayloadTooLarge, match="The value"):
        codec.encode_value("a" * 200)


def test_a_payload_of_exactly_the_limit_passes() -> None:
    """The limit is the largest size, not the first that is refused."""
    size = len(Codec("test").encode_call(None, "task", "key", ("abc",), {}))
    assert len(Codec("test", maximum_bytes=size).encode_call(None, "task", "key", ("abc",), {})) == size
    with pytest.raises(PayloadTooLarge):
        Codec("test", maximum_bytes=size - 1).encode_call(None, "task", "key", ("abc",), {})


def test_a_name_that_is_not_registered_takes_only_what_msgpack_returns() -> None:
    """Nothing here knows what the worker's annotations will say."""
    codec = Codec("test")
    payload = codec.encode_call(None, "task", "key", (1, [None, 2.5]), {"a": {"b": b"x"}, "big": 2**70})
    assert codec.decode_call(None, "task", "key", payload) == (
        (1, [None, 2.5]),
        {"a": {"b": b"x"}, "big": 2**70},
    )
    for value in ((1,), {1}, date(2026, 1, 1), Point(1)):
        with pytest.raises(ArgumentsError, match="'task' is not registered here"):
            codec.encode_call(None, "task", "key", (value,), {})
        with pytest.raises(ArgumentsError, match="argument a is"):
            codec.encode_call(None, "task", "key", (), {"a": value})


def test_what_only_msgpack_finds_too_deep_is_an_arguments_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs that raise the recursion limit get past the plans, but not past msgpack's own limit."""
    before = sys.getrecursionlimit()
    nested: list[Any] = []
    for _ in range(20_000):
        nested = [nested]
    sys.setrecursionlimit(100_000)
    try:
        with pytest.raises(ArgumentsError, match="nested too deep"):
            Codec("test").encode_call(None, "task", "key", (nested,), {})
    finally:
        sys.setrecursionlimit(before)


def test_settings_that_make_no_sense_are_refused() -> None:
    """At once, not at the first task."""
    with pytest.raises(ConfigurationError, match="serializer='json' is unknown"):
        Codec("test", "json")  # type: ignore[arg-type]  # that it is none of the two is the point
    with pytest.raises(ConfigurationError, match="secret is empty"):
        Codec("test", secret=b"")


def test_keys_and_names_may_be_any_string() -> None:
    """User keys are hostile."""
    codec = Codec("\ud800", secret=SECRET)
    for key in ("", "\0", "\udfff", "ä", "stream"):
        assert codec.decode_call(None, "task", key, codec.encode_call(None, "task", key, (1,), {})) == (
            (1,),
            {},
        )


type Nested = list[Nested] | int


def test_a_payload_nested_too_deep_is_a_payload_error() -> None:
    """msgpack nests for one byte a level, and a plan needs several frames for it."""
    deep = b"\x91" * 600 + b"\1"
    with pytest.raises(PayloadError):
        Codec("test").decode_call(taking(Nested), "task", "key", b"\1\0\x92\x91" + deep + b"\x80")
    with pytest.raises(PayloadError):
        Codec("test").decode_result(returning(Nested), "task", "key", b"\1\0\x92\1" + deep)
    nested: Any = 1
    for _ in range(5000):
        nested = [nested]
    with pytest.raises(ArgumentsError, match="nested too deep"):
        Codec("test").encode_value(nested)
