"""What keeps an execution from running: decided from what was read, and told in one word each."""

from enum import StrEnum
from typing import NamedTuple

# Entries of a newer format are parked under a name that begins so, which no function can have.
NEWER = "\0format "
WAITING, SUSPECTS, UNKNOWN, PAUSED = "waiting", "suspects", "unknown:", "paused:"


class Reason(StrEnum):
    """Why an execution is where it is."""

    # Scheduled: for the time that was given with it, as the next run of a perpetual task, for another attempt, by a
    # rate limit or a debounce; and what is due, and was not moved to the ready work yet.
    WHEN = "when"
    NEXT_RUN = "next_run"
    RETRY = "retry"
    PUT_OFF = "put_off"
    DUE = "due"
    # Queued.
    GATE = "gate"
    SUSPECT = "suspect"
    NEWER = "newer_format"
    UNKNOWN = "unknown_function"
    UNSERVED = "unserved_priority"
    PAUSED = "paused"
    NO_WORKER = "no_worker"
    STRUCK = "struck"
    BUSY = "busy"
    SOON = "soon"
    # Running, by a worker that lives, or by one whose lease has ended.
    RUNNING = "running"
    LOST_WORKER = "lost_worker"
    # Ended.
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    QUARANTINED = "quarantined"
    # Its record is there, and what it speaks of is not; or nothing is there at all.
    LOST = "lost"
    NOTHING = "nothing_known"


class Crew(NamedTuple):
    """Who could run it: the living workers, those that know its function, those of them that serve its priority, and
    how many slots of all are taken."""

    workers: int = 0
    knowing: int = 0
    serving: int = 0
    slots: int = 0
    taken: int = 0


def scheduled_by(submission: int, generation: int, is_renamed: bool, attempt: int) -> Reason:
    """Who put it into the schedule. `is_renamed`: its record names its submission apart from its generation, as it does
    from the second placing on, and for each run of a perpetual task that follows another."""
    if not is_renamed:
        return Reason.WHEN
    if submission == generation:
        return Reason.NEXT_RUN
    return Reason.RETRY if attempt > 1 else Reason.PUT_OFF


def obstacles(place: str, crew: Crew, paused: bool, struck: bool) -> tuple[Reason, ...]:
    """What keeps a queued execution from running, the nearest first; `place` is the stream in which it lies."""
    found: list[Reason] = []
    parked = place.startswith((UNKNOWN, PAUSED))
    if place == WAITING:
        found.append(Reason.GATE)
    elif place == SUSPECTS:
        found.append(Reason.SUSPECT)
    elif place.startswith(UNKNOWN + NEWER):
        found.append(Reason.NEWER)
    elif not crew.knowing and (crew.workers or place.startswith(UNKNOWN)):
        found.append(Reason.UNKNOWN)
    elif crew.knowing and not crew.serving:
        found.append(Reason.UNSERVED)
    if paused:
        found.append(Reason.PAUSED)
    if not crew.workers:
        found.append(Reason.NO_WORKER)
    if struck:
        found.append(Reason.STRUCK)
    if not found:
        found.append(Reason.BUSY if crew.taken >= crew.slots and not parked else Reason.SOON)
    return tuple(found)
