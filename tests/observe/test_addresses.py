"""Where to listen: what people write, and what they are told when the place can't be had."""

import errno
import re
import socket
from collections.abc import Callable
from contextlib import closing

import pytest

from shadows.errors import ConfigurationError
from shadowsd.observe.addresses import Address, Place, read_address


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("9090", "127.0.0.1", 9090),
        (" 0 ", "127.0.0.1", 0),
        ("0.0.0.0:9090", "0.0.0.0", 9090),
        ("localhost:80", "localhost", 80),
        ("[::1]:9090", "::1", 9090),
        ("[::]:65535", "::", 65535),
    ],
)
def test_a_port_is_for_this_machine_unless_a_host_is_given(text: str, host: str, port: int) -> None:
    """Metrics name functions; they must not be shown to a network by default."""
    assert read_address(text) == Address(host, port)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "has no port from 0 to 65535; expected PORT or HOST:PORT"),
        ("http", "has no port from 0 to 65535"),
        ("-1", "has no port from 0 to 65535"),
        ("65536", "has no port from 0 to 65535"),
        ("٣", "has no port from 0 to 65535"),
        ("localhost", "has no port from 0 to 65535"),
        ("[::1]", "has no port from 0 to 65535"),
        ("10.0.0.1:", "has no port from 0 to 65535"),
        (":9090", "has no host. Write 0.0.0.0:9090 for all interfaces, or 9090 for this machine only."),
        ("*:9090", "has no host"),
        ("::1:9090", "stands in brackets, as in [::1]:9090"),
        ("[localhost]:9090", "stands in brackets"),
    ],
)
def test_what_is_no_address_is_refused_with_one_that_is(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(repr(text))} .*{re.escape(words)}"):
        read_address(text)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0.0.0.0", "::1", "::"])
def test_a_free_port_is_found_and_told(host: str) -> None:
    """A name may have several addresses; all get the same port."""
    with closing(Place("--metrics-port", Address(host, 0))) as place:
        assert {bound.getsockname()[1] for bound in place.sockets} == {place.port} != {0}
        assert place.url == f"http://{f'[{host}]' if ':' in host else host}:{place.port}"


def test_everywhere_means_both_kinds_of_addresses() -> None:
    """As other servers take it: probes may come by either."""
    with closing(Place("--metrics-port", Address("::", 0))) as place:
        place.listen()
        for host in ("127.0.0.1", "::1"):
            socket.create_connection((host, place.port), 5).close()


def test_until_it_listens_nobody_can_connect() -> None:
    """The address is taken before the tasks are imported, and nobody should wait for an answer that long."""
    with closing(Place("--metrics-port", Address("127.0.0.1", 0))) as place:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", place.port), 5)
        place.listen()
        socket.create_connection(("127.0.0.1", place.port), 5).close()


def test_a_port_in_use_is_named_with_the_option_and_a_remedy() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(ConfigurationError) as refused:
            Place("--metrics-port", Address("127.0.0.1", port))
    assert str(refused.value) == (
        f"--metrics-port 127.0.0.1:{port} can't be used: another program listens there. Choose another port, or 0 for "
        "one that is free; `ss -ltnp` shows who it is."
    )


def test_a_port_that_somebody_else_took_meanwhile_is_told_of_the_same_way() -> None:
    """Two that start at once both find it free."""
    with closing(Place("--metrics-port", Address("127.0.0.1", 0))) as place, socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", place.port))
        other.listen()
        with pytest.raises(ConfigurationError, match="another program listens there"):
            place.listen()


def test_the_port_of_a_process_that_just_ended_can_be_used_again() -> None:
    """The connections that it closed stay known for a minute."""
    with closing(Place("--metrics-port", Address("127.0.0.1", 0))) as place:
        place.listen()
        client = socket.create_connection(("127.0.0.1", place.port), 5)
        accepted, _ = place.sockets[0].accept()
        accepted.close()
        client.close()
        address = Address("127.0.0.1", place.port)
    Place("--metrics-port", address).close()


@pytest.mark.parametrize(
    ("host", "words"),
    [
        ("203.0.113.7", "no interface of this machine has that address. Give 0.0.0.0 for all of them."),
        ("no.such.host.invalid", "the host 'no.such.host.invalid' is not known."),
    ],
)
def test_a_host_that_is_not_this_machine_is_refused(host: str, words: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        Place("--healthcheck-port", Address(host, 0))
    assert words in str(refused.value)
    assert str(refused.value).startswith(f"--healthcheck-port {host}:0 can't be used: ")


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Has every bind fail with this error: root, and in a container anybody, may listen anywhere."""

    def fail_with(code: int) -> None:
        def bind(self: socket.socket, address: object) -> None:
            raise OSError(code, errno.errorcode[code])

        monkeypatch.setattr(
            "shadowsd.observe.addresses.socket.socket", type("Socket", (socket.socket,), {"bind": bind})
        )

    return fail_with


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (errno.EACCES, "this user may not listen there. Choose a port from 1024 on."),
        (errno.ENOBUFS, "ENOBUFS. Choose another address."),
    ],
)
def test_other_reasons_are_told_too(failing: Callable[[int], None], code: int, words: str) -> None:
    failing(code)
    with pytest.raises(ConfigurationError) as refused:
        Place("--metrics-port", Address("127.0.0.1", 80))
    assert str(refused.value) == f"--metrics-port 127.0.0.1:80 can't be used: {words}"
