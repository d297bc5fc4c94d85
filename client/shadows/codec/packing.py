"""Msgpack for wire forms, and the extensions for what it has no form for: huge ints, lone surrogates."""

from typing import Any

from msgspec.msgpack import Decoder, Encoder, Ext

HUGE_INT = 1
SURROGATES = 2
PAIRS = 3
# What msgpack's integers hold.
SMALLEST, LARGEST = -(2**63), 2**64 - 1

_encode = Encoder().encode


def pack(wire: Any) -> bytes:
    """The wire form as msgpack; huge ints and texts with lone surrogates take a slower way."""
    try:
        return _encode(wire)
    except (OverflowError, UnicodeEncodeError):
        return _encode(_extended(wire))


def _extended(wire: Any) -> Any:
    kind = type(wire)
    if kind is int and not SMALLEST <= wire <= LARGEST:
        return Ext(HUGE_INT, wire.to_bytes(wire.bit_length() // 8 + 1, "big", signed=True))
    if kind is str and not wire.isascii():
        data = wire.encode("utf-8", "surrogatepass")
        return wire if data.decode("utf-8", "replace") == wire else Ext(SURROGATES, data)
    if kind in (list, tuple):
        return [_extended(item) for item in wire]
    if kind is dict:
        pairs = [[_extended(key), _extended(value)] for key, value in wire.items()]
        # An extension can't be a key, so such a map travels as its pairs.
        return Ext(PAIRS, _encode(pairs)) if any(type(key) is Ext for key, _ in pairs) else dict(pairs)
    return wire


def _extension(code: int, data: memoryview) -> Any:
    if code == HUGE_INT:
        return int.from_bytes(data, "big", signed=True)
    if code == SURROGATES:
        return bytes(data).decode("utf-8", "surrogatepass")
    if code == PAIRS:
        return dict(unpack(data))
    raise ValueError(f"unknown msgpack extension {code}")


def decoder(kind: Any) -> Decoder[Any]:
    """A decoder of msgpack with the extensions."""
    return Decoder(kind, ext_hook=_extension)


unpack = decoder(Any).decode
unpack_call = decoder(tuple[tuple[Any, ...], dict[str, Any]]).decode
