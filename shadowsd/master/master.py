"""The master: sees, decides, acts, and says that it is alive; nothing on this way ever waits.

1. Signals, exits, messages, control commands and timers only change what is wanted or seen, and wake it.
2. `decide` makes actions of what is seen; `Acting` and `Reloads` carry them out.
3. Redis is spoken to by tasks beside it: `Leases` renews, `Reclaims` gives back what dead children held.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any

from .acting import Acting
from .answering import Answering
from .control import Control
from .decide import decide
from .node import Node
from .prctl import become_subreaper
from .reloads import Reloads
from .settings import Settings
from .settling import settle_down
from .signals import HUP, INT, QUIT, TERM, TTIN, TTOU, USR1, Signals
from .status import status_line
from .watching import Watching
from .world import DRAIN, Ask, Dump, KillZygote, Spawn, StartZygote

logger = logging.getLogger("shadowsd")

# While something moves, time itself may be the event; otherwise everything that happens wakes the master.
BUSY_SECONDS = 0.1
QUIET_SECONDS = 1.0
# How long the end of the master waits for what dead children held to be given back.
SIGN_OFF_SECONDS = 2.0


class Master:
    """Runs one node."""

    def __init__(self, settings: Settings, reread: Callable[[], Settings]) -> None:
        self.node = Node(settings, reread)
        self._acting = Acting(self.node)
        self._reloads = Reloads(self.node, self._acting)
        self._control = Control(settings.control, Answering(self.node).commands(), settings.insists_on_control)

    async def run(self) -> int:
        """Serves until it is told to stop, or finds that it can't begin; the exit code."""
        node = self.node
        become_subreaper()
        self._control.claim()
        try:
            await self._control.open()
            async with AsyncExitStack() as stack:
                signals = stack.enter_context(Signals(node.wake))
                await stack.enter_async_context(Watching(node))
                beside = [asyncio.create_task(node.leases.run()), asyncio.create_task(node.reclaims.run())]
                self._acting.begin_generation()
                try:
                    return await self._reconcile(signals)
                finally:
                    await self._end(beside)
        finally:
            self._control.close()

    async def _reconcile(self, signals: Signals) -> int:
        node = self.node
        while True:
            self._catch_up()
            node.look()
            self._hear(signals.take())
            self._pass()
            node.notifier.status(status_line(node))
            node.notifier.alive()
            if node.exit_code is not None:
                return node.exit_code
            self._catch_up()
            pause = self._pause()
            node.clock.expect(pause)
            await node.changed(pause)

    def _catch_up(self) -> None:
        """Before each step that looks at a deadline: it moves by what the master was held up, if only a moment ago. The
        steps themselves take milliseconds; one that was stopped midway is late, too."""
        clock = self.node.clock
        if late := clock.arrive():
            logger.warning("The master itself was held up for %.1f s; every deadline moves by that.", late)
        clock.expect(0.0)

    def _hear(self, came: dict[Any, int]) -> None:
        node = self.node
        if TERM in came or INT in came or QUIT in came:
            node.stop(at_once=QUIT in came or came.get(INT, 0) > 1 or (INT in came and node.stopping == DRAIN))
        if HUP in came:
            node.reloading.want()
        if TTIN in came:
            node.scale(node.workers + 1)
        if TTOU in came:
            node.scale(node.workers - 1)
        if USR1 in came:
            self._acting.dump_all()

    def _pass(self) -> None:
        node = self.node
        self._acting.take_in()
        self._reloads.take_in()
        if node.exit_code is not None:
            return
        self._catch_up()
        for action in decide(node.world()):
            if isinstance(action, Spawn | Ask | Dump | StartZygote | KillZygote):
                self._acting.act(action)
            else:
                self._reloads.step(action)
        settle_down(node)

    def _pause(self) -> float:
        node = self.node
        children = node.fleet.children.values()
        held = node.history.held(node.workers, node.clock.now())
        moving = any(child.asked or child.ready_at is None for child in children)
        if not (moving or held or node.stopping or node.reloading.under_way):
            return min(QUIET_SECONDS, node.notifier.watchdog_seconds / 3)
        return BUSY_SECONDS

    async def _end(self, beside: list[asyncio.Task[None]]) -> None:
        """Leaves nothing behind: what is not reaped is killed, what the dead held is given back, leases end."""
        node = self.node
        await self._acting.kill_all()
        await node.reclaims.flushed(SIGN_OFF_SECONDS)
        for task in beside:
            task.cancel()
        await asyncio.gather(*beside, return_exceptions=True)
        if node.leases.works:
            await node.leases.leave()
        await node.reclaims.close()
