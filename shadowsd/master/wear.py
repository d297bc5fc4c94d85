"""Which children have had their time: too many tasks, too much memory, or cut off from Redis while others are not."""

import logging

from shadows.amounts import counted

from .child import Child
from .node import Node

logger = logging.getLogger("shadowsd")

# A child whose loop turns stamps its page four times a second.
FRESH_SECONDS = 1.0
# A beat that is older than this, with a fresh stamp beside it, was not held up by a loop that was busy for a moment.
LEAST_SECONDS = 2.0


def wear(node: Node) -> None:
    """Marks them; a worn child serves on until its replacement is ready."""
    for child in node.fleet.children.values():
        if child.ready_at is None or child.asked or child.worn or child.suspect:
            continue
        child.worn = worn(child, node.settings.max_memory) or cut_off(child, node)
        if child.worn:
            logger.info("The worker in slot %d is replaced: %s.", child.slot, child.worn)


def worn(child: Child, max_memory: int | None) -> str:
    """What it is worn by; empty when it is not. Memory counts from what it had when it was ready."""
    head = child.page.head
    if child.task_limit and head.done >= child.task_limit:
        return f"it has done {counted(head.done, 'task')} (--max-tasks)"
    if not child.baseline_memory:
        child.baseline_memory = head.memory
    grown = head.memory - child.baseline_memory
    if max_memory is not None and grown > max_memory:
        return f"it took {grown >> 20} MB more than when it began (--max-memory {max_memory >> 20}M)"
    return ""


def cut_off(child: Child, node: Node) -> str:
    """Whether its beats are missing while the master's own come through: first it is told to reconnect."""
    leases, lease = node.leases, max(LEAST_SECONDS, node.settings.client.lease.total_seconds())
    now = node.clock.now()
    consumer = child.page.consumer
    if not leases.works or child.ready_at is None:
        return ""
    if node.clock.silent_for(child.page.head.loop_stamp) > FRESH_SECONDS:
        # Who is blocked or stopped can't beat, and is not cut off by that; it has a while to beat when it is back.
        child.silent_at, child.reconnected_at = now, None
    if now - max(child.ready_at, child.silent_at) < lease:
        return ""
    beat = leases.told.beats.get(consumer)
    if beat is None or beat["age"] < lease * 1000:
        child.reconnected_at = None
    elif child.reconnected_at is None:
        child.reconnected_at = now
        logger.warning(
            "The worker in slot %d has not been heard in Redis for %.0f s, while the master is: it is told to "
            "reconnect.", child.slot, beat["age"] / 1000,
        )  # fmt: skip
        child.order("reconnect")
    elif now - child.reconnected_at > lease:
        child.cut_off = True
        return "it is cut off from Redis while the master is not"
    return ""
