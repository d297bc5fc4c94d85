"""Writer on their way to a descriptor that takes them late, in part, or not at all."""

import errno
import fcntl
import os
import threading
import time
from collections.abc import Iterator

import pytest

from shadowsd.observe.writer import BYTES_PER_LINE, MOST_BYTES, RETRY_SECONDS, TOO_SLOW, URGENT_SECONDS, Writer

LONG = b"x" * 99_999 + b"\n"


def notice(missing: int, why: str) -> bytes:
    return f"{missing} missing: {why}\n".encode()


class Pipe:
    """A pipe whose reader reads when the test says so."""

    def __init__(self) -> None:
        self.reader, self.descriptor = os.pipe()
        os.set_blocking(self.reader, False)
        self.writer = Writer(self.descriptor, notice)

    def read(self) -> bytes:
        """All that is in it now."""
        found = b""
        try:
            while chunk := os.read(self.reader, 1 << 20):
                found += chunk
        except BlockingIOError:
            pass
        return found

    def read_some(self) -> bytes:
        """At most a page of it."""
        try:
            return os.read(self.reader, 4096)
        except BlockingIOError:
            return b""

    def read_all(self) -> bytes:
        """Until nothing more comes."""
        found = b""
        while not self.writer.flush(0.05):
            found += self.read()
        return found + self.read()

    def fill(self) -> None:
        """Until the kernel takes no more of it; what is in it is of no interest."""
        os.set_blocking(self.descriptor, False)
        try:
            while os.write(self.descriptor, b"." * 1000):
                pass
        except BlockingIOError:
            os.set_blocking(self.descriptor, True)

    def close(self) -> None:
        os.close(self.reader)
        self.writer.rest()
        os.close(self.descriptor)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe()
    yield pipe
    pipe.close()


def test_lines_arrive_in_their_order_whole_and_once(pipe: Pipe) -> None:
    """From one thread, through a reader that is slower than it."""
    sent = [f"{n} {'x' * (n % 500)}\n".encode() for n in range(3000)]
    found = b""
    for line in sent:
        pipe.writer.put(line)
        if len(found) % 7 == 0:
            found += pipe.read()
    found += pipe.read_all()
    assert found == b"".join(sent)
    assert pipe.writer.dropped == 0


def test_nobody_waits_for_a_reader_that_reads_nothing(pipe: Pipe) -> None:
    """A task must not stand still because the machine's log collector does."""
    pipe.fill()
    began = time.monotonic()
    for _ in range(200):
        pipe.writer.put(LONG)
    assert time.monotonic() - began < 1.0
    assert 150 < pipe.writer.dropped < 200


def test_what_is_missing_is_said_in_its_place_once_lines_arrive_again(pipe: Pipe) -> None:
    pipe.fill()
    pipe.writer.put(b"first\n")
    while not pipe.writer.dropped:
        pipe.writer.put(LONG)
    pipe.writer.put(LONG)
    found = b""
    # There is room for a small line again, and much waits before it.
    while pipe.writer._bytes_in - pipe.writer._bytes_out > MOST_BYTES - len(LONG):
        found += pipe.read_some()
    pipe.writer.put(b"after\n")
    found += pipe.read_all()
    told = f"2 missing: {TOO_SLOW}"
    assert [line for line in found.lstrip(b".").decode().splitlines() if "x" not in line] == ["first", told, "after"]
    assert pipe.writer.dropped == 2


def test_what_is_missing_is_said_although_no_line_follows(pipe: Pipe) -> None:
    """An idle process logs nothing for hours."""
    pipe.fill()
    while not pipe.writer.dropped:
        pipe.writer.put(LONG)
    assert pipe.read_all().endswith(f"1 missing: {TOO_SLOW}\n".encode())
    assert pipe.read_all() == b""


def test_a_line_larger_than_all_room_is_taken_when_nothing_waits(pipe: Pipe) -> None:
    large = b"y" * MOST_BYTES + b"\n"
    pipe.writer.put(large)
    assert pipe.read_all() == large


def test_a_closed_pipe_costs_lines_and_nothing_else(pipe: Pipe) -> None:
    reader = os.dup(pipe.reader)
    os.close(pipe.reader)
    os.close(reader)
    for _ in range(10):
        pipe.writer.put(b"lost\n")
    assert pipe.writer.flush()
    assert pipe.writer.dropped == 10
    pipe.reader = os.open(os.devnull, os.O_RDONLY)  # for the fixture to close


def test_a_full_disk_is_tried_again_but_not_for_each_line() -> None:
    """With thousands of lines a second, failing calls would cost more than writing them did."""
    full = os.open("/dev/full", os.O_WRONLY)
    said = list[str]()

    def notice(missing: int, why: str) -> bytes:
        said.append(f"{missing} {why}")
        return b"missing\n"

    writer = Writer(full, notice)
    for _ in range(1000):
        writer.put(b"lost\n")
    assert writer.flush()
    assert writer.dropped == 1000
    assert said == []
    writer._next_try = 0.0
    writer.put(b"lost, too\n")
    assert writer.flush()
    assert said == [f"1000 {os.strerror(errno.ENOSPC)}"]
    assert writer._next_try > time.monotonic() + RETRY_SECONDS / 2
    writer.rest()
    os.close(full)


def test_without_a_descriptor_all_lines_are_counted() -> None:
    writer = Writer(None, notice)
    for _ in range(3):
        writer.put(b"nowhere\n", urgent=True)
    assert writer.dropped == 3
    assert writer.flush()
    writer.rest()


def test_a_descriptor_that_does_not_block_is_waited_for(pipe: Pipe) -> None:
    """Whoever shares a terminal or a pipe may have made it so, for all."""
    pipe.fill()
    os.set_blocking(pipe.descriptor, False)
    pipe.writer.put(LONG)
    assert not pipe.writer.flush(0.05)
    assert pipe.read_all().lstrip(b".") == LONG
    assert pipe.writer.dropped == 0


def test_an_urgent_line_is_out_when_put_returns(pipe: Pipe) -> None:
    """The next thing that its process does may be to crash."""
    for n in range(50):
        pipe.writer.put(b"before\n")
        pipe.writer.put(f"{n}\n".encode(), urgent=True)
        assert pipe.read().endswith(f"{n}\n".encode())


def test_an_urgent_line_that_can_not_get_out_holds_its_process_up_once(pipe: Pipe) -> None:
    """Errors come by the thousand when something is wrong, and then the log may be, too."""
    pipe.fill()
    began = time.monotonic()
    for _ in range(100):
        pipe.writer.put(b"urgent\n", urgent=True)
    took = time.monotonic() - began
    assert URGENT_SECONDS <= took < 20 * URGENT_SECONDS
    assert pipe.read_all().count(b"urgent") == 100
    pipe.writer.put(b"again\n", urgent=True)
    assert pipe.read() == b"again\n"


def test_at_rest_there_is_no_thread_until_the_next_line(pipe: Pipe) -> None:
    """A process that forks should have none of it."""
    before = threading.active_count()
    pipe.writer.put(b"one\n")
    assert threading.active_count() == before + 1
    pipe.writer.rest()
    assert threading.active_count() == before
    assert pipe.writer.flush()
    pipe.writer.put(b"two\n")
    assert pipe.read_all() == b"one\ntwo\n"


def test_a_thread_that_could_not_rest_in_time_goes_on(pipe: Pipe) -> None:
    """It is stuck in a write; what comes later is written after it."""
    pipe.fill()
    pipe.writer.put(LONG)
    pipe.writer.rest(0.05)
    pipe.writer.put(b"later\n")
    assert pipe.read_all().endswith(LONG + b"later\n")


def test_the_room_is_counted_with_what_python_needs_for_each_line(pipe: Pipe) -> None:
    """A million empty lines are not nothing."""
    pipe.fill()
    while not pipe.writer.dropped:
        pipe.writer.put(b"\n")
    taken = (pipe.writer._bytes_in - pipe.writer._bytes_out) // (BYTES_PER_LINE + 1)
    assert MOST_BYTES // (BYTES_PER_LINE + 1) - 2 <= taken <= MOST_BYTES // BYTES_PER_LINE


def test_the_pipe_of_these_tests_is_small() -> None:
    """What they call too much must be more than the kernel takes."""
    pipe = Pipe()
    assert fcntl.fcntl(pipe.descriptor, fcntl.F_GETPIPE_SZ) < MOST_BYTES
    pipe.close()
