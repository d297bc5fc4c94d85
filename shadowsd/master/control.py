"""The control socket: JSON lines, each a command, answered by JSON lines; for this user alone.

A lock beside the socket tells a living master from a socket that a killed one left.
"""

import asyncio
import fcntl
import json
import logging
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from shadows.errors import ConfigurationError

logger = logging.getLogger("shadowsd")

LONGEST_LINE = 64 * 1024
# The kernel's limit for the path of a socket.
LONGEST_PATH = 107

type Answer = dict[str, Any]
type Handler = Callable[[dict[str, Any]], Awaitable[Answer]]


class Control:
    """Serves one path. `handlers` are the commands by name. A path that nobody chose, and that can't be used, is a
    warning and no error unless it `insists`."""

    def __init__(self, path: Path, handlers: dict[str, Handler], insists: bool = True) -> None:
        self._path = path
        self._insists = insists
        self._handlers = handlers
        self._lock: int | None = None
        self._server: asyncio.Server | None = None

    def claim(self) -> None:
        """Takes the path, or raises ConfigurationError: somebody has it, or it can't be used."""
        if len(os.fsencode(self._path)) > LONGEST_PATH:
            raise ConfigurationError(
                f"--control {self._path} is longer than the {LONGEST_PATH} bytes that a socket's path may have. Give a "
                "shorter one."
            )
        lock = self._path.with_name(self._path.name + ".lock")
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if self._path.exists() and not self._path.is_socket():
                raise FileExistsError(17, "It is no socket, and is not removed", str(self._path))
            if not os.access(self._path.parent, os.W_OK):
                raise PermissionError(13, "Permission denied", str(self._path.parent))
            self._lock = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            words = (
                f"--control {self._path} can't be used: {error.strerror}: {error.filename}. Give a path in a directory "
                "that this user may write, such as one under $XDG_RUNTIME_DIR."
            )
            if self._insists:
                raise ConfigurationError(words) from error
            logger.warning("`shadowsd status` and its kin can't reach this master: %s", words)
            return
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not self._holds(lock):
                # Whoever had it ended between our two steps, and took the file along: it locks out nobody.
                os.close(self._lock)
                self.claim()
        except BlockingIOError:
            os.close(self._lock)
            self._lock = None
            raise ConfigurationError(
                f"Another shadowsd runs with the control path {self._path}. Stop it (`shadowsd stop --control "
                f"{self._path}`), or give this one a --control of its own."
            ) from None

    def _holds(self, lock: Path) -> bool:
        assert self._lock is not None
        try:
            return os.path.samestat(os.fstat(self._lock), lock.stat())
        except FileNotFoundError:
            return False

    async def open(self) -> None:
        """Listens; a socket that a killed master left is removed."""
        if self._lock is None:
            return
        self._path.unlink(missing_ok=True)
        mask = os.umask(0o177)
        try:
            self._server = await asyncio.start_unix_server(self._serve, self._path, limit=LONGEST_LINE)
        finally:
            os.umask(mask)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                writer.write(json.dumps(await self._answer(line)).encode() + b"\n")
                await writer.drain()
        except (ConnectionError, ValueError, asyncio.LimitOverrunError) as error:
            logger.debug("A control connection ended: %s", error)
        except asyncio.CancelledError:
            pass  # the master ends; asyncio's own callback would log an error about a task that was cancelled
        finally:
            writer.close()

    async def _answer(self, line: bytes) -> Answer:
        try:
            command = json.loads(line)
            name = command["command"]
        except (ValueError, TypeError, KeyError):
            return {"error": 'expected a line such as {"command": "status"}'}
        handler = self._handlers.get(name) if isinstance(name, str) else None
        if handler is None:
            return {"error": f"there is no command {name!r}; there are {', '.join(sorted(self._handlers))}"}
        try:
            return await handler(command)
        except (ValueError, TypeError, KeyError) as error:
            return {"error": f"the command {name!r} can't be understood: {type(error).__name__}: {error}"}

    def close(self) -> None:
        """Leaves nothing behind."""
        if self._server is not None:
            self._server.close()
            self._path.unlink(missing_ok=True)
        self._leave_lock()

    def _leave_lock(self) -> None:
        if self._lock is not None:
            self._path.with_name(self._path.name + ".lock").unlink(missing_ok=True)
            os.close(self._lock)
            self._lock = None
