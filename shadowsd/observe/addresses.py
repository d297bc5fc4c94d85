"""Where health and metrics are served: reading PORT or HOST:PORT, and taking the place before anything starts."""

import errno
import socket
from typing import Final, NamedTuple, Self

from shadows.errors import ConfigurationError

# Metrics name functions and tell what a machine does: nobody else sees them unless that is asked for.
LOOPBACK: Final = "127.0.0.1"
EVERYWHERE: Final = "::"
# Clients that wait to be accepted; each is served in milliseconds.
BACKLOG = 64

REMEDIES: Final = {
    errno.EADDRINUSE: "another program listens there. Choose another port, or 0 for one that is free; `ss -ltnp` "
    "shows who it is.",
    errno.EACCES: "this user may not listen there. Choose a port from 1024 on.",
    errno.EADDRNOTAVAIL: "no interface of this machine has that address. Give 0.0.0.0 for all of them.",
}


class Address(NamedTuple):
    """A host and a port; port 0 is any that is free."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def read_address(text: str) -> Address:
    """The address that `9090`, `0.0.0.0:9090`, `localhost:9090` or `[::1]:9090` means. Raises ValueError."""
    host, colon, port = text.strip().rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    bare = host[1:-1] if bracketed else host
    if not (port.isascii() and port.isdigit() and len(port) <= 5 and int(port) <= 65535):
        raise ValueError(
            f"{text!r} has no port from 0 to 65535; expected PORT or HOST:PORT, as in 9090 or 0.0.0.0:9090."
        )
    if not colon:
        return Address(LOOPBACK, int(port))
    if not bare or bare == "*":
        raise ValueError(
            f"{text!r} has no host. Write 0.0.0.0:{port} for all interfaces, or {port} for this machine only."
        )
    if bracketed != (":" in bare):
        raise ValueError(f"{text!r} is no address; an IPv6 address stands in brackets, as in [::1]:{port}.")
    return Address(bare, int(port))


class Place:
    """The sockets of one address. They are bound when it is made, and answer from `listen` on."""

    def __init__(self, option: str, address: Address) -> None:
        """Raises ConfigurationError, naming the option."""
        self._option = option
        self._address = address
        self.sockets: list[socket.socket] = []
        try:
            self._bind()
        except OSError as error:
            self.close()
            raise self._refusal(error) from error

    def _bind(self) -> None:
        host, port = self._address
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        failed: OSError | None = None
        for family, kind, protocol, _, (found_host, _, *scope) in dict.fromkeys(found):
            # A name may have several addresses: when the first has got a free port, the others take the same.
            chosen = self.port if self.sockets else port
            try:
                self._bind_one(family, kind, protocol, (found_host, chosen, *scope))
            except OSError as error:
                if error.errno not in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL):
                    raise
                failed = error  # such as ::1 where there is no IPv6
        if not self.sockets and failed is not None:
            raise failed

    def _bind_one(self, family: int, kind: int, protocol: int, place: tuple[object, ...]) -> None:
        bound = socket.socket(family, kind, protocol)
        try:
            # A restart must not wait for the connections of the process before.
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(self._address.host != EVERYWHERE))
            bound.bind(place)
        except OSError:
            bound.close()
            raise
        self.sockets.append(bound)

    @property
    def port(self) -> int:
        """The port, also when any free one was asked for."""
        port: int = self.sockets[0].getsockname()[1]
        return port

    @property
    def url(self) -> str:
        """What to type into a browser on this machine."""
        return f"http://{Address(self._address.host, self.port)}"

    def listen(self) -> Self:
        """Lets clients come. Raises ConfigurationError when somebody was faster."""
        for bound in self.sockets:
            try:
                bound.listen(BACKLOG)
            except OSError as error:
                self.close()
                raise self._refusal(error) from error
        return self

    def close(self) -> None:
        """Frees the address."""
        for bound in self.sockets:
            bound.close()

    def _refusal(self, error: OSError) -> ConfigurationError:
        if isinstance(error, socket.gaierror):
            told = f"the host {self._address.host!r} is not known. Give an address of this machine, or 0.0.0.0 for all."
        else:
            told = REMEDIES.get(error.errno or 0, f"{error.strerror or error}. Choose another address.")
        return ConfigurationError(f"{self._option} {self._address} can't be used: {told}")
