"""One pub/sub connection for all that a process listens to, which finds its way back after an outage."""

import asyncio
from collections.abc import Callable
from logging import getLogger

import hiredis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError

from .connection import CALL_SECONDS, Server, again, refused
from .errors import ShadowsError
from .forked import forget_in_copies, leave_to_parent

# A lost connection is tried again at once, then at this pace: outages are rare, floods of connects harmful.
RETRY_SECONDS = 0.25
# A connection on which nothing came for so long is asked whether it still stands: of one that a firewall forgot,
# nobody would tell.
SILENCE_SECONDS = 15.0

logger = getLogger("shadows")

# Called with a message, or with None after a gap in which messages may have been lost.
type Listener = Callable[[bytes | None], None]


class Subscriptions:
    """Channels and their listeners; connects at the first of them and closes after the last."""

    def __init__(self, server: Server, role: str) -> None:
        self._server = server
        self._role = role
        self._connection: AbstractConnection | None = None
        self._reader: asyncio.Task[None] | None = None
        self._begin()
        forget_in_copies(self)

    def _begin(self) -> None:
        self._listeners: dict[bytes, list[Listener]] = {}
        self._confirmed: dict[bytes, asyncio.Event] = {}
        self._asked: set[bytes] = set()
        self._opening = asyncio.Lock()
        self._refusal: ResponseError | None = None

    def forget(self) -> None:
        """In a forked copy: those who listen are the parent's."""
        leave_to_parent(self._connection, self._reader, self._listeners)
        self._connection = self._reader = None
        self._begin()

    @property
    def connected(self) -> bool:
        """Whether messages arrive now."""
        return self._connection is not None

    async def add(self, channel: str, listener: Listener) -> None:
        """Calls `listener` for each message from now on; returns once the server has confirmed it, so that
        what is read after this call can't miss a change."""
        name = channel.encode("utf-8", "surrogatepass")
        listeners = self._listeners.setdefault(name, [])
        listeners.append(listener)
        confirmed = self._confirmed.setdefault(name, asyncio.Event())
        try:
            async with asyncio.timeout(CALL_SECONDS):
                await self._subscribe()
                await confirmed.wait()
            if self._refusal is not None:
                raise self._server.refusal(refused(self._refusal) or str(self._refusal)) from self._refusal
        except TimeoutError as error:
            await self.remove(channel, listener)
            raise self._server.unreachable(error) from error
        except BaseException:
            await self.remove(channel, listener)
            raise

    async def _subscribe(self) -> None:
        """Asks for every channel that was not asked for yet; connects first if need be. One at a time:
        many who begin to listen together would each open a connection."""
        async with self._opening:
            if self._reader is None or self._reader.done():
                self._connection = await again(lambda _: self._server.connect(self._role))
                self._asked.clear()
                self._reader = asyncio.create_task(self._read(), name="shadows subscriptions")
            missing = self._listeners.keys() - self._asked
            if missing:
                self._asked |= missing
                await self._send("SUBSCRIBE", *missing)

    async def remove(self, channel: str, listener: Listener) -> None:
        """Stops calling `listener`."""
        name = channel.encode("utf-8", "surrogatepass")
        listeners = self._listeners.get(name, [])
        if listener in listeners:
            listeners.remove(listener)
        if not listeners and name in self._listeners:
            del self._listeners[name]
            self._confirmed.pop(name, None)
            self._asked.discard(name)
            await self._send("UNSUBSCRIBE", name)

    async def _send(self, *command: str | bytes) -> None:
        connection = self._connection
        if connection is None or not connection.is_connected:
            # The reader subscribes to everything once it has a connection; this call would make one that nobody reads.
            return
        try:
            await connection.send_packed_command(hiredis.pack_command(command), check_health=False)  # type: ignore[arg-type] # its stub knows str only
        except (RedisError, OSError, AttributeError):
            # The last is how Python 3.12's transports say that they are closed.
            await connection.disconnect(nowait=True)  # the reader notices and connects anew

    async def _read(self) -> None:
        while True:
            try:
                await self._deliver()
            except (RedisError, OSError) as error:
                if isinstance(error, ResponseError):
                    await self._refused(error)
                connection, self._connection = self._connection, None
                if connection is not None:
                    await connection.disconnect(nowait=True)
                for confirmed in self._confirmed.values():
                    confirmed.clear()
                await self._reconnect()

    async def _refused(self, error: ResponseError) -> None:
        """Redis 8 takes no subscriptions while it is out of memory, and none takes them from a user who may not hear
        the channel: says so to who waits, and pauses."""
        self._refusal = error
        for confirmed in self._confirmed.values():
            confirmed.set()
        await asyncio.sleep(RETRY_SECONDS)

    async def _deliver(self) -> None:
        connection = self._connection
        assert connection is not None
        asked = False
        while True:
            reply = await connection.read_response(timeout=SILENCE_SECONDS)
            if reply is None and asked:
                raise RedisConnectionError("The server does not answer a PING.")
            if reply is None:
                asked = True
                await self._send("PING")
            else:
                asked = False
                self._handle(*reply[:3])

    def _handle(self, kind: bytes, channel: bytes, data: bytes | int = b"") -> None:
        if kind == b"message" and isinstance(data, bytes):
            for listener in tuple(self._listeners.get(channel, ())):
                try:
                    listener(data)
                except Exception:  # anybody may publish anything: one odd message must not end the listening
                    logger.exception("The message %r on the channel %r could not be handled.", data, channel)
        elif kind == b"subscribe" and channel in self._confirmed:
            self._refusal = None
            self._confirmed[channel].set()

    async def _reconnect(self) -> None:
        while self._connection is None:
            try:
                self._connection = await self._server.connect(self._role)
            except ShadowsError:
                await asyncio.sleep(RETRY_SECONDS)
        self._asked = set(self._listeners)
        if self._listeners:
            await self._send("SUBSCRIBE", *self._listeners)
        for listeners in tuple(self._listeners.values()):
            for listener in tuple(listeners):
                listener(None)

    async def reconnect(self) -> None:
        """Gives the connection up; the reader opens another one, and tells the listeners of the gap."""
        if self._connection is not None:
            await self._connection.disconnect(nowait=True)

    async def close(self) -> None:
        """Closes the connection; the listeners are forgotten."""
        reader, self._reader = self._reader, None
        self._listeners.clear()
        self._confirmed.clear()
        self._asked.clear()
        if reader is not None:
            reader.cancel()
            await asyncio.gather(reader, return_exceptions=True)
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.disconnect(nowait=True)
