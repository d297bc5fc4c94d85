"""`shadows.sync` over forks, and in a script that ends without closing it."""

from pathlib import Path
from uuid import uuid4

import pytest

from shadows.testing import RedisServer
from tests.processes import Process, run_script, write_script

FORKS = """
import os
import sys
import threading

from shadows.sync import Shadow, add


async def greet(name: str) -> None: ...


shadow = Shadow()
shadow.add(greet, key="parent")("x")
add(greet, key="default")("x")


def child(number):
    shadow.add(greet, key=f"child {number}")("x")
    shadow.add(greet, key=f"child {number} again")("x")
    add(greet, key=f"default of {number}")("x")


def waits():
    execution = shadow.get_execution("parent")
    try:
        execution.get_result(timeout=1)
    except TimeoutError:
        print("the wait went on over the forks")


waiting = threading.Thread(target=waits) if sys.argv[1] == "busy" else None
if waiting:
    waiting.start()
children = []
for number in range(3):
    pid = os.fork()
    if not pid:
        child(number)
        sys.exit()
    children.append(pid)
    shadow.add(greet, key=f"parent after {number}")("x")
codes = [os.waitpid(pid, 0)[1] for pid in children]
shadow.add(greet, key="parent at the end")("x")
if waiting:
    waiting.join()
print(codes, shadow.snapshot().ready_count)
"""


@pytest.mark.parametrize("state", ["idle", "busy"])
def test_it_goes_on_over_a_fork_in_the_parent_and_in_the_children(shadows_url: str, tmp_path: Path, state: str) -> None:
    """gunicorn's preload: opened in the parent, which forks, and used in all. Warnings are errors here: an open
    shadow must not make `os.fork` warn of threads, nor a child of connections that are not its own."""
    environment = {"SHADOWS_URL": shadows_url, "SHADOWS_NAME": f"test-{uuid4()}"}
    script = write_script(tmp_path, "forks", FORKS)
    with Process(script, state, environment=environment) as process:
        assert process.wait() == 0, process.output
        lines = process.lines
    assert lines[-1] == f"[0, 0, 0] {2 + 3 * 3 + 3 + 1}"
    if state == "busy":
        # The waiting thread is the user's own, of which Python warns.
        assert "the wait went on over the forks" in lines
    else:
        assert len(lines) == 1


BUSY = """
import os
import threading

from shadows.sync import Shadow


async def greet(name: str) -> None: ...


done = threading.Event()
added = []


def adds():
    while not done.is_set():
        shadow.add(greet)("x")
        added.append(1)


with Shadow() as shadow:
    threads = [threading.Thread(target=adds) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(20):
        pid = os.fork()
        if not pid:
            shadow.add(greet)("child")
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
    done.set()
    for thread in threads:
        thread.join()
    print(len(added) > 20, shadow.snapshot(1).ready_count - len(added))
"""


def test_adds_of_other_threads_are_neither_lost_nor_doubled_by_forks(shadows_url: str, tmp_path: Path) -> None:
    environment = {"SHADOWS_URL": shadows_url, "SHADOWS_NAME": f"test-{uuid4()}", "PYTHONWARNINGS": "ignore"}
    output = run_script(write_script(tmp_path, "busy", BUSY), environment=environment)
    assert output.splitlines()[-1] == "True 20"


HOLDS = """
import os
import time

import redis

from shadows.sync import Shadow


def ours():
    return [client for client in watcher.client_list() if client["name"].startswith("shadows:")]


watcher = redis.Redis.from_url(os.environ["SHADOWS_URL"])
shadow = Shadow()
shadow.workers()
assert ours()
reading, writing = os.pipe()
pid = os.fork()
if not pid:
    os.close(writing)
    os.read(reading, 1)  # until the parent is through
    os._exit(0)
shadow.close()
deadline = time.monotonic() + 5
while ours() and time.monotonic() < deadline:
    time.sleep(0.01)
print(ours())
os.close(writing)
os.waitpid(pid, 0)
"""


def test_a_child_does_not_hold_the_parents_connections_open(own_redis: RedisServer, tmp_path: Path) -> None:
    """A forked copy of a socket keeps the server from ever seeing its end."""
    script = write_script(tmp_path, "holds", HOLDS)
    assert run_script(script, environment={"SHADOWS_URL": own_redis.url}) == "[]\n"


ENDS = """
from shadows.sync import Shadow, add


async def greet(name: str) -> None: ...


shadow = Shadow()
shadow.add(greet)("x")
add(greet)("y")
print(shadow.snapshot().ready_count)
"""


@pytest.mark.parametrize("embedded", [False, True])
def test_a_script_that_closes_nothing_ends_without_a_word(shadows_url: str, tmp_path: Path, embedded: bool) -> None:
    url = f"embedded://{tmp_path}/data" if embedded else shadows_url
    environment = {"SHADOWS_URL": url, "SHADOWS_NAME": f"test-{uuid4()}"}
    assert run_script(write_script(tmp_path, "ends", ENDS), environment=environment) == "2\n"
