"""Strikes and pauses: which functions, and which arguments, are not to be run now.

What is struck is dropped, what is paused waits. Both are fields of one hash with one version, so that whoever follows
the strikes knows of every pause as soon.
"""

import asyncio
import operator
from collections.abc import Callable
from logging import getLogger
from typing import TYPE_CHECKING, Any, NamedTuple

from . import lazy
from .connection import Link
from .errors import ArgumentsError, ShadowsError
from .execution import arguments_by_name
from .forked import forget_in_copies, leave_to_parent
from .identifiers import checked
from .keys import Keys
from .registry import TaskFunction, name_of
from .scripts import STRIKE

if TYPE_CHECKING:
    from .codec.codec import Codec

logger = getLogger("shadows")


def between(value: Any, bounds: Any) -> bool:
    """Whether `value` lies within the two bounds, both included."""
    low, high = bounds
    return bool(low <= value <= high)


# Stands where a strike has its operator.
PAUSE = "pause"

OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "between": between,
}


class Strike(NamedTuple):
    """All calls of `function`, or those (of any function, when it is None) whose `parameter` compares so."""

    function: str | None
    parameter: str | None
    operator: str
    value: Any

    def __str__(self) -> str:
        subject = self.function or "every task"
        return f"{subject} where {self.parameter} {self.operator} {self.value!r}" if self.parameter else subject


class Strikes:
    """The strikes of one shadow, as last read; `version` is None until they were read once."""

    def __init__(self, link: Link, keys: Keys, codec: "Codec") -> None:
        self._link = link
        self._keys = keys
        self._codec = codec
        self._warned: set[str] = set()
        self.version: str | None = None
        self.strikes: list[Strike] = []
        # The names of the functions that are paused; None is all of them.
        self.paused: frozenset[str | None] = frozenset()
        # Called when others are paused than before.
        self.listeners: set[Callable[[], None]] = set()
        self._first: asyncio.Task[None] | None = None
        forget_in_copies(self)

    def forget(self) -> None:
        """In a forked copy: the reading that is under way is the parent's."""
        leave_to_parent(self._first)
        self._first = None

    async def load(self) -> None:
        """Reads all strikes."""
        flat = await self._link.ask("HGETALL", self._keys.strikes)
        fields = dict(zip(flat[::2], flat[1::2], strict=True))
        version = fields.pop(b"version", b"0").decode()
        read = [self._read(field) for field in fields]
        self.strikes = [strike for strike in read if strike is not None and strike.operator != PAUSE]
        self.version = version
        before, self.paused = self.paused, frozenset(each.function for each in read if each and each.operator == PAUSE)
        if before != self.paused:
            for listener in tuple(self.listeners):
                listener()

    async def load_once(self) -> None:
        """Reads all strikes unless they were read before; those who ask at once share one reading."""
        if self.version is None:
            if self._first is None or self._first.done():
                self._first = asyncio.create_task(self.load(), name="shadows strikes")
            await asyncio.shield(self._first)

    def _read(self, field: bytes) -> Strike | None:
        try:
            function, parameter, how, value = lazy.msgpack().decode(field)
            return Strike(function, parameter, how, self._codec.decode_value(value))
        except (ValueError, ShadowsError) as error:
            self._warn(repr(field), "The strike %s can't be read (%s) and holds nothing back here.", field, error)
            return None

    def _warn(self, subject: str, message: str, *values: object) -> None:
        if subject not in self._warned:
            self._warned.add(subject)
            logger.warning(message, *values)

    async def strike(self, strike: Strike) -> None:
        """Adds a strike; every process follows at once."""
        await self._change("strike", strike)

    async def restore(self, strike: Strike) -> None:
        """Lifts a strike."""
        await self._change("restore", strike)

    async def pause(self, function: str | None) -> None:
        """Holds the executions of a function, or of all functions."""
        await self.strike(Strike(function, None, PAUSE, None))

    async def resume(self, function: str | None) -> None:
        """Lets them run again."""
        await self.restore(Strike(function, None, PAUSE, None))

    def holds(self, name: str) -> bool:
        """Whether executions of the function wait now."""
        return bool(self.paused) and (name in self.paused or None in self.paused)

    def field_of(self, strike: Strike) -> bytes:
        """The field of the hash that stands for it."""
        field: bytes = lazy.msgpack().encode((*strike[:3], self._codec.encode_value(strike.value)))
        return field

    async def _change(self, action: str, strike: Strike) -> None:
        field = self.field_of(strike)
        # Sent again after a lost reply it only raises the version once more.
        await self._link.repeat(STRIKE, [self._keys.strikes], [self._keys.signal, action, field])
        await self.load()

    def struck(
        self, function: Callable[..., Any] | None, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Strike | None:
        """The strike that holds this call back, or None."""
        named: dict[str, Any] | None = None
        for strike in self.strikes:
            if strike.function is not None and strike.function != name:
                continue
            if strike.parameter is None:
                return strike
            if named is None:
                named = arguments_by_name(function, args, kwargs) if function is not None else kwargs
            if strike.parameter in named and self._compare(strike, named[strike.parameter]):
                return strike
        return None

    def _compare(self, strike: Strike, value: Any) -> bool:
        try:
            return bool(OPERATORS[strike.operator](value, strike.value))
        except Exception as error:
            message = "The strike on %s can't be compared with a %s (%s); such calls are not struck."
            self._warn(str(strike), message, strike, type(value).__name__, error)
            return False


def checked_function(function: TaskFunction | str | None) -> str | None:
    """The name of a function that is to be paused. Raises ArgumentsError when it can be none."""
    return None if function is None else checked(name_of(function) if callable(function) else function, "function name")


def checked_strike(function: TaskFunction | str | None, parameter: str | None, how: str, value: Any) -> Strike:
    """A strike that means something. Raises ArgumentsError when it does not."""
    function = name_of(function) if callable(function) else function
    if how not in OPERATORS:
        raise ArgumentsError(f"A strike can't use the operator {how!r}; expected one of {', '.join(OPERATORS)}.")
    if function is None and parameter is None:
        raise ArgumentsError(
            "A strike needs a function, a parameter, or both; it got neither, which would strike every task."
        )
    for name, what in ((function, "function name"), (parameter, "parameter")):
        if name is not None:
            checked(name, what)
    if how == "between" and not (isinstance(value, tuple | list) and len(value) == 2):
        raise ArgumentsError(f"A strike with 'between' needs two bounds, got {value!r}; write value=(low, high).")
    return Strike(function, parameter, how if parameter else "==", value if parameter else None)
