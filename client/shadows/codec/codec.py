"""The codec of one shadow.

Calls, results, exceptions and small values to signed, bounded payloads and back.
"""

from typing import Any, Literal

from msgspec import DecodeError, ValidationError
from msgspec.msgpack import Encoder

from shadows.codec import failures, pickles, refusals, values
from shadows.codec.calls import (
    TYPED,
    dump_arguments,
    dump_result,
    load_arguments,
    remember,
    shape_of,
    travels_plainly,
)
from shadows.codec.envelope import Envelope, Kind
from shadows.codec.packing import pack, unpack, unpack_call
from shadows.codec.plans import LOOSE, Mismatch
from shadows.codec.signature import TaskSignature
from shadows.errors import ConfigurationError, PayloadError, PayloadTooLarge, ResultError

DEFAULT_MAXIMUM_BYTES = 1 << 20
# What msgpack raises for values that are none of its own, in damaged data, and for those nested too deep.
UNPACKABLE = (TypeError, ValueError, OverflowError, RecursionError)
DAMAGED = (DecodeError, ValidationError, ValueError, TypeError, RecursionError)

_encode = Encoder().encode


class Codec:
    """Encodes and decodes everything that one shadow stores. Every payload is checked when it is made."""

    def __init__(
        self,
        shadow_name: str,
        serializer: Literal["msgpack", "pickle"] = "msgpack",
        secret: bytes | None = None,
        maximum_bytes: int = DEFAULT_MAXIMUM_BYTES,
    ) -> None:
        if serializer not in ("msgpack", "pickle"):
            raise ConfigurationError(
                f"serializer={serializer!r} is unknown. Use 'msgpack' (the default) or 'pickle' "
                f"(any object, for Redis servers that only your own processes can write to)."
            )
        if secret is not None and not secret:
            raise ConfigurationError("The secret is empty, and would sign nothing. Set a long random one, or none.")
        self.serializer = serializer
        self.maximum_bytes = maximum_bytes
        self._pickles = serializer == "pickle"
        self._envelope = Envelope(shadow_name, secret)
        self._unsigned = secret is None
        self._header = self._envelope.plain_header

    def encode_call(
        self,
        signature: TaskSignature | None,
        function_name: str,
        key: str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> bytes:
        """The payload of a call.

        ArgumentsError if it does not fit the function or would not come back as it is.
        """
        if signature is not None:
            # The fast path: a call whose classes have been seen to travel as they are.
            classes = (*map(type, args), *kwargs, *map(type, kwargs.values())) if kwargs else tuple(map(type, args))
            if classes in signature.plain_calls:
                try:
                    body = _encode((args, kwargs))
                except UNPACKABLE:  # a huge int, or a lone surrogate
                    return self._encode_call(signature, function_name, key, args, kwargs)
                if not self._unsigned:
                    payload = self._envelope.wrap(body, "call", key, function_name)
                else:
                    payload = self._header + body
                if len(payload) <= self.maximum_bytes:
                    return payload
        return self._encode_call(signature, function_name, key, args, kwargs)

    def _encode_call(
        self,
        signature: TaskSignature | None,
        function_name: str,
        key: str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> bytes:
        shape = shape_of(signature, args, kwargs)
        pickled = self._pickles and not travels_plainly(shape, args, kwargs)
        if pickled:
            body = pickles.dump((args, kwargs), f"The arguments of {function_name}()")
        else:
            wires = dump_arguments(shape, args, kwargs, function_name, signature)
            try:
                body = pack(wires)
            except UNPACKABLE as error:
                raise refusals.unpackable_arguments(function_name, error) from None
            if signature is not None and travels_plainly(shape, args, kwargs):
                remember(signature, args, kwargs)
        payload = self._envelope.wrap(body, "call", key, function_name, pickled)
        return self._bounded(payload, f"The arguments of {function_name}()", "pass a reference to it")

    def decode_call(
        self, signature: TaskSignature | None, function_name: str, key: str, payload: bytes
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments of a call as their annotations say.

        PayloadError if they can't be had from this payload.
        """
        if self._unsigned and payload[:2] == self._header:
            body = payload[2:]
        else:
            body, pickled = self._open(payload, "call", key, function_name)
            if pickled:
                return pickles.load_call(body, f"The call of {function_name}()")
        try:
            call: tuple[tuple[Any, ...], dict[str, Any]] = unpack_call(body)
        except DAMAGED as error:
            raise refusals.damaged("call", function_name, error) from error
        if signature is None:
            return call
        args, kwargs = call
        classes = (*map(type, args), *kwargs, *map(type, kwargs.values())) if kwargs else tuple(map(type, args))
        if classes in signature.plain_calls:
            return call
        return load_arguments(signature, args, kwargs)

    def encode_result(self, signature: TaskSignature | None, function_name: str, key: str, value: Any) -> bytes:
        """The payload of a result; ResultError if it would not come back as it is.

        The task has run when this is called, so a result that is not what its annotation says is stored all
        the same if msgpack itself returns it unchanged.
        """
        subject = f"The result of {function_name}()"
        if self._pickles and type(value) not in LOOSE.plain:
            payload = self._envelope.wrap(pickles.dump(value, subject, ResultError), "result", key, function_name, True)
        else:
            plan = LOOSE if signature is None else signature.result_plan
            try:
                body = pack(dump_result(plan, value))
            except Mismatch as mismatch:
                raise ResultError(refusals.result(function_name, mismatch)) from None
            except UNPACKABLE as error:
                raise ResultError(f"{subject} can't be stored: {error}. {refusals.SIMPLER}") from None
            payload = self._envelope.wrap(body, "result", key, function_name)
        return self._bounded(payload, subject, "return a reference to it")

    def decode_result(self, signature: TaskSignature | None, function_name: str, key: str, payload: bytes) -> Any:
        """The result as the task's annotation says; without a signature, as msgpack's own types."""
        body, pickled = self._open(payload, "result", key, function_name)
        if pickled:
            return pickles.load(body, f"The result of {function_name}()")
        try:
            typed, wire = unpack(body)
        except DAMAGED as error:
            raise refusals.damaged("result", function_name, error) from error
        if typed != TYPED or signature is None:
            return wire
        try:
            return signature.result_plan.load(wire)
        except RecursionError as error:
            raise refusals.damaged("result", function_name, error) from None
        except Mismatch as mismatch:
            raise PayloadError(refusals.stale("result", function_name, "", mismatch)) from None

    def encode_error(self, function_name: str, key: str, error: BaseException) -> bytes:
        """The payload of an exception: never fails, whatever the exception is made of."""
        body = failures.dump(error, self.maximum_bytes // 2)
        return self._envelope.wrap(body, "error", key, function_name)

    def decode_error(self, function_name: str, key: str, payload: bytes) -> BaseException:
        """The exception, if its class is builtin or already imported, else a RemoteError that shows it."""
        body, pickled = self._open(payload, "error", key, function_name)
        if pickled:
            raise refusals.damaged("error", function_name, ValueError("errors are never pickled"))
        try:
            return failures.load(body)
        except DAMAGED as error:
            raise refusals.damaged("error", function_name, error) from error

    def encode_value(self, value: Any) -> bytes:
        """A small value that stands alone, such as a strike's operand, with its type."""
        try:
            body, pickled = pack(values.dump(value)), False
        except Mismatch as mismatch:
            if not self._pickles:
                raise refusals.value(mismatch) from None
            body, pickled = pickles.dump(value, "The value"), True
        except RecursionError as error:
            raise refusals.unpackable_arguments("value", error) from None
        return self._bounded(self._envelope.wrap(body, "value", "", "", pickled), "The value", "use a smaller one")

    def decode_value(self, payload: bytes) -> Any:
        """The inverse of `encode_value`."""
        body, pickled = self._open(payload, "value", "", "")
        if pickled:
            return pickles.load(body, "The value")
        try:
            return values.load(unpack(body))
        except DAMAGED as error:
            raise refusals.damaged("value", "", error) from error

    def _open(self, payload: bytes, kind: Kind, key: str, function_name: str) -> tuple[bytes, bool]:
        body, pickled = self._envelope.open(payload, kind, key, function_name)
        if pickled and not self._pickles:
            raise PayloadError(
                f"A {kind} for {function_name}() is pickled, and this process reads only msgpack: "
                f"unpickling runs code. "
                f'If all writers are trusted, use serializer="pickle" (SHADOWS_SERIALIZER) here too.'
            )
        return body, pickled

    def _bounded(self, payload: bytes, subject: str, remedy: str) -> bytes:
        if len(payload) > self.maximum_bytes:
            raise PayloadTooLarge(
                f"{subject} take {len(payload):,} bytes, and the limit is {self.maximum_bytes:,}. "
                f"Store the data elsewhere and {remedy}, or raise the limit (maximum_payload)."
            )
        return payload
