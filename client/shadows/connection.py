"""Connections to Redis: one `Link` per role, which sends each call exactly once.

redis-py resends commands by itself, which would run an add twice when only its reply was lost. So its
retries are off, and whoever calls a link decides whether a call may be sent again.
"""

import asyncio
import math
import os
import threading
from collections.abc import Awaitable, Callable, Sequence
from time import monotonic, time_ns
from typing import TYPE_CHECKING, Any

import hiredis
from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection, ConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.credentials import CredentialProvider
from redis.exceptions import AuthenticationError, NoScriptError, RedisError, ResponseError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from . import lazy
from .errors import ConfigurationError, ConnectionFailed, ServerRefused
from .forked import forget_in_copies, leave_to_parent
from .scripts import Script
from .urls import checked, redacted

if TYPE_CHECKING:
    from .embedded import EmbeddedServer

# Promised in the documents: a call that can't reach Redis raises within this time.
CALL_SECONDS = 5.0
RESEND_SECONDS = 0.05
OLDEST_SERVER = (6, 2)

# What a server says when it is up but takes no writes, or not yet; each passes by itself or by an
# operator's hand, so the caller may try again.
REFUSALS = frozenset(
    ("READONLY", "OOM", "MISCONF", "NOREPLICAS", "LOADING", "MASTERDOWN", "BUSY", "CLUSTERDOWN", "NOPERM")
)

type Argument = bytes | str | int | float


class Server:
    """Where Redis is, and how to open connections to it."""

    def __init__(self, url: str, credential_provider: CredentialProvider | None = None) -> None:
        self.url = url
        self.shown_url = redacted(url)
        self._address = checked(url)
        self._credential_provider = credential_provider
        self._embedded: EmbeddedServer | None = None
        # How many seconds this host's clock and Redis's were apart when the first connection was made.
        self.clock_apart = 0.0
        self._checked = False
        # A thread's lock: a worker's pulse asks from a loop of its own.
        self._starting = threading.Lock()

    async def address(self) -> str:
        """The URL for redis-py; starts the embedded server when the URL asks for one."""
        if not self._address.startswith("embedded:"):
            return self._address
        return await asyncio.to_thread(self._start_embedded)

    def _start_embedded(self) -> str:
        with self._starting:
            if self._embedded is None:
                self._embedded = lazy.embedded().acquire(self._address)
            else:
                self._embedded.ensure_running()
            return self._embedded.url

    async def options(self) -> dict[str, Any]:
        """Keyword arguments for redis-py, for a connection of ours or a client of the user's."""
        options: dict[str, Any] = {
            "protocol": 2,
            "socket_connect_timeout": CALL_SECONDS,
            "retry": Retry(NoBackoff(), 0),
            "driver_info": None,
        }
        if self._credential_provider is not None:
            options["credential_provider"] = self._credential_provider
        return options

    async def connect(self, role: str) -> AbstractConnection:
        """Opens a connection; ConnectionFailed when there is no server that we can use."""
        try:
            async with asyncio.timeout(CALL_SECONDS):
                pool = ConnectionPool.from_url(
                    await self.address(), client_name=f"shadows:{role}", socket_timeout=None, **await self.options()
                )
                connection: AbstractConnection = pool.make_connection()  # type: ignore[no-untyped-call]
                await connection.connect()  # type: ignore[no-untyped-call]
                if not self._checked:
                    await self._check_version(connection)
        except (RedisError, OSError, TimeoutError) as error:
            raise self.unreachable(error) from error
        except ValueError as error:
            raise ConfigurationError(
                f"The URL {self.shown_url!r} can't be used: {error}. Expected something like redis://localhost:6379/0."
            ) from error
        return connection

    async def _check_version(self, connection: AbstractConnection) -> None:
        await connection.send_command("INFO", "server")
        info = (await connection.read_response()).decode()
        version = info.partition("redis_version:")[2].partition("\r\n")[0]
        if tuple(int(part) for part in version.split(".")[:2]) < OLDEST_SERVER:
            await connection.disconnect(nowait=True)
            raise ConfigurationError(
                f"The server at {self.shown_url} is Redis {version}; shadows needs 6.2 or newer (or Valkey). "
                "Upgrade the server, or point SHADOWS_URL at another one."
            )
        server_time = int(info.partition("server_time_usec:")[2].partition("\r\n")[0] or time_ns() // 1000)
        self.clock_apart = abs(time_ns() / 1e9 - server_time / 1e6)
        self._checked = True

    def unreachable(self, error: BaseException) -> ConnectionFailed:
        """The error for a call that did not come through."""
        what = (str(error) or type(error).__name__).rstrip(".")
        if isinstance(error, AuthenticationError):
            # It is there, and answers: who reads otherwise looks at the server and at the network, in vain.
            return ConnectionFailed(
                f"Redis at {self.shown_url} did not let this user in: {what}. Put the password into the URL "
                "(SHADOWS_URL), as in redis://:password@localhost:6379/0, or redis://user:password@localhost:6379/0."
            )
        return ConnectionFailed(
            f"Redis at {self.shown_url} could not be reached within {CALL_SECONDS:g} s: {what}. "
            "Check that the server runs and that the URL (SHADOWS_URL) is right."
        )

    def refusal(self, words: str) -> ServerRefused:
        """The error for a call that the server refused with these words."""
        remedy = (
            "Allow it to this user: `shadowsd doctor` names what a worker needs"
            if words.startswith("NOPERM")
            else "Free memory, disk or replicas on the server, or point SHADOWS_URL at a primary"
        )
        return ServerRefused(
            f"Redis at {self.shown_url} refused the call: {words.rstrip('.')}. Nothing was written. {remedy}; "
            "then try again."
        )

    async def client(self) -> Redis:
        """A redis-py client of its own, for what users want to do themselves."""
        return Redis.from_url(await self.address(), **await self.options())

    async def close(self) -> None:
        """Gives the embedded server back, if there is one."""
        embedded, self._embedded = self._embedded, None
        if embedded is not None:
            await asyncio.to_thread(embedded.release)


class Link:
    """One connection for one role. Calls wait for each other; a failed call closes the connection,
    so that a late reply can never be taken for the answer to another call."""

    def __init__(self, server: Server, role: str) -> None:
        self.server = server
        self.role = role
        self.opened = 0
        self._connection: AbstractConnection | None = None
        self._incoming: asyncio.StreamReader | None = None
        self._owner: tuple[int, asyncio.AbstractEventLoop] | None = None
        self._lock = asyncio.Lock()
        forget_in_copies(self)

    def forget(self) -> None:
        """In a forked copy: the connection is the parent's, and so is the call that perhaps holds the lock."""
        leave_to_parent(self._connection, self._owner)
        self._connection = self._owner = None
        self._lock = asyncio.Lock()

    @property
    def connected(self) -> bool:
        """Whether the connection is open, as far as this side knows. One that the server closed while it was
        idle is not: the next call opens another one, instead of failing for an outage that is over."""
        if self._connection is None or not self._connection.is_connected or self._incoming is None:
            return False
        return not self._incoming.at_eof() and self._incoming.exception() is None

    async def call(self, *command: Argument, seconds: float = CALL_SECONDS) -> Any:
        """Sends one command and returns its reply.

        Raises ConnectionFailed when the reply did not come within `seconds` (the command may have run
        or not), ServerRefused when the server takes no writes now, ResponseError for a wrong command.
        """
        try:
            # The time includes the waiting for other calls, so that a dead server holds nobody up twice.
            async with asyncio.timeout(seconds), self._lock:
                return await self._exchange(command)
        except (RedisConnectionError, RedisTimeoutError, OSError, TimeoutError) as error:
            if refusal := refused(error):
                raise self.server.refusal(refusal) from error
            if isinstance(error, ConnectionFailed):
                raise  # opening the connection has said it already
            raise self.server.unreachable(error) from error
        except ResponseError as error:
            if refusal := refused(error):
                raise self.server.refusal(refusal) from error
            raise

    async def _exchange(self, command: Sequence[Argument]) -> Any:
        connection = await self._open()
        try:
            packed = hiredis.pack_command(command)  # type: ignore[arg-type] # its stub wants a tuple of one
            await connection.send_packed_command(packed, check_health=False)
            return await connection.read_response(timeout=math.inf)
        except ResponseError:
            raise
        except BaseException:
            # Also when the caller is cancelled: the reply that is still to come would answer the next call.
            await self._drop()
            raise

    async def run(
        self,
        script: Script,
        keys: Sequence[Argument],
        arguments: Sequence[Argument],
        seconds: float = CALL_SECONDS,
    ) -> Any:
        """Runs a script by its digest; a server that forgot it (restart, SCRIPT FLUSH) is told again."""
        try:
            return await self.call("EVALSHA", script.digest, len(keys), *keys, *arguments, seconds=seconds)
        except NoScriptError:
            # NOSCRIPT comes before anything ran, so sending it whole repeats nothing.
            return await self.call("EVAL", script.source, len(keys), *keys, *arguments, seconds=seconds)

    async def repeat(self, script: Script, keys: Sequence[Argument], arguments: Sequence[Argument]) -> Any:
        """Runs a script that may run twice, or answers a number from its cache: sent again until 5 s are over."""
        return await again(lambda seconds: self.run(script, keys, arguments, seconds))

    async def ask(self, *command: Argument) -> Any:
        """Sends a command that may run twice, as those that only read: sent again until 5 s are over."""
        return await again(lambda seconds: self.call(*command, seconds=seconds))

    async def _open(self) -> AbstractConnection:
        here = (os.getpid(), asyncio.get_running_loop())
        if self._connection is not None and self._owner != here:
            # A copy of the process, or a second loop: the socket belongs to the first.
            self._connection = None
        if self._connection is None or not self.connected:
            await self._drop()
            self._connection = await self.server.connect(self.role)
            self._incoming = self._connection._reader  # noqa: SLF001 # nothing public tells of an idle one's end
            self._owner = here
            self.opened += 1
        return self._connection

    async def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.disconnect(nowait=True)

    async def close(self) -> None:
        """Closes the connection; a later call opens a new one."""
        await self._drop()


async def again(send: Callable[[float], Awaitable[Any]]) -> Any:
    """Calls `send` with the seconds that are left until it comes through, or 5 s are over."""
    deadline = monotonic() + CALL_SECONDS
    while True:
        try:
            return await send(max(deadline - monotonic(), RESEND_SECONDS))
        except (ConnectionFailed, ServerRefused) as error:
            # A server that reads its data back in after a restart has done nothing yet, and soon will.
            passes = isinstance(error, ConnectionFailed) or "LOADING" in str(error)
            if not passes or monotonic() + RESEND_SECONDS >= deadline:
                raise
            await asyncio.sleep(RESEND_SECONDS)


def refused(error: BaseException) -> str | None:
    """What the server said when it refused a write, or None when the error is another one."""
    # redis-py takes the code out of some messages; Redis 6.2 puts a dash before it when a script was refused.
    code = getattr(error, "status_code", None) or ""
    text = str(error)
    words = {word.lstrip("-") for word in text.split()} | {code}
    return f"{code} {text}".strip() if not REFUSALS.isdisjoint(words) else None
