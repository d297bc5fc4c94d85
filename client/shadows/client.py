"""`Client`: what a `Shadow` consists of: its settings, its connections, and the parts that use them."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from redis.asyncio import Redis
from redis.credentials import CredentialProvider

from . import lazy
from .adding import Adder
from .connection import Link, Server
from .errors import ExecutionCancelled, ResultNotKept
from .execution import Disposition, Event, Execution, ExecutionProgress
from .following import Following
from .keys import Keys
from .quarantine import Quarantine
from .records import Records
from .registry import TaskFunction, registry_of
from .scripts import PROGRESS
from .settings import MAXIMUM_PAYLOAD, Settings
from .strikes import Strikes
from .submissions import Submissions
from .subscriptions import Subscriptions

if TYPE_CHECKING:
    from .codec.codec import Codec
    from .ledger import Ledger


class Client:
    """Opens and closes what a `Shadow` works with."""

    _connects_by: type[Server] = Server

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
        # How far a test has moved the schedule's clock (moved_clock.py).
        self.ahead = timedelta(0)
        self.server = self._connects_by(settings.url, credential_provider)
        self.codec: Codec = lazy.codec().Codec(
            settings.name, settings.serializer, settings.secret, settings.maximum_payload
        )
        self.queries = Link(self.server, "queries")
        self.subscriptions = Subscriptions(self.server, "results")
        self.strikelist = Strikes(self.queries, self.keys, self.codec)
        self._sending = Link(self.server, "submissions")
        self._submissions = Submissions(self._sending, self.keys, self.strikelist)
        self._adder = Adder(self, self.registry, self.codec, self.strikelist, self._submissions, self.keys.task)
        self._records = Records(self.queries, self.keys, self.codec, self.registry)
        self._following = Following(self.queries, self.keys, self._records, self.subscriptions)
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
        return await self._following.result_of(execution, seconds, self.settings.heartbeat_interval.total_seconds())

    def events_of(self, execution: Execution) -> AsyncGenerator[Event]:
        """Tells of an execution's changes; `execution.subscribe()` is the same."""
        return self._following.events_of(execution, self.settings.heartbeat_interval.total_seconds())

    @cached_property
    def ledger(self) -> "Ledger":
        """The steps that runs have taken; `Once` uses this."""
        ledger: Ledger = lazy.ledger().Ledger(self.queries, self.keys, self.codec)
        return ledger

    async def report_progress(self, execution: Execution, progress: ExecutionProgress) -> None:
        """Writes how far a run is, as long as it is the current one of its key; `Progress` calls this."""
        total: int | str = "" if progress.total is None else progress.total
        await self.queries.repeat(
            PROGRESS,
            [self.keys.record(execution.key)],
            [self.keys.events(execution.key), execution.generation, progress.current, total, progress.message or ""],
        )
