"""The private servers of `shadows.testing`, and the pytest plugin over them."""

import os
import signal
import socket
from pathlib import Path

import pytest

from shadows.errors import ConnectionFailed
from shadows.redis_server import answers, version_of
from shadows.testing import PROGRAM_VARIABLE, RedisServer, server_program
from tests.processes import Process, run_script, write_script
from tests.waiting import wait_for

PLACES = pytest.mark.parametrize("tcp", [False, True], ids=["socket", "port"])


def is_gone(pid: int) -> bool:
    """Whether the process is dead; a zombie that nobody has reaped yet is."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


@PLACES
def test_a_restart_keeps_the_place_and_what_should_be_kept(tcp: bool) -> None:
    for persistent, kept in ((False, None), (True, "yes")):
        with RedisServer(tcp=tcp, persistent=persistent) as server:
            url, pid = server.url, server.pid
            server.command("SET", "kept", "yes")
            server.restart()
            assert (server.command("GET", "kept"), server.url) == (kept, url)
            assert is_gone(pid)


def test_a_killed_server_starts_again(durable_redis: RedisServer) -> None:
    durable_redis.command("CONFIG", "SET", "appendfsync", "always")
    durable_redis.command("SET", "kept", "yes")
    durable_redis.kill()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", durable_redis.port))
    durable_redis.start()
    assert durable_redis.command("GET", "kept") == "yes"


def test_a_paused_server_says_nothing_until_it_is_resumed(own_redis: RedisServer) -> None:
    with socket.create_connection(("127.0.0.1", own_redis.port), timeout=0.1) as connection:
        own_redis.pause()
        connection.sendall(b"PING\r\n")
        with pytest.raises(TimeoutError):
            connection.recv(100)
        own_redis.resume()
        assert wait_for(lambda: answers(("127.0.0.1", own_redis.port)), "the server answers again")


def test_a_paused_server_can_be_stopped(own_redis: RedisServer) -> None:
    own_redis.pause()
    own_redis.restart()
    assert own_redis.command("PING")


def test_a_setting_lasts_for_its_block(own_redis: RedisServer) -> None:
    with own_redis.configured("maxmemory", 12345678):
        assert own_redis.command("CONFIG", "GET", "maxmemory") == {"maxmemory": "12345678"}
    assert own_redis.command("CONFIG", "GET", "maxmemory") == {"maxmemory": "0"}


def test_debug_is_allowed_on_every_version(own_redis: RedisServer) -> None:
    assert own_redis.command("DEBUG", "SLEEP", "0")


def test_it_leaves_nothing_behind() -> None:
    with RedisServer() as server:
        pid, directory = server.pid, server.directory
    server.close()
    assert is_gone(pid)
    assert not directory.exists()


def test_a_server_that_does_not_start_is_quoted(tmp_path: Path) -> None:
    program = tmp_path / "redis-server"
    program.write_text("#!/bin/sh\n[ $1 = --version ] && echo 'Redis server v=6.2.1' || echo 'out of luck'\n")
    program.chmod(0o755)
    with pytest.raises(ConnectionFailed, match="its log says: out of luck"), RedisServer(program=program):
        pytest.fail("it started")


def test_it_ends_with_the_process_that_started_it_even_when_that_is_killed(tmp_path: Path) -> None:
    script = write_script(
        tmp_path,
        "starter",
        "import signal\n"
        "from shadows.testing import RedisServer\n"
        "with RedisServer() as server:\n"
        "    print(server.pid, server.directory)\n"
        "    print('started')\n"
        "    signal.pause()\n",
    )
    with Process(script) as process:
        process.wait_for("started")
        pid, directory = process.lines[0].split()
        process.kill()
        wait_for(lambda: is_gone(int(pid)), "the server has ended")
        wait_for(lambda: not Path(directory).exists(), "its directory is removed")


def test_the_environment_chooses_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PROGRAM_VARIABLE, "/some/redis-server")
    assert server_program() == Path("/some/redis-server")
    monkeypatch.delenv(PROGRAM_VARIABLE)
    assert version_of(server_program())


USER_TESTS = """
from shadows import Shadow
names = []

async def greet(name: str) -> None:
    pass

{mark}
async def test_a_shadow_of_its_own(shadows: Shadow, shadows_url: str) -> None:
    assert shadows_url.startswith("unix:")
    names.append(shadows.name)
    await shadows.add(greet, key="same")("Jane")

{mark}
async def test_another_one(shadows: Shadow, shadows_redis) -> None:
    assert shadows.name not in names
    assert shadows_redis.command("XLEN", "{{" + names[0] + "}}:stream") == 0
"""


@pytest.mark.parametrize("mode", ["auto", "strict"])
def test_a_project_has_the_fixtures_without_doing_anything(tmp_path: Path, mode: str) -> None:
    mark = "import pytest\n@pytest.mark.asyncio" if mode == "strict" else ""
    tests = write_script(tmp_path, "test_user", USER_TESTS.format(mark=mark))
    options = ("-o", f"asyncio_mode={mode}", "-o", "asyncio_default_fixture_loop_scope=function")
    said = run_script("-m", "pytest", "-q", "--rootdir", tmp_path, "-p", "no:cacheprovider", *options, tests)
    assert "2 passed" in said


def test_the_plugin_costs_a_project_that_does_not_use_it_nothing(tmp_path: Path) -> None:
    """pytest imports it wherever shadows is installed; redis.asyncio alone would double pytest's start."""
    source = (
        "import sys\n"
        "def test_nothing_was_loaded(request):\n"
        "    assert request.config.pluginmanager.has_plugin('shadows')\n"
        "    assert not {'shadows', 'redis'} & set(sys.modules)\n"
    )
    tests = write_script(tmp_path, "test_unrelated", source)
    options = ("-o", "asyncio_default_fixture_loop_scope=function")
    assert "1 passed" in run_script("-m", "pytest", "-q", "--rootdir", tmp_path, *options, tests)


def test_the_guard_never_outlives_its_server(own_redis: RedisServer) -> None:
    """It would aim at the pid of a process that has ended, which may be somebody else's by then."""
    guard = own_redis._guard
    assert guard
    os.kill(own_redis.pid, signal.SIGKILL)
    own_redis.restart()
    assert guard.returncode is not None
