"""The HTTP server as clients of all kinds see it: real sockets, raw bytes."""

import asyncio
import socket
from collections.abc import AsyncIterator
from http import HTTPStatus

import pytest

from shadowsd.observe import http
from shadowsd.observe.http import LONGEST_SECONDS, MOST_CONNECTIONS, MOST_HEAD_BYTES, Request, Response, serve
from tests.waiting import wait_until

LARGE = b"x" * 5_000_000


async def hello(request: Request) -> Response:
    return Response(HTTPStatus.OK, "text/plain", f"hello {request.headers.get('accept', 'you')}".encode())


async def large(request: Request) -> Response:
    return Response(HTTPStatus.OK, "text/plain", LARGE)


async def broken(request: Request) -> Response:
    raise TimeoutError("a bug")


@pytest.fixture
async def port() -> AsyncIterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        async with serve({"/hello": hello, "/large": large, "/broken": broken}, [listening]):
            yield listening.getsockname()[1]


async def exchange(port: int, sent: bytes) -> bytes:
    """All that comes back, until the server closes the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    async with asyncio.timeout(10):
        received = await reader.read()
    writer.close()
    return received


async def get(port: int, path: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], str]:
    """Status, headers and body."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    received = await exchange(port, f"{method} {path} HTTP/1.1\r\nHost: here\r\n{lines}\r\n".encode())
    head, _, body = received.decode().partition("\r\n\r\n")
    first, *rest = head.split("\r\n")
    return int(first.split(" ")[1]), dict(line.split(": ", 1) for line in rest), body


async def test_a_page_is_answered_and_the_connection_closed(port: int) -> None:
    status, headers, body = await get(port, "/hello", Accept="world")
    assert (status, body) == (200, "hello world")
    assert headers["Content-Length"] == "11"
    assert headers["Content-Type"] == "text/plain"
    assert headers["Connection"] == "close"
    assert headers["Cache-Control"] == "no-store"
    assert headers["Date"].endswith("GMT")


@pytest.mark.parametrize("target", ["/hello?x=1", "/hello/", "http://elsewhere/hello", "/%68ello"])
async def test_a_page_is_found_by_whatever_names_its_path(port: int, target: str) -> None:
    assert (await get(port, target))[0] == 200


async def test_head_is_answered_without_a_body(port: int) -> None:
    status, headers, body = await get(port, "/hello", "HEAD")
    assert (status, headers["Content-Length"], body) == (200, "9", "")


async def test_the_root_lists_the_pages(port: int) -> None:
    assert (await get(port, "/"))[2].split() == ["/hello", "/large", "/broken"]


async def test_an_unknown_page_is_404_with_those_that_are_known(port: int) -> None:
    status, _, body = await get(port, "/nothing")
    assert status == 404
    assert "/hello, /large, /broken" in body


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE"])
async def test_pages_are_only_read(port: int, method: str) -> None:
    status, headers, _ = await get(port, "/hello", method)
    assert (status, headers["Allow"]) == (405, "GET, HEAD")


async def test_a_body_that_nobody_wants_does_not_hide_the_answer(port: int) -> None:
    sent = b"POST /hello HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc"
    assert (await exchange(port, sent)).startswith(b"HTTP/1.1 405 Method Not Allowed\r\n")


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET /hello\r\n\r\n", 400),
        (b"G\0T /hello HTTP/1.1\r\n\r\n", 400),
        (b"GET hello HTTP/1.1\r\n\r\n", 400),
        (b"GET * HTTP/1.1\r\n\r\n", 400),
        (b"GET http://[x/hello HTTP/1.1\r\n\r\n", 400),
        (b"GET /hello HTTP/1.1\r\nno colon\r\n\r\n", 400),
        (b"GET /hello HTTP/1.1\r\n folded: x\r\n\r\n", 400),
        (b"GET /hello HTTP/1.1\r\nsplit: a\nInjected: b\r\n\r\n", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        (b"GET /" + b"x" * MOST_HEAD_BYTES + b" HTTP/1.1\r\n\r\n", 431),
        (b"GET /hello HTTP/1.1\r\nlong: " + b"x" * 3 * MOST_HEAD_BYTES, 431),
    ],
)
async def test_what_is_no_request_is_refused_with_the_code_for_it(port: int, sent: bytes, status: int) -> None:
    received = await exchange(port, sent)
    assert received.startswith(f"HTTP/1.1 {status} ".encode())
    assert (await get(port, "/hello"))[0] == 200


async def test_a_page_that_fails_is_500_and_the_log_has_the_traceback(
    port: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Its TimeoutError must not be taken for a slow client."""
    status, _, body = await get(port, "/broken")
    assert status == 500
    assert "a bug" not in body
    assert "Answering /broken failed." in caplog.text
    assert "TimeoutError: a bug" in caplog.text


async def test_large_pages_arrive_whole(port: int) -> None:
    _, headers, body = await get(port, "/large")
    assert len(body) == int(headers["Content-Length"]) == len(LARGE)


async def closed(reader: asyncio.StreamReader) -> bool:
    """Whether the server has closed this connection."""
    try:
        async with asyncio.timeout(0.01):
            return await reader.read(1) == b""
    except TimeoutError:
        return False
    except ConnectionResetError:
        return True


@pytest.mark.parametrize("sent", [b"", b"GET /hello HTTP/1.1\r\nslowly: "], ids=["nothing", "half a request"])
async def test_who_does_not_finish_a_request_is_cut_off(
    port: int, sent: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "LONGEST_SECONDS", 0.1)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    await wait_until(lambda: closed(reader), "the connection is closed")
    writer.close()


async def test_who_does_not_take_the_answer_is_cut_off(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its megabytes would stay in our memory."""
    monkeypatch.setattr(http, "LONGEST_SECONDS", 0.2)
    client = socket.create_connection(("127.0.0.1", port))
    client.sendall(b"GET /large HTTP/1.1\r\n\r\n")
    await asyncio.sleep(0.4)
    client.settimeout(5)
    received = 0
    try:
        while chunk := await asyncio.to_thread(client.recv, 1 << 20):
            received += len(chunk)
    except ConnectionResetError:
        pass
    assert received < len(LARGE)
    client.close()


async def test_a_crowd_that_says_nothing_keeps_no_probe_out(port: int) -> None:
    """The oldest gives way: whoever holds all places open would otherwise have the process restarted."""
    crowd = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3 * MOST_CONNECTIONS)]
    assert (await get(port, "/hello"))[0] == 200
    await wait_until(lambda: closed(crowd[0][0]), "the oldest is closed", LONGEST_SECONDS / 4)
    assert not await closed(crowd[-1][0])
    for _, writer in crowd:
        writer.close()


async def test_many_at_once_are_all_answered(port: int) -> None:
    answers = await asyncio.gather(*[get(port, "/hello") for _ in range(MOST_CONNECTIONS)])
    assert {status for status, _, _ in answers} == {200}


async def test_at_its_end_nothing_listens_and_nobody_is_connected() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        async with serve({"/hello": hello}, [listening]):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            await get(port, "/hello")
        await wait_until(lambda: closed(reader), "the connection is closed", LONGEST_SECONDS / 4)
        writer.close()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)


async def test_nothing_is_left_of_those_who_came(port: int) -> None:
    """Thousands of scrapes a day, for months."""
    before = len(asyncio.all_tasks())
    for _ in range(50):
        await get(port, "/hello")
    await exchange(port, b"nonsense\r\n\r\n")
    await wait_until(lambda: len(asyncio.all_tasks()) <= before, "their tasks have ended")
