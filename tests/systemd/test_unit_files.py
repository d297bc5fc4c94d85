"""What can be said of the unit files without a systemd."""

from collections.abc import Iterator

from click.testing import CliRunner

from shadows.urls import DEFAULT_URL
from shadowsd.commands.daemon import run
from shadowsd.commands.daemon_options import OPTIONS
from shadowsd.commands.shadowsd import main
from shadowsd.master.exits import MISCONFIGURED
from tests.processes import ROOT

UNITS = ROOT / "systemd"


def settings(name: str) -> Iterator[str]:
    """The lines of a unit that set something."""
    for line in (UNITS / name).read_text().splitlines():
        if line and not line.startswith("#"):
            yield line


def test_an_instance_is_the_service_in_other_places() -> None:
    """Two files, since systemd has no other way: what one learns, the other must."""
    service = list(settings("shadowsd.service"))
    instance = [line for line in settings("shadowsd@.service") if line != "Environment=SHADOWS_NAME=%i"]
    places = (
        "Description",
        "WorkingDirectory",
        "RuntimeDirectory",
        "StateDirectory",
        "EnvironmentFile",
        "Load",
        "Exec",
    )
    for one, other in zip(service, instance, strict=True):
        assert one == other or (one.startswith(places) and "%i" in other), other


def test_what_breaks_ordinary_tasks_is_left_out() -> None:
    for name in ("shadowsd.service", "hardening.conf"):
        keys = {line.partition("=")[0] for line in settings(name)}
        assert not keys & {"MemoryDenyWriteExecute", "ProcSubset"}, name


def test_without_a_file_the_credential_is_the_default_url() -> None:
    """systemd refuses to start a service whose credential is missing, unless it is given another."""
    assert f"SetCredential=shadows-url:{DEFAULT_URL}" in settings("shadowsd.service")


def test_the_stop_timeout_is_above_the_drain_timeout() -> None:
    seconds = next(int(line.partition("=")[2]) for line in settings("shadowsd.service") if "TimeoutStopSec" in line)
    drain = next(option for option in run.params if option.name == "drain_timeout").default
    assert drain == "25s"
    assert seconds > 25 + 10, "handing back and signing off take up to 8 s"


def test_what_would_end_the_same_way_is_not_started_again() -> None:
    """An option that there is not ended it with 2, which systemd tried again every 2 s, for ever."""
    wrong = CliRunner().invoke(main, ["run", "--task", "myapp.tasks"]).exit_code
    printed = CliRunner().invoke(main, ["unit", "--tasks", "myapp.tasks"]).output.splitlines()
    assert f"RestartPreventExitStatus={wrong} {MISCONFIGURED}" in settings("shadowsd.service")
    assert f"RestartPreventExitStatus={wrong} {MISCONFIGURED}" in printed


def test_every_variable_of_the_example_is_an_option() -> None:
    known = {name for option in run.params for name in _variables(option.envvar)}
    lines = (UNITS / "shadowsd.env.example").read_text().splitlines()
    named = {line.lstrip("#").partition("=")[0] for line in lines if line.lstrip("#").startswith("SHADOWS")}
    assert len(named) >= len(OPTIONS) // 3
    assert named <= known, named - known


def _variables(envvar: str | list[str] | None) -> list[str]:
    return [envvar] if isinstance(envvar, str) else list(envvar or ())
