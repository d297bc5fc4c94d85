"""The control socket: one master a path, this user alone, and an answer to whatever is said."""

import asyncio
import fcntl
import json
import os
import socket
import stat
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from shadows.errors import ConfigurationError
from shadowsd.master.control import Control


async def greet(command: dict[str, Any]) -> dict[str, Any]:
    return {"hello": str(command["name"]), "number": int(command.get("number", 0))}


@asynccontextmanager
async def serving(path: Path) -> AsyncIterator[Control]:
    control = Control(path, {"greet": greet})
    control.claim()
    await control.open()
    try:
        yield control
    finally:
        control.close()


async def say(path: Path, *lines: bytes) -> list[Any]:
    """What it answers to each line, on one connection."""
    reader, writer = await asyncio.open_unix_connection(path)
    answers = []
    for line in lines:
        writer.write(line + b"\n")
        answers.append(json.loads(await reader.readline()))
    writer.close()
    await writer.wait_closed()
    return answers


async def test_commands_are_answered_on_one_connection(tmp_path: Path) -> None:
    path = tmp_path / "s"
    async with serving(path):
        line = b'{"command": "greet", "name": "Ada"}'
        assert await say(path, line, line) == [{"hello": "Ada", "number": 0}] * 2
    assert names(tmp_path) == set()


@pytest.mark.parametrize(
    "line",
    [
        b"garbage", b"", b"[]", b'"greet"', b"{}", b"null", b"\xff\xfe", b'{"command": "nothing"}', b'{"command": []}',
        b'{"command": {}}', b'{"command": "greet"}', b'{"command": "greet", "name": 1, "number": "x"}',
        b'{"command": "greet", "name": 1, "number": []}',
    ],
)  # fmt: skip
async def test_garbage_is_answered_and_the_next_command_works(tmp_path: Path, line: bytes) -> None:
    """A command with an argument that was missing or wrong ended the connection without a word."""
    path = tmp_path / "s"
    async with serving(path):
        refused, answered = await say(path, line, b'{"command": "greet", "name": "Ada"}')
        assert refused["error"]
        assert answered["hello"] == "Ada"


async def test_a_line_without_an_end_ends_only_its_connection(tmp_path: Path) -> None:
    path = tmp_path / "s"
    async with serving(path):
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(b"x" * 200_000)
        assert await reader.read() == b""
        writer.close()
        assert (await say(path, b'{"command": "greet", "name": "Ada"}'))[0]["hello"] == "Ada"


async def test_socket_and_lock_are_for_this_user_alone(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "s"
    async with serving(path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.with_name("s.lock").stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


async def test_a_second_master_is_refused_and_the_first_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "s"
    async with serving(path):
        second = Control(path, {})
        with pytest.raises(ConfigurationError, match=r"Another shadowsd runs with the control path .*shadowsd stop"):
            second.claim()
        second.close()
        assert (await say(path, b'{"command": "greet", "name": "Ada"}'))[0]["hello"] == "Ada"
    async with serving(path):
        assert path.exists()


async def test_what_a_killed_master_left_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "s"
    leave_as_killed(path)
    assert names(tmp_path) == {"s", "s.lock"}
    async with serving(path):
        assert (await say(path, b'{"command": "greet", "name": "Ada"}'))[0]["hello"] == "Ada"


def test_a_lock_that_was_removed_under_its_holder_is_not_taken_for_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A master that ended removed the lock that the next one was about to take: a third one could take the path."""
    path = tmp_path / "s"
    ending, second, third = (Control(path, {}) for _ in range(3))
    ending.claim()
    flock = fcntl.flock

    def end_just_before(lock: int, how: int) -> None:
        monkeypatch.setattr(fcntl, "flock", flock)
        ending.close()
        flock(lock, how)

    monkeypatch.setattr(fcntl, "flock", end_just_before)
    second.claim()
    with pytest.raises(ConfigurationError, match="Another shadowsd runs"):
        third.claim()
    second.close()
    assert names(tmp_path) == set()


def test_a_path_that_is_too_long_for_a_socket_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="is longer than the 107 bytes"):
        Control(tmp_path / ("x" * 108), {}).claim()


def test_a_path_that_can_not_be_used_is_refused_or_where_nobody_chose_it_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    path = tmp_path / "file" / "s"
    with pytest.raises(ConfigurationError, match="can't be used: File exists"):
        Control(path, {}).claim()
    assert caplog.records == []
    modest = Control(path, {}, insists=False)
    modest.claim()
    assert "can't reach this master" in caplog.text
    asyncio.run(modest.open())
    modest.close()


@pytest.mark.parametrize("make", [Path.mkdir, Path.touch])
def test_what_is_no_socket_is_never_removed(tmp_path: Path, make: Callable[[Path], None]) -> None:
    """A mistyped --control removed the file that it named."""
    path = tmp_path / "s"
    make(path)
    control = Control(path, {})
    with pytest.raises(ConfigurationError, match="can't be used: It is no socket, and is not removed"):
        control.claim()
    control.close()
    assert names(tmp_path) == {"s"}


def names(directory: Path) -> set[str]:
    return {each.name for each in directory.iterdir()}


def leave_as_killed(path: Path) -> None:
    """What a master leaves that can't clean up."""
    child = os.fork()
    if child == 0:
        control = Control(path, {})
        control.claim()
        socket.socket(socket.AF_UNIX).bind(str(path))
        os._exit(0)
    os.waitpid(child, 0)


async def test_who_is_connected_when_the_master_ends_leaves_no_error_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """asyncio logged a traceback about the task of each connection that its loop cancelled in the end."""
    async with serving(tmp_path / "s"):
        reader, writer = await asyncio.open_unix_connection(tmp_path / "s")
        writer.write(b'{"command": "greet", "name": "Ada"}\n')
        assert json.loads(await reader.readline()) == {"hello": "Ada", "number": 0}
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()
    assert caplog.text == ""
