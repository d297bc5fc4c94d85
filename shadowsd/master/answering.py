"""What the control socket answers: each command changes what is wanted, or tells what is seen."""

import asyncio
import os
import signal
from typing import Any

from .control import Answer, Handler
from .node import Node
from .status import slot_status, status

# A dump of stacks takes a child some milliseconds, unless it is stopped.
DUMP_SECONDS = 0.3


class Answering:
    """The commands of one node."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def commands(self) -> dict[str, Handler]:
        """What the control socket answers to."""
        return {
            "status": self._status, "reload": self._reload, "scale": self._scale, "stacks": self._stacks,
            "stop": self._stop,
        }  # fmt: skip

    async def _status(self, command: dict[str, Any]) -> Answer:
        slot = command.get("slot")
        return status(self._node) if slot is None else slot_status(self._node, int(slot))

    async def _reload(self, command: dict[str, Any]) -> Answer:
        future = self._node.reloading.want()
        self._node.wake()
        if not command.get("wait"):
            return {"ok": True, "words": "the reload begins"}
        outcome = await future
        return {"ok": outcome.ok, "words": outcome.words, "traceback": outcome.traceback}

    async def _scale(self, command: dict[str, Any]) -> Answer:
        return {"ok": True, "workers": self._node.scale(int(command["workers"]))}

    async def _stacks(self, command: dict[str, Any]) -> Answer:
        return await collect_stacks(self._node, command.get("slot"))

    async def _stop(self, command: dict[str, Any]) -> Answer:
        self._node.stop(at_once=bool(command.get("at_once")))
        return {"ok": True, "pid": os.getpid()}


async def collect_stacks(node: Node, slot: int | None) -> Answer:
    """Asks for stacks, waits a moment, and answers with what came."""
    chosen = [child for child in node.fleet.children.values() if slot is None or child.slot == slot]
    before = {child.number: child.last_stack for child in chosen}
    for child in chosen:
        child.signal(signal.SIGUSR1)
    await asyncio.sleep(DUMP_SECONDS)
    return {
        "ok": True,
        "stacks": [
            {"slot": child.slot, "pid": child.pid, "stack": child.last_stack[len(before[child.number]) :]}
            for child in chosen
            if child.number in node.fleet.children
        ],
    }
