"""From processes to values: what a decision looks at."""

from time import monotonic

from .child import Child
from .clock import Clock
from .generation import Generation
from .hangs import QUIET, Kind, Silence, classify, state_of
from .world import ChildSeen, GenerationSeen


def child_seen(child: Child, clock: Clock) -> ChildSeen:
    """One child, now."""
    now, head = clock.now(), child.page.head
    return ChildSeen(
        number=child.number,
        slot=child.slot,
        generation=child.generation,
        phase=head.phase,
        suspect=child.suspect,
        age=now - child.spawned_at,
        ready_for=now - child.ready_at if child.ready_at is not None else 0.0,
        done=head.done,
        asked=child.asked,
        asked_for=now - child.asked_at if child.asked else 0.0,
        why=child.why,
        worn=child.worn,
        silence=silence_of(child, clock),
        dumped=child.dumped,
        running=head.running,
        cut_off=child.cut_off,
    )


def silence_of(child: Child, clock: Clock) -> Silence:
    """How long a child has been silent, and why. The kernel is asked only about those that are."""
    head = child.page.head
    if child.pid is None or child.ready_at is None:
        return QUIET
    silent = clock.silent_for(head.loop_stamp)
    found = classify(silent, clock.silent_for(head.thread_stamp), "")
    if found is QUIET:
        return QUIET
    found = classify(silent, clock.silent_for(head.thread_stamp), state_of(child.pid))
    if found.kind is Kind.TRACED:
        child.traced_at = monotonic()
        return found
    # What a debugger took is not held against the child when it lets go.
    return found._replace(seconds=min(found.seconds, monotonic() - child.traced_at))


def generation_seen(generation: Generation, now: float, may_start: bool) -> GenerationSeen:
    """One generation, now."""
    return GenerationSeen(
        number=generation.number,
        stage=generation.stage,
        forks=generation.forks,
        lives=generation.pidfd is not None and not generation.retired,
        may_start=may_start,
        since=now - generation.since,
        killed=bool(generation.killed),
    )
