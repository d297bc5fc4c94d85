"""Writes lines to a file descriptor from a thread of its own, so that whoever logs never waits for a reader.

A pipe that nobody empties, one that is closed, and a full disk cost lines, which are counted, and nothing else:
how many are missing is said in their place, once lines arrive again. Only an urgent line, which may be the last
of a process that crashes, is waited for, and that for a moment.
"""

import os
import select
import signal
import stat
import threading
from collections.abc import Callable, Iterator
from itertools import accumulate
from pathlib import Path
from queue import SimpleQueue
from time import monotonic, sleep

from shadows.forked import forget_in_copies

# What waits for a slow reader, as bytes with what Python needs for each line: some ten thousand lines.
MOST_BYTES = 4 << 20
BYTES_PER_LINE = 200
# What goes into one write. Processes share a pipe, such as a master and its children, and a pipe takes up to this much
# in one piece; a file takes anything so.
PIPE_BYTES = getattr(select, "PIPE_BUF", 512)
FILE_BYTES = 1 << 18
# A waiting reader takes microseconds. Who is not served within this is not waited for again, until all is written.
URGENT_SECONDS = 0.02
FLUSH_SECONDS = 1.0
# A write that failed is not tried again at once: a full disk stays full for longer than a line takes.
RETRY_SECONDS = 1.0
GONE_SECONDS = 0.1
TOO_SLOW = "it did not take them in time"

type Line = tuple[bytes, threading.Lock | None]


class Writer:
    """A bounded queue of lines, and the thread that writes them in their order.

    Any thread may put lines in, one at a time (a logging handler has a lock for that), and a signal handler
    may do so amidst another put: hence no lock here that both would need.
    """

    def __init__(self, descriptor: int | None, notice: Callable[[int, str], bytes]) -> None:
        """descriptor: None when there is none; all lines are dropped then.
        notice: the line that says how many lines are missing, and why.
        """
        self._descriptor = descriptor
        self._most = FILE_BYTES if descriptor is not None and is_file(descriptor) else PIPE_BYTES
        self._notice = notice
        # Each of these is written by those who put lines in, or by the thread, and never by both.
        self._bytes_in = self._bytes_out = 0
        self._refused = self._marked = 0
        self._failed = 0
        self._begin()
        forget_in_copies(self)

    def _begin(self) -> None:
        # A number instead of a line says how many had been refused when the next line was taken; None ends the thread.
        self._queue: SimpleQueue[Line | int | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._looking = False
        self._late = False
        self._torn = False
        self._why = ""
        self._next_try = 0.0
        self._refused_seen = self._refused_told = self._failed_told = 0

    def forget(self) -> None:
        """In a forked copy: there is no thread, and what waits here or is missing is the original's to tell."""
        self._bytes_in = self._bytes_out = 0
        self._refused = self._marked = 0
        self._failed = 0
        self._begin()

    @property
    def dropped(self) -> int:
        """How many lines were lost since the beginning."""
        return self._refused + self._failed

    def put(self, line: bytes, *, urgent: bool = False) -> None:
        """Hands over a line, which ends in a line end; it is dropped when too much waits already."""
        size = len(line) + BYTES_PER_LINE
        waiting = self._bytes_in - self._bytes_out
        if self._descriptor is None or (waiting and waiting + size > MOST_BYTES) or not self._has_thread():
            self._refused += 1
            return
        if self._marked != self._refused:
            self._marked = self._refused
            self._queue.put(self._marked)
        self._bytes_in += size
        # A busy loop wins the interpreter's lock back from the thread each time that it lets go of it for a moment: the
        # thread was seen to wait for half a second. So it is waited for before its room is full.
        if (urgent or waiting > MOST_BYTES // 4) and not self._late:
            self._late = not self._written(line, URGENT_SECONDS)
        else:
            self._queue.put((line, None))

    def _written(self, line: bytes, seconds: float) -> bool:
        """Hands over a line and waits until it is written, but no longer than this."""
        written = threading.Lock()
        written.acquire()
        self._queue.put((line, written))
        return written.acquire(timeout=seconds)

    def _has_thread(self) -> bool:
        if self._looking:
            return True  # a signal handler amidst the lines below; what it puts in is written by the thread they make
        self._looking = True
        try:
            if self._thread is None or not self._thread.is_alive():
                thread = threading.Thread(target=self._main, name="shadows log", daemon=True)
                thread.start()
                self._thread = thread
        except RuntimeError:
            return False  # too many threads, or the interpreter is ending
        finally:
            self._looking = False
        return True

    def flush(self, seconds: float = FLUSH_SECONDS) -> bool:
        """Waits until all lines are written, but no longer than this; returns whether they are."""
        if self._thread is not None and not self._written(b"", seconds):
            self._late = True
        return not self._late

    def rest(self, seconds: float = FLUSH_SECONDS) -> None:
        """Writes all lines and ends the thread; the next line starts another. For a process that forks, and should
        have no threads then."""
        thread = self._thread
        if thread is not None:
            self._queue.put(None)
            thread.join(0.0 if self._late else seconds)
            if not thread.is_alive():
                self._thread = None
                until_gone(thread)

    def _main(self) -> None:
        if hasattr(signal, "pthread_sigmask"):
            # Signals are for the main thread; and a reader that is gone is an error code here, and no SIGPIPE.
            signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        while True:
            lines, item = self._take()
            self._deliver([line for line, _ in lines if line])
            if isinstance(item, int):
                self._refused_seen = item
                self._tell()
            if self._queue.empty():
                self._late = False
                self._refused_seen = self._refused
                self._tell()
                if item is None:
                    return  # else it was to rest, could not in time, and there is more to do now
            for _, written in lines:
                if written is not None:
                    written.release()

    def _take(self) -> tuple[list[Line], Line | int | None]:
        """The lines that wait now, and what ended them. Written one by one, with the interpreter's lock won back
        after each from a loop that is busy, two hundred a second would get out."""
        lines: list[Line] = []
        size = 0
        item = self._queue.get()
        while isinstance(item, tuple):
            lines.append(item)
            size += len(item[0])
            if size >= FILE_BYTES or self._queue.empty():
                break
            item = self._queue.get()
        return lines, item

    def _deliver(self, lines: list[bytes]) -> None:
        for portion in portions(lines, self._most):
            self._tell()
            written = self._write(b"".join(portion)) if monotonic() >= self._next_try else 0
            self._failed += sum(1 for end in accumulate(map(len, portion)) if end > written)
            self._bytes_out += sum(map(len, portion)) + BYTES_PER_LINE * len(portion)

    def _tell(self) -> None:
        """Says what is missing at this place, if something is."""
        missing = self._refused_seen - self._refused_told + self._failed - self._failed_told
        if missing and monotonic() >= self._next_try:
            why = self._why if self._failed != self._failed_told else TOO_SLOW
            told = self._notice(missing, why)
            if self._write(told) == len(told):
                self._refused_told, self._failed_told = self._refused_seen, self._failed

    def _write(self, data: bytes) -> int:
        """Returns how much of it was written; less than all when the descriptor takes no more now, or never."""
        assert self._descriptor is not None
        before = b"\n" if self._torn else b""
        rest = memoryview(before + data)
        try:
            while rest:
                try:
                    rest = rest[os.write(self._descriptor, rest) :]
                except BlockingIOError:
                    # Somebody made it non-blocking, as terminals often are; this thread has time.
                    select.select([], [self._descriptor], [], 1.0)
        except OSError as error:
            self._why = error.strerror or str(error)
            self._next_try = monotonic() + RETRY_SECONDS
        written = max(0, len(data) - len(rest))
        if written:
            self._torn = not data.endswith(b"\n", 0, written)
        return written


def is_file(descriptor: int) -> bool:
    """Whether it is an ordinary file."""
    return stat.S_ISREG(os.fstat(descriptor).st_mode)


def portions(lines: list[bytes], most: int) -> Iterator[list[bytes]]:
    """The lines in groups of so many bytes at most; a longer one goes alone."""
    portion: list[bytes] = []
    size = 0
    for line in lines:
        if portion and size + len(line) > most:
            yield portion
            portion, size = [], 0
        portion.append(line)
        size += len(line)
    if portion:
        yield portion


def until_gone(thread: threading.Thread) -> None:
    """Waits for the kernel, too: some microseconds after its end in Python a thread is still one of the process."""
    place = Path("/proc/self/task") / str(thread.native_id)
    deadline = monotonic() + GONE_SECONDS
    while place.exists() and monotonic() < deadline:
        sleep(0.0005)
