"""The state machine: each rule does one thing to a real shadow and to the model, and then both must say the same."""

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from shadows import Disposition, Execution, Shadow
from shadows.errors import ShadowsError
from shadowsd.engine.takeover import Judgement, take_over
from tests.features.workers import working
from tests.properties.comparing import compare
from tests.properties.idling import until_idle, until_promoted
from tests.properties.model import KEYS, Job, Model
from tests.properties.model_tasks import GATE, LATER, TASKS
from tests.properties.victims import Victims
from tests.recorded import Journal
from tests.waiting import wait_until

CONCURRENCY = 3

keys = st.sampled_from(KEYS)
kinds = st.sampled_from(sorted(TASKS))
numbers = st.integers(1, 3)


class Machine(RuleBasedStateMachine):
    """One shadow of its own.

    Its rules have no preconditions, but do nothing: which tasks a killed worker had started is not the same each time,
    and what Hypothesis may choose from must be.
    """

    def __init__(self, url: str, victims: Victims, directory: Path) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.victims = victims
        self.model = Model()
        self.journal = Journal(directory / uuid4().hex)
        self.labels = self.victim_count = 0
        # What is known of the victim that nobody has taken over from yet.
        self.judgement: Judgement | None = None
        self.shadow = Shadow(f"test-{uuid4()}", url)
        for task in TASKS.values():
            self.shadow.register(task)
        self.do(self.shadow.__aenter__())

    def do[T](self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    def teardown(self) -> None:
        async def leave() -> None:
            async with self.shadow.redis() as redis:
                if names := await redis.keys(f"{self.shadow.keys.prefix}*"):
                    await redis.delete(*names)
            await self.shadow.__aexit__(None, None, None)

        self.do(leave())
        self.runner.close()

    @rule(key=keys, kind=kinds, number=numbers, later=st.booleans())
    def add(self, key: str, kind: str, number: int, later: bool) -> None:
        self.do(self.submit("add", key, kind, number, later))

    @rule(key=keys, kind=kinds, number=numbers, later=st.booleans())
    def replace(self, key: str, kind: str, number: int, later: bool) -> None:
        self.do(self.submit("replace", key, kind, number, later))

    async def submit(self, how: str, key: str, kind: str, number: int, later: bool) -> None:
        self.labels += 1
        label = f"{kind}{self.labels}"
        when = LATER if later else None
        submit = self.shadow.add if how == "add" else self.shadow.replace
        before = self.model.jobs.get(key)
        execution = await submit(kind, when, key)(str(self.journal), label, number)
        if self.model.struck(kind, number):
            assert execution.disposition is Disposition.STRUCK
        elif how == "add" and before is not None and before.live:
            assert execution.disposition is Disposition.ALREADY_SCHEDULED
        else:
            assert execution.disposition is Disposition.SCHEDULED
            state = "scheduled" if later else "queued"
            self.model.submit(Job(key, kind, label, number, state, execution))

    @rule(key=keys)
    def cancel(self, key: str) -> None:
        self.do(self.cancelled(key))

    async def cancelled(self, key: str) -> None:
        job = self.model.jobs.get(key)
        live = job is not None and job.live
        assert await self.shadow.cancel(key) is live
        if job is not None and live:
            self.model.end(job, "cancelled", "cancelled", "cancelled")

    @rule()
    def clear(self) -> None:
        assert self.do(self.shadow.clear()) == self.model.clear()

    @rule(kind=kinds.filter(lambda kind: kind != "countdown"), group=numbers, by_function=st.booleans())
    def strike(self, kind: str, group: int, by_function: bool) -> None:
        if by_function:
            self.do(self.shadow.strike(kind))
            self.model.strikes.add(("function", kind))
        else:
            self.do(self.shadow.strike(None, "group", "==", group))
            self.model.strikes.add(("group", group))

    @rule()
    def restore(self) -> None:
        if not self.model.strikes:
            return
        for kind in TASKS:
            self.do(self.shadow.restore(kind))
        for group in (1, 2, 3):
            self.do(self.shadow.restore(None, "group", "==", group))
        self.model.strikes.clear()

    @rule()
    def advance(self) -> None:
        """Hours pass: whatever is scheduled is due."""

        async def advance() -> None:
            async with self.shadow.redis() as redis:
                for key in await redis.zrange(self.shadow.keys.schedule, 0, -1):
                    await redis.zadd(self.shadow.keys.schedule, {key: 1})

        self.do(advance())
        for job in self.model.jobs.values():
            job.due = job.due or job.state == "scheduled"

    @rule()
    def run(self) -> None:
        self.do(self.sweep())

        async def run() -> None:
            async with working(self.shadow, concurrency=CONCURRENCY) as worker:
                await until_idle(self.shadow, worker)

        self.do(run())
        self.model.run()

    @rule(operations=st.lists(st.tuples(st.sampled_from(["add", "replace", "cancel", "clear"]), keys), max_size=4))
    def work_meanwhile(self, operations: list[tuple[str, str]]) -> None:
        """Some run, and are held, while they are cancelled or replaced, and others added."""
        self.do(self.sweep())
        if not self.model.ready() or self.troubled():
            return
        self.do(self.hold(operations))
        self.model.run()

    def troubled(self) -> bool:
        """Whether it is not certain which of those that are ready are run first."""
        return any(job.suspect or self.model.struck(job.kind, job.number) for job in self.model.ready())

    async def hold(self, operations: list[tuple[str, str]]) -> None:
        ready = self.model.ready()
        GATE.close()
        try:
            async with working(self.shadow, concurrency=CONCURRENCY) as worker:
                await wait_until(lambda: len(self.begun(ready)) == min(CONCURRENCY, len(ready)), "the slots are full")
                await until_promoted(self.shadow)
                for job in ready:
                    job.state = "queued"
                running = self.begun(ready)
                self.ended = [job for job in self.model.jobs.values() if not job.live]
                known = len(self.ended)
                self.meddled = False
                for operation, key in operations:
                    await self.operate(operation, key, running)
                    self.meddled = True
                GATE.open()
                await until_idle(self.shadow, worker)
            self.ended = self.ended[known:]
            self.count_ended(running)
        finally:
            GATE.open()

    async def operate(self, operation: str, key: str, running: list[Job]) -> None:
        before = self.model.jobs.get(key)
        if operation == "clear":
            # What waits may have started in a slot that a cancel freed, or not; and so may what came meanwhile.
            if all(job in running for job in self.model.ready()) or not self.meddled:
                assert await self.shadow.clear() == self.model.clear(running)
        elif operation == "cancel":
            await self.cancelled(key)
        else:
            await self.submit(operation, key, "work", 1, later=False)
        if before is not None and operation != "add" and not before.live and before not in self.ended:
            self.ended.append(before)

    def count_ended(self, running: list[Job]) -> None:
        """Those that were ended meanwhile: whether one had started that came meanwhile, only the journal tells."""
        starts = self.journal.count("start")
        for job in self.ended:
            more = starts[job.label] - self.model.starts[job.label]
            assert more == 1 if job in running else more in (0, 1)
            self.model.starts[job.label] += more
            self.model.stopped[job.label] += more

    def begun(self, jobs: list[Job]) -> list[Job]:
        """Those that have started once more than the model knows."""
        starts = self.journal.count("start")
        return [job for job in jobs if starts[job.label] > self.model.starts[job.label]]

    @rule(key=keys, kind=kinds, seen=st.booleans(), then=st.sampled_from(["take over", "run", "clear", "leave"]))
    def kill(self, key: str, kind: str, seen: bool, then: str) -> None:
        """A process dies with tasks in flight: its master sees it, or its lease ends. It is taken over from at once, or
        before workers come again."""
        self.do(self.sweep())
        if not self.model.ready():
            self.do(self.submit("replace", key, kind, 1, later=False))
        if all(self.model.struck(job.kind, job.number) for job in self.model.ready()):
            return
        self.do(self.killed(seen))
        if then == "take over":
            self.do(self.sweep())
        elif then == "run":
            self.run()
        elif then == "clear":
            self.clear()

    async def killed(self, seen: bool) -> None:
        self.victim_count += 1
        name = f"victim-{self.victim_count}"
        ready = [job for job in self.model.ready() if not self.model.struck(job.kind, job.number)]
        least = 1 if any(job.suspect for job in self.model.ready()) else min(CONCURRENCY, len(ready))
        pid = self.victims.start(self.shadow, name, CONCURRENCY)
        await wait_until(lambda: len(self.begun(ready)) >= least, f"{least} tasks of {name} have started")
        self.victims.kill(pid)
        started = self.begun(ready)
        await self.take_in(ready)
        snapshot = await self.shadow.snapshot()
        held = [self.model.jobs[row.key] for row in snapshot.running if row.worker == name]
        assert {job.key for job in started} <= {job.key for job in held}
        generations = [str((await self.found(job)).generation) for job in started]
        self.judgement = Judgement("death", "killed", tuple(generations)) if seen else Judgement()
        self.model.hold(held, started)
        async with self.shadow.redis() as redis:
            for consumer in await redis.zrange(self.shadow.keys.leases, 0, -1):
                # Its lease is over.
                await redis.zadd(self.shadow.keys.leases, {consumer: 1})

    async def sweep(self) -> None:
        """Takes over from the victim, as its master or another worker does."""
        if self.judgement is None:
            return
        async with self.shadow.redis() as redis:
            consumers = await redis.zrange(self.shadow.keys.leases, 0, -1)
        shadow, ttl_ms = self.shadow, self.shadow.settings.ttl_ms
        for consumer in consumers:
            assert await take_over(shadow.queries, shadow.keys, consumer.decode(), ttl_ms, self.judgement)
        self.model.die(seen=self.judgement.manner == "death")
        self.judgement = None

    async def take_in(self, ready: list[Job]) -> None:
        """What the worker did before it was killed, besides starting tasks: it moved what was due, ended the struck."""
        for job in self.model.ready():
            state = (await self.found(job)).state
            if state == "cancelled" and job not in ready:
                self.model.end(job, "cancelled", "cancelled", "struck")
            elif state != "scheduled":
                job.state = "queued"

    async def found(self, job: Job) -> Execution:
        execution = await self.shadow.get_execution(job.key)
        assert execution is not None
        return execution

    @rule(choice=st.integers(0, 10))
    def retry(self, choice: int) -> None:
        """An operator gives one back."""
        if not self.model.quarantined:
            return
        job = self.model.quarantined[choice % len(self.model.quarantined)]
        job = [each for each in self.model.quarantined if each.key == job.key][-1]
        entry = next(each for each in self.do(self.shadow.quarantine()) if each.key == job.key)
        present = self.model.jobs[job.key]
        if present.live:
            with pytest.raises(ShadowsError, match="is in use by another execution"):
                self.do(self.shadow.quarantine_retry(entry.id))
        else:
            self.do(self.shadow.quarantine_retry(entry.id))
            self.model.requeue(job)

    @invariant()
    def agrees(self) -> None:
        self.do(compare(self.shadow, self.model, self.journal))
