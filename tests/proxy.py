"""A proxy between shadows and Redis that counts what passes and breaks it on request.

It runs in a thread with a loop of its own, so that it goes on while a test blocks its loop on purpose.
"""

import asyncio
import threading
from collections import Counter, deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import unquote, urlsplit

import psutil

from tests.resp import frames, words_of

type Predicate = Callable[[list[bytes]], bool]


def named(*names: str) -> Predicate:
    """Matches commands by their names; without any, every command."""
    wanted = {name.upper().encode() for name in names}
    return lambda words: not wanted or words[0].upper() in wanted


@dataclass
class LostReplies:
    """A standing order: lose the replies of these commands, which ran, and cut their connection."""

    matches: Predicate
    count: int
    skip: int
    lost: int = 0

    def takes(self, words: list[bytes]) -> bool:
        if self.lost >= self.count or not self.matches(words):
            return False
        if self.skip:
            self.skip -= 1
            return False
        self.lost += 1
        return True


class Proxy:
    """Listens on a loopback port for the server at `url`; its methods may be called from any thread."""

    def __init__(self, url: str) -> None:
        self.target = urlsplit(url)
        self.port = 0
        self.commands: Counter[str] = Counter()
        self.round_trips = 0
        self.connections = 0
        self.delay_seconds = 0.0
        self.lost: list[LostReplies] = []
        self._shut_out: set[int] = set()
        self._links: set[_Link] = set()
        self._server: asyncio.Server | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._gate = asyncio.Event()
        self._gate.set()

    def __enter__(self) -> Self:
        self._thread.start()
        self.accept()
        return self

    def __exit__(self, *_: object) -> None:
        self.refuse()
        self.cut()
        self._run(_all_ended())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def accept(self) -> None:
        """Listen again after `refuse`, on the same port."""
        self._run(self._listen())

    def refuse(self) -> None:
        """Refuse new connections, as a server that is down; those that stand go on."""
        self._run(self._close_listener())

    def cut(self) -> None:
        """Break every connection, as a network does."""
        self._run(self._cut())

    def cut_off(self, pid: int) -> None:
        """Break the connections of one process and refuse it new ones, as when a network loses one container."""
        self._run(self._cut_off(pid))

    def let_in(self, pid: int) -> None:
        """Accept that process again."""
        self._shut_out.discard(pid)

    def strand(self) -> None:
        """Break every connection for the client only: the server keeps them, as when a network loses the last word."""
        self._run(self._strand())

    def black_hole(self) -> None:
        """Pass nothing on, and keep all connections open, as a firewall that lost its table."""
        self._loop.call_soon_threadsafe(self._gate.clear)

    def resume(self) -> None:
        """End a black hole: what was held is passed on."""
        self._loop.call_soon_threadsafe(self._gate.set)

    def delay(self, seconds: float) -> None:
        """Hold each batch of replies for this long, from now on."""
        self.delay_seconds = seconds

    def lose_replies(self, *names: str, count: int = 1, skip: int = 0, where: Predicate | None = None) -> LostReplies:
        """Lose the replies of the next `count` such commands after they ran; the first `skip` are spared."""
        order = LostReplies(where or named(*names), count, skip)
        self.lost.append(order)
        return order

    def reset_counts(self) -> None:
        """Count from zero."""
        self.commands.clear()
        self.round_trips = self.connections = 0

    def loses(self, words: list[bytes]) -> bool:
        """Whether a standing order takes this command's reply."""
        return any([order.takes(words) for order in self.lost])  # noqa: C419 # each order counts what it sees

    def _run[T](self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _close_listener(self) -> None:
        if self._server:
            self._server.close()
            self._server = None

    async def _cut(self) -> None:
        for link in list(self._links):
            link.cut()

    async def _cut_off(self, pid: int) -> None:
        self._shut_out.add(pid)
        ports = ports_of(pid)
        for link in list(self._links):
            if port_of(link.client[1]) in ports:
                link.cut()

    async def _strand(self) -> None:
        for link in list(self._links):
            link.strand()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        if any(port_of(writer) in ports_of(pid) for pid in self._shut_out):
            writer.transport.abort()
            return
        try:
            if self.target.scheme == "unix":
                server = await asyncio.open_unix_connection(unquote(self.target.path))
            else:
                server = await asyncio.open_connection(self.target.hostname, self.target.port)
        except OSError:
            writer.transport.abort()
            return
        link = _Link(self, (reader, writer), server)
        self._links.add(link)
        try:
            await link.run()
        finally:
            self._links.discard(link)

    async def gate(self) -> None:
        """Where traffic waits while there is a black hole."""
        await self._gate.wait()


def port_of(writer: asyncio.StreamWriter) -> int:
    """By which port its client speaks."""
    port: int = writer.get_extra_info("peername")[1]
    return port


def ports_of(pid: int) -> set[int]:
    """The ports by which a process speaks to others; none when it is gone."""
    try:
        return {each.laddr.port for each in psutil.Process(pid).net_connections("tcp")}
    except psutil.NoSuchProcess:
        return set()


async def _all_ended() -> None:
    await asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()}, return_exceptions=True)


type Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class _Link:
    """One client's connection and the one to the server behind it."""

    def __init__(self, proxy: Proxy, client: Stream, server: Stream) -> None:
        self.proxy = proxy
        self.client = client
        self.server = server
        self.waiting: deque[bool] = deque()
        self._ways: list[asyncio.Future[None]] = []
        self._stranded = asyncio.Event()
        self.subscribed = False

    async def run(self) -> None:
        self._ways = [asyncio.ensure_future(self._requests()), asyncio.ensure_future(self._replies())]
        await asyncio.wait(self._ways, return_when=asyncio.FIRST_COMPLETED)
        if self._stranded.is_set():
            await asyncio.wait(self._ways)
        for way in self._ways:
            way.cancel()
        await asyncio.gather(*self._ways, return_exceptions=True)
        for _, writer in (self.client, self.server):
            writer.close()

    def cut_off(self, pid: int) -> None:
        """Break the connections of one process and refuse it new ones, as when a network loses one container."""
        self._run(self._cut_off(pid))

    def let_in(self, pid: int) -> None:
        """Accept that process again."""
        self._shut_out.discard(pid)

    def strand(self) -> None:
        self._stranded.set()
        self.client[1].transport.abort()

    def cut(self) -> None:
        for _, writer in (self.client, self.server):
            writer.transport.abort()
        for way in self._ways:
            way.cancel()

    async def _requests(self) -> None:
        held = b""
        while chunk := await self.client[0].read(65536):
            await self.proxy.gate()
            held += chunk
            sent = 0
            for start, end in frames(held):
                self._count(words_of(held[start:end]), first=sent == 0)
                sent = end
            self.server[1].write(held[:sent])
            held = held[sent:]

    def _count(self, words: list[bytes], first: bool) -> None:
        name = words[0].decode(errors="replace").upper()
        self.proxy.commands[name] += 1
        if first and not self.waiting:
            self.proxy.round_trips += 1
        self.subscribed = self.subscribed or name.endswith("SUBSCRIBE")
        # A subscribed connection is sent messages that answer nothing, so its replies can't be told apart.
        self.waiting.append(not self.subscribed and self.proxy.loses(words))

    async def _replies(self) -> None:
        held = b""
        while chunk := await self.server[0].read(65536):
            await self.proxy.gate()
            if self.proxy.delay_seconds:
                await asyncio.sleep(self.proxy.delay_seconds)
            held += chunk
            sent = 0
            for start, end in frames(held):
                if self._is_lost(held[start : start + 1]):
                    self.client[1].write(held[:start])
                    return
                sent = end
            self.client[1].write(held[:sent])
            held = held[sent:]

    def _is_lost(self, kind: bytes) -> bool:
        """Whether this frame answers a command whose reply is to be lost; a push answers none."""
        if kind == b">" or self.subscribed:
            return False
        return self.waiting.popleft()
