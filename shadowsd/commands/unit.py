"""`shadowsd unit`: a unit for systemd that runs this installation, with these options, as this user, from here.

It is in the spirit of systemd/shadowsd.service; what differs is that nothing has to be moved to make it true.
"""

import os
import pwd
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click
from click.core import ParameterSource

from shadows.durations import format_duration
from shadows.urls import redacted
from shadowsd.master.paths import logical_directory
from shadowsd.master.settings import Settings

from .daemon import settings_of
from .daemon_options import daemon_options
from .program import Misconfigured

GIVEN = (ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT)
# How much longer than the drain systemd waits: handing back takes seconds, and a busy machine some more.
STOP_SECONDS = 15
START_SECONDS = 30
# PrivateTmp hides what is below these.
TEMPORARY = (Path("/tmp"), Path("/var/tmp"))

UNIT = """\
# {place}
# Then: {then}

[Unit]
Description=Background tasks of {shadow} (shadowsd)
{after}# A daemon that was killed is started again, however often; one with wrong settings (2 and 78, below) is not.
StartLimitIntervalSec=0

[Service]
# Started when every worker of the first generation serves; `systemctl status` shows what they do.
Type=notify
NotifyAccess=main
# Above --boot-timeout. While Redis can't be reached, the daemon asks for more time.
TimeoutStartSec={start}
{user}WorkingDirectory={directory}
# The control socket is there.
RuntimeDirectory={runtime}
{kept}# What tasks print reaches the journal at once.
Environment=PYTHONUNBUFFERED=1
{url}# SHADOWS_SECRET, and whatever else is nobody's business; a - in front: it need not be there.
EnvironmentFile=-{environment}

ExecStart={program} run{arguments}
# Returns when the new code serves whole, and fails, the old code serving on, when it does not.
ExecReload={program} reload --wait --control {control}

# TERM is for the master alone, which drains its workers. Above --drain-timeout and what handing back takes.
KillMode=mixed
TimeoutStopSec={stop}
# A wedged master writes where it is when the watchdog aborts it.
WatchdogSec=60
TimeoutAbortSec=10
Restart=on-failure
RestartSec=2
RestartPreventExitStatus=2 78
# A worker that is killed for its memory is the master's to replace; the service goes on.
OOMPolicy=continue
LimitNOFILE=65536
{hardening}
[Install]
WantedBy={target}
"""

AFTER = """\
Wants=network-online.target
After=network-online.target redis-server.service redis.service valkey.service
"""

# Not for units of a user, whose manager has no right to most of it.
HARDENING = """
# Safe for ordinary tasks; systemd/hardening.conf goes further.
NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
LockPersonality=yes
PrivateDevices=yes
{private_tmp}ProtectClock=yes
ProtectControlGroups=yes
ProtectHome=read-only
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectSystem=full
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallErrorNumber=EPERM
SystemCallFilter=@system-service
UMask=0027
"""


@click.command(context_settings={"show_default": True, "auto_envvar_prefix": "SHADOWSD"})
@daemon_options
@click.option("--user", "account", metavar="NAME", help="Who runs it.  [default: you]")
@click.option("--user-unit", is_flag=True, help="A unit of your own, for `systemctl --user`.")
@click.pass_context  # type: ignore[arg-type] # mypy can not match **values
def unit(context: click.Context, account: str | None, user_unit: bool, **values: Any) -> None:
    """Print a systemd unit for this installation, these options, this user and this directory."""
    if account and user_unit:
        raise click.UsageError("A unit of --user-unit runs as whoever starts it; leave --user out.")
    directory = logical_directory()
    settings = settings_of(values, directory)
    name = file_name(settings.shadow)
    url = context.params["url"]
    secret = url is not None and redacted(url) != url
    where = places(name, user_unit)
    parts = where | {
        "shadow": settings.shadow.replace("%", "%%"),
        "start": format_duration(settings.boot_timeout + timedelta(seconds=START_SECONDS)),
        "stop": format_duration(settings.drain_timeout + timedelta(seconds=STOP_SECONDS)),
        "after": "" if user_unit else AFTER,
        "user": "" if user_unit else f"User={existing(account)}\n",
        "directory": literal(str(directory)),
        "url": environment_line(url) if url and not secret else "",
        "program": word(str(program())),
        "arguments": "".join(f" {word(argument)}" for argument in arguments_of(context, directory)),
        "control": control_of(settings, where["runtime"]),
        "hardening": "" if user_unit else hardening([directory, program(), Path(settings.app_dir)]),
    }
    click.echo(UNIT.format(**parts), nl=False)
    if secret:
        file = where["environment"].replace("%%", "%").replace("%h", "~")
        click.echo(
            f"The URL of Redis has a password, so it is not in the unit: write SHADOWS_URL=... to {file}, which only "
            "its owner may read.", err=True,
        )  # fmt: skip
    if parts["user"] == "User=root\n":
        click.echo("It runs as root, which tasks seldom need: name somebody with --user.", err=True)


def places(name: str, user_unit: bool) -> dict[str, str]:
    """Where a unit of this name, its settings and its socket are."""
    if user_unit:
        return {
            "place": f"~/.config/systemd/user/{name}.service",
            "then": f"systemctl --user daemon-reload && systemctl --user enable --now {name}",
            "environment": f"%h/.config/shadowsd/{name}.env", "runtime": "shadowsd", "target": "default.target",
            # All units of a user share it: the first to stop must leave it to the others.
            "kept": "RuntimeDirectoryPreserve=yes\n",
        }  # fmt: skip
    return {
        "place": f"/etc/systemd/system/{name}.service",
        "then": f"systemctl daemon-reload && systemctl enable --now {name}",
        "environment": f"/etc/shadowsd/{name}.env", "runtime": name, "target": "multi-user.target", "kept": "",
    }  # fmt: skip


def file_name(shadow: str) -> str:
    """The unit's name: the shadow's, in signs that file names and units may have."""
    return "shadowsd" if shadow == "shadows" else f"shadowsd-{quote(shadow, safe='').replace('%', '_')}"


def existing(account: str | None) -> str:
    """The user. Raises Misconfigured when there is none of that name."""
    try:
        return pwd.getpwnam(account).pw_name if account else pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        raise Misconfigured(f"There is no user {account or os.geteuid()!r} here. Make it, or name another.") from None


def program() -> Path:
    """The command of this environment; links stay, so that a new release behind them is followed."""
    beside = Path(sys.executable).parent / "shadowsd"
    return beside if beside.exists() else Path(sys.argv[0]).absolute()


def arguments_of(context: click.Context, directory: Path) -> list[str]:
    """The options that were given, as they could be given again from anywhere; never the URL."""
    found: list[str] = []
    for option in context.command.params:
        name = option.name or ""
        if name in ("url", "account", "user_unit") or context.get_parameter_source(name) not in GIVEN:
            continue
        value = context.params[name]
        for each in value if isinstance(value, list) else [value]:
            found += [option.opts[0], as_text(each, directory)]
    return found


def as_text(value: object, directory: Path) -> str:
    """A value as the command line takes it."""
    if isinstance(value, timedelta):
        return format_duration(value)
    return str(directory / value) if isinstance(value, Path) else str(value)


def control_of(settings: Settings, runtime: str) -> str:
    """Where the command that reloads finds this daemon, and no other one."""
    if settings.insists_on_control:
        return word(str(settings.control.absolute()))
    return f"%t/{runtime}/{literal(settings.control.name)}"


def environment_line(url: str) -> str:
    """The URL, which has no password."""
    return f"Environment={quoted(f'SHADOWS_URL={url}')}\n"


def hardening(used: list[Path]) -> str:
    """What is forbidden; a private /tmp would hide an application that is there."""
    inside = any(path.absolute().is_relative_to(place) for path in used for place in TEMPORARY)
    return HARDENING.format(private_tmp="" if inside else "PrivateTmp=yes\n")


def word(text: str) -> str:
    """One argument of a command line of systemd, which replaces variables, too."""
    return quoted(text.replace("$", "$$"))


def quoted(text: str) -> str:
    """One word of a setting: quoted where systemd would split it."""
    escaped = literal(text).replace("\\", "\\\\").replace('"', '\\"')
    plain = escaped and not any(sign.isspace() or sign in "\"'\\;" for sign in escaped)
    return escaped if plain else f'"{escaped}"'


def literal(text: str) -> str:
    """Text in which systemd finds no specifier."""
    return text.replace("%", "%%")
