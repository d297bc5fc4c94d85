"""`shadows.sync`: the same client for threads and scripts that have no event loop."""

import asyncio
import functools
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, ParamSpec, Self, overload
from weakref import finalize

from redis.credentials import CredentialProvider

from .errors import ShadowsError
from .execution import Disposition, ExecutionProgress, ExecutionState, TaskCall
from .execution import Execution as AsyncExecution
from .loop_thread import LoopThread, forks
from .priorities import Priority
from .registry import TaskFunction
from .settings import MAXIMUM_PAYLOAD
from .shadow import Shadow as AsyncShadow
from .snapshot import Snapshot, WorkerInfo
from .times import When

P = ParamSpec("P")


class Same[T]:
    """An attribute of the execution underneath."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, instance: "Execution", owner: type | None = None) -> T:
        value: T = getattr(instance.underneath, self._name)
        return value


class Execution:
    """One submission of a task; `sync()` brings it up to date, `get_result()` waits for its end."""

    function = Same[TaskFunction | None]()
    function_name = Same[str]()
    args = Same[tuple[Any, ...]]()
    kwargs = Same[dict[str, Any]]()
    key = Same[str]()
    when = Same[datetime | None]()
    attempt = Same[int]()
    redelivered = Same[bool]()
    state = Same[ExecutionState]()
    worker = Same[str | None]()
    started_at = Same[datetime | None]()
    completed_at = Same[datetime | None]()
    error = Same[str | None]()
    progress = Same[ExecutionProgress | None]()
    disposition = Same[Disposition]()
    schedule_exception = Same[BaseException | None]()

    def __init__(self, shadow: "Shadow", underneath: AsyncExecution) -> None:
        self.shadow = shadow
        self.underneath = underneath

    def __repr__(self) -> str:
        return repr(self.underneath)

    def get_argument(self, name: str) -> Any:
        """The argument that parameter `name` got, or its default. Raises ArgumentsError when there is none."""
        return self.underneath.get_argument(name)

    def sync(self) -> None:
        """Reads the present state from Redis. Raises ConnectionFailed when it can't be reached within 5 s."""
        self._ask(lambda execution: execution.sync())

    def get_result(self, *, timeout: timedelta | float | None = None, deadline: datetime | None = None) -> Any:
        """Waits for the end of this submission, through its retries, and returns what the task returned.

        As `shadows.Execution.get_result`. Inside a running event loop it is refused: it would stop that loop,
        and for ever if the task runs there.
        """
        if in_loop():
            raise ShadowsError(
                f"get_result() of {self.function_name} with key {self.key!r} would block the event loop that it was "
                "called in. Use shadows.Shadow there, or wait in a thread: await asyncio.to_thread(...)."
            )
        return self._ask(lambda execution: execution.get_result(timeout=timeout, deadline=deadline))

    def _ask[T](self, call: Callable[[AsyncExecution], Awaitable[T]]) -> T:
        def asked(shadow: AsyncShadow) -> Awaitable[T]:
            # Opened anew, after a fork or a close, it is another client than the one that added.
            self.underneath.shadow = shadow
            return call(self.underneath)

        return self.shadow.ask(asked)


class Shadow:
    """As `shadows.Shadow`, with plain calls, from any thread; those of several threads share their round trips.

    Each call opens it if need be, also after a fork; as a context manager it connects at the beginning and
    closes at the end. Inside a running event loop calls work, and block it for a round trip.
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
        """Nothing is connected yet. The settings are those of `shadows.Shadow`."""
        self._make = functools.partial(
            AsyncShadow, name, url, heartbeat_interval, missed_heartbeats, execution_ttl, serializer,
            secret=secret, maximum_payload=maximum_payload, credential_provider=credential_provider,
        )  # fmt: skip
        self._shadow = self._make()
        self._thread: LoopThread | None = None
        self.name = self._shadow.name
        self.url = self._shadow.url

    def __enter__(self) -> Self:
        """Connects, so that a wrong URL shows here and not at the first add."""
        self.ask(lambda shadow: shadow.__aenter__())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections and ends the thread. A later call opens it again."""
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.close()

    def ask[T](self, call: Callable[[AsyncShadow], Awaitable[T]]) -> T:
        """Awaits anything of `shadows.Shadow` that has no method here: `ask(lambda shadow: shadow.quarantine())`."""
        with forks.lock:
            if self._thread is None or self._thread.closed:
                # Each opening has a client of its own: the queues and connections of a parent are not the child's.
                self._shadow = self._make()
                self._thread = LoopThread(functools.partial(self._shadow.__aexit__, None, None, None))
                finalize(self, self._thread.collected)
            thread, shadow = self._thread, self._shadow
        return thread.run(lambda: call(shadow))

    def register(self, function: TaskFunction, names: Iterable[str] | None = None) -> None:
        """As `shadows.Shadow.register`."""
        self._shadow.register(function, names)

    def register_collection(self, path: str) -> None:
        """As `shadows.Shadow.register_collection`."""
        self._shadow.register_collection(path)

    @overload
    def add(
        self, function: Callable[P, Any], when: When = None, key: str | None = None, *, priority: Priority = "normal"
    ) -> Callable[P, Execution]: ...
    @overload
    def add(
        self, function: str, when: When = None, key: str | None = None, *, priority: Priority = "normal"
    ) -> Callable[..., Execution]: ...
    def add(
        self,
        function: Callable[..., Any] | str,
        when: When = None,
        key: str | None = None,
        *,
        priority: Priority = "normal",
    ) -> Callable[..., Execution]:
        """Schedules a call: `shadows.add(greet)("Jane")`. As `shadows.Shadow.add`."""
        return lambda *args, **kwargs: Execution(
            self, self.ask(lambda shadow: shadow.add(function, when, key, priority=priority)(*args, **kwargs))
        )

    @overload
    def replace(
        self, function: Callable[P, Any], when: When, key: str, *, priority: Priority = "normal"
    ) -> Callable[P, Execution]: ...
    @overload
    def replace(
        self, function: str, when: When, key: str, *, priority: Priority = "normal"
    ) -> Callable[..., Execution]: ...
    def replace(
        self, function: Callable[..., Any] | str, when: When, key: str, *, priority: Priority = "normal"
    ) -> Callable[..., Execution]:
        """Schedules a call whether or not the key exists. As `shadows.Shadow.replace`."""
        return lambda *args, **kwargs: Execution(
            self, self.ask(lambda shadow: shadow.replace(function, when, key, priority=priority)(*args, **kwargs))
        )

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
        return lambda *args, **kwargs: TaskCall(function, args, kwargs, when, key, priority)

    def add_many(self, calls: Iterable[TaskCall], chunk_size: int = 1000) -> list[Execution]:
        """Adds many calls, in order. As `shadows.Shadow.add_many`."""
        added = self.ask(lambda shadow: shadow.add_many(calls, chunk_size))
        return [Execution(self, execution) for execution in added]

    def replace_many(self, calls: Iterable[TaskCall], chunk_size: int = 1000) -> list[Execution]:
        """As `add_many`, but each call takes the place of what its key had."""
        added = self.ask(lambda shadow: shadow.replace_many(calls, chunk_size))
        return [Execution(self, execution) for execution in added]

    def cancel(self, key: str) -> bool:
        """Ends the execution with this key; False when there was nothing to cancel. As `shadows.Shadow.cancel`."""
        return self.ask(lambda shadow: shadow.cancel(key))

    def strike(
        self, function: TaskFunction | str | None = None, parameter: str | None = None,
        operator: str = "==", value: Any = None,
    ) -> None:  # fmt: skip
        """Holds calls back. As `shadows.Shadow.strike`."""
        self.ask(lambda shadow: shadow.strike(function, parameter, operator, value))

    def restore(
        self, function: TaskFunction | str | None = None, parameter: str | None = None,
        operator: str = "==", value: Any = None,
    ) -> None:  # fmt: skip
        """Lifts the strike that was made with the same arguments."""
        self.ask(lambda shadow: shadow.restore(function, parameter, operator, value))

    def get_execution(self, key: str) -> Execution | None:
        """The execution that has this key, or had it last; None when nothing of it is kept."""
        found = self.ask(lambda shadow: shadow.get_execution(key))
        return Execution(self, found) if found is not None else None

    def snapshot(self, limit: int = 1000) -> Snapshot:
        """What is scheduled, queued and running now, at most `limit` of each, with the totals."""
        return self.ask(lambda shadow: shadow.snapshot(limit))

    def workers(self) -> list[WorkerInfo]:
        """The workers that live."""
        return self.ask(lambda shadow: shadow.workers())

    def clear(self) -> int:
        """Removes everything that has not started; returns how much. Running tasks and strikes stay."""
        return self.ask(lambda shadow: shadow.clear())


@functools.cache
def default_shadow() -> Shadow:
    """The one of this process, as SHADOWS_NAME, SHADOWS_URL and their kin configure it when it is first used."""
    return Shadow()


@overload
def add[**P](
    function: Callable[P, Any], when: When = None, key: str | None = None, *, priority: Priority = "normal"
) -> Callable[P, Execution]: ...
@overload
def add(
    function: str, when: When = None, key: str | None = None, *, priority: Priority = "normal"
) -> Callable[..., Execution]: ...
def add(
    function: Callable[..., Any] | str, when: When = None, key: str | None = None, *, priority: Priority = "normal"
) -> Callable[..., Execution]:
    """Schedules a call on the shadow that the environment configures: `add(greet)("Jane")`."""
    return default_shadow().add(function, when, key, priority=priority)


def in_loop() -> bool:
    """Whether an event loop runs in this thread."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
