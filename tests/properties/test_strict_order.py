"""Whatever is added, taken, ended and given back, by whomever: the higher always leaves Redis before the lower."""

import asyncio
import os
from itertools import count
from typing import Any
from uuid import uuid4

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis

from shadows import Shadow
from shadows.connection import Link
from shadows.keys import GROUP, RETURNED
from shadows.priorities import PRIORITIES, Priority
from shadows.scripts import CLAIM, LEAVE
from shadowsd.engine.group import make_group
from shadowsd.engine.intake import PLACE_OF, Intake

HUNT = int(os.environ.get("SHADOWS_HUNT", "0"))

type Item = tuple[int, str]

PLACES = (RETURNED, *PLACE_OF.values())
# Two for all, one for the two upper ones, one for the lowest.
WORKERS: list[list[Priority]] = [["high", "normal", "low"], ["high", "normal", "low"], ["high", "normal"], ["low"]]

steps = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.sampled_from([*PRIORITIES]), st.integers(1, 4)),
        st.tuples(st.just("claim"), st.integers(0, len(WORKERS) - 1), st.integers(1, 5)),
        st.tuples(st.just("leave"), st.integers(0, len(WORKERS) - 1), st.just(0)),
        st.tuples(st.just("end"), st.integers(0, len(WORKERS) - 1), st.just(0)),
        st.tuples(st.just("come_back"), st.integers(0, len(WORKERS) - 1), st.just(0)),
    ),
    min_size=5,
    max_size=40,
)


async def job() -> None: ...


class Model:
    """Workers on a real Redis, and what each of their claims must give."""

    def __init__(self, shadows: Shadow, redis: Redis) -> None:
        self.shadows, self.redis, self.keys = shadows, redis, shadows.keys
        self.link = Link(shadows.server, "test")
        self.intakes = [Intake(self.keys, served) for served in WORKERS]
        # At each place what was given back, and what nobody was handed yet, as (generation, priority).
        self.given_back: dict[int, list[Item]] = {place: [] for place in PLACES}
        self.new: dict[int, list[Item]] = {place: [] for place in PLACES}
        self.held: list[list[tuple[int, Item]]] = [[] for _ in WORKERS]
        self.numbers = count(9 * 10**15)

    async def add(self, priority: Priority, number: int) -> None:
        calls = [self.shadows.call(job, priority=priority)() for _ in range(number)]
        executions = await self.shadows.add_many(calls)
        self.new[PLACE_OF[priority]] += [(execution.generation, priority) for execution in executions]

    async def claim(self, worker: int, number: int) -> None:
        intake = self.intakes[worker]
        intake.in_use = True
        intake.look_anew()
        arguments = intake.asked(self.keys.prefix, f"w{worker}#1", number)
        reply = await self.link.run(CLAIM, [*self.keys.streams, self.keys.generation], arguments)
        given, _ = intake.given(reply)
        expected = self.taken(WORKERS[worker], number)
        assert [(place, int(generation)) for generation, _, place, _ in given] == [
            (place, generation) for place, (generation, _) in expected
        ]
        self.held[worker] += expected

    def taken(self, served: list[Priority], number: int) -> list[tuple[int, Item]]:
        """What came back first, and then by priority; of each what was given back, and then the new."""
        out: list[tuple[int, Item]] = []
        for place in (RETURNED, *(PLACE_OF[priority] for priority in PRIORITIES if priority in served)):
            for waiting in (self.given_back, self.new):
                for item in sorted(waiting[place]):
                    if len(out) == number:
                        return out
                    waiting[place].remove(item)
                    if item[1] in served:
                        out.append((place, item))
                    else:
                        self.given_back[place].append(item)
        return out

    async def leave(self, worker: int, _: int) -> None:
        """It gives back all that it holds."""
        keys = [*self.keys.streams, self.keys.leases, self.keys.workers, self.keys.functions]
        assert await self.link.run(LEAVE, keys, [f"w{worker}#1", self.keys.prefix]) == 1
        for place, item in self.held[worker]:
            self.given_back[place].append(item)
        self.held[worker].clear()

    async def end(self, worker: int, _: int) -> None:
        """What it holds is done."""
        for place, (generation, _priority) in self.held[worker]:
            await self.redis.xack(self.keys.streams[place - 1], GROUP, f"{generation}-0")
            await self.redis.xdel(self.keys.streams[place - 1], f"{generation}-0")
        self.held[worker].clear()

    async def come_back(self, worker: int, _: int) -> None:
        """What it holds comes back in one stream for all, as what was paused does."""
        held = [*self.held[worker]]
        await self.end(worker, 0)
        for _place, (_, priority) in held:
            generation = next(self.numbers)
            fields: Any = {"k": "k", "f": "job", "p": "", "pr": priority}
            await self.redis.xadd(self.keys.returned, fields, id=f"{generation}-0")
            self.new[RETURNED].append((generation, priority))


@given(steps)
@settings(max_examples=HUNT or 60, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_claim_gives_the_highest_that_is_ready(shadows_url: str, todo: list[tuple[str, Any, int]]) -> None:
    """Atomically, so with any number of workers: a claim never gives one while a higher one is left."""

    async def run() -> None:
        async with Shadow(f"test-{uuid4()}", shadows_url) as shadows, shadows.redis() as redis:
            model = Model(shadows, redis)
            try:
                await make_group(model.link.call, shadows.keys, Intake(shadows.keys, ["high", "low"]))
                await redis.xgroup_create(shadows.keys.returned, GROUP, "0", mkstream=True)
                for name, first, number in todo:
                    await getattr(model, name)(first, number)
            finally:
                await model.link.close()

    asyncio.run(run())
