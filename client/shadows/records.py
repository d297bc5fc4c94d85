"""Reading one execution back from Redis: its record, its entry, who runs it, and how it ended."""

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from .connection import Link
from .errors import ExecutionCancelled, PayloadError, QuarantinedTask, RemoteError
from .execution import Execution, ExecutionProgress
from .identifiers import checked
from .keys import RECLAIMED, Keys
from .priorities import priority_of
from .registry import Registry
from .scripts import READ
from .states import ExecutionState

if TYPE_CHECKING:
    from .codec.codec import Codec


def moment(ms: float) -> datetime:
    """A point in time from Redis's milliseconds; one that no calendar has becomes the last that there is."""
    try:
        return datetime.fromtimestamp(ms / 1000, UTC)
    except (ValueError, OverflowError):
        return datetime.max.replace(tzinfo=UTC)


def text(raw: bytes) -> str:
    """Bytes from Redis as text, whatever they are."""
    return raw.decode(errors="backslashreplace")


def number(raw: bytes | None, otherwise: int = 0) -> int:
    """A whole number from Redis; `otherwise` when it is missing or none."""
    try:
        return int(raw.partition(b".")[0]) if raw else otherwise
    except ValueError:
        return otherwise


def pairs(flat: list[bytes]) -> dict[str, bytes]:
    """A flat reply of names and values as a dictionary."""
    return {text(name): value for name, value in zip(flat[::2], flat[1::2], strict=True)}


class Outcome(NamedTuple):
    """How a submission ended; times in ms, `ended` by Redis's clock; `elapsed` is -1 when it never ran."""

    state: ExecutionState
    submission: int
    attempt: int
    elapsed: float
    ended: float
    worker: str

    @classmethod
    def parse(cls, field: bytes) -> "Outcome":
        """From the record's field, where the worker comes last because its name may hold spaces."""
        state, submission, attempt, elapsed, ended, worker = field.decode().split(" ", 5)
        return cls(ExecutionState(state), int(submission), int(attempt), float(elapsed), float(ended), worker)

    @property
    def began(self) -> datetime | None:
        """When the last run began; None when it never ran."""
        return moment(self.ended - self.elapsed) if self.elapsed >= 0 else None


class Record(NamedTuple):
    """What Redis knew of a key at one moment."""

    fields: dict[str, bytes]
    entry: dict[str, bytes]
    holder: str | None
    idle_ms: float
    deliveries: int
    scheduled: bool
    now: float

    @classmethod
    def parse(cls, reply: list[Any]) -> "Record":
        """From the reply of the script `read`."""
        fields, entry, held, scheduled, now = reply
        holder = held[0].decode() if held else None
        return cls(
            pairs(fields), pairs(entry), holder, held[1] if held else 0, held[2] if held else 0, bool(scheduled), now
        )

    @property
    def generation(self) -> int:
        """The number of the present placing, 0 when there is none."""
        return number(self.fields.get("g"))

    @property
    def submission(self) -> int:
        """The number that the present submission started with."""
        return number(self.fields.get("n"), self.generation)

    @property
    def outcome(self) -> Outcome | None:
        """The last outcome that was kept; a damaged one is none."""
        try:
            return Outcome.parse(self.fields["o"])
        except (KeyError, ValueError):
            return None

    @property
    def live(self) -> bool:
        """Whether the present submission still has something to come."""
        if self.fields.get("s") == b"scheduled":
            return self.scheduled
        return self.fields.get("s") == b"queued" and bool(self.entry)

    @property
    def state(self) -> ExecutionState:
        """The state of the present submission; one that a damaged record does not tell is queued."""
        said = text(self.fields.get("s", b""))
        state = ExecutionState(said) if said in ExecutionState else ExecutionState.QUEUED
        if state is ExecutionState.QUEUED and self.holder not in (None, RECLAIMED):
            return ExecutionState.RUNNING
        return state

    def outcome_of(self, submission: int) -> Outcome | None:
        """The kept outcome, when it is this submission's."""
        outcome = self.outcome
        return outcome if outcome is not None and outcome.submission == submission else None


def worker_of(consumer: str) -> str:
    """A worker's name; its consumer's adds a random part for each time that it joined."""
    return consumer.rpartition("#")[0] or consumer


class Records:
    """Reads executions for one shadow."""

    def __init__(self, link: Link, keys: Keys, codec: "Codec", registry: Registry) -> None:
        self._link = link
        self._keys = keys
        self._codec = codec
        self._registry = registry

    async def read(self, key: str) -> Record:
        """The record of a key; an empty one when there is none."""
        keys = [self._keys.record(checked(key, "key")), self._keys.schedule]
        return Record.parse(await self._link.repeat(READ, keys, [self._keys.prefix, key]))

    async def find(self, shadow: Any, key: str) -> Execution | None:
        """The execution that has `key` now, or had it last; None when nothing of it is kept."""
        record = await self.read(key)
        if "g" not in record.fields:
            return None
        name = text(record.fields.get("f", b""))
        task = self._registry.get(name)
        payload = record.entry.get("p") or record.fields.get("p")
        args: tuple[Any, ...] = ()
        kwargs: dict[str, Any] = {}
        if payload is not None:
            # What can't be read is shown without its arguments; a worker will say why.
            with suppress(PayloadError):
                args, kwargs = self._codec.decode_call(task.signature if task else None, name, key, payload)
        execution = Execution(shadow, task.function if task else None, name, args, kwargs, key)
        execution.submission = record.submission
        apply(record, execution, self._error_text)
        return execution

    async def refresh(self, execution: Execution) -> None:
        """Brings an execution up to date; one whose record is gone stays as it was."""
        self.bring_up_to_date(execution, await self.read(execution.key))

    def bring_up_to_date(self, execution: Execution, record: Record) -> None:
        """The same from a record that was just read."""
        apply(record, execution, self._error_text)

    def _error_text(self, name: str, key: str, payload: bytes) -> str:
        try:
            error = self._codec.decode_error(name, key, payload)
        except PayloadError as problem:
            return str(problem)
        try:
            return f"{type(error).__name__}: {error}"
        except Exception:  # a class of the user's may fail to say anything
            return type(error).__name__

    def unwrap(self, execution: Execution, record: Record, outcome: Outcome) -> Any:
        """What a submission came to: its result, or what it raised."""
        self.bring_up_to_date(execution, record)
        body = record.fields.get("r", b"")
        name = execution.function_name
        if outcome.state is ExecutionState.COMPLETED:
            if not body:
                return None
            task = self._registry.get(name)
            return self._codec.decode_result(task.signature if task else None, name, execution.key, body)
        if outcome.state is ExecutionState.FAILED:
            raise catchable(self._codec.decode_error(name, execution.key, body))
        if outcome.state is ExecutionState.QUARANTINED:
            # The id of the entry in the quarantine, then the cause.
            entry_id, _, cause = text(body).partition(" ")
            raise QuarantinedTask(entry_id, cause)
        raise ExecutionCancelled(text(body) or "cancelled")


def catchable(error: BaseException) -> Exception:
    """A task's SystemExit or CancelledError must not end or cancel whoever asked for its result."""
    if isinstance(error, Exception):
        return error
    if isinstance(error, BaseExceptionGroup):
        group = ExceptionGroup(error.message, [catchable(each) for each in error.exceptions])
        group.__cause__ = error.__cause__
        return group
    return RemoteError(type(error).__qualname__, str(error))


def apply(record: Record, execution: Execution, error_text: Callable[[str, str, bytes], str]) -> None:
    """Writes what a record says of the execution's submission into the execution."""
    fields = record.fields
    outcome = record.outcome_of(execution.submission)
    if record.submission == execution.submission and "g" in fields:
        execution.generation = record.generation
        execution.fence = record.generation + max(record.deliveries - 1, 0)
        execution.state = record.state
        execution.priority = priority_of(fields.get("pr"))
        execution.attempt = number(record.entry.get("a") or fields.get("a"), 1)
        execution.redelivered = record.deliveries > 1
        if {"pc", "pt", "pm"} & fields.keys():
            total, message = fields.get("pt"), fields.get("pm")
            execution.progress = ExecutionProgress(
                number(fields.get("pc")), number(total) if total else None, text(message) if message else None
            )
        due = number(fields.get("w") or record.entry.get("w"))
        execution.when = moment(due) if due else execution.when or moment(execution.submission / 1000)
        if execution.state is ExecutionState.RUNNING and record.holder:
            execution.worker = worker_of(record.holder)
            execution.started_at = moment(record.now - record.idle_ms)
    if outcome is not None:
        execution.state = outcome.state
        execution.attempt = outcome.attempt or execution.attempt
        execution.worker = worker_of(outcome.worker) if outcome.worker else execution.worker
        execution.started_at = outcome.began or execution.started_at
        execution.completed_at = moment(outcome.ended)
        if outcome.state is ExecutionState.FAILED:
            execution.error = error_text(execution.function_name, execution.key, fields.get("r", b""))
        elif outcome.state is ExecutionState.QUARANTINED:
            execution.error = text(fields.get("r", b"")).partition(" ")[2]
        elif outcome.state is not ExecutionState.COMPLETED:
            execution.error = text(fields.get("r", b""))
