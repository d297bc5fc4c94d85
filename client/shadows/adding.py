"""From a call to a submission: the arguments are checked and encoded here, in the caller."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime
from itertools import islice
from logging import getLogger
from typing import TYPE_CHECKING, Any

from .errors import ShadowsError
from .execution import Execution, Source, TaskCall
from .identifiers import checked, fresh_key
from .priorities import NORMAL, Priority, letter_of
from .registry import Registry
from .states import Disposition, ExecutionState
from .strikes import Strikes
from .submissions import MOST_BYTES, StaleStrikes, Submission, Submissions
from .times import When, absolute, due_text

if TYPE_CHECKING:
    from .codec.codec import Codec

logger = getLogger("shadows")

# How many calls are encoded at a stretch: long enough to be worth a turn of the loop, short enough that a reply
# does not wait for it.
SLICE = 50
MOST_CLOCK_APART_SECONDS = 1.0

type Prepared = tuple[Execution, Submission]


class Adder:
    """Prepares, submits, and reads the answers, for one shadow."""

    def __init__(
        self,
        shadow: Source,
        registry: Registry,
        codec: "Codec",
        strikelist: Strikes,
        submissions: Submissions,
        record_prefix: str,
    ) -> None:
        self._shadow = shadow
        self._registry = registry
        self._codec = codec
        self._strikelist = strikelist
        self._submissions = submissions
        self._record_prefix = record_prefix
        self._warned_clock = False

    def prepare(
        self, function: Callable[..., Any] | str, when: When, key: str | None, priority: Priority, mode: str
    ) -> Callable[..., Awaitable[Execution]]:
        """The function that takes the arguments and submits."""
        placing = placing_of(mode, priority, when)

        async def submit(*args: Any, **kwargs: Any) -> Execution:
            execution, submission = self._encode(function, args, kwargs, when, key, priority, placing)
            while True:
                if self._strikelist.version is None:
                    await self._strikelist.load_once()
                if self._strikelist.strikes and await self._is_struck_now(execution):
                    return execution
                try:
                    replies = await self._submissions.put((submission,))
                except StaleStrikes:
                    await self._strikelist.load()
                    continue
                answered(execution, replies[0])
                if execution.schedule_exception is not None:
                    raise execution.schedule_exception
                return execution

        return submit

    def _encode(
        self,
        function: Callable[..., Any] | str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        when: When,
        key: str | None,
        priority: Priority,
        placing: str,
    ) -> Prepared:
        key = fresh_key() if key is None else checked(key, "key")
        if isinstance(function, str):
            task, name = self._registry.get(function), checked(function, "function name")
        else:
            task = self._registry.of(function)
            name = task.name
        signature = task.signature if task is not None else None
        payload = self._codec.encode_call(signature, name, key, args, kwargs)
        execution = Execution(self._shadow, task.function if task is not None else None, name, args, kwargs, key)
        if priority != NORMAL:
            execution.priority = priority
        if when is not None:
            execution.when = absolute(when)
            if self._submissions.server.clock_apart > MOST_CLOCK_APART_SECONDS and isinstance(when, datetime):
                self._warn_clock()
        return execution, (self._record_prefix + key, name, payload, placing)

    def _warn_clock(self) -> None:
        if not self._warned_clock:
            self._warned_clock = True
            logger.warning(
                "This host's clock and Redis's are %.1f s apart; an absolute `when` is taken as true UTC and compared "
                "with Redis's clock. Set this host's clock, or pass a timedelta.",
                self._submissions.server.clock_apart,
            )

    async def _is_struck_now(self, execution: Execution) -> bool:
        """What is struck sends nothing, and so would not hear that its strike was lifted: it asks before it says so."""
        if not self._strikelist.struck(execution.function, execution.function_name, execution.args, execution.kwargs):
            return False
        await self._strikelist.load()
        return self._is_struck(execution)

    def _is_struck(self, execution: Execution) -> bool:
        struck = self._strikelist.struck(execution.function, execution.function_name, execution.args, execution.kwargs)
        if struck is None:
            return False
        execution.disposition = Disposition.STRUCK
        execution.state = ExecutionState.CANCELLED
        return True

    async def many(self, calls: Iterable[TaskCall], chunk_size: int, mode: str) -> list[Execution]:
        """Submits slice by slice: the next is encoded while the server works on those before."""
        if chunk_size < 1:
            raise ValueError(f"chunk_size is {chunk_size}; expected at least 1.")
        if self._strikelist.version is None:
            await self._strikelist.load_once()
        elif self._strikelist.strikes:
            await self._strikelist.load()
        executions: list[Execution] = []
        source = iter(calls)
        flying: deque[tuple[list[Prepared], asyncio.Future[list[bytes]]]] = deque()
        size = min(SLICE, chunk_size)
        while prepared := list(islice(source, size)):
            for batch in within_bytes(self._encode_slice(prepared, mode, executions)):
                flying.append((batch, self._submissions.put([submission for _, submission in batch])))
            while len(flying) * size > chunk_size:
                await self._answer(*flying.popleft())
            # The sender gets its turn, and a batch is on the wire while the next slice is encoded.
            await asyncio.sleep(0)
        while flying:
            await self._answer(*flying.popleft())
        return executions

    def _encode_slice(self, calls: list[TaskCall], mode: str, executions: list[Execution]) -> list[Prepared]:
        prepared = []
        for call in calls:
            function, args, kwargs, when, key, priority = call
            try:
                placing = placing_of(mode, priority, when)
                pair = self._encode(function, args, kwargs, when, key, priority, placing)
            except (ShadowsError, ValueError, TypeError) as error:
                executions.append(failed(self._shadow, call, error))
                continue
            executions.append(pair[0])
            if not (self._strikelist.strikes and self._is_struck(pair[0])):
                prepared.append(pair)
        return prepared

    async def _answer(self, batch: list[Prepared], future: asyncio.Future[list[bytes]]) -> None:
        try:
            replies = await future
        except StaleStrikes:
            await self._strikelist.load()
            again = [pair for pair in batch if not self._is_struck(pair[0])]
            if again:
                await self._answer(again, self._submissions.put([submission for _, submission in again]))
        except ShadowsError as error:
            for execution, _ in batch:
                execution.disposition = Disposition.FAILED
                execution.schedule_exception = error
        else:
            for (execution, _), reply in zip(batch, replies, strict=True):
                answered(execution, reply)


def placing_of(mode: str, priority: Priority, when: When) -> str:
    """The mode, the priority and the time, as the script takes them. Raises ArgumentsError for what is none."""
    return mode + letter_of(priority) + due_text(when)


def within_bytes(prepared: list[Prepared]) -> list[list[Prepared]]:
    """Splits a slice so that no script carries more than 1 MiB, unless it is one large item."""
    if sum([len(submission[2]) for _, submission in prepared]) <= MOST_BYTES:
        return [prepared] if prepared else []
    middle = len(prepared) // 2
    return within_bytes(prepared[:middle]) + within_bytes(prepared[middle:]) if middle else [prepared]


def failed(shadow: Source, call: TaskCall, error: Exception) -> Execution:
    """The execution of a call that could not even be submitted."""
    name = call.function if isinstance(call.function, str) else getattr(call.function, "__name__", "?")
    execution = Execution(shadow, None, name, call.args, call.kwargs, call.key or "")
    execution.disposition = Disposition.FAILED
    execution.schedule_exception = error
    return execution


def answered(execution: Execution, reply: bytes) -> None:
    """Writes the script's answer into the execution."""
    verdict = reply[:1]
    if verdict == b"!":
        execution.disposition = Disposition.FAILED
        execution.schedule_exception = ShadowsError(
            f"Redis did not take {execution.function_name} with key {execution.key!r}: {reply[1:].decode()}. Nothing "
            "was written for it; look at what else uses this key of Redis."
        )
        return
    execution.submission = execution.generation = execution.fence = int(reply[1:])
    if verdict == b"=":
        execution.disposition = Disposition.ALREADY_SCHEDULED
    elif verdict == b"s":
        execution.state = ExecutionState.SCHEDULED
