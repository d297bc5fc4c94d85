"""The log of a process whose standard error is stuck, closed, or full, or that is about to die."""

import os
import signal
import time
from pathlib import Path

import pytest

from tests.observe.logging_scripts import messages, script
from tests.processes import Process, run_script, write_script


def without_stderr(directory: Path, path: Path, *also: int) -> Path:
    """A script that runs another one with standard error closed, and perhaps other descriptors."""
    body = f"""
import os
import sys

for descriptor in {(2, *also)}:
    os.close(descriptor)
os.execv(sys.executable, [sys.executable, {str(path)!r}])
"""
    return write_script(directory, "without", body)


@pytest.mark.parametrize(
    ("style", "count", "length", "dropped"),
    [("plain", 100, 10**5, True), ("json", 100, 10**5, True), ("rich", 40, 2000, False)],
)
def test_a_pipe_that_nobody_reads_holds_nobody_up(
    tmp_path: Path, style: str, count: int, length: int, dropped: bool
) -> None:
    """Not while it works, and at its end for a second. (Rich takes 30 ms for each of these lines by itself.)"""
    body = f"""
began = time.monotonic()
for n in range({count}):
    logger.error("%d %s", n, "x" * {length})
print("worked", time.monotonic() - began < 5.0)
print("dropped", log_lines_dropped() > 0)
"""
    reader, writer = os.pipe()
    with Process(script(tmp_path, body), style, stderr=writer) as process:
        process.wait_for(f"dropped {dropped}")
        began = time.monotonic()
        assert process.wait() == 0
        assert time.monotonic() - began < 5.0
        assert "worked True" in process.lines
    os.close(reader)
    os.close(writer)


def without_reader(tmp_path: Path, body: str) -> list[str]:
    """What a program says that logs into a pipe whose reader is gone, and ends well."""
    reader, writer = os.pipe()
    os.close(reader)
    with Process(script(tmp_path, body), stderr=writer) as process:
        assert process.wait() == 0
        lines = process.lines
    os.close(writer)
    return lines


def test_a_pipe_whose_reader_is_gone_ends_nobody(tmp_path: Path) -> None:
    """SIGPIPE would: its default is to end the process, and some parents leave it at that."""
    body = """
signal.signal(signal.SIGPIPE, signal.SIG_DFL)
for _ in range(10):
    logger.info("lost")
flush_log()
print("dropped", log_lines_dropped())
"""
    assert without_reader(tmp_path, body) == ["dropped 10"]


def test_what_was_lost_stays_counted_when_the_log_is_changed(tmp_path: Path) -> None:
    """A reload changes the log of a master, whose metrics count on: a number that falls would be an error there."""
    body = """
from shadowsd.observe.logs import change_logging
logger.error("lost")
change_logging("warning", "json")
logger.info("not logged")
logger.warning("lost, too")
flush_log()
print("dropped", log_lines_dropped())
"""
    assert without_reader(tmp_path, body) == ["dropped 2"]


def test_a_full_disk_ends_nobody(tmp_path: Path) -> None:
    body = """
for _ in range(10):
    logger.error("lost")
flush_log()
print("dropped", log_lines_dropped())
"""
    full = os.open("/dev/full", os.O_WRONLY)
    with Process(script(tmp_path, body), stderr=full) as process:
        assert process.wait() == 0
        assert process.lines == ["dropped 10"]
    os.close(full)


def test_once_there_is_room_again_the_log_goes_on_with_a_whole_line(tmp_path: Path) -> None:
    """The one in the middle of which the disk was full stays torn; what is missing is said after it."""
    body = """
logger.info("first")
flush_log()
room = os.fstat(2).st_size + 60
resource.setrlimit(resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))
for _ in range(3):
    logger.info("torn %s", "x" * 100)
flush_log()
print("dropped", log_lines_dropped())
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
time.sleep(1.1)
logger.info("last")
"""
    log = tmp_path / "log"
    with log.open("wb") as file, Process(script(tmp_path, body), stderr=file.fileno()) as process:
        assert process.wait() == 0
        assert process.lines == ["dropped 3"]
    first, torn, told, last = messages(log.read_text())
    assert (first, last) == ("first", "last")
    assert torn.startswith("torn xxx")
    assert told.startswith("3 lines of the log are missing here, because standard error could not be written: File too")


@pytest.mark.parametrize("also", [(), (0,)], ids=["alone", "with standard input"])
def test_without_a_standard_error_nothing_is_written_elsewhere(tmp_path: Path, also: tuple[int, ...]) -> None:
    """Its number would be given to whatever is opened first: a connection to Redis, or a file of the user's."""
    body = f"""
assert sys.stderr is None
with open({str(tmp_path / "precious")!r}, "w") as precious:
    print("number", precious.fileno() != 2)
    logger.error("lost")
    os.write(2, b"nowhere")
    flush_log()
print("dropped", log_lines_dropped())
"""
    path = without_stderr(tmp_path, script(tmp_path, body), *also)
    assert run_script(path).splitlines() == ["number True", "dropped 1"]
    assert (tmp_path / "precious").read_text() == ""


def test_a_number_that_was_given_away_already_is_left_alone(tmp_path: Path) -> None:
    """Something was opened before logging was configured."""
    opened = tmp_path / "opened"
    body = f"""
import sys
precious = open({str(opened)!r}, "w")
print("number", precious.fileno())
from shadowsd.observe.logs import configure_logging
import logging
configure_logging("info", "plain")
logging.error("lost")
"""
    path = without_stderr(tmp_path, write_script(tmp_path, "early", body))
    assert run_script(path).splitlines() == ["number 2"]
    assert opened.read_text() == ""


@pytest.mark.parametrize("end", ["os._exit(0)", "os.kill(os.getpid(), signal.SIGKILL)", "os.abort()"])
def test_an_error_is_out_before_its_process_dies(tmp_path: Path, end: str) -> None:
    """It may be the only one that knows why."""
    body = f"""
logger.info("what came before")
logger.error("the last word")
{end}
"""
    with Process(script(tmp_path, body)) as process:
        assert process.wait() in (0, -signal.SIGKILL, -signal.SIGABRT)
        assert messages(process.output) == ["what came before", "the last word"]


def test_all_lines_are_out_at_an_ordinary_end(tmp_path: Path) -> None:
    """Also those that are logged while the interpreter ends, and by threads."""
    body = """
import atexit
atexit.register(lambda: logger.info("at exit"))
threads = [threading.Thread(target=lambda: [logger.info("x" * 1000) for _ in range(500)]) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""
    said = messages(run_script(script(tmp_path, body)))
    assert said == ["x" * 1000] * 2000 + ["at exit"]


def test_a_loop_that_is_busy_logging_loses_no_line(tmp_path: Path) -> None:
    """The story: each run logs two lines, and a loop that ran ten thousand a second lost most of them, though their
    reader was quick. The thread did not get the interpreter's lock: the loop let go of it for an instant at each of its
    turns, and had it back before the thread was awake."""
    body = """
import asyncio
async def main():
    for n in range(40_000):
        logger.info("x" * 100)
        if n % 32 == 0:
            await asyncio.sleep(0)
asyncio.run(main())
flush_log()
print("dropped", log_lines_dropped())
"""
    output = run_script(script(tmp_path, body))
    assert output.splitlines()[-1] == "dropped 0"
    assert output.count("x" * 100) == 40_000


def test_a_signal_handler_may_log_whatever_it_interrupts(tmp_path: Path) -> None:
    """In the middle of another line, too: a lock that both need would be a deadlock."""
    body = """
handled = 0
def handle(*_):
    global handled
    handled += 1
    logger.error("handled")
    signal.setitimer(signal.ITIMER_REAL, 0.0005)
signal.signal(signal.SIGALRM, handle)
signal.setitimer(signal.ITIMER_REAL, 0.0005)
logged = 0
while handled < 500:
    logger.info("logged")
    logged += 1
signal.setitimer(signal.ITIMER_REAL, 0)
flush_log()
print(logged, handled, log_lines_dropped())
"""
    output = run_script(script(tmp_path, body))
    logged, handled, dropped = map(int, output.splitlines()[-1].split())
    said = messages(output)
    assert (said.count("logged"), said.count("handled"), dropped) == (logged, handled, 0)


@pytest.mark.parametrize("style", ["plain", "rich", "json"])
def test_a_line_that_can_not_be_formatted_is_told_of_and_the_next_arrives(tmp_path: Path, style: str) -> None:
    """logging itself would write its complaint to standard error directly, and could block there."""
    body = """
class Unprintable:
    def __str__(self):
        raise ValueError("no text")
    __repr__ = __str__
logger.info("%d", "no number")
logger.info("%s", Unprintable())
logger.info(Unprintable())
logger.info("next")
"""
    output = run_script(script(tmp_path, body), style)
    assert output.count("can't be formatted") == 3
    assert "TypeError: %d format" in output
    assert output.count("ValueError: no text") == 2
    assert "Logging error" not in output
    assert "next" in output.splitlines()[-1]


def test_a_first_line_that_comes_when_no_thread_can_be_started_any_more_is_dropped(tmp_path: Path) -> None:
    """At the very end of the interpreter; it must end well all the same."""
    body = """
import atexit
atexit.register(lambda: print(log_lines_dropped()))
atexit.register(lambda: logger.error("too late"))
"""
    assert run_script(script(tmp_path, body)).splitlines()[-1] == "1"
