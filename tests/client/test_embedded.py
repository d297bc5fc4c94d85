"""The server behind `embedded://`, with real servers, real processes and real kills."""

import fcntl
import gc
import os
import signal
import stat
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from shadows.embedded import EmbeddedServer, acquire, directory_of
from shadows.embedded_files import Files
from shadows.errors import ConfigurationError, ConnectionFailed
from shadows.redis_server import ServerVersion, ask
from tests.processes import Process, run_script, write_script
from tests.servers import programs
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


def url_of(directory: Path) -> str:
    return f"embedded://{directory}"


def client(server: EmbeddedServer) -> redis.Redis:
    return redis.Redis.from_url(server.url, decode_responses=True)


def pid_of(directory: Path) -> int:
    return int(Files(directory).pid.read_text())


def serves(server: EmbeddedServer) -> bool:
    return ask(server.socket_path, "PING") == "+PONG\r\n"


def is_locked(path: Path) -> bool:
    with path.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


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


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A folder with a short path: pytest's own are nearly too long for a socket."""
    with tempfile.TemporaryDirectory(prefix="s-", dir="/tmp") as folder:
        yield Path(folder)


def test_a_long_directory_has_its_socket_elsewhere(
    tmp_path: Path, short_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A unix socket's path may have 107 bytes; Redis ends at its start with a longer one."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(short_path))
    server = acquire(url_of(tmp_path / ("d" * 120)))
    runtime = Path(server.socket_path).parent
    assert (runtime.parent, stat.S_IMODE(runtime.stat().st_mode)) == (short_path, 0o700)
    assert serves(server)
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    second = acquire(url_of(tmp_path / ("d" * 120)))
    assert second.socket_path == server.socket_path, "its place is noted, whatever the next environment says"
    for each in (server, second):
        each.release()


def test_a_runtime_directory_that_others_may_write_is_not_used(
    tmp_path: Path, short_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody else could put a server of theirs there, and read every task."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(short_path / "gone"))
    monkeypatch.setattr("shadows.embedded_files.SHORT_PLACES", [str(short_path)])
    shared = short_path / f"shadows-{os.getuid()}"
    shared.mkdir()
    shared.chmod(0o777)
    with pytest.raises(ConfigurationError, match="no safe short one"):
        acquire(url_of(tmp_path / ("d" * 120)))


def test_data_of_a_newer_server_is_refused_before_anything_is_touched(directory: Path) -> None:
    directory.mkdir()
    Files(directory).version.write_text(ServerVersion("redis", 99, 1).dumps())
    with pytest.raises(ConfigurationError, match=r"was written by Redis 99\.1, which it can't read"):
        acquire(url_of(directory))
    assert not Files(directory).log.exists()


def test_an_older_server_never_starts_over_newer_data(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """6.2 over a directory of 7.0 starts with an empty database, and says nothing."""
    versions = programs()
    if len(versions) < 2:
        pytest.skip("needs two versions of the server, on PATH or in SHADOWS_TEST_SERVERS")
    for old, new in zip(list(versions)[:-1], list(versions)[1:], strict=True):
        place = directory / str(new)
        monkeypatch.setattr("shadows.embedded.find_server", lambda new=new: versions[new])
        server = acquire(url_of(place))
        with client(server) as connection:
            connection.set("kept", "yes")
        server.release()
        for noted in (True, False):
            if not noted and old.major >= 7:
                break
            if not noted:
                server.files.version.unlink()
            monkeypatch.setattr("shadows.embedded.find_server", lambda old=old: versions[old])
            with pytest.raises(ConfigurationError, match="which it can't read"):
                acquire(url_of(place))


def test_a_newer_server_takes_older_data_over(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for count, (version, program) in enumerate(programs().items(), start=1):
        monkeypatch.setattr("shadows.embedded.find_server", lambda program=program: program)
        server = acquire(url_of(directory))
        with client(server) as connection:
            assert connection.incr("servers") == count
        server.release()
        assert ServerVersion.loads(server.files.version.read_text()) == version


def test_a_server_that_refuses_its_data_is_quoted(directory: Path) -> None:
    directory.mkdir()
    (directory / "appendonly.aof").write_text("this is no append-only file\r\n")
    with pytest.raises(ConnectionFailed, match=r"ended as soon as it was started over .*, saying '"):
        acquire(url_of(directory))
    assert not Files(directory).version.exists(), "a server that never served has left its version"


def test_a_failed_start_leaves_the_note_of_the_last_good_one(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = directory.parent / "redis-server"
    broken.write_text("#!/bin/sh\n[ $1 = --version ] && echo 'Redis server v=99.0.1' || { echo 'no luck'; exit 1; }\n")
    broken.chmod(0o755)
    server = acquire(url_of(directory))
    server.release()
    before = server.files.version.read_text()
    server.files.log.unlink()
    monkeypatch.setattr("shadows.embedded.find_server", lambda: broken)
    with pytest.raises(ConnectionFailed, match="saying 'no luck'"):
        acquire(url_of(directory))
    assert server.files.version.read_text() == before


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


@pytest.mark.parametrize("url", ["embedded://some/dir", "embedded:///dir?db=1", "embedded:///dir#x", "redis:///dir"])
def test_a_url_that_names_no_directory_is_refused_with_the_right_form(url: str) -> None:
    with pytest.raises(ConfigurationError, match="expected embedded:///absolute/path"):
        directory_of(url)


def test_the_directory_is_the_users_own_unless_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert directory_of("embedded://") == directory_of("embedded:///") == tmp_path / "shadows"
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert directory_of("embedded://") == tmp_path / ".local/state/shadows"
    assert directory_of("embedded:///a%20b/%C3%A4") == Path("/a b/ä")


def test_a_directory_with_any_name_works(tmp_path: Path) -> None:
    server = acquire(f"embedded://{tmp_path}/a%20%22b%22%3F%20%C3%A4%25")
    with client(server) as connection:
        assert connection.ping()
    server.release()
    assert server.files.directory.name == 'a "b"? ä%'


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match=r"file/data' can't be used: .*Name one that this user may"):
        acquire(url_of(tmp_path / "file" / "data"))
