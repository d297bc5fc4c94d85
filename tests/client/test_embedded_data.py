"""The data of an embedded server: which versions open it, and what a failed start leaves."""

from pathlib import Path

import pytest

from shadows.embedded import acquire
from shadows.embedded_files import Files
from shadows.errors import ConfigurationError, ConnectionFailed
from shadows.redis_server import ServerVersion
from tests.client.embedded_servers import client, url_of
from tests.servers import programs


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "data"


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
