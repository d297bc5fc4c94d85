"""What the tests of `embedded://` ask of its servers."""

import fcntl
from pathlib import Path

import redis

from shadows.embedded import EmbeddedServer
from shadows.embedded_files import Files
from shadows.redis_server import ask


def url_of(directory: Path) -> str:
    return f"embedded://{directory}"


def client(server: EmbeddedServer) -> redis.Redis:
    return redis.Redis.from_url(server.url, decode_responses=True)


def pid_of(directory: Path) -> int:
    return int(Files(directory).pid.read_text())


def serves(server: EmbeddedServer) -> bool:
    return ask(server.socket_path, "PING") == "+PONG\r\n"


def is_locked(path: Path) -> bool:
    with path.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False
