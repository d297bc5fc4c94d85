"""`shadowsd unit`: what it prints is a unit that systemd takes, for this installation, and tells no password."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from shadowsd.commands.shadowsd import main

# Signs that mean something to a shell, to systemd, or to both.
AWKWARD = 'a "b" $c %d; \\e'


def unit(*arguments: str) -> Result:
    """The unit, on standard output; hints are on standard error."""
    return CliRunner().invoke(main, ["unit", "--shadows", "orders", *arguments])


def settings_of(printed: str) -> dict[str, str]:
    """The last value of each setting."""
    lines = [line for line in printed.splitlines() if "=" in line and not line.startswith("#")]
    return {name: value for name, _, value in (line.partition("=") for line in lines)}


def verify(printed: str, directory: Path, *scope: str) -> None:
    """By systemd itself, which complains about what it does not know, too."""
    program = shutil.which("systemd-analyze")
    assert program is not None, "this test needs systemd-analyze: install systemd"
    file = directory / "shadowsd-orders.service"
    file.write_text(printed)
    environment = os.environ | {"XDG_RUNTIME_DIR": str(directory)}
    verified = subprocess.run(
        [program, *scope, "verify", "--man=no", file], capture_output=True, text=True, env=environment, check=False
    )
    assert (verified.returncode, verified.stderr) == (0, "")


@pytest.mark.parametrize("arguments", [(), ("--name", AWKWARD), ("--max-memory", "200M", "--workers", "3")])
def test_systemd_takes_it(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    result = unit("--tasks", "app.tasks", *arguments)
    assert result.exit_code == 0, result.output
    verify(result.stdout, tmp_path)


def test_systemd_takes_it_as_a_unit_of_a_user(tmp_path: Path) -> None:
    result = unit("--tasks", "app.tasks", "--user-unit")
    assert result.exit_code == 0, result.output
    verify(result.stdout, tmp_path, "--user")
    found = settings_of(result.stdout)
    assert found["WantedBy"] == "default.target"
    assert "User" not in found
    assert "ProtectSystem" not in found
    assert (found["RuntimeDirectory"], found["RuntimeDirectoryPreserve"]) == ("shadowsd", "yes")


def test_it_is_about_this_installation_this_directory_and_these_options(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PWD", str(tmp_path))
    monkeypatch.setenv("SHADOWSD_MAX_DEATHS", "5")
    (tmp_path / "daemon.toml").write_text("workers = 7\n")
    options = ["--tasks", "app.tasks", "--tasks", "more", "--config", "daemon.toml", "--drain-timeout", "1m"]
    found = settings_of(unit(*options).stdout)
    start = shlex.split(found["ExecStart"])
    assert start[0] == str(Path(sys.executable).parent / "shadowsd")
    # What the file says is read from the file when it starts, and again at each reload.
    assert start[1:] == [
        "run", "--shadows", "orders", "--config", f"{tmp_path}/daemon.toml", "--tasks", "app.tasks", "--tasks", "more",
        "--drain-timeout", "1m", "--max-deaths", "5",
    ]  # fmt: skip
    assert found["WorkingDirectory"] == str(tmp_path)
    assert found["TimeoutStopSec"] == "1m15s"
    assert found["RuntimeDirectory"] == "shadowsd-orders"
    assert found["ExecReload"].endswith("shadowsd reload --wait --control %t/shadowsd-orders/orders.sock")
    # It would hide an application that is below /tmp, as this one is.
    assert "PrivateTmp" not in found


def test_a_control_path_that_was_chosen_is_the_one_that_is_reloaded_by() -> None:
    """Otherwise the reload of this unit would be another daemon's."""
    found = settings_of(unit("--control", "/run/a b/c%d.sock").stdout)
    assert found["ExecReload"].endswith(' reload --wait --control "/run/a b/c%%d.sock"')
    assert '--control "/run/a b/c%%d.sock"' in found["ExecStart"]


def test_signs_that_mean_something_to_systemd_are_told_literally() -> None:
    start = settings_of(unit("--name", AWKWARD).stdout)["ExecStart"]
    assert start.endswith('''--name "a \\"b\\" $$c %%d; \\\\e"''')


def test_a_password_is_never_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A unit can be read by everybody on the machine."""
    monkeypatch.setenv("SHADOWS_URL", "redis://:hunter2@host/0")
    result = unit()
    assert "hunter2" not in result.output
    assert "write SHADOWS_URL=... to /etc/shadowsd/shadowsd-orders.env" in result.stderr
    monkeypatch.setenv("SHADOWS_URL", "redis://host/0")
    assert "Environment=SHADOWS_URL=redis://host/0\n" in unit().stdout


def test_who_runs_it_must_exist() -> None:
    assert "User=nobody\n" in unit("--user", "nobody").stdout
    missing = unit("--user", "nobody-of-that-name")
    assert (missing.exit_code, "There is no user 'nobody-of-that-name' here" in missing.stderr) == (78, True)
    assert unit("--user", "nobody", "--user-unit").exit_code == 2


def test_wrong_settings_make_no_unit() -> None:
    result = unit("--workers", "0")
    assert (result.exit_code, result.stdout) == (78, "")
