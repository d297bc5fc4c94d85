"""A process that runs a plain `Worker`, for tests that kill it, stop it, or look at it from outside.

It prints `ready`, a line for each event of its worker, and whatever is logged. TERM drains, INT hands back.
"""

import asyncio
import json
import logging
import signal
import sys
from datetime import timedelta
from typing import Any

from shadows import Shadow, Worker
from shadowsd.engine.events import Event, OutageBegan, OutageEnded, OutcomesFenced, Reclaimed
from tests.recorded import TASKS


def say(event: Event) -> None:
    """One line an event that the tests ask about."""
    match event:
        case OutcomesFenced(count):
            print(f"fenced {count}")
        case Reclaimed(_, taken, quarantined):
            print(f"reclaimed {taken} quarantined {quarantined}")
        case OutageBegan():
            print("outage began")
        case OutageEnded():
            print("outage ended")


async def main(options: dict[str, Any]) -> None:
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s", stream=sys.stdout)
    handles_signals = options.pop("handles_signals", True)
    heartbeat = timedelta(milliseconds=options.pop("heartbeat_ms"))
    silent = timedelta(milliseconds=options.pop("redelivery_ms"))
    pace = timedelta(milliseconds=100)
    ttl = timedelta(milliseconds=options.pop("execution_ttl_ms"))
    shadow = Shadow(options.pop("shadow"), options.pop("url"), heartbeat, options.pop("missed_heartbeats"), ttl)
    for task in TASKS:
        shadow.register(task)
    for collection in options.pop("collections", ()):
        shadow.register_collection(collection)
    async with shadow, Worker(shadow, redelivery_timeout=silent, reconnection_delay=pace, **options) as worker:
        worker.events.observers.append(say)
        loop = asyncio.get_running_loop()
        running = asyncio.create_task(worker.run_forever())
        if handles_signals:
            loop.add_signal_handler(signal.SIGTERM, worker.stop)
            loop.add_signal_handler(signal.SIGINT, lambda: asyncio.create_task(worker.stop_at_once()))
        print("ready")
        await running
    print("left")


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
