"""Messages between the master and its processes, over a local socket that keeps their bounds.

Whoever sends never waits: a master that is paused must not hold a child up, nor a child its master. What can't
be sent now is the sender's to keep or to drop.
"""

import array
import os
import socket
from collections.abc import Iterable
from typing import Any, Self

import msgspec

# A message fits into one packet of the kernel's default buffer, which takes about 200 kB.
LONGEST_MESSAGE = 128 * 1024
MOST_DESCRIPTORS = 8

type Message = dict[str, Any]


class Channel:
    """One end."""

    def __init__(self, end: socket.socket) -> None:
        self._socket = end

    @classmethod
    def pair(cls) -> tuple[Self, socket.socket]:
        """Our end, which does not block, and the one to give away."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        return cls(ours), theirs

    @classmethod
    def of_descriptor(cls, fd: int, *, blocking: bool) -> Self:
        """The end that this process was given."""
        end = socket.socket(fileno=fd)
        end.setblocking(blocking)
        return cls(end)

    def fileno(self) -> int:
        """For `add_reader`."""
        return self._socket.fileno()

    def send(self, message: Message, descriptors: Iterable[int] = ()) -> bool:
        """Sends one message, with descriptors that the other side gets copies of. False when it can't be sent now,
        or nobody is there any more (the next `receive` says so)."""
        packed = msgspec.msgpack.encode(message)
        given = list(descriptors)
        extra = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", given))] if given else []
        try:
            self._socket.sendmsg([packed], extra)
        except (BlockingIOError, ConnectionError, OSError):
            return False
        return True

    def receive(self) -> tuple[Message, list[int]] | None:
        """The next message and its descriptors, or None when the other side is gone.

        Raises BlockingIOError when none waits and this end does not block.
        """
        room = socket.CMSG_SPACE(MOST_DESCRIPTORS * array.array("i").itemsize)
        try:
            packed, extra, _, _ = self._socket.recvmsg(LONGEST_MESSAGE, room)
        except ConnectionError:
            return None
        if not packed:
            return None
        descriptors = array.array("i")
        for level, kind, data in extra:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                descriptors.frombytes(data[: len(data) - len(data) % descriptors.itemsize])
        for fd in descriptors:
            os.set_inheritable(fd, False)
        return msgspec.msgpack.decode(packed), list(descriptors)

    def messages(self) -> Iterable[Message | None]:
        """What waits now, for an end that does not block; None, as the last, when the other side is gone."""
        while True:
            try:
                received = self.receive()
            except BlockingIOError:
                return
            yield received[0] if received is not None else None
            if received is None:
                return

    def close(self) -> None:
        """Closes this end."""
        self._socket.close()
