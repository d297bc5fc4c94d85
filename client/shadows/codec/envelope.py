"""The frame around every payload: format version, flags, and a signature over what the payload is for.

Layout: byte 0 the format version, byte 1 the flags, 32 bytes HMAC-SHA256 if the signed flag is set, then the
body. The signature covers the header, the shadow, the key, the function and the kind as well, each with its
length before it, so that a signed payload can't be moved to another key or function, nor a result be passed
off as a call.

That is format 1. Every later one must begin with its version and then NEWER_MARK, whatever follows those: then a
release that can't read it still tells it from garbage. The one waits for a newer reader, the other for nobody.
"""

import hmac
from typing import Literal

from shadows.errors import NewerFormat, PayloadError

FORMAT = 1
# Neither msgpack nor UTF-8 ever uses its first byte, and as flags of format 1 that means nothing. [decisions/019]
NEWER_MARK = b"\xc1shd"
PICKLED = 1
SIGNED = 2
SIGNATURE_BYTES = 32
Kind = Literal["call", "result", "error", "value"]


class Envelope:
    """Wraps bodies for one shadow and opens them again."""

    def __init__(self, shadow_name: str, secret: bytes | None) -> None:
        self.shadow_name = shadow_name
        self.secret = secret
        self.flags = 0 if secret is None else SIGNED
        # What every unsigned msgpack payload starts with, for the codec's fast path.
        self.plain_header = bytes((FORMAT, 0))

    def wrap(self, body: bytes, kind: Kind, key: str, function_name: str, pickled: bool = False) -> bytes:
        """The payload for a body."""
        header = bytes((FORMAT, self.flags | (PICKLED if pickled else 0)))
        if self.secret is None:
            return header + body
        return b"".join((header, self._sign(header, body, kind, key, function_name), body))

    def open(self, payload: bytes, kind: Kind, key: str, function_name: str) -> tuple[bytes, bool]:
        """The body and whether it is pickled.

        PayloadError unless it is whole and, if there is a secret, signed.
        """
        flags = self._check_header(payload, function_name)
        if self.secret is None:
            return payload[2:], bool(flags & PICKLED)
        header, signature, body = (
            payload[:2],
            payload[2 : 2 + SIGNATURE_BYTES],
            payload[2 + SIGNATURE_BYTES :],
        )
        expected = self._sign(header, body, kind, key, function_name)
        if not hmac.compare_digest(signature, expected):
            raise PayloadError(
                f"The signature of a {kind} for {function_name}() does not match: it was signed with "
                f"another secret, "
                f"for another shadow, key or function, or changed since. Set the same SHADOWS_SECRET "
                f"everywhere."
            )
        return body, bool(flags & PICKLED)

    def _check_header(self, payload: bytes, function_name: str) -> int:
        if payload[:1] > bytes((FORMAT,)) and payload.startswith(NEWER_MARK, 1):
            raise NewerFormat(payload[0], FORMAT)
        if len(payload) < 2 or payload[0] != FORMAT:
            raise PayloadError(
                f"A payload for {function_name}() starts with {payload[:2]!r}, which is no shadows payload. "
                f"Something else wrote it: use a shadow name of its own for each application."
            )
        flags = payload[1]
        if flags & ~(PICKLED | SIGNED):
            raise PayloadError(f"A payload for {function_name}() has the unknown flags {flags:#x}: it is damaged.")
        if bool(flags & SIGNED) != (self.secret is not None):
            found, wanted = ("signed", "has no secret") if flags & SIGNED else ("not signed", "has a secret")
            raise PayloadError(
                f"A payload for {function_name}() is {found}, but this process {wanted}. "
                f"Set the same SHADOWS_SECRET in every process of the shadow {self.shadow_name!r}, or in "
                f"none."
            )
        return flags

    def _sign(self, header: bytes, body: bytes, kind: Kind, key: str, function_name: str) -> bytes:
        assert self.secret is not None
        parts = [header]
        for text in (self.shadow_name, key, function_name, kind):
            data = text.encode("utf-8", "surrogatepass")
            parts += (len(data).to_bytes(8, "big"), data)
        parts.append(body)
        return hmac.digest(self.secret, b"".join(parts), "sha256")
