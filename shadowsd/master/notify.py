"""What systemd is told, by datagrams to the socket that it names; nothing is sent where there is none.

See sd_notify(3). A lost datagram is no error: the state is sent again with the next change, the watchdog with
the next pass.
"""

import contextlib
import math
import os
import socket
from collections.abc import Mapping
from time import CLOCK_MONOTONIC, clock_gettime


class Notifier:
    """One master's line to its service manager."""

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        values = os.environ if environment is None else environment
        address = values.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) if address else None
        if self._socket is not None:
            self._socket.setblocking(False)
        self._status = ""
        self.watchdog_seconds = watchdog_seconds(values)

    def _send(self, *lines: str) -> None:
        if self._socket is not None:
            with contextlib.suppress(OSError):  # said again with the next change
                self._socket.sendto("\n".join(lines).encode(), self._address)

    def ready(self) -> None:
        """The service serves; also at the end of a reload."""
        self._send("READY=1")

    def reloading(self) -> None:
        """A reload has begun."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={int(clock_gettime(CLOCK_MONOTONIC) * 1e6)}")

    def stopping(self) -> None:
        """The service ends."""
        self._send("STOPPING=1")

    def status(self, text: str) -> None:
        """One line for `systemctl status`."""
        if text != self._status:
            self._status = text
            self._send(f"STATUS={text}")

    def alive(self) -> None:
        """A reconcile pass is complete; nobody else may say so."""
        self._send("WATCHDOG=1")

    def extend(self, seconds: float) -> None:
        """Starting, reloading or stopping takes this much longer."""
        self._send(f"EXTEND_TIMEOUT_USEC={int(seconds * 1e6)}")


def watchdog_seconds(environment: Mapping[str, str]) -> float:
    """How often the manager wants to hear from us; infinite where it does not care."""
    try:
        micros = int(environment.get("WATCHDOG_USEC", "0"))
    except ValueError:
        return math.inf
    meant = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
    return micros / 1e6 if micros > 0 and meant else math.inf
