"""Why an execution is where it is: all facts about it, read without changing anything.

1. Its record says where it is, in one call.
2. Whatever may hold it there is read: workers, pauses, strikes, the gate where it waits, its entry in the quarantine.
3. The record is read again. If the execution has moved meanwhile, the facts may not fit together: all is read anew.
"""

from contextlib import suppress
from datetime import datetime
from typing import Any, NamedTuple

from .ahead import Ahead, AtGate
from .client import Client
from .errors import PayloadError
from .execution import Execution, ExecutionProgress
from .keys import RECLAIMED, Keys
from .obstacles import UNKNOWN, WAITING, Crew, Reason, obstacles, scheduled_by
from .priorities import NORMAL, Priority
from .quarantine import Quarantine
from .records import Record, Records, moment, number, text
from .snapshot import WorkerInfo, worker_info
from .states import ExecutionState

# An execution that moves faster than it can be read, such as a perpetual one without a pause, is told of as last seen.
MOST_LOOKS = 5
# By how much the time of an outcome and that of its entry in the quarantine may differ: both are of one script.
APART_MS = 1000


class Earlier(NamedTuple):
    """How the submission before the present one ended."""

    state: ExecutionState
    ended: datetime
    reason: str


class Why(NamedTuple):
    """Why an execution is where it is, as seen at the moment `taken`; None and 0 stand for what does not apply."""

    key: str
    reasons: tuple[Reason, ...]
    taken: datetime
    state: ExecutionState | None = None
    function_name: str = ""
    attempt: int = 1
    priority: Priority = NORMAL
    submitted: datetime | None = None
    due: datetime | None = None
    # Since when it is where it is; of what has ended, when it ended.
    since: datetime | None = None
    started_at: datetime | None = None
    worker: str | None = None
    # What the last beat of the worker that runs it told.
    beat: WorkerInfo | None = None
    lease_ends: datetime | None = None
    redelivered: bool = False
    deaths: int = 0
    losses: int = 0
    progress: ExecutionProgress | None = None
    error: str | None = None
    quarantine_id: str | None = None
    gate: AtGate | None = None
    crew: Crew | None = None
    # How many wait before it; `ahead.MOST_COUNTED` stands for more, too.
    before: int | None = None
    parked: bool = False
    # Of its function's name and "*", which stands for all, those that are paused.
    paused: tuple[str, ...] = ()
    strike: str | None = None
    earlier: Earlier | None = None


async def read_why(shadow: Client, key: str) -> Why:
    """Everything that is known of why the execution with this key is where it is."""
    records = Records(shadow.queries, shadow.keys, shadow.codec, shadow.registry)
    record = await records.read(key)
    for _ in range(MOST_LOOKS):
        found = await Looking(shadow, records, key, record).answer()
        before, record = record, await records.read(key)
        if where(record) == where(before):
            break
    return found


def where(record: Record) -> tuple[object, ...]:
    """What changes when an execution moves."""
    return record.generation, record.state, record.holder, record.live


class Looking:
    """One look at one execution."""

    def __init__(self, shadow: Client, records: Records, key: str, record: Record) -> None:
        self._shadow = shadow
        self._link = shadow.queries
        self._keys: Keys = shadow.keys
        self._key = key
        self._record = record
        self._name = text(record.fields.get("f", b""))
        self._ahead = Ahead(self._link, self._keys, key)
        execution = Execution(shadow, None, self._name, (), {}, key)
        execution.submission = record.submission
        records.bring_up_to_date(execution, record)
        self._execution = execution

    @property
    def _place(self) -> str:
        return text(self._record.fields.get("at", b"stream"))

    async def answer(self) -> Why:
        """What is known of it, whatever its state."""
        record, execution = self._record, self._execution
        if "g" not in record.fields:
            return await self._without_record()
        due = record.fields.get("w") or record.entry.get("w")
        why = Why(
            self._key, (Reason.LOST,), moment(record.now), execution.state, self._name, execution.attempt,
            execution.priority, moment(record.submission / 1000), moment(number(due)) if due else None,
            moment(record.generation / 1000), execution.started_at, redelivered=execution.redelivered,
            deaths=number(record.fields.get("d")), losses=number(record.fields.get("l")),
            progress=execution.progress, error=execution.error, earlier=earlier(record),
        )  # fmt: skip
        if execution.state.finished:
            return await self._ended(why)
        if not record.live:
            return why
        if execution.state is ExecutionState.SCHEDULED:
            return await self._scheduled(why)
        if execution.state is ExecutionState.RUNNING:
            return await self._running(why)
        return await self._queued(why)

    async def _without_record(self) -> Why:
        """Its record has expired, or there never was one; the quarantine keeps entries for longer."""
        why = Why(self._key, (Reason.NOTHING,), moment(self._record.now))
        found, _ = await self._ahead.walk(self._keys.quarantine, "-", "+", find=True)
        if not found:
            return why
        entry = await Quarantine(self._link, self._keys).entry(found[0])
        return why._replace(
            reasons=(Reason.QUARANTINED,), state=ExecutionState.QUARANTINED, function_name=entry.function_name,
            since=entry.since, attempt=entry.attempts or 1, error=entry.cause, quarantine_id=entry.id,
        )  # fmt: skip

    async def _ended(self, why: Why) -> Why:
        """With its entry in the quarantine, if it is kept there."""
        ended, body = self._execution.completed_at, text(self._record.fields.get("r", b""))
        found: list[str] = []
        if why.state is ExecutionState.QUARANTINED:
            id = body.partition(" ")[0]
            found, _ = await self._ahead.walk(self._keys.quarantine, id, id, find=True)
        elif why.state is ExecutionState.FAILED and self._record.outcome is not None:
            at = int(self._record.outcome.ended)
            found, _ = await self._ahead.walk(self._keys.quarantine, str(at - APART_MS), str(at + APART_MS), find=True)
        return why._replace(
            reasons=(Reason(str(why.state)),), since=ended, quarantine_id=found[0] if found else None,
            worker=self._execution.worker,
        )  # fmt: skip

    async def _scheduled(self, why: Why) -> Why:
        record = self._record
        if why.due is not None and why.due <= why.taken:
            crew = await self._ahead.crew(self._name, why.priority)
            return why._replace(reasons=(Reason.DUE,) if crew.workers else (Reason.DUE, Reason.NO_WORKER), crew=crew)
        reason = scheduled_by(record.submission, record.generation, "n" in record.fields, why.attempt)
        return why._replace(reasons=(reason,))

    async def _running(self, why: Why) -> Why:
        holder = self._record.holder or ""
        beat = await self._link.ask("HGET", self._keys.workers, holder)
        lease = float(await self._link.ask("ZSCORE", self._keys.leases, holder) or 0)
        crew = await self._ahead.crew(self._name, why.priority)
        reasons = [Reason.RUNNING if lease > self._record.now else Reason.LOST_WORKER]
        if not crew.workers:
            reasons.append(Reason.NO_WORKER)
        return why._replace(
            reasons=tuple(reasons), since=why.started_at, crew=crew, lease_ends=moment(lease) if lease else None,
            worker=self._execution.worker, beat=worker_info(holder, beat, b"\x90") if beat else None,
        )  # fmt: skip

    async def _queued(self, why: Why) -> Why:
        crew = await self._ahead.crew(self._name, why.priority)
        await self._shadow.strikelist.load()
        paused = tuple(name or "*" for name in (None, self._name) if name in self._shadow.strikelist.paused)
        strike = self._strike()
        reasons = obstacles(self._place, crew, bool(paused), strike is not None)
        gate = await self._ahead.gate(self._record) if self._place == WAITING else None
        if self._record.holder == RECLAIMED:
            why = why._replace(since=moment(self._record.now - self._record.idle_ms))
        return why._replace(
            reasons=reasons, crew=crew, paused=paused, strike=strike, gate=gate,
            before=await self._ahead.before(self._record, self._place), parked=self._place.startswith(UNKNOWN),
        )  # fmt: skip

    def _strike(self) -> str | None:
        """What would cancel it; arguments whose names are not known here are left out."""
        task = self._shadow.registry.get(self._name)
        args: tuple[Any, ...] = ()
        kwargs: dict[str, Any] = {}
        with suppress(PayloadError):
            args, kwargs = self._shadow.codec.decode_call(
                task.signature if task else None, self._name, self._key, self._record.entry.get("p", b"")
            )
        strike = self._shadow.strikelist.struck(task.function if task else None, self._name, args, kwargs)
        return None if strike is None else str(strike)


def earlier(record: Record) -> Earlier | None:
    """The outcome that the record still has of the submission before."""
    outcome = record.outcome
    if outcome is None or outcome.submission == record.submission:
        return None
    reason = text(record.fields.get("r", b"")) if outcome.state is ExecutionState.CANCELLED else ""
    return Earlier(outcome.state, moment(outcome.ended), reason)
