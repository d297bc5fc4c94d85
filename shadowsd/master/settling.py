"""What follows from the state after each pass: wear, the breaker, readiness, generations that are over, the end."""

import logging

from shadows.amounts import counted

from .backoff import HEALTHY_SECONDS
from .exits import DONE, MISCONFIGURED
from .generation import Stage
from .node import Node
from .wear import wear

logger = logging.getLogger("shadowsd")

LOOP_BEGAN = "Every worker dies soon after it began: one slot goes on trying, the others wait. See `shadowsd status 1`."
LOOP_ENDED = "A worker has lived for a while: all slots are filled again."
# How much longer the service manager is asked to be patient, each time.
EXTENSION_SECONDS = 10.0


def settle_down(node: Node) -> None:
    """Each step looks at the node as the one before left it."""
    wear(node)
    judge_crash_loop(node)
    become_ready(node)
    retire_generations(node)
    come_to_an_end(node)
    ask_for_time(node)


def judge_crash_loop(node: Node) -> None:
    """Logs its beginning and its end."""
    now = node.clock.now()
    healthy = sum(1 for child in node.serving() if now - (child.ready_at or now) >= HEALTHY_SECONDS)
    changed = node.history.judge(now, node.workers, healthy)
    if changed is not None:
        logger.error("%s", LOOP_BEGAN if changed else LOOP_ENDED)


def become_ready(node: Node) -> None:
    """Once, when every slot of the first generation serves."""
    if node.served or node.stopping:
        return
    slots = {child.slot for child in node.serving()}
    if slots >= set(range(1, node.workers + 1)) and node.leases.works:
        node.served = True
        node.notifier.ready()
        logger.info("Ready: %s %r.", counted(node.workers, "worker serves", "workers serve"), node.shadow.name)


def retire_generations(node: Node) -> None:
    """Ends the zygotes of generations that nothing is made of any more."""
    fleet, under_way = node.fleet, node.reloading.under_way
    needed = {node.target}
    if under_way is not None:
        needed |= {under_way.generation, node.reloading.before}
    for number, generation in fleet.generations.items():
        if number not in needed and not generation.retired:
            fleet.retire(number)
    fleet.forget_generations(needed)


def come_to_an_end(node: Node) -> None:
    """When it could not begin, or everybody has ended."""
    first = node.fleet.generations.get(node.target)
    if not node.served and first is not None and first.stage is Stage.FAILED:
        node.quit(MISCONFIGURED, first.failure, first.traceback)
    if node.stopping and node.exit_code is None and not node.fleet.children:
        node.exit_code = DONE


def ask_for_time(node: Node) -> None:
    """Who waits for Redis, imports, reloads or drains does not hang; but for Redis, each has a limit of our own, which
    the service manager's must not come before."""
    first = node.fleet.generations.get(node.target)
    importing = not node.served and first is not None and first.stage is Stage.IMPORTING
    without_redis = not node.served and not node.leases.works
    if importing or without_redis or node.reloading.under_way is not None or node.stopping:
        node.notifier.extend(EXTENSION_SECONDS)
