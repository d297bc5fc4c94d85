"""What a worker's beats tell of it, for people and for the other workers."""

import os
import socket
from time import time
from typing import Any

from shadows.priorities import PRIORITIES, in_order


def row_of(worker: Any) -> dict[str, Any]:
    """The row of one beat; called in the pulse's thread."""
    row: dict[str, Any] = {
        "at": time() * 1000, "host": socket.gethostname(), "pid": os.getpid(), "kind": "worker",
        "concurrency": worker.concurrency, "running": len(worker.slots.running), "done": worker.settler.done,
        "reader": worker.reader.client_id,
    }  # fmt: skip
    served = in_order(worker.priorities)
    if len(served) < len(PRIORITIES):
        row["priorities"] = served
    hosting = worker.hosting
    if hosting is not None:
        row |= {"kind": "child", "node": hosting.node, "slot": hosting.slot, "generation": hosting.generation}
    return row
