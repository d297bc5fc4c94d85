"""The log of processes that fork, and that share one standard error."""

import os
import select
from pathlib import Path

import pytest

from tests.observe.logging_scripts import messages, script
from tests.processes import Process, run_script
from tests.waiting import wait_for


@pytest.mark.parametrize("where", ["pipe", "file"])
def test_lines_of_several_processes_stay_whole(tmp_path: Path, where: str) -> None:
    """A master and its children share one standard error; many lines in one write would be torn by another's."""
    body = """
for name in "abc":
    if os.fork() == 0:
        for _ in range(3000):
            logger.info(name * 300)
        logging.getLogger().handlers[0].writer.flush(60)  # flush_log would give the reader a second
        os._exit(log_lines_dropped() > 0)
print("exits", *[os.waitstatus_to_exitcode(os.wait()[1]) for _ in "abc"])
"""
    path, log = script(tmp_path, body), tmp_path / "log"
    if where == "file":
        with log.open("wb") as file, Process(path, stderr=file.fileno()) as process:
            assert process.wait() == 0
        said = messages(log.read_text())
    else:
        reader, writer = os.pipe()
        with Process(path, stderr=writer) as process, os.fdopen(reader, "rb", buffering=0) as lines:
            wait_for(lambda: not select.select([], [writer], [], 0)[1], "the pipe is full, and each of them has more")
            os.close(writer)
            said = messages(b"".join(iter(lambda: lines.read(1000), b"")).decode())
            assert process.wait() == 0
            assert process.lines == ["exits 0 0 0"]
    assert sorted(said) == [name * 300 for name in "abc" for _ in range(3000)]


def test_a_forked_copy_has_a_thread_and_a_queue_of_its_own(tmp_path: Path) -> None:
    """What waits in its parent is written once, by the parent; and what the parent's thread held is not held there."""
    body = """
reader, stuck = os.pipe()
before = os.dup(2)
os.set_blocking(stuck, False)
try:
    while os.write(stuck, b"." * 1000):
        pass
except BlockingIOError:
    os.set_blocking(stuck, True)
os.dup2(stuck, 2)
for n in range(100):
    logger.info("of the parent")
child = os.fork()
if child == 0:
    os.dup2(before, 2)
    if "again" in sys.argv:
        configure_logging("warning", "json")
    logger.info("of the child, as its parent would have it")
    logger.error("of the child")
    os._exit(log_lines_dropped())
_, status = os.waitpid(child, 0)
print("child", os.waitstatus_to_exitcode(status), flush=True)
found = b""
while found.count(b"of the parent") < 100:
    found += os.read(reader, 1 << 16)
os.dup2(before, 2)
print("parent", found.count(b"of the child"), log_lines_dropped())
"""
    path = script(tmp_path, "import warnings\nwarnings.simplefilter('ignore', DeprecationWarning)\n" + body)
    plain = run_script(path).splitlines()
    assert plain[2:] == ["child 0", "parent 0 0"]
    assert messages("\n".join(plain[:2])) == ["of the child, as its parent would have it", "of the child"]
    (error, *rest) = run_script(path, "plain", "again").splitlines()
    assert '"message": "of the child"' in error
    assert rest == ["child 0", "parent 0 0"]


def test_a_process_at_rest_forks_without_a_thread(tmp_path: Path) -> None:
    """A copy of a process with threads is no whole copy. Python warns of it, which is an error here; and the daemon
    would fork no workers from it."""
    body = """
from shadowsd.master.selfcheck import obstacles
logger.info("before")
rest_log()
assert obstacles() == []
if os.fork() == 0:
    logger.error("of the child")
    os._exit(0)
os.wait()
logger.info("after")
"""
    assert messages(run_script(script(tmp_path, body))) == ["before", "of the child", "after"]
