"""The rig itself: a fault that was not injected would make a test pass for nothing."""

import socket
from collections.abc import Iterator

import hiredis
import pytest

from shadows.testing import RedisServer
from tests.proxy import Proxy
from tests.waiting import wait_for


class Raw:
    """A connection that never reconnects and never sends a command twice, unlike a client's."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=0.2)

    def ask(self, *words: str) -> bytes:
        self.socket.sendall(hiredis.pack_command(words))
        if answer := self.socket.recv(1000):
            return answer
        raise ConnectionResetError("the other side closed the connection")


def ask_once(port: int, *words: str) -> bytes:
    raw = Raw(port)
    with raw.socket:
        return raw.ask(*words)


@pytest.fixture
def client(proxy: Proxy) -> Iterator[Raw]:
    raw = Raw(proxy.port)
    yield raw
    raw.socket.close()


def test_commands_and_round_trips_are_counted_apart(proxy: Proxy, client: Raw) -> None:
    large = "x" * 200_000
    batch = (("SET", "a", large), ("GET", "none"), ("LRANGE", "none", "0", "-1"))
    client.socket.sendall(b"".join(map(hiredis.pack_command, batch)))
    received = b""
    while len(received) < len(b"+OK\r\n$-1\r\n*0\r\n"):
        received += client.socket.recv(1000)
    client.ask("GET", "none")
    assert (received, proxy.commands) == (b"+OK\r\n$-1\r\n*0\r\n", {"SET": 1, "GET": 2, "LRANGE": 1})
    assert proxy.round_trips == 2
    proxy.reset_counts()
    assert (proxy.commands, proxy.round_trips) == ({}, 0)


def test_a_lost_reply_belongs_to_a_command_that_ran(proxy: Proxy, client: Raw, shadows_redis: RedisServer) -> None:
    shadows_redis.command("DEL", "counted")
    order = proxy.lose_replies("incr", skip=1)
    assert client.ask("INCR", "counted") == b":1\r\n"
    with pytest.raises(ConnectionResetError):
        client.ask("INCR", "counted")
    assert (order.lost, shadows_redis.command("GET", "counted")) == (1, "2")
    assert ask_once(proxy.port, "INCR", "counted") == b":3\r\n"


def test_replies_before_the_lost_one_arrive(proxy: Proxy, client: Raw) -> None:
    proxy.lose_replies(where=lambda words: words == [b"ECHO", b"second"])
    batch = (("ECHO", "first"), ("ECHO", "second"), ("ECHO", "third"))
    client.socket.sendall(b"".join(map(hiredis.pack_command, batch)))
    received = b"".join(iter(lambda: client.socket.recv(100), b""))
    assert received == b"$5\r\nfirst\r\n"


def test_a_cut_breaks_connections_and_new_ones_work(proxy: Proxy, client: Raw) -> None:
    client.ask("PING")
    proxy.cut()
    with pytest.raises(ConnectionError):
        client.ask("PING")
    assert ask_once(proxy.port, "PING") == b"+PONG\r\n"


def test_a_refusing_proxy_keeps_what_stands_and_listens_again_on_its_port(proxy: Proxy, client: Raw) -> None:
    client.ask("PING")
    proxy.refuse()
    with pytest.raises(ConnectionRefusedError):
        ask_once(proxy.port, "PING")
    assert client.ask("PING") == b"+PONG\r\n"
    proxy.accept()
    assert ask_once(proxy.port, "PING") == b"+PONG\r\n"


def test_a_black_hole_answers_nothing_until_it_ends(proxy: Proxy, client: Raw) -> None:
    proxy.black_hole()
    with pytest.raises(TimeoutError):
        client.ask("PING")
    proxy.resume()
    assert client.socket.recv(100) == b"+PONG\r\n"


def test_a_delay_holds_replies(proxy: Proxy, client: Raw) -> None:
    proxy.delay(0.3)
    with pytest.raises(TimeoutError):
        client.ask("PING")
    assert client.socket.recv(100) == b"+PONG\r\n"


def test_messages_to_a_subscriber_pass(proxy: Proxy, client: Raw, shadows_redis: RedisServer) -> None:
    client.ask("SUBSCRIBE", "news")
    proxy.lose_replies()
    shadows_redis.command("PUBLISH", "news", "hello")
    assert client.socket.recv(100).endswith(b"hello\r\n")


def test_a_server_that_is_away_breaks_the_connection(own_redis: RedisServer) -> None:
    with Proxy(own_redis.url) as proxy:
        own_redis.kill()
        with pytest.raises(ConnectionError):
            ask_once(proxy.port, "PING")
        own_redis.start()
        answer = wait_for(lambda: ask_once(proxy.port, "PING"), "the server answers through the proxy")
    assert answer == b"+PONG\r\n"
