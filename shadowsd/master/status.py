"""What a master tells of itself: to `shadowsd status`, to systemd, and to everybody who looks into Redis."""

import os
from time import monotonic
from typing import Any

from shadows import __version__
from shadows.amounts import counted

from .child import Child
from .node import Node
from .seen import silence_of


def status_line(node: Node) -> str:
    """One line, for `systemctl status`."""
    children = node.fleet.children.values()
    ready = sum(1 for child in children if child.ready_at is not None and not child.asked and not child.suspect)
    busy = sum(child.page.head.running for child in children)
    running = counted(busy, "task runs", "tasks run")
    parts = [f"{ready} of {counted(node.workers, 'worker serves', 'workers serve')} {node.shadow.name!r}", running]
    if node.stopping:
        parts = [f"Stopping: {running} in {counted(len(children), 'worker')}"]
    elif node.reloading.under_way is not None:
        parts.append(f"reloading to generation {node.reloading.under_way.generation}")
    if not node.leases.works:
        parts.append("Redis can't be used")
    if node.history.degraded:
        parts.append("DEGRADED: workers die soon after they began")
    return ", ".join(parts)


def not_ready(node: Node) -> list[str]:
    """Why this node can't be counted on now, in words; empty when it can."""
    reasons = []
    if not node.served:
        reasons.append("not every worker of the first generation is ready yet")
    if node.stopping:
        reasons.append("it is stopping")
    if node.leases.failing_since is not None:
        reasons.append(f"Redis can't be used since {monotonic() - node.leases.failing_since:.1f} s")
    if node.history.degraded:
        reasons.append("workers die soon after they began (DEGRADED)")
    elif node.served and not any(
        child.ready_at is not None and not child.asked and not child.suspect for child in node.fleet.children.values()
    ):
        reasons.append("no worker serves")
    return reasons


def status(node: Node) -> dict[str, Any]:
    """The whole node."""
    last = node.reloading.last
    return {
        "pid": os.getpid(),
        "version": __version__,
        "node": node.settings.name,
        "shadow": node.shadow.name,
        "url": node.shadow.url,
        "workers": node.workers,
        "generation": node.target,
        "reloading_to": node.reloading.under_way.generation if node.reloading.under_way else None,
        "last_reload": {"ok": last.ok, "words": last.words} if last else None,
        "stopping": node.stopping,
        "ready": not not_ready(node),
        "reasons": not_ready(node),
        "degraded": node.history.degraded,
        "redis": {"works": node.leases.works, "error": "" if node.leases.works else node.leases.error},
        "suspects": node.leases.told.suspects,
        "slots": [child_row(child, node) for child in sorted(node.fleet.children.values(), key=order)],
    }


def order(child: Child) -> tuple[bool, int, int]:
    """Slots first, in their order; suspects behind them."""
    return (child.suspect, child.slot, child.number)


def child_row(child: Child, node: Node) -> dict[str, Any]:
    """One child."""
    head, now = child.page.head, node.clock.now()
    in_flight = child.in_flight()
    silence = silence_of(child, node.clock)
    longest = in_flight[0] if in_flight else None
    return {
        "slot": child.slot,
        "suspect": child.suspect,
        "pid": child.pid,
        "generation": child.generation,
        "state": state(child),
        "why": child.why,
        "busy": head.running,
        "concurrency": node.settings.engine.concurrency,
        "done": head.done,
        "memory": head.memory,
        "lag_seconds": head.lag,
        "spawn_seconds": child.spawn_seconds,
        "uptime_seconds": now - child.spawned_at,
        "restarts": node.history.restarts(child.slot),
        "silence": silence.kind.value if silence.seconds else "",
        "silent_seconds": silence.seconds,
        "longest": None
        if longest is None
        else {"function": longest.function, "key": longest.key, "seconds": monotonic() - longest.started},
    }


def state(child: Child) -> str:
    """One word for where a child is in its life."""
    if child.asked:
        return {"drain": "draining", "stop": "stopping"}.get(child.asked, "ending")
    if child.pid is None:
        return "starting"
    return child.page.head.phase.name.lower().replace("_", " ")


def slot_status(node: Node, slot: int) -> dict[str, Any]:
    """One slot: who is there now, what they run, and how the ones before ended."""
    children = [child for child in node.fleet.children.values() if child.slot == slot]
    endings = node.history.endings(slot)
    if not children and not endings:
        there = f"there are 1 to {node.workers}" if node.workers > 1 else "the only one is 1"
        return {"error": f"there is no slot {slot}; {there}"}
    now = monotonic()
    return {
        "slot": slot,
        "children": [
            {
                **child_row(child, node),
                "in_flight": [
                    {"function": task.function, "key": task.key, "seconds": now - task.started}
                    for task in child.in_flight()
                ],
            }
            for child in children
        ],
        "endings": endings,
    }
