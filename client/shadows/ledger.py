"""The ledger of steps that were taken, for `Once`: in the record of their execution, or by themselves for all.

Each write is fenced: the script looks whether the run still holds its entry, so that one which lost its lease, or was
replaced or cancelled, writes over nothing. A result is kept as `c` and its payload; `f` and an error say that the step
was taken, but what it returned can't be stored.
"""

import asyncio
from collections.abc import Callable
from logging import getLogger
from typing import TYPE_CHECKING, Any

from . import lazy
from .connection import RESEND_SECONDS, Argument, Link
from .dependencies.context import Step, TaskContext
from .errors import ConnectionFailed, Fenced, ServerRefused, TooManySteps
from .keys import PLACES, Keys
from .scripts import SCOPED, STEP

if TYPE_CHECKING:
    from .codec.codec import Codec

logger = getLogger("shadows")

# One call deletes those of an earlier submission, and a call may touch 200 things.
MOST_STEPS = 200
LONGEST_WAIT_SECONDS = 1.0


class Ledger:
    """Reads and writes the steps of one shadow's runs."""

    def __init__(self, link: Link, keys: Keys, codec: "Codec") -> None:
        self._link = link
        self._keys = keys
        self._codec = codec

    async def begin(self, context: TaskContext, step: Step) -> bytes | None:
        """What the step came to, or None when this run is to take it."""
        if step.scope is not None:
            return await self._claim(context, step)
        count = sum(each.scope is None and each.body is not None for each in context.steps.values())
        task = asyncio.current_task()
        # A first run need not look, but for one that goes on after it was told to stop: it may be somebody else's now.
        if not context.is_first_run or (task is not None and task.cancelling()):
            kept, count = await self._look(context, step)
            if kept is not None:
                return kept
        if count >= MOST_STEPS:
            raise TooManySteps(
                f"{context.task_name} has kept {count} steps and would take {step.name!r}; one execution can have "
                f"{MOST_STEPS}. Add a task for each part of the work, or give Once a scope."
            )
        return None

    async def _look(self, context: TaskContext, step: Step) -> tuple[bytes | None, int]:
        answer = await self._run(context, step, [])
        return (answer[1], 0) if answer[0] == b"kept" else (None, answer[1])

    async def _claim(self, context: TaskContext, step: Step) -> bytes | None:
        """Waits while another run takes the step. It is not told of the end: that would cost every end a message."""
        wait = RESEND_SECONDS
        while (answer := await self._run(context, step, ["claim", step.ttl_ms]))[0] == b"busy":
            await asyncio.sleep(wait)
            wait = min(2 * wait, LONGEST_WAIT_SECONDS)
        return answer[1] if answer[0] == b"kept" else None

    async def keep(self, context: TaskContext, step: Step, body: bytes) -> bytes:
        """Writes down what the step came to, until it comes through: to give up would take it again."""
        arguments: list[Argument] = [body] if step.scope is None else ["keep", step.ttl_ms, body]
        told = False
        while True:
            try:
                kept: bytes = (await self._run(context, step, arguments))[1]
            except (ConnectionFailed, ServerRefused) as error:
                if not told:
                    logger.warning(
                        "The step %r of %s with key %r was taken and can't be written down yet: %s",
                        step.name, context.task_name, context.task_key, error,
                    )  # fmt: skip
                told = True
                await asyncio.sleep(RESEND_SECONDS)
            else:
                return kept

    async def abandon(self, context: TaskContext, step: Step) -> None:
        """Gives a claim back at once; a claim that could not be given back ends with its run."""
        try:
            await self._run(context, step, ["release", step.ttl_ms])
        except (ConnectionFailed, ServerRefused) as error:
            logger.warning(
                "The step %r of %s stays claimed until its run ends: %s", step.name, context.task_name, error
            )

    async def _run(self, context: TaskContext, step: Step, arguments: list[Argument]) -> Any:
        entry, execution = context.entry, context.execution
        assert entry is not None
        assert execution is not None
        stream = self._keys.prefix + PLACES[entry.place - 1]
        holder: list[Argument] = [entry.generation, entry.consumer]
        if step.scope is None:
            record = self._keys.record(execution.key)
            field = f"step:{step.name}"
            answer = await self._link.repeat(STEP, [record, stream], [*holder, execution.submission, field, *arguments])
        else:
            name = self._keys.once(step.scope, step.name)
            answer = await self._link.repeat(SCOPED, [name, stream], [*holder, *arguments])
        if answer[0] == b"fenced":
            raise Fenced(
                f"This run of {context.task_name} with key {context.task_key!r} has lost its execution to another run, "
                f"or it was cancelled or replaced, so its step {step.name!r} does not count. Let it end."
            )
        return answer

    def pack(self, context: TaskContext, step: Step, function: Callable[..., Any], result: Any) -> bytes:
        """What is kept of a result. One that can't be stored is kept as that: the step was taken all the same."""
        name, key = signed_for(context, step)
        if result is None:
            return b"c"
        try:
            return b"c" + self._codec.encode_result(lazy.signature().TaskSignature(function, name), name, key, result)
        except Exception as error:
            return b"f" + self._codec.encode_error(name, key, error)

    def unpack(self, context: TaskContext, step: Step, function: Callable[..., Any], body: bytes) -> Any:
        """The result, as the annotation of `function` says it; raises what is kept in its place."""
        name, key = signed_for(context, step)
        if body.startswith(b"f"):
            raise self._codec.decode_error(name, key, body[1:])
        if len(body) == 1:
            return None
        return self._codec.decode_result(lazy.signature().TaskSignature(function, name), name, key, body[1:])


def signed_for(context: TaskContext, step: Step) -> tuple[str, str]:
    """The function and the key that a result is signed for: it can't be passed off as that of another step."""
    if step.scope is None:
        return f"{context.task_name}.{step.name}", context.task_key
    return f"{step.scope}.{step.name}", step.scope
