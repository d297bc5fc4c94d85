"""What commands say when the master does not answer as it should, and which master they mean."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from shadows.sync import Shadow
from shadowsd.commands.calling import Unreachable, call
from shadowsd.commands.shadowsd import main
from tests.commands.commands import Daemon
from tests.commands.masters import master_that_says


def test_a_master_that_is_stopped_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    with (
        master_that_says(tmp_path, None) as path,
        pytest.raises(Unreachable, match=rf"The master at {path} did not answer within 0\.1 s\. Look at its process"),
    ):
        call(path, None, {"command": "status"}, 0.1)


def test_a_master_that_ends_before_it_answers_is_out_of_reach(tmp_path: Path) -> None:
    with (
        master_that_says(tmp_path, b"") as path,
        pytest.raises(Unreachable, match=f"The master at {path} ended before it answered"),
    ):
        call(path, None, {"command": "status"})


def test_what_a_master_refuses_is_said_in_its_own_words(tmp_path: Path) -> None:
    with (
        master_that_says(tmp_path, b'{"error": "there is no such command"}\n') as path,
        pytest.raises(click.ClickException, match=r"^there is no such command$"),
    ):
        call(path, None, {"command": "dance"})


def test_whoever_may_not_ask_the_master_is_told_who_may(tmp_path: Path) -> None:
    """It was told to start a daemon, or to name another socket: neither helps."""
    tmp_path.chmod(0o700)
    with master_that_says(tmp_path, b"{}\n") as path:
        with (
            somebody_else(tmp_path),
            pytest.raises(Unreachable, match=rf"^The control socket {path} is not for this user\. Ask as root"),
        ):
            call(path, None, {"command": "status"})
        call(path, None, {"command": "status"})


@contextmanager
def somebody_else(directory: Path) -> Iterator[None]:
    """For a while we are another user, or, as we can't be one, may not look into our directory."""
    if os.geteuid() == 0:
        os.seteuid(65534)
        try:
            yield
        finally:
            os.seteuid(0)
    else:
        directory.chmod(0)
        try:
            yield
        finally:
            directory.chmod(0o700)


def test_without_a_control_path_the_master_of_the_shadow_is_found(
    tmp_path: Path, shadow: Shadow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its name, in the places where one may listen."""
    # A socket's path must be short.
    with (
        tempfile.TemporaryDirectory(prefix="d-", dir="/tmp") as runtime,
        Daemon(tmp_path, "--workers", "1", XDG_RUNTIME_DIR=runtime, SHADOWSD_CONTROL="") as daemon,
    ):
        monkeypatch.setenv("XDG_RUNTIME_DIR", runtime)
        daemon.says("Ready")
        found = CliRunner().invoke(main, ["status"])
        assert found.exit_code == 0, found.output
        assert f"serves '{shadow.name}' at " in found.output
        other = CliRunner().invoke(main, ["status", "--shadows", "other"])
        assert other.exit_code == 1
        assert f"No master answers at {runtime}/shadowsd/other.sock (No such file or directory)" in other.output
        daemon.process.terminate()
        assert daemon.wait() == 0
