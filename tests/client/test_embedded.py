"""The server behind `embedded://`, with real servers, real processes and real kills."""

import gc
import os
import signal
import threading
from pathlib import Path

import pytest
import redis

from shadows.embedded import EmbeddedServer, acquire
from shadows.embedded_files import Files
from shadows.errors import ConnectionFailed
from shadows.redis_server import ask
from tests.client.embedded_servers import client, is_locked, pid_of, serves, url_of
from tests.processes import Process, run_script, write_script
from tests.waiting import wait_for

USER = """
import sys
from shadows.embedded import acquire
server = acquire(sys.argv[1])
print("using", flush=True)
if sys.argv[2] == "stay":
    import signal
    signal.pause()
"""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def user(tmp_path: Path) -> Path:
    return write_script(tmp_path, "user", USER)


def test_what_was_written_is_there_at_the_next_start(directory: Path) -> None:
    for expected in (1, 2, 3):
        server = acquire(url_of(directory))
        with client(server) as connection:
            assert connection.incr("starts") == expected
        server.release()
        assert not serves(server)


def test_only_its_owner_can_reach_it_and_read_its_data(directory: Path) -> None:
    """A directory that was there before may be open to everybody."""
    server = acquire(url_of(directory))
    others_may = [path for path in (directory, *directory.rglob("*")) if path.stat().st_mode & 0o077]
    server.release()
    assert not others_may


def test_the_last_of_several_users_stops_it(directory: Path) -> None:
    users = [acquire(url_of(directory)) for _ in range(3)]
    assert len({user.socket_path for user in users}) == 1
    for user in users:
        assert serves(user)
        user.release()
        user.release()
    assert not serves(users[0])


def test_users_of_other_processes_count(directory: Path, user: Path) -> None:
    with Process(user, url_of(directory), "stay") as other:
        other.wait_for("using")
        server = acquire(url_of(directory))
        server.release()
        assert serves(server)
        server = acquire(url_of(directory))
        other.kill()
        assert serves(server)
        server.release()
        assert not serves(server)


def test_a_user_that_ends_without_a_release_stops_it(directory: Path, user: Path) -> None:
    run_script(user, url_of(directory), "leave")
    assert ask(Files(directory).read_socket(), "PING") == ""


def test_a_user_that_is_collected_has_released(directory: Path) -> None:
    server = acquire(url_of(directory))
    socket_path = server.socket_path
    del server
    gc.collect()
    assert ask(socket_path, "PING") == ""


def test_a_killed_user_leaves_a_server_that_the_next_one_takes_over(directory: Path, user: Path) -> None:
    with Process(user, url_of(directory), "stay") as killed:
        killed.wait_for("using")
        socket_path = Files(directory).read_socket()
        with redis.Redis(unix_socket_path=socket_path) as connection:
            connection.set("kept", "yes")
        pid = pid_of(directory)
        killed.kill()
    server = acquire(url_of(directory))
    with client(server) as connection:
        assert connection.get("kept") == "yes"
    assert pid_of(directory) == pid, "a second server was started over the data of the first"
    server.release()
    assert not serves(server)


def test_it_is_a_process_of_its_own_session(directory: Path, user: Path) -> None:
    """Ctrl-C at the terminal of its first user would end it under all the others."""
    server = acquire(url_of(directory))
    session = os.getsid(pid_of(directory))
    server.release()
    assert session not in (os.getsid(0), os.getpgid(0))


def test_a_killed_server_comes_back_with_its_data(directory: Path) -> None:
    server = acquire(url_of(directory))
    with client(server) as connection:
        connection.set("kept", "yes")
    os.kill(pid_of(directory), signal.SIGKILL)
    wait_for(lambda: not serves(server), "the server is dead")
    server.ensure_running()
    with client(server) as connection:
        assert connection.get("kept") == "yes"
    server.release()


def test_everything_may_be_killed_at_once(directory: Path, user: Path) -> None:
    """A power cut leaves a stale socket, a stale pid and the lock files behind; none of them may matter."""
    with Process(user, url_of(directory), "stay") as killed:
        killed.wait_for("using")
        os.kill(pid_of(directory), signal.SIGKILL)
        killed.kill()
    assert Path(Files(directory).read_socket()).exists()
    server = acquire(url_of(directory))
    assert serves(server)
    server.release()


def test_twenty_starters_at_once_share_one_server(directory: Path) -> None:
    servers: list[EmbeddedServer] = []
    threads = [threading.Thread(target=lambda: servers.append(acquire(url_of(directory)))) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    pids = set()
    for server in servers:
        with client(server) as connection:
            pids.add(connection.info("server")["process_id"])
    threads = [threading.Thread(target=server.release) for server in servers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(pids) == 1
    assert not serves(servers[0])


def test_a_start_that_was_killed_halfway_is_waited_for(directory: Path) -> None:
    """The server of a killed starter runs and does not listen yet; a second one would ruin its file."""
    server = acquire(url_of(directory))
    pid = pid_of(directory)
    moved = Path(server.socket_path + ".moved")
    Path(server.socket_path).rename(moved)
    waiting = threading.Thread(target=server.ensure_running)
    waiting.start()
    wait_for(lambda: is_locked(server.files.lock), "the second start holds the lock")
    assert waiting.is_alive()
    moved.rename(server.socket_path)
    waiting.join()
    assert pid_of(directory) == pid
    server.release()


def test_a_server_that_is_stuck_is_named_and_not_doubled(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shadows.embedded.SILENCE_SECONDS", 0.2)
    server = acquire(url_of(directory))
    socket_path = Path(server.socket_path)
    moved = socket_path.rename(socket_path.with_suffix(".moved"))
    with pytest.raises(ConnectionFailed, match=r"said nothing at .*shadows\.sock for 0\.2 s\. Kill it"):
        acquire(url_of(directory))
    moved.rename(socket_path)
    server.release()


def test_a_server_that_does_not_stop_is_left_with_a_warning(
    directory: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    server = acquire(url_of(directory))
    monkeypatch.setattr("shadows.embedded.SILENCE_SECONDS", 0.1)
    monkeypatch.setattr("shadows.redis_server.ANSWER_TIMEOUT_SECONDS", 0.1)
    pid = pid_of(directory)
    os.kill(pid, signal.SIGSTOP)
    server.release()
    os.kill(pid, signal.SIGCONT)
    assert "was told to stop and still runs after 0.1 s" in caplog.text
    wait_for(lambda: not serves(server), "the order to stop is followed later")


def test_a_lock_that_is_never_given_back_is_named(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = acquire(url_of(directory))
    monkeypatch.setattr("shadows.embedded.LOCK_SECONDS", 0.1)
    holder = write_script(
        directory.parent,
        "holder",
        "import fcntl, signal, sys\n"
        "lock = open(sys.argv[1])\n"
        "fcntl.flock(lock, fcntl.LOCK_EX)\n"
        "print('held')\n"
        "signal.pause()\n",
    )
    with Process(holder, server.files.lock) as process:
        process.wait_for("held")
        with pytest.raises(ConnectionFailed, match=r"Somebody has held .*lock for 0\.1 s"):
            server.ensure_running()
    server.release()


def test_a_directory_that_is_gone_releases_all_the_same(directory: Path) -> None:
    server = acquire(url_of(directory))
    pid = pid_of(directory)
    directory.rename(directory.parent / "elsewhere")
    server.release()
    os.kill(pid, signal.SIGKILL)


def test_a_forked_copy_does_not_stop_its_parents_server(directory: Path) -> None:
    server = acquire(url_of(directory))
    child = os.fork()
    if child == 0:
        server.release()
        os._exit(0)
    os.waitpid(child, 0)
    assert serves(server)
    server.release()
    assert not serves(server)
