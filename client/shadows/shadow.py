"""`Shadow`: the client of one named set of tasks. It enqueues, inspects and declares; it runs nothing."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Any, ParamSpec, Self, overload

from redis.asyncio import Redis
from redis.credentials import CredentialProvider

from . import lazy
from .adding import Adder
from .connection import Argument, Link, Server
from .errors import ExecutionCancelled, ResultNotKept
from .execution import Disposition, Execution, ExecutionProgress, TaskCall
from .identifiers import checked, fresh_key
from .keys import Keys
from .quarantine import Quarantine, QuarantinedEntry
from .records import Records
from .registry import TaskFunction, name_of, registry_of
from .scripts import CANCEL, CLEAR, PROGRESS
from .settings import MAXIMUM_PAYLOAD, Settings
from .snapshot import Snapshot, WorkerInfo, read_snapshot, read_task_workers, read_workers
from .strikelist import StrikeList, checked_strike
from .submissions import Submissions
from .subscriptions import Subscriptions
from .times import When

if TYPE_CHECKING:
    from .codec.codec import Codec

P = ParamSpec("P")


class Shadow:
    """A named set of background tasks in one Redis.

    Use it as an async context manager. Everything that talks to Redis raises ConnectionFailed when the
    server can't be reached within 5 s, and ServerRefused when it takes no writes.
    """

    def __init__(
        self,
        name: str | None = None,
        url: str | None = None,
        heartbeat_interval: timedelta = timedelta(seconds=2),
        missed_heartbeats: int = 5,
        execution_ttl: timedelta = timedelta(minutes=15),
        serializer: str | None = None,
        *,
        secret: str | bytes | None = None,
        maximum_payload: int = MAXIMUM_PAYLOAD,
        credential_provider: CredentialProvider | None = None,
    ) -> None:
        """Nothing is connected yet; a setting that can't be right raises ConfigurationError.

        name: of the set of tasks; default SHADOWS_NAME, else "shadows".
        url: of Redis; default SHADOWS_URL, else redis://localhost:6379/0.
        heartbeat_interval, missed_heartbeats: a worker that was silent for their product is taken for dead.
        execution_ttl: how long outcomes are kept; 0 keeps nothing.
        serializer: "msgpack" or "pickle"; default SHADOWS_SERIALIZER. Both sides must use the same.
        secret: signs payloads and refuses unsigned ones; default SHADOWS_SECRET.
        maximum_payload: bytes that the arguments or the result of one task may take.
        credential_provider: redis-py's, for passwords that change.
        """
        self.settings = settings = Settings.gather(
            name, url, heartbeat_interval, missed_heartbeats, execution_ttl, serializer, secret, maximum_payload
        )
        self.name = settings.name
        self.keys = Keys(settings.name)
        self.registry = registry_of(settings.name)
        self.server = Server(settings.url, credential_provider)
        self.codec: Codec = lazy.codec().Codec(
            settings.name, settings.serializer, settings.secret, settings.maximum_payload
        )
        self.queries = Link(self.server, "queries")
        self.subscriptions = Subscriptions(self.server, "results")
        self.strikelist = StrikeList(self.queries, self.keys, self.codec)
        self._sending = Link(self.server, "submissions")
        self._submissions = Submissions(self._sending, self.keys, self.strikelist)
        self._adder = Adder(self, self.registry, self.codec, self.strikelist, self._submissions, self.keys.task)
        self._records = Records(self.queries, self.keys, self.codec, self.registry, self.subscriptions)
        self._quarantine = Quarantine(self.queries, self.keys)

    @property
    def url(self) -> str:
        """The Redis URL as it may be shown: without its password."""
        return self.server.shown_url

    @property
    def execution_ttl(self) -> timedelta:
        """How long outcomes are kept."""
        return self.settings.execution_ttl

    @property
    def heartbeat_interval(self) -> timedelta:
        """How often workers show that they live."""
        return self.settings.heartbeat_interval

    @property
    def tasks(self) -> dict[str, TaskFunction]:
        """The registered functions by name."""
        return {task.name: task.function for task in self.registry}

    def labels(self) -> Mapping[str, str]:
        """What metrics and traces say of this shadow."""
        return {"shadows.name": self.name}

    async def __aenter__(self) -> Self:
        """Connects, so that a wrong URL shows here and not at the first add."""
        await self.queries.call("PING")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Sends what is queued, then closes every connection."""
        await self._submissions.close()
        await self.subscriptions.close()
        await self._sending.close()
        await self.queries.close()
        await self.server.close()

    @asynccontextmanager
    async def redis(self) -> AsyncIterator[Redis]:
        """A redis-py client on the same server, for whatever else you need of it."""
        client = await self.server.client()
        async with client:
            yield client

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
        self, function: Callable[P, Any], when: When = None, key: str | None = None
    ) -> Callable[P, Awaitable[Execution]]: ...
    @overload
    def add(self, function: str, when: When = None, key: str | None = None) -> Callable[..., Awaitable[Execution]]: ...
    def add(
        self, function: Callable[..., Any] | str, when: When = None, key: str | None = None
    ) -> Callable[..., Awaitable[Execution]]:
        """Schedules a call: `await shadows.add(greet)("Jane")`.

        when: an aware datetime or a timedelta from now; None or past means now.
        key: names the execution; while one with this key is scheduled, queued or running, adding is a no-op
        (`execution.disposition` is ALREADY_SCHEDULED). None makes a fresh one.

        The call raises ArgumentsError, PayloadTooLarge, ConnectionFailed or ServerRefused.
        """
        return self._adder.prepare(function, when, key, "a")

    @overload
    def replace(self, function: Callable[P, Any], when: When, key: str) -> Callable[P, Awaitable[Execution]]: ...
    @overload
    def replace(self, function: str, when: When, key: str) -> Callable[..., Awaitable[Execution]]: ...
    def replace(self, function: Callable[..., Any] | str, when: When, key: str) -> Callable[..., Awaitable[Execution]]:
        """Schedules a call whether or not the key exists. A scheduled or queued predecessor goes; a running
        one runs on, but its end, its retry and its next perpetual run no longer count."""
        return self._adder.prepare(function, when, key, "r")

    @overload
    def call(self, function: Callable[P, Any], when: When = None, key: str | None = None) -> Callable[P, TaskCall]: ...
    @overload
    def call(self, function: str, when: When = None, key: str | None = None) -> Callable[..., TaskCall]: ...
    def call(
        self, function: Callable[..., Any] | str, when: When = None, key: str | None = None
    ) -> Callable[..., TaskCall]:
        """Prepares a call for `add_many` or `replace_many`; nothing is sent."""
        return lambda *args, **kwargs: TaskCall(function, args, kwargs, when, key)

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
        await self.strikelist.strike(checked_strike(as_name(function), parameter, operator, value))

    async def restore(
        self, function: TaskFunction | str | None = None, parameter: str | None = None,
        operator: str = "==", value: Any = None,
    ) -> None:  # fmt: skip
        """Lifts the strike that was made with the same arguments."""
        await self.strikelist.restore(checked_strike(as_name(function), parameter, operator, value))

    async def wait_for_strikes_loaded(self) -> None:
        """Returns once this client knows all strikes; the first add does this by itself."""
        await self.strikelist.load()

    async def get_execution(self, key: str) -> Execution | None:
        """The execution that has this key, or had it last; None when nothing of it is kept."""
        return await self._records.find(self, key)

    async def refresh(self, execution: Execution) -> None:
        """Brings an execution up to date; `execution.sync()` is the same."""
        await self._records.refresh(execution)

    async def result_of(self, execution: Execution, seconds: float | None) -> Any:
        """Waits for an execution's outcome; `execution.get_result()` is the same."""
        if execution.disposition is Disposition.STRUCK:
            raise ExecutionCancelled("struck")
        if execution.schedule_exception is not None:
            raise execution.schedule_exception
        if not self.settings.ttl_ms:
            raise ResultNotKept(
                f"Nothing is kept of {execution.function_name} with key {execution.key!r}, because execution_ttl is 0. "
                "Make the Shadow with an execution_ttl that is longer than you wait."
            )
        return await self._records.result_of(execution, seconds, self.settings.heartbeat_interval.total_seconds())

    async def report_progress(self, execution: Execution, progress: ExecutionProgress) -> None:
        """Writes how far a run is, as long as it is the current one of its key; `Progress` calls this."""
        total: int | str = "" if progress.total is None else progress.total
        await self.queries.repeat(
            PROGRESS,
            [self.keys.record(execution.key)],
            [self.keys.events(execution.key), execution.fence, progress.current, total, progress.message or ""],
        )

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
                [*names.streams, names.schedule, names.unknown, names.leases, names.waiting],
                [names.prefix, self.settings.ttl_ms],
            )
            total += removed
        return total


def as_name(function: TaskFunction | str | None) -> str | None:
    """The name that strikes use for a function."""
    return function if function is None or isinstance(function, str) else name_of(function)
