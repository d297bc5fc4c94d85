"""`Shadow`: the client of one named set of tasks. It enqueues, inspects and declares; it runs nothing."""

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, ParamSpec, overload

from .client import Client
from .connection import Argument
from .execution import Execution, TaskCall
from .identifiers import checked, fresh_key
from .priorities import Priority, letter_of
from .quarantine import QuarantinedEntry
from .registry import TaskFunction
from .scripts import CANCEL, CLEAR
from .snapshot import Snapshot, WorkerInfo, read_snapshot, read_task_workers, read_workers
from .strikes import checked_function, checked_strike
from .times import When

P = ParamSpec("P")


class Shadow(Client):
    """A named set of background tasks in one Redis.

    Use it as an async context manager. Everything that talks to Redis raises ConnectionFailed when the
    server can't be reached within 5 s, and ServerRefused when it takes no writes.
    """

    def register(self, function: TaskFunction, names: Iterable[str] | None = None) -> None:
        """Makes a function known to workers in this process, under its own name or under each of `names`.

        Raises RegistrationError when it can't be a task or another function has the name.
        """
        self.registry.register(function, names)

    def register_collection(self, path: str) -> None:
        """Registers the list of functions at `"module:member"`, or the tasks of a whole `"module"`."""
        self.registry.register_collection(path)

    @overload
    def add(
        self, function: Callable[P, Any], when: When = None, key: str | None = None, *, priority: Priority = "normal"
    ) -> Callable[P, Awaitable[Execution]]: ...
    @overload
    def add(
        self, function: str, when: When = None, key: str | None = None, *, priority: Priority = "normal"
    ) -> Callable[..., Awaitable[Execution]]: ...
    def add(
        self,
        function: Callable[..., Any] | str,
        when: When = None,
        key: str | None = None,
        *,
        priority: Priority = "normal",
    ) -> Callable[..., Awaitable[Execution]]:
        """Schedules a call: `await shadows.add(greet)("Jane")`.

        when: an aware datetime or a timedelta from now; None or past means now.
        key: names the execution; while one with this key is scheduled, queued or running, adding is a no-op
        (`execution.disposition` is ALREADY_SCHEDULED). None makes a fresh one.
        priority: "high", "normal" or "low"; of what is ready, the higher always leaves first, also in its retries.

        The call raises ArgumentsError, PayloadTooLarge, ConnectionFailed or ServerRefused.
        """
        return self._adder.prepare(function, when, key, priority, "a")

    @overload
    def replace(
        self, function: Callable[P, Any], when: When, key: str, *, priority: Priority = "normal"
    ) -> Callable[P, Awaitable[Execution]]: ...
    @overload
    def replace(
        self, function: str, when: When, key: str, *, priority: Priority = "normal"
    ) -> Callable[..., Awaitable[Execution]]: ...
    def replace(
        self, function: Callable[..., Any] | str, when: When, key: str, *, priority: Priority = "normal"
    ) -> Callable[..., Awaitable[Execution]]:
        """Schedules a call whether or not the key exists. A scheduled or queued predecessor goes; a running
        one runs on, but its end, its retry and its next perpetual run no longer count."""
        return self._adder.prepare(function, when, key, priority, "r")

    @overload
    def call(
        self, function: Callable[P, Any], when: When = None, key: str | None = None, *, priority: Priority = "normal"
    ) -> Callable[P, TaskCall]: ...
    @overload
    def call(
        self, function: str, when: When = None, key: str | None = None, *, priority: Priority = "normal"
    ) -> Callable[..., TaskCall]: ...
    def call(
        self,
        function: Callable[..., Any] | str,
        when: When = None,
        key: str | None = None,
        *,
        priority: Priority = "normal",
    ) -> Callable[..., TaskCall]:
        """Prepares a call for `add_many` or `replace_many`; nothing is sent."""
        letter_of(priority)  # what is none is refused here, and not when it is added
        return lambda *args, **kwargs: TaskCall(function, args, kwargs, when, key, priority)

    async def add_many(self, calls: Iterable[TaskCall], chunk_size: int = 1000) -> list[Execution]:
        """Adds many calls, in order, each by itself whole or not at all.

        An item that fails has the disposition FAILED and its error in `schedule_exception`; the others go on.
        chunk_size: how many calls are prepared ahead of the answers.
        """
        return await self._adder.many(calls, chunk_size, "a")

    async def replace_many(self, calls: Iterable[TaskCall], chunk_size: int = 1000) -> list[Execution]:
        """As `add_many`, but each call takes the place of what its key had."""
        return await self._adder.many(calls, chunk_size, "r")

    async def cancel(self, key: str) -> bool:
        """Ends the execution with this key: a scheduled or queued one never runs, a running one is cancelled.
        The key is free afterwards. Returns False, without an error, when there was nothing to cancel."""
        names = self.keys
        record = names.record(checked(key, "key"))
        # A call of its own number: resending after a lost reply can't hit a successor of the same key.
        lane = names.reply(fresh_key(), "cancel")
        arguments: list[Argument] = [names.prefix, 1, key, self.settings.ttl_ms, "cancelled"]
        return bool(await self.queries.repeat(CANCEL, [record, names.schedule, lane], arguments))

    async def strike(
        self, function: TaskFunction | str | None = None, parameter: str | None = None,
        operator: str = "==", value: Any = None,
    ) -> None:  # fmt: skip
        """Holds back all calls of a function, those with a parameter that compares so, or any task's with it.

        Struck calls are not added (disposition STRUCK), and cancelled where a worker finds them.
        operator: one of == != > >= < <= between (two bounds, both included).
        """
        await self.strikelist.strike(checked_strike(function, parameter, operator, value))

    async def restore(
        self, function: TaskFunction | str | None = None, parameter: str | None = None,
        operator: str = "==", value: Any = None,
    ) -> None:  # fmt: skip
        """Lifts the strike that was made with the same arguments."""
        await self.strikelist.restore(checked_strike(function, parameter, operator, value))

    async def pause(self, function: TaskFunction | str | None = None) -> None:
        """Holds the executions of a function, or of all functions, until `resume`: what is added waits, what is due
        waits, what runs is finished. Every worker follows at once, and those that start meanwhile, too."""
        await self.strikelist.pause(checked_function(function))

    async def resume(self, function: TaskFunction | str | None = None) -> None:
        """Lets run what `pause` held, in its order; as often called as one likes."""
        await self.strikelist.resume(checked_function(function))

    async def paused(self) -> list[str]:
        """The names of the functions that are paused; "*" stands for all."""
        await self.strikelist.load()
        return sorted("*" if name is None else name for name in self.strikelist.paused)

    async def wait_for_strikes_loaded(self) -> None:
        """Returns once this client knows all strikes; the first add does this by itself."""
        await self.strikelist.load()

    async def get_execution(self, key: str) -> Execution | None:
        """The execution that has this key, or had it last; None when nothing of it is kept."""
        return await self._records.find(self, key)

    async def snapshot(self, limit: int = 1000) -> Snapshot:
        """What is scheduled, queued and running now, at most `limit` of each, with the totals."""
        return await read_snapshot(self.queries, self.keys, limit)

    async def workers(self) -> list[WorkerInfo]:
        """The workers that live."""
        return await read_workers(self.queries, self.keys)

    async def task_workers(self, name: str) -> list[WorkerInfo]:
        """The living workers that know a function."""
        return await read_task_workers(self.queries, self.keys, name)

    async def quarantine(self, limit: int = 1000) -> list[QuarantinedEntry]:
        """What was set aside because it could not run, newest first."""
        return await self._quarantine.entries(limit)

    async def quarantine_retry(self, id: str) -> None:
        """Gives a quarantined entry back to the workers; it stays, with an error, when its key is busy."""
        await self._quarantine.retry(id)

    async def quarantine_drop(self, id: str) -> None:
        """Deletes a quarantined entry for good."""
        await self._quarantine.drop(id)

    async def clear(self) -> int:
        """Removes everything that has not started; returns how much. Running tasks and strikes stay."""
        names = self.keys
        total, more = 0, 1
        while more:
            removed, more = await self.queries.repeat(
                CLEAR,
                [*names.streams, names.schedule, names.unknown, names.leases, names.waiting, names.paused],
                [names.prefix, self.settings.ttl_ms],
            )
            total += removed
        return total
