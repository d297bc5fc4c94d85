"""A Redis of our own behind `embedded://`: started by its first user, shared, and stopped by its last.

Every user of a directory holds a shared flock on its file `users`, and the server itself holds one on
`server`, through a file descriptor that it inherits. The kernel drops both at any death, so neither a
`kill -9` nor a reused pid can leave a wrong answer behind: the server is stopped by whoever leaves and
finds nobody else on `users`, and none is started over data that another one still holds. One holder that
hands over when it leaves would need a watching thread in every user, and leaves a gap between two holders.

When its last user is killed, the server stays: the next user finds it, and stops it in the end.
"""

import contextlib
import logging
import os
import subprocess
import sys
import time
import weakref
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from .embedded_files import Files
from .errors import ConfigurationError, ConnectionFailed
from .redis_server import ask, find_server, version_of, wait_for

# Windows has neither flock nor a redis-server, and `import shadows` must work there all the same.
if sys.platform != "win32":
    import fcntl

log = logging.getLogger(__name__)

# A server that loads its data says so, however long that takes; one that says nothing this long is stuck.
SILENCE_SECONDS = 10.0
# The start lock is held for one start or stop; a longer wait means that its holder is stopped or traced.
LOCK_SECONDS = 60.0


class EmbeddedServer:
    """One user's hold on the server of a directory; several in one process are fine."""

    def __init__(self, files: Files) -> None:
        self.files = files
        self.socket_path = ""
        self._users = _open(files.users)
        # A user who forgets to release, or an interpreter that ends first, must not leave the server behind.
        self._release = weakref.finalize(self, _release, files, self._users, os.getpid())

    @property
    def url(self) -> str:
        return f"unix://{quote(self.socket_path)}"

    def ensure_running(self) -> None:
        """Start the server unless it runs: at first, and again if it died under its users. Blocks."""
        with _start_lock(self.files):
            fcntl.flock(self._users, fcntl.LOCK_SH)
            self.socket_path = _Start(self.files).run()

    def release(self) -> None:
        """Stop using the server, and stop it unless somebody else uses it. Calling it again does nothing."""
        self._release()


def acquire(url: str) -> EmbeddedServer:
    """Become a user of the server that this URL names, and start it if need be. Blocks."""
    directory = directory_of(url)
    if sys.platform == "win32":
        raise ConfigurationError(f"{url!r} needs a redis-server, and Windows has none. Use a redis:// URL there.")
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        server = EmbeddedServer(Files(directory))
    except OSError as error:
        raise ConfigurationError(
            f"The directory of {url!r} can't be used: {error}. Name one that this user may write, "
            "as in embedded:///absolute/path."
        ) from error
    try:
        server.ensure_running()
    except BaseException:
        server.release()
        raise
    return server


def directory_of(url: str) -> Path:
    """The data directory that an `embedded://` URL names; without a path it is one of the user's own."""
    parts = urlsplit(url)
    if parts.scheme != "embedded" or parts.netloc or parts.query or parts.fragment:
        raise ConfigurationError(
            f"The URL {url!r} does not name a directory; expected embedded:///absolute/path (three slashes, "
            "nothing behind the path), or embedded:// for the default directory."
        )
    if parts.path.strip("/"):
        return Path(unquote(parts.path)).resolve()
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return (Path(state) / "shadows").resolve()


class _Start:
    """One try to have the server of a directory answer; the start lock is held throughout."""

    def __init__(self, files: Files) -> None:
        self.files = files
        self.socket_path = files.read_socket()
        self.spawned: subprocess.CompletedProcess[str] | None = None

    def run(self) -> str:
        """Wait for the server that runs, or start one; its socket.

        A server that neither answers nor lets go of its lock is starting or stopping for somebody who was
        killed meanwhile: both end by themselves.
        """
        heard = time.monotonic()
        while True:
            answer = ask(self.socket_path, "PING") if self.socket_path else ""
            if answer.startswith("+PONG"):
                return self.socket_path
            if answer or self._spawn_if_none():
                heard = time.monotonic()
            if time.monotonic() - heard > SILENCE_SECONDS:
                raise ConnectionFailed(
                    f"The server of {self.files.directory} runs, and said nothing at {self.socket_path} for "
                    f"{SILENCE_SECONDS:g} s. Kill it (its pid is in {self.files.pid}) and call again: its "
                    "data is safe, and the next start reads it."
                )
            time.sleep(0.001)

    def _spawn_if_none(self) -> bool:
        with _opened(self.files.server) as lock:
            if not _take(lock):
                return False
            if self.spawned:
                raise self._died()
            self._spawn(lock)
            return True

    def _spawn(self, lock: int) -> None:
        program = find_server()
        self.files.claim_for(version_of(program), program)
        self.socket_path = self.files.choose_socket()
        options = {
            # Its own session, and nobody's child: Ctrl-C at its starter's terminal must not end it for the others.
            "daemonize": "yes",
            "port": "0",
            "unixsocket": self.socket_path,
            "unixsocketperm": "600",
            "dir": self.files.directory,
            "appendonly": "yes",
            "save": "",
            "logfile": self.files.log,
            "pidfile": self.files.pid,
        }
        arguments = [word for name, value in options.items() for word in (f"--{name}", str(value))]
        self.spawned = subprocess.run(
            [program, *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            pass_fds=[lock],
            umask=0o077,
        )

    def _died(self) -> ConnectionFailed:
        assert self.spawned
        self.files.unclaim()
        said = (self.files.last_log_line() or self.spawned.stdout + self.spawned.stderr).strip()
        return ConnectionFailed(
            f"{self.spawned.args[0]} ended as soon as it was started over {self.files.directory}, saying "
            f"{said!r}. Mend that, or choose another directory."
        )


def _release(files: Files, users: int, owner: int) -> None:
    # In a forked copy the lock is the parent's too: closing the copy leaves it alone, unlocking would not.
    if os.getpid() == owner:
        # A directory that was deleted meanwhile has no server that anybody could find.
        with contextlib.suppress(FileNotFoundError), _start_lock(files):
            if _take(users):
                _stop(files)
    os.close(users)


def _stop(files: Files) -> None:
    ask(files.read_socket(), "SHUTDOWN NOSAVE")
    with _opened(files.server) as lock:
        if not wait_for(lambda: _take(lock), SILENCE_SECONDS):
            log.warning(
                "The server of %s was told to stop and still runs after %g s; its pid is in %s.",
                files.directory, SILENCE_SECONDS, files.pid,
            )  # fmt: skip


@contextlib.contextmanager
def _start_lock(files: Files) -> Iterator[None]:
    with _opened(files.lock) as lock:
        if not wait_for(lambda: _take(lock), LOCK_SECONDS):
            raise ConnectionFailed(
                f"Somebody has held {files.lock} for {LOCK_SECONDS:g} s; a start or stop takes one. Look for "
                "a paused process that uses this directory, and end it."
            )
        yield


def _take(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[int]:
    descriptor = _open(path)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
