"""What a child's end means: whether it was asked for, who is to blame, and what goes back to Redis."""

import logging
import time
from dataclasses import dataclass

from shadowsd.engine.takeover import Judgement

from .blame import blamed
from .child import Child, Exit
from .history import Ending
from .reclaim import Loss
from .world import ABORT, DRAIN, KILL, STOP

logger = logging.getLogger("shadowsd")

KEPT_STACK_LINES = 60


@dataclass(frozen=True, slots=True)
class Verdict:
    """One end, judged. `loss` is what must be given back, if anything can be left; `death` is an end that nobody
    asked for, or that a hang led to."""

    death: bool
    cause: str
    label: str
    ending: Ending
    loss: Loss | None


def judge(child: Child, how: Exit, oom: bool, max_deaths: int, served_seconds: float) -> Verdict:
    """From what is left of the child: its page, its stacks, and what it was asked."""
    stack = child.last_stack
    in_flight = child.in_flight()
    # Who leaves in good order leaves nothing in flight; a task may well call `os._exit(0)`.
    orderly = how.code == 0 and not in_flight
    done_suspect = child.suspect and not child.asked and orderly
    # Who crashes while it drains was asked to end, but not to end so; who hands back may have to leave something.
    handed_back = child.asked == STOP and how.code == 0
    obeyed = not child.hung and (child.asked == KILL or (child.asked == DRAIN and orderly) or handed_back)
    death = not done_suspect and not obeyed
    cause = cause_of(child, how, oom, death)
    ending = Ending(
        time.time(), child.pid, child.generation, served_seconds, cause, child.why if child.asked else "",
        child.page.head.done, tuple(f"{task.function}({task.key})" for task in in_flight),
        dated(child),
    )  # fmt: skip
    generations = blamed(in_flight, stack, hung=child.hung) if death else ()
    consumer = child.page.consumer
    loss = None
    # Who ended by itself has settled everything and signed off; who was told to hand back may not have come to it.
    if consumer and (death or not orderly or child.asked == STOP):
        judgement = Judgement("death" if death else "end", cause, generations, max_deaths)
        loss = Loss(consumer, child.slot, judgement)
    return Verdict(death, cause, label_of(child, how, oom), ending, loss)


def dated(child: Child) -> str:
    """The end of what it dumped, and when: somebody may have asked for it long before, and it says nothing of the end
    then."""
    if not (lines := child.last_stack.splitlines()[-KEPT_STACK_LINES:]):
        return ""
    ago = time.monotonic() - child.stacks_at
    return "\n".join([f"Its stacks, the last of them {ago:.0f} s before its end:", *lines])


def label_of(child: Child, how: Exit, oom: bool) -> str:
    """The cause as a metric's label: one of few."""
    if child.asked in (ABORT, KILL):
        return "hang" if child.hung else "boot timeout"
    if how.signal is not None:
        return "out of memory" if oom else how.cause.removeprefix("killed by ")
    return "refused" if child.refused else "exit"


def cause_of(child: Child, how: Exit, oom: bool, death: bool) -> str:
    """In words; what led to a signal of ours says more than the signal."""
    if child.refused:
        return child.refused
    if child.asked in (ABORT, KILL) and death:
        return child.why
    if oom and how.signal is not None:
        return f"{how.cause} when memory ran out"
    return how.cause
