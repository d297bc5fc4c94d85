"""The words of `shadows why`: a line for each reason, with what to do."""

from datetime import datetime
from shlex import quote

from shadows.ahead import MOST_COUNTED, AtGate, Holder
from shadows.amounts import counted
from shadows.durations import format_duration
from shadows.obstacles import Crew, Reason
from shadows.priorities import NORMAL
from shadows.states import ExecutionState
from shadows.why import Why

from .tables import away

NOTHING = (
    "It was never added there, or it ended longer ago than the execution_ttl of its worker, which is 15m unless it was "
    "set. `shadows snapshot` lists what is there; --shadows and --url name another place."
)
DAY = "after a day it goes to the quarantine"
# Why something was cancelled, where the record has a word alone for it.
CANCELS = {
    "cancelled": "somebody cancelled it, as by `shadows cancel`",
    "cleared": "it had not started when the whole shadow was cleared, as by `shadows clear`",
    "replaced": "another one took its place, by `replace`",
    "struck": "a strike held it back: `shadows restore` lifts one",
}


class Words:
    """Says what was found out of one execution."""

    def __init__(self, seen: Why, shadow: str, url: str) -> None:
        self._seen = seen
        self._shadow = shadow
        self._url = url

    def sentences(self) -> list[str]:
        """All there is to say, the nearest reason first."""
        seen = self._seen
        if Reason.NOTHING in seen.reasons:
            return [f"Nothing is known of the key {seen.key!r} in {self._shadow} at {self._url}.", NOTHING]
        told = [getattr(self, f"_{reason.name.lower()}")() for reason in seen.reasons]
        return [self._head(), *told, *self._history()]

    def _head(self) -> str:
        seen = self._seen
        where = f"{seen.function_name or '?'} with key {seen.key!r} in {self._shadow} at {self._url} is {seen.state}"
        if seen.state is not ExecutionState.QUEUED:
            return f"{where}."
        attempt = f" for attempt {seen.attempt}" if seen.attempt > 1 else ""
        priority = "" if seen.priority == NORMAL else f" with {seen.priority} priority"
        return f"{where}{priority}{attempt}; it was added at {self._away(seen.submitted)}."

    def _away(self, moment: datetime | None) -> str:
        return f"{clock(moment)} ({away(moment, self._seen.taken)})" if moment else "an unknown time"

    def _when(self) -> str:
        return f"It waits until {self._away(self._seen.due)}: that time was given when it was added."

    def _next_run(self) -> str:
        return f"It is the next run of a perpetual task, which is due at {self._away(self._seen.due)}."

    def _retry(self) -> str:
        attempt = self._seen.attempt
        return f"It waits until {self._away(self._seen.due)} for attempt {attempt}, since attempt {attempt - 1} failed."

    def _put_off(self) -> str:
        return (
            f"A worker had taken it, and it came too early for a rate limit or a debounce: these put it off until "
            f"{self._away(self._seen.due)}."
        )

    def _due(self) -> str:
        return f"It is due since {self._away(self._seen.due)}; a living worker moves it to the ready work at once."

    def _gate(self) -> str:
        gate = self._seen.gate
        if gate is None:
            return "It waits at a limit over all workers, and is let in when a place is free."
        before = counted(gate.before, "waits", "wait")
        return (
            f"It waits at the limit {gate.name!r}, which lets {counted(gate.most, 'execution')} run at a time; of "
            f"{gate.waiting} that wait there, {before} before it. {held_by(gate)} When one ends, the first that "
            "waits starts by itself."
        )

    def _suspect(self) -> str:
        seen = self._seen
        return (
            f"It was running at {counted(seen.deaths, 'death')} of the process that ran it, and was lost beside others "
            f"{counted(seen.losses, 'time')}: it is a suspect and waits to run alone, with {seen.before or 0} before "
            "it. It needs a worker with nothing else to do, or a `shadowsd`, which makes one for it. At the third "
            "death it goes to the quarantine; `shadowsd status SLOT` shows the stacks of the deaths."
        )

    def _newer(self) -> str:
        return (
            f"A newer release of shadows wrote it, and no worker could read it since {self._away(self._seen.since)}; "
            f"{DAY}. Update the workers: it comes back by itself to one that can read it."
        )

    def _unknown(self) -> str:
        seen = self._seen
        parked = "Whoever takes it parks it, unless that worker has a --fallback-task."
        if seen.parked:
            parked = f"It is parked since {self._away(seen.since)}; {DAY}."
        return (
            f"No living worker knows the function {seen.function_name!r}: {self._living()}. {parked} Start one "
            "with the module of that function among its --tasks; `shadows workers ls` shows what each of them knows."
        )

    def _unserved(self) -> str:
        seen = self._seen
        return (
            f"No living worker that knows the function {seen.function_name!r} serves the priority {seen.priority!r}: "
            f"{self._living()}. Start one with --priorities {seen.priority}, or without that option for all of them."
        )

    def _paused(self) -> str:
        seen, name = self._seen, self._seen.function_name
        said = ""
        if "*" in seen.paused:
            said += "All functions are paused: `shadows resume` lets them run again. "
        if name in seen.paused:
            said += f"The function {name!r} is paused: `shadows resume {quote(name)}` lets it run again. "
        return f"{said}It waits since {self._away(seen.since)}."

    def _no_worker(self) -> str:
        return f"No worker of {self._shadow} lives. Start one: `shadows worker --tasks ...`, or `shadowsd --tasks ...`."

    def _struck(self) -> str:
        strike = self._seen.strike
        return f"It is struck ({strike}): the worker that takes it cancels it. `shadows restore` lifts the strike."

    def _busy(self) -> str:
        return (
            f"All slots are busy: {self._living()}, {self._slots()}. {self._before()} It starts by itself; more "
            "workers, or a higher --concurrency, would let it start sooner."
        )

    def _soon(self) -> str:
        return (
            f"It begins in a moment: {self._living()}, {self._slots()}. {self._before()} If it still waits when you "
            "ask again, look at the log of the workers."
        )

    def _running(self) -> str:
        return f"{self._run()} The last beat of its worker was at {self._last_beat()}."

    def _lost_worker(self) -> str:
        return (
            f"{self._run()} But the last beat of that worker was at {self._last_beat()}, and its lease has ended: it "
            "is taken for dead, and the execution runs again on another one as soon as that notices."
        )

    def _completed(self) -> str:
        return f"It completed at {self._away(self._seen.since)}{self._ran()}."

    def _failed(self) -> str:
        seen = self._seen
        kept = "Nothing of it is kept in the quarantine: add it again when the cause is gone."
        if seen.quarantine_id is not None:
            kept = f"It is kept in the quarantine. {remedy(seen.quarantine_id)}"
        return f"It failed at {self._away(seen.since)}{self._ran()}: {ended(seen.error)} {kept}"

    def _cancelled(self) -> str:
        said = self._seen.error or "cancelled"
        return f"It was cancelled at {self._away(self._seen.since)}: {ended(CANCELS.get(said, said))}"

    def _quarantined(self) -> str:
        seen = self._seen
        kept = "It is not in the quarantine any more: somebody dropped it. Its key is free."
        if seen.quarantine_id is not None:
            kept = remedy(seen.quarantine_id)
        return f"It was set aside at {self._away(seen.since)}: {ended(seen.error)} {kept}"

    def _lost(self) -> str:
        return (
            f"Its record says so since {self._away(self._seen.since)}, and what it speaks of is not in Redis any more: "
            "somebody deleted it there, or Redis lost it. It will never run. Its key is free: add it again."
        )

    def _run(self) -> str:
        seen = self._seen
        said = f"It runs on {place_of(seen)} since {self._away(seen.since)}, at attempt {seen.attempt}."
        if seen.redelivered:
            said += " It was handed to a worker before, which died, or left before the end."
        if seen.progress and any(seen.progress):
            current, total, message = seen.progress
            of = f" of {total}" if total is not None else ""
            said += f" It says that it is at {current}{of}{f': {message}' if message else ''}."
        return said

    def _ran(self) -> str:
        """Where, how long and how often it ran; nothing when it never did."""
        seen = self._seen
        if seen.worker is None:
            return ""
        lasted = f" after {format_duration(seen.since - seen.started_at)}" if seen.since and seen.started_at else ""
        return f" on worker {seen.worker}, at attempt {seen.attempt}{lasted}"

    def _history(self) -> list[str]:
        earlier = self._seen.earlier
        if earlier is None:
            return []
        said = f"The one before it with this key {verb_of(earlier.state)} at {self._away(earlier.ended)}"
        return [f"{said}: {CANCELS.get(earlier.reason, earlier.reason)}." if earlier.reason else f"{said}."]

    def _last_beat(self) -> str:
        return self._away(self._seen.beat.last_seen if self._seen.beat else None)

    def _living(self) -> str:
        crew = self._seen.crew or Crew()
        return counted(crew.workers, "worker lives", "workers live")

    def _slots(self) -> str:
        crew = self._seen.crew or Crew()
        return f"slots taken: {crew.taken} of {crew.slots}"

    def _before(self) -> str:
        before = self._seen.before
        if before is None:
            return "It is about to come back from where it was set aside."
        more = "or more " if before >= MOST_COUNTED else ""
        return f"{counted(before, f'execution {more}waits', f'executions {more}wait')} before it."


def clock(moment: datetime) -> str:
    """A moment as this machine's clock shows it."""
    return moment.astimezone().isoformat(" ", "seconds")


def ended(words: str | None) -> str:
    """What somebody else wrote, as the end of a sentence."""
    return f"{(words or 'no reason is kept').rstrip('.')}."


def verb_of(state: ExecutionState) -> str:
    """`completed`, but `was cancelled`."""
    return f"was {state}" if state in (ExecutionState.CANCELLED, ExecutionState.QUARANTINED) else str(state)


def remedy(id: str) -> str:
    """What can be done with an entry of the quarantine."""
    return (
        f"`shadows quarantine show {id}` shows its arguments, `shadows quarantine retry {id}` gives it back to the "
        f"workers, and `shadows quarantine drop {id}` deletes it."
    )


def place_of(seen: Why) -> str:
    """Which worker, on which machine, and in which slot of a daemon."""
    beat = seen.beat
    if beat is None:
        return f"worker {seen.worker or '?'}"
    slot = f", slot {beat.slot} of {beat.node}" if beat.node else ""
    return f"worker {seen.worker} (host {beat.host}, pid {beat.pid}{slot})"


def held_by(gate: AtGate) -> str:
    """Who has the places at a gate."""
    if not gate.holders:
        return "Nobody has a place there now."
    named = [holder_words(holder) for holder in gate.holders]
    if gate.taken > len(named):
        named.append(f"{gate.taken - len(named)} more")
    return f"The places are held by {', '.join(named)}."


def holder_words(holder: Holder) -> str:
    """One who has a place."""
    return f"{holder.key!r} on worker {holder.worker}" if holder.worker else f"{holder.key!r}, which is about to run"
