"""Pickles run only where they were asked for; with them any object travels."""

import pickle
import sys
import threading
from typing import Any

import pytest

from shadows.codec.codec import Codec
from shadows.codec.envelope import Envelope
from shadows.errors import ArgumentsError, ConfigurationError, PayloadError, ResultError
from tests.client.roundtrips import returned, sent, taking

SECRET = b"a long random secret"


class Point:
    def __init__(self, x: int) -> None:
        self.x = x


class Bomb:
    """Shows that it was unpickled."""

    went_off = False

    def __reduce__(self) -> Any:
        return (setattr, (Bomb, "went_off", True))


class Unpicklable:
    def __reduce__(self) -> Any:
        raise RuntimeError("no pickle of me")


@pytest.mark.parametrize("secret", [None, SECRET])
def test_pickle_takes_any_object(secret: bytes | None) -> None:
    """Who chose it wants exactly that, functions written in a notebook included."""
    codec = Codec("test", "pickle", secret)
    assert sent(Any, Point(5), codec).x == 5
    assert sent(Any, lambda: 7, codec)() == 7
    assert sent(Any, (1, {2}), codec) == (1, {2})
    assert sent(int, 5, codec) == 5
    assert returned(None, Point(5), codec).x == 5
    assert returned(None, 5, codec) == 5
    assert codec.decode_value(codec.encode_value(Point(5))).x == 5
    assert codec.decode_value(codec.encode_value((1, 2))) == (1, 2)


def test_pickle_still_binds_the_call() -> None:
    """A call that can't be made is refused whatever the serializer."""
    with pytest.raises(ArgumentsError, match="too many positional"):
        Codec("test", "pickle").encode_call(taking(Any), "task", "key", (1, Point(1)), {})


def test_nothing_is_unpickled_unless_the_user_chose_pickle() -> None:
    """Unpickling runs code of whoever can write to Redis."""
    writer, reader = Codec("test", "pickle"), Codec("test")
    payloads = [
        (
            lambda p: reader.decode_call(None, "task", "key", p),
            writer.encode_call(None, "task", "key", (Bomb(),), {}),
        ),
        (
            lambda p: reader.decode_result(None, "task", "key", p),
            writer.encode_result(None, "task", "key", Bomb()),
        ),
        (reader.decode_value, writer.encode_value(Bomb())),
    ]
    for decode, payload in payloads:
        with pytest.raises(PayloadError, match="is pickled, and this process reads only msgpack"):
            decode(payload)
    assert not Bomb.went_off


def test_nothing_is_unpickled_before_its_signature_is_verified() -> None:
    """The secret is what makes pickles bearable."""
    reader = Codec("test", "pickle", SECRET)
    for writer in (Codec("test", "pickle"), Codec("test", "pickle", b"another")):
        payload = writer.encode_call(None, "task", "key", (Bomb(),), {})
        with pytest.raises(PayloadError):
            reader.decode_call(None, "task", "key", payload)
        with pytest.raises(PayloadError):
            reader.decode_value(writer.encode_value(Bomb()))
    assert not Bomb.went_off


def test_errors_are_never_unpickled() -> None:
    """The codec does not pickle errors, so a pickled one is somebody else's."""
    payload = Envelope("test", None).wrap(pickle.dumps(Bomb()), "error", "key", "task", pickled=True)
    with pytest.raises(PayloadError, match="never pickled"):
        Codec("test", "pickle").decode_error("task", "key", payload)
    assert not Bomb.went_off


def test_what_can_not_be_pickled_is_refused() -> None:
    """Locks, sockets and files are the usual ones."""
    codec = Codec("test", "pickle")
    for value in (threading.Lock(), Unpicklable()):
        with pytest.raises(ArgumentsError, match=r"arguments of task\(\) can't be pickled"):
            codec.encode_call(taking(Any), "task", "key", (value,), {})
        with pytest.raises(ResultError, match=r"result of task\(\) can't be pickled"):
            codec.encode_result(None, "task", "key", value)


def test_a_pickle_that_does_not_load_is_a_payload_error() -> None:
    """Its module may be missing here, or somebody else wrote it."""
    codec = Codec("test", "pickle")
    with pytest.raises(PayloadError, match="can't be unpickled"):
        codec.decode_call(None, "task", "key", b"\1\1garbage")
    with pytest.raises(PayloadError, match="and no arguments"):
        codec.decode_call(None, "task", "key", b"\1\1" + pickle.dumps([1]))


def test_pickle_without_its_library_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is an optional dependency."""
    monkeypatch.setitem(sys.modules, "cloudpickle", None)
    with pytest.raises(ConfigurationError, match=r"shadow-task\[pickle\]"):
        Codec("test", "pickle").encode_value(Point(1))
