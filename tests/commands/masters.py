"""A socket that answers as no good master does: what commands make of it is the point."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def master_that_says(directory: Path, line: bytes | None) -> Iterator[Path]:
    """A control socket which answers each command with this line; with None it takes the command and is silent."""
    path = directory / "odd.sock"
    over = threading.Event()

    def serve(server: socket.socket) -> None:
        while not over.is_set():
            connection, _ = server.accept()
            # The last one, which ends all this, hears nothing.
            with connection, connection.makefile("rb") as commands, contextlib.suppress(BrokenPipeError):
                commands.readline()
                if line is None:
                    over.wait()
                else:
                    connection.sendall(line)

    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        thread = threading.Thread(target=serve, args=(server,), name="odd master")
        thread.start()
        try:
            yield path
        finally:
            over.set()
            with socket.socket(socket.AF_UNIX) as last:
                last.connect(str(path))
            thread.join()
