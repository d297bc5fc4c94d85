"""`crash_everywhere`: does a task come to the same end when its worker dies in the midst of it?

1. The task runs undisturbed, and its outcome is noted.
2. It runs again, and dies at its first await. The next worker gets it, as after a real death, and runs it to its end.
3. The same with the second await, and so on, until a run came to its end before it could die.

Each run is one in a real worker on a real Redis. What dies is the call: nothing is raised in it, and none of its code
runs any more. Its dependencies are closed, as connections of a dead process are by whoever was at the other end.
"""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from datetime import timedelta
from typing import Any, NamedTuple
from uuid import uuid4

import shadows

from .awaits import abandon, inside, places_at_awaits, stay
from .dependencies.current import current_execution
from .dependencies.kinds import Runtime
from .execution import Execution
from .expectations import described, waiting_executions
from .private_redis import RedisServer
from .registry import Task
from .shadow import Shadow

# A loop over many things has more awaits than anybody wants to wait for.
MOST_CRASHES = 2000

type Look = Callable[[], Awaitable[Any] | Any]


async def crash_everywhere(
    task: Callable[..., Any],
    /,
    *args: Any,
    check: Look | None = None,
    prepare: Look | None = None,
    within: timedelta = timedelta(seconds=30),
    **kwargs: Any,
) -> int:
    """Runs a task again and again, and lets it die before and after each await in its file; returns how often it died.

    Raises AssertionError, naming the await, when a redelivery then comes to another end than an undisturbed run: to
    another result or exception, to other tasks that were added, or to something else that `check` finds.

    check: looks at what the task did, and returns it; sync or async.
    prepare: is called before each run, to put back what the run before it did. Without it, a task that remembers what
    it has done will find it done.
    within: how long one run may take.
    """
    with RedisServer() as server:
        async with Shadow(f"crashing-{uuid4().hex[:8]}", server.url) as shadow:
            return await Crashing(server, shadow, task, args, kwargs, check, prepare, within).everywhere()


class Outcome(NamedTuple):
    """What a run came to."""

    ended: tuple[str, Any]
    added: list[str]
    found: Any

    def __str__(self) -> str:
        how, value = self.ended
        added = f", added {', '.join(self.added)}" if self.added else ""
        found = f"; check() gave {self.found!r}" if self.found is not None else ""
        return f"{how} {value!r}{added}{found}"


class Crashing:
    """One task's runs."""

    def __init__(
        self,
        server: RedisServer,
        shadow: Shadow,
        task: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        check: Look | None,
        prepare: Look | None,
        within: timedelta,
    ) -> None:
        self._server = server
        self._shadow = shadow
        self._task: Task = shadow.registry.register(task)
        self._args, self._kwargs = args, kwargs
        self._check, self._prepare = check, prepare
        self._within = within

    async def everywhere(self) -> int:
        """How often it died."""
        with places_at_awaits(self._task.function) if self._task.is_async else nullcontext():
            whole, _ = await self._run(0)
            for number in range(1, MOST_CRASHES + 1):
                outcome, place = await self._run(number)
                if place is None:
                    return number - 1
                if outcome != whole:
                    raise AssertionError(
                        f"{self._task.name} comes to another end when its worker dies {place}, and it is redelivered.\n"
                        f"  undisturbed: {whole}\n  with the death: {outcome}"
                    )
        raise AssertionError(
            f"{self._task.name} died {MOST_CRASHES} times and has more awaits. Give it less to do in this test."
        )

    async def _run(self, number: int) -> tuple[Outcome, str | None]:
        """One run that dies at the place with this number, counted from 1; and where that was, if it got there."""
        self._server.command("FLUSHDB")
        await _called(self._prepare)
        execution = await self._shadow.add(self._task.function)(*self._args, **self._kwargs)
        run = Run(execution, number)
        ending = asyncio.create_task(_ending(execution))
        try:
            async with asyncio.timeout(self._within.total_seconds()):
                await self._work(run, ending)
                if run.place is not None:
                    await self._work(Run(execution, 0), ending)
        except TimeoutError as error:
            died = f" after its worker died {run.place}" if run.place is not None else ""
            raise AssertionError(
                f"{self._task.name} had no outcome after {self._within}{died}. What the dead call held, "
                "such as a lock or a pool's connection, it still holds: open it in a dependency: that is closed."
            ) from error
        finally:
            ending.cancel()
        waiting = [each for each in await waiting_executions(self._shadow) if each.key != execution.key]
        added = sorted(described(each.function_name, each.args, each.kwargs, None) for each in waiting)
        return Outcome(ending.result(), added, await _called(self._check)), run.place

    async def _work(self, run: "Run", ending: "asyncio.Task[Any]") -> None:
        """A worker from its start to the task's end, or its own."""
        died = asyncio.create_task(run.died.wait())
        dying = {"crash_everywhere": Crash(run)}
        async with shadows.Worker(self._shadow, dependencies=dying, schedule_automatic_tasks=False) as worker:
            working = asyncio.create_task(worker.run_forever())
            try:
                await asyncio.wait({ending, died, working}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                died.cancel()
                await worker.stop_at_once()
                await working
        # A plain function is left alone by a worker that stops, and so is what waits around it here.
        for waiting in run.waiting:
            waiting.cancel()
        if run.waiting:
            await asyncio.wait(run.waiting)


class Run:
    """Where one run is, and whether it has died."""

    def __init__(self, execution: Execution, dies_at: int) -> None:
        self.execution = execution
        self.died = asyncio.Event()
        self.place: str | None = None
        self.waiting: list[asyncio.Task[Any]] = []
        self._dies_at = dies_at
        self._passed = 0

    async def passed(self, place: str) -> None:
        """Does not return to the code of the task once it is dead."""
        if self.reached(place) or self.died.is_set():
            await stay()

    def reached(self, place: str) -> bool:
        """Whether this is the place to die."""
        self._passed += 1
        if self._passed != self._dies_at:
            return False
        self.place = place
        self.died.set()
        return True

    async def wait(self) -> None:
        """Until the worker has stopped."""
        task = asyncio.current_task()
        assert task is not None  # it is awaited on a loop
        self.waiting.append(task)
        await asyncio.get_running_loop().create_future()


class Crash(Runtime):
    """Around the task, in its worker: opened before all its dependencies, and closed after them."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._ours = False

    async def __aenter__(self) -> object:
        execution = current_execution.get()
        ours = self._run.execution
        if (execution.key, execution.submission) != (ours.key, ours.submission):
            # What it added, and the next run of a perpetual task, are not what is looked at.
            await self._run.wait()
        return self

    async def __aexit__(self, *_: object) -> None:
        if not self._run.died.is_set() and self._run.reached("after its dependencies were closed"):
            await self._run.wait()

    async def run(self, execution: Execution, call: Callable[[], Awaitable[object]]) -> object:
        calling = asyncio.create_task(self._called(call))
        died = asyncio.create_task(self._run.died.wait())
        try:
            await asyncio.wait({calling, died}, return_when=asyncio.FIRST_COMPLETED)
            if self._run.died.is_set():
                await self._run.wait()
        except asyncio.CancelledError:
            # The worker may stop before this here has seen the death. Otherwise a limit of the worker's is over.
            await self._end(calling)
            raise
        finally:
            died.cancel()
        if self._run.reached(f"after {execution.function_name} ended"):
            calling.exception()  # which nobody will hear of
            await self._run.wait()
        return calling.result()

    async def _end(self, calling: asyncio.Task[object]) -> None:
        if self._run.died.is_set():
            abandon(calling)
        else:
            calling.cancel()
            await asyncio.wait({calling})

    async def _called(self, call: Callable[[], Awaitable[object]]) -> object:
        inside.set(self._run)
        return await call()


async def _ending(execution: Execution) -> tuple[str, Any]:
    """How it ended, in a form that can be compared."""
    try:
        return "returned", await execution.get_result()
    except Exception as error:
        return "raised", (type(error).__name__, str(error))


async def _called(look: Look | None) -> Any:
    if look is None:
        return None
    found = look()
    return await found if inspect.isawaitable(found) else found
