"""Limits that hold over all workers: an execution passes the gates of its function before it starts.

A gate decides nothing here. It says what it asks for (`Terms`), and one script decides for all gates of an
execution at once: it starts, waits at a gate, comes later, or is dropped (`lua/admit.lua`). An execution that waits
takes no slot of any worker.
"""

import re
from abc import abstractmethod
from datetime import timedelta
from enum import Enum
from hashlib import sha256
from typing import Any, ClassVar, NamedTuple, Self
from uuid import UUID

from shadows.dependencies.kinds import Dependency

NOTHING = timedelta(0)
# Values of these types say by `str` what they are; of others `repr` does.
SAID_BY_STR = (str, int, float, bool, UUID, type(None))
# A longer value, or one that no terminal could show, is known by its digest: no key of Redis grows with an argument.
LONGEST_VALUE = 100
# What the repr of an object without one of its own has in it: another in each process.
ADDRESS = re.compile(r" at 0x[0-9a-f]+>")


class Terms(NamedTuple):
    """What one gate asks for: its kind and its two numbers, as `lua/admit.lua` knows them, and its name in Redis."""

    kind: str
    name: str
    first: int
    second: int


class Gate(Dependency[object]):
    """A limit over all workers, on the whole task or for each value of one argument.

    As a default it limits the task: `limit: ConcurrencyLimit = ConcurrencyLimit(3)`. In an annotation it limits each
    value of that parameter: `customer: Annotated[int, ConcurrencyLimit(1)]`. Gates are per function; those with the
    same `scope` are shared by all functions that name it.
    """

    kind: ClassVar[str]

    def __init__(self, argument: str | None, scope: str | None) -> None:
        if scope is not None and not (0 < len(scope) <= LONGEST_VALUE and scope.isprintable()):
            raise ValueError(
                f"{type(self).__name__}(scope={scope[:LONGEST_VALUE]!r}) can't be shown to people and be a part of a "
                f"key; pass 1 to {LONGEST_VALUE} characters that can be printed."
            )
        self.argument = argument
        self.scope = scope

    async def __aenter__(self) -> Self:
        return self

    @abstractmethod
    def numbers(self) -> tuple[int, int]:
        """The two numbers of its terms."""

    def terms(self, function_name: str, argument: str | None, value: object = None) -> Terms:
        """What it asks for when its argument, if it has one, has this value."""
        name = self.scope if self.scope is not None else function_name
        if argument is not None:
            name = f"{name}:{argument}={named(value)}"
        return Terms(self.kind, f"{self.kind}:{name}", *self.numbers())


class ConcurrencyLimit(Gate):
    """At most `max_concurrent` runs at a time, over all workers; the others wait, first come, first served.

    A run that ends gives its place to the next at once, and so does a worker that dies: its tasks keep their places
    until they run again. `ConcurrencyLimit("customer_id", 1)` limits each value of that argument, as
    `Annotated[int, ConcurrencyLimit(1)]` on the parameter does.
    """

    kind = "c"

    def __init__(self, argument: str | int | None = None, max_concurrent: int = 1, scope: str | None = None) -> None:
        """A `max_concurrent` below 1 raises ValueError."""
        if isinstance(argument, int):
            max_concurrent, argument = argument, None
        whole_number("ConcurrencyLimit", "max_concurrent", max_concurrent)
        super().__init__(argument, scope)
        self.max_concurrent = max_concurrent

    def numbers(self) -> tuple[int, int]:
        return self.max_concurrent, 0


class RateLimit(Gate):
    """At most `limit` starts in any time of the length `per`, over all workers.

    What comes too early is scheduled for the moment at which there is room, in the order of its coming; with `drop`
    it is cancelled instead. A redelivery and a retry are starts, too.
    """

    kind = "r"

    def __init__(
        self,
        limit: int,
        per: timedelta = timedelta(seconds=1),
        drop: bool = False,
        *,
        argument: str | None = None,
        scope: str | None = None,
    ) -> None:
        """A `limit` below 1 or a `per` that is not above 0 raises ValueError."""
        whole_number("RateLimit", "limit", limit)
        super().__init__(argument, scope)
        self.limit = limit
        self.per = above_nothing("RateLimit", "per", per)
        self.drop = drop

    def numbers(self) -> tuple[int, int]:
        # The sign carries `drop`: two numbers are all that a gate has.
        return -self.limit if self.drop else self.limit, milliseconds(self.per)


class Cooldown(Gate):
    """The first one runs at once, and what comes within `window` of its start is dropped: cancelled, with an INFO line.

    A retry and a redelivery of the one that ran are not dropped.
    """

    kind = "w"

    def __init__(self, window: timedelta, *, argument: str | None = None, scope: str | None = None) -> None:
        """A `window` that is not above 0 raises ValueError."""
        super().__init__(argument, scope)
        self.window = above_nothing("Cooldown", "window", window)

    def numbers(self) -> tuple[int, int]:
        return milliseconds(self.window), 0


class Debounce(Gate):
    """Waits until nothing was submitted for `settle`, and then runs once, with the arguments of the last submission.

    The submissions before it are dropped: cancelled, with an INFO line. Each needs a key of its own, as it has when
    none is given: with one key for all, the first that waits is the one that stays.
    """

    kind = "d"
    single = True

    def __init__(self, settle: timedelta, *, argument: str | None = None, scope: str | None = None) -> None:
        """A `settle` that is not above 0 raises ValueError."""
        super().__init__(argument, scope)
        self.settle = above_nothing("Debounce", "settle", settle)

    def numbers(self) -> tuple[int, int]:
        return milliseconds(self.settle), 0


def whole_number(gate: str, name: str, value: int) -> None:
    """Raises ValueError unless it is one, and lets something through."""
    if not isinstance(value, int) or value < 1:
        raise ValueError(f"{gate}({name}={value!r}) lets nothing through; pass a whole number of 1 or more.")


def above_nothing(gate: str, name: str, value: timedelta) -> timedelta:
    """The value, unless it is no time at all."""
    if value <= NOTHING:
        raise ValueError(f"{gate}({name}={value}) has no effect; pass a {name} of more than 0.")
    return value


def milliseconds(value: timedelta) -> int:
    """In whole ms, at least 1: Redis's shortest time."""
    return max(1, round(value.total_seconds() * 1000))


def named(value: Any) -> str:
    """How a gate of an argument names one value of it; equal values have one name, in every process."""
    said = told(value)
    if len(said) > LONGEST_VALUE or not said.isprintable():
        return sha256(said.encode(errors="surrogatepass"), usedforsecurity=False).hexdigest()
    return said


def told(value: Any) -> str:
    """The value in words. The order in which a set or a dict prints is not the same everywhere."""
    if isinstance(value, SAID_BY_STR) and not isinstance(value, Enum):
        return str(value)
    if isinstance(value, (set, frozenset)):
        return f"{{{', '.join(sorted(map(told_inside, value)))}}}"
    if isinstance(value, dict):
        return f"{{{', '.join(sorted(f'{told_inside(key)}: {told_inside(each)}' for key, each in value.items()))}}}"
    if type(value) in (list, tuple):
        return f"{type(value).__name__}({', '.join(map(told_inside, value))})"
    said = repr(value)
    if ADDRESS.search(said):
        raise TypeError(
            f"A gate tells values apart by their repr, and that of a {type(value).__qualname__} has an address in it, "
            f"{said[:LONGEST_VALUE]}. Limit by an argument such as an id, or give the class a __repr__."
        )
    return said


def told_inside(value: Any) -> str:
    """The same inside of another value, where a text needs its quotes."""
    return repr(value) if isinstance(value, str) and not isinstance(value, Enum) else told(value)
