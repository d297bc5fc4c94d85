"""A small HTTP server for a few paths that are only read: health, metrics, and the list of them.

It has no library under it, since it runs in processes that must stay small, and answers few requests. Hostile
clients get little: a head of 8 KB, some seconds, and a place in a short row, where the oldest gives way to the
newest, so that a probe is always served.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from email.utils import formatdate
from http import HTTPStatus
from logging import getLogger
from socket import socket
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

logger = getLogger("shadows.http")

MOST_HEAD_BYTES = 8192
# For the whole of a request, its answer included: a scrape over a slow line takes a second or two.
LONGEST_SECONDS = 10.0
# A Prometheus or two, some probes and a person.
MOST_CONNECTIONS = 32
METHODS = ("GET", "HEAD")


class Request(NamedTuple):
    """What a client asks for; the names of its headers are in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]


class Response(NamedTuple):
    """What it gets."""

    status: HTTPStatus
    content_type: str
    body: bytes
    headers: Mapping[str, str] = {}


type Route = Callable[[Request], Awaitable[Response]]
type Routes = Mapping[str, Route]


class Refused(Exception):
    """A request that is answered with an error."""

    def __init__(self, status: HTTPStatus, told: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(told)
        body = f"{status.value} {status.phrase}: {told}\n".encode()
        self.response = Response(status, "text/plain; charset=utf-8", body, headers or {})


@asynccontextmanager
async def serve(routes: Routes, sockets: Sequence[socket]) -> AsyncIterator[None]:
    """Answers what comes to these listening sockets while the block runs; closes them at its end."""
    connections = Connections(routes)
    async with AsyncExitStack() as stack:
        for each in sockets:
            server = await asyncio.start_server(connections.serve, sock=each, limit=MOST_HEAD_BYTES)
            stack.callback(server.close)
        stack.callback(connections.close)
        yield


class Connections:
    """The clients of one server, oldest first."""

    def __init__(self, routes: Routes) -> None:
        self._routes = routes
        self._open: dict[asyncio.StreamWriter, None] = {}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answers one request; then the connection is closed, whatever else the client wants of it."""
        if len(self._open) >= MOST_CONNECTIONS:
            oldest = next(iter(self._open))
            del self._open[oldest]
            oldest.transport.abort()
        self._open[writer] = None
        try:
            async with asyncio.timeout(LONGEST_SECONDS):
                request, response = await self._answer(reader)
                writer.write(encode(response, with_body=request is None or request.method != "HEAD"))
                writer.close()
                await writer.wait_closed()
        except (OSError, EOFError, TimeoutError):
            pass  # the client went away, or was too slow
        finally:
            writer.transport.abort()
            self._open.pop(writer, None)

    async def _answer(self, reader: asyncio.StreamReader) -> tuple[Request | None, Response]:
        try:
            request = parse(await read_head(reader))
        except Refused as refused:
            return None, refused.response
        try:
            return request, await self._route(request)
        except Refused as refused:
            return request, refused.response
        except Exception:
            logger.exception("Answering %s failed.", request.path)
            return request, Refused(HTTPStatus.INTERNAL_SERVER_ERROR, "the log of this process has more.").response

    async def _route(self, request: Request) -> Response:
        route = self._routes.get(request.path, self._index if request.path == "/" else None)
        if route is None:
            raise Refused(HTTPStatus.NOT_FOUND, f"nothing is here; look at {', '.join(self._routes)}.")
        if request.method not in METHODS:
            allowed = ", ".join(METHODS)
            raise Refused(HTTPStatus.METHOD_NOT_ALLOWED, "nothing can be changed here.", {"Allow": allowed})
        return await route(request)

    async def _index(self, request: Request) -> Response:
        lines = "".join(f"{path}\n" for path in self._routes)
        return Response(HTTPStatus.OK, "text/plain; charset=utf-8", lines.encode())

    def close(self) -> None:
        """Cuts off whoever is still here."""
        for writer in tuple(self._open):
            writer.transport.abort()


async def read_head(reader: asyncio.StreamReader) -> bytes:
    """A request up to the empty line."""
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except asyncio.LimitOverrunError:
        told = f"the head of a request may have {MOST_HEAD_BYTES} bytes here."
        raise Refused(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, told) from None


def parse(head: bytes) -> Request:
    """Reads the head of a request. Raises Refused."""
    first, *lines = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
    words = first.split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/") or not words[0].isalpha():
        raise Refused(HTTPStatus.BAD_REQUEST, "expected a request line like GET /livez HTTP/1.1.")
    method, target, version = words
    if not version.startswith("HTTP/1."):
        raise Refused(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED, "this is an HTTP/1.1 server.")
    headers = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip() or not (name + value).replace("\t", " ").isprintable():
            raise Refused(HTTPStatus.BAD_REQUEST, "a header can't be read; expected lines like Accept: text/plain.")
        headers[name.lower()] = value.strip()
    return Request(method, path_of(target), headers)


def path_of(target: str) -> str:
    """The path that a request's target means, without a slash at its end."""
    try:
        path = unquote(urlsplit(target).path)
    except ValueError:
        path = ""
    if not path.startswith("/"):
        raise Refused(HTTPStatus.BAD_REQUEST, "expected a target like /livez.")
    return path.rstrip("/") or "/"


def encode(response: Response, *, with_body: bool) -> bytes:
    """A response as it is sent; one to HEAD has the same length, and no body."""
    status = response.status
    headers = {
        "Date": formatdate(usegmt=True),
        "Content-Type": response.content_type,
        "Content-Length": str(len(response.body)),
        "Cache-Control": "no-store",
        "Connection": "close",
        **response.headers,
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    head = f"HTTP/1.1 {status.value} {status.phrase}\r\n{lines}\r\n".encode("latin-1")
    return head + response.body if with_body else head
