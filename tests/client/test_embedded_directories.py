"""Where an embedded server lives: any directory that can be had, and none that others could write."""

import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from shadows.embedded import acquire, directory_of
from shadows.errors import ConfigurationError
from tests.client.embedded_servers import client, serves, url_of


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
