"""What lies in the directory of an embedded server: its data, its locks, and notes for whoever comes next."""

import hashlib
import os
import stat
from pathlib import Path

from .errors import ConfigurationError
from .redis_server import ServerVersion

# Linux takes 107 bytes, macOS 103; a longer path is refused.
LONGEST_SOCKET_PATH = 103

# Where a socket goes whose directory has too long a path, when XDG_RUNTIME_DIR does not say.
SHORT_PLACES = ("/tmp",)

# Redis 7.0 was the first to keep its append-only files in a folder; an older one does not look there.
SINCE_7 = "appendonlydir"


class Files:
    """The paths of one directory, and the notes in them. Written only under the start lock."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.lock = directory / "lock"
        self.users = directory / "users"
        self.server = directory / "server"
        self.socket = directory / "socket"
        self.version = directory / "version"
        self.pid = directory / "pid"
        self.log = directory / "log"
        self._version_before: str | None = None

    def read_socket(self) -> str:
        """The socket of the last server; its place depends on the environment of who started it."""
        return self.socket.read_text() if self.socket.exists() else ""

    def choose_socket(self) -> str:
        """Note and return where a new server shall listen: beside its data, or where paths are short."""
        path = self.directory / "shadows.sock"
        if len(os.fsencode(path)) > LONGEST_SOCKET_PATH:
            path = _short_path(hashlib.sha256(os.fsencode(self.directory)).hexdigest()[:16] + ".sock")
        # The note comes first: whoever finds this server must find its socket, even if we die here.
        _write(self.socket, str(path))
        return str(path)

    def claim_for(self, server: ServerVersion, program: Path) -> None:
        """Refuse a server that is older than the data, which it would not see; else note its version.

        The note is written before the server starts: one that is too new refuses a start, one that is too
        old lets an old server begin with an empty database over data that it cannot see.
        """
        written = self._written_by()
        if written and not server.reads(written):
            raise ConfigurationError(
                f"{program} is {server}, and {self.directory} was written by {written}, which it can't read. "
                f"Put {written} or newer first on PATH, or choose another directory."
            )
        self._version_before = self.version.read_text() if self.version.exists() else None
        _write(self.version, server.dumps())

    def unclaim(self) -> None:
        """Take the note of `claim_for` back, because that server never served."""
        if self._version_before is None:
            self.version.unlink(missing_ok=True)
        else:
            _write(self.version, self._version_before)

    def last_log_line(self) -> str:
        """The server's last words."""
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return lines[-1] if lines else ""

    def _written_by(self) -> ServerVersion | None:
        if self.version.exists():
            return ServerVersion.loads(self.version.read_text())
        return ServerVersion("redis", 7, 0) if (self.directory / SINCE_7).exists() else None


def _short_path(name: str) -> Path:
    """A path for a socket where paths are short, in a folder that nobody else can put theirs in."""
    for parent in (os.environ.get("XDG_RUNTIME_DIR"), *SHORT_PLACES):
        if not parent or not Path(parent).is_dir():
            continue
        folder = Path(parent) / f"shadows-{os.getuid()}"
        folder.mkdir(mode=0o700, exist_ok=True)
        if len(os.fsencode(folder / name)) <= LONGEST_SOCKET_PATH and _is_private(folder):
            return folder / name
    raise ConfigurationError(
        "The embedded server's directory has too long a path for a socket, and there is no safe short one. "
        "Set XDG_RUNTIME_DIR to a directory of yours, or choose a shorter directory."
    )


def _is_private(folder: Path) -> bool:
    status = folder.lstat()
    return status.st_uid == os.getuid() and stat.S_ISDIR(status.st_mode) and not status.st_mode & 0o077


def _write(path: Path, text: str) -> None:
    beside = path.with_name(path.name + ".new")
    beside.touch(mode=0o600)
    beside.write_text(text)
    beside.replace(path)
