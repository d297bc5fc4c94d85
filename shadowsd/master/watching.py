"""Health and metrics of one node over HTTP: what its children counted, added up in the one registry of the master.

It lives as long as its loop answers, through any outage of Redis and any crash of a child; why it can't be
counted on now is what `/readyz` tells.
"""

import logging
from contextlib import AsyncExitStack, closing
from time import monotonic
from typing import Self

from shadows.connection import Link
from shadowsd.observe.addresses import Address, Place
from shadowsd.observe.depths import DepthGauge
from shadowsd.observe.http import serve
from shadowsd.observe.logs import log_lines_dropped
from shadowsd.observe.metrics import SlotGauges
from shadowsd.observe.routes import LIVE, METRICS, READY, health_routes, metrics_route

from .child import Child
from .node import Node
from .page import STAMP_SECONDS
from .status import not_ready

logger = logging.getLogger("shadowsd")


class Watching:
    """Serves one node's addresses; an async context manager, which does nothing without any."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._stack = AsyncExitStack()
        self._depths = DepthGauge(Link(node.shadow.server, "observer"), node.shadow.keys)
        self._shown: set[str] = set()
        self._dropped = 0

    async def __aenter__(self) -> Self:
        """Raises ConfigurationError when an address can't be had; then none is taken."""
        async with AsyncExitStack() as stack:
            settings = self._node.settings
            health_at, metrics_at = settings.healthcheck_port, settings.metrics_port
            health = health_routes(list, lambda: not_ready(self._node))
            numbers = metrics_route(self._node.metrics, self._gather)
            stack.push_async_callback(self._depths.close)
            if health_at is not None:
                place = take(stack, "--healthcheck-port", health_at)
                both = health_at == metrics_at
                await stack.enter_async_context(serve({**health, **numbers} if both else health, place.sockets))
                logger.info("Health is served at %s%s and %s.", place.url, LIVE[0], READY[0])
                if both:
                    logger.info("Metrics are served at %s%s.", place.url, METRICS)
            if metrics_at is not None and metrics_at != health_at:
                place = take(stack, "--metrics-port", metrics_at)
                await stack.enter_async_context(serve(numbers, place.sockets))
                logger.info("Metrics are served at %s%s.", place.url, METRICS)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def _gather(self) -> None:
        """Brings the gauges up to date; counters came with the children's messages."""
        node = self._node
        shown = {str(child.slot): child for child in node.fleet.children.values() if not child.suspect}
        # Who serves hides who drains beside it.
        shown |= {str(child.slot): child for child in node.serving()}
        for slot, child in shown.items():
            node.metrics.observe_slot(slot, self._gauges(child))
        for gone in self._shown - shown.keys():
            node.metrics.forget_slot(gone)
        self._shown = set(shown)
        # The children tell of their own lines; these are the master's.
        dropped = log_lines_dropped()
        node.metrics.log_lines_dropped(dropped - self._dropped)
        self._dropped = dropped
        node.metrics.observe_redis(await self._depths.read())

    def _gauges(self, child: Child) -> SlotGauges:
        head, now = child.page.head, monotonic()
        return SlotGauges(
            slots=self._node.settings.engine.concurrency,
            slots_busy=head.running,
            longest_running_seconds=max((now - task.started for task in child.in_flight()), default=0.0),
            # Between two stamps nothing is late yet.
            loop_lag_seconds=max(head.lag, self._node.clock.silent_for(head.loop_stamp) - STAMP_SECONDS),
            private_memory_bytes=head.memory,
        )


def take(stack: AsyncExitStack, option: str, address: Address) -> Place:
    """Takes an address until the stack is closed."""
    return stack.enter_context(closing(Place(option, address))).listen()
