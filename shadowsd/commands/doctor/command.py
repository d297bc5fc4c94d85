"""The command: looks at Redis, at what is in it, at this machine, and at the daemon that runs here, if one does."""

import asyncio
import os
import sys
from typing import Any

import click
from redis.exceptions import RedisError
from rich.console import Console
from rich.text import Text

from shadows import Shadow
from shadows.amounts import counted
from shadows.errors import ShadowsError
from shadowsd.commands.calling import call
from shadowsd.commands.daemon import settings_of
from shadowsd.commands.daemon_options import daemon_options
from shadowsd.commands.options import json_option
from shadowsd.commands.tables import printable, show_json
from shadowsd.master.paths import logical_directory
from shadowsd.master.settings import Settings

from . import holdings, machine, node, permissions, server, service
from .finding import Finding, Level, fail

STYLES = {Level.OK: "green", Level.WARN: "yellow", Level.FAIL: "bold red"}
ANSWER_SECONDS = 5.0


@click.command(context_settings={"show_default": True, "auto_envvar_prefix": "SHADOWSD"})
@daemon_options
@json_option
def doctor(as_json: bool, **values: Any) -> None:
    """Say what would bite in production, what it means, and what to do.

    It takes the options of `shadowsd run`, so that they can be looked at before a start; a daemon that runs here is
    looked at, too. Exit code 1 when a check failed.
    """
    settings = settings_of(values, logical_directory())
    found = examine(settings)
    failed = [finding for finding in found if finding.level is Level.FAIL]
    if as_json:
        show_json({"ok": not failed, "findings": found})
    else:
        tell(found)
    sys.exit(1 if failed else 0)


def examine(settings: Settings) -> list[Finding]:
    """Everything, worst things where they are found: the order is the same each time."""
    shadow = Shadow(settings.shadow, settings.client.url)
    running = status_of(settings)
    pid = running["pid"] if running else os.getpid()
    memory = [row["memory"] for row in running["slots"] if row["memory"]] if running else []
    return [
        *asyncio.run(examine_redis(shadow, settings, running["version"] if running else None)),
        *machine.findings(settings, pid, sum(memory) / len(memory) if memory else None),
        service.finding(settings, pid),
        *node.findings(settings, shadow, running),
    ]


async def examine_redis(shadow: Shadow, settings: Settings, running: str | None) -> list[Finding]:
    """The server and what it holds; one failure when it can't be reached."""
    found: list[Finding] = []
    try:
        async with asyncio.timeout(ANSWER_SECONDS), shadow.redis() as redis:
            found += server.findings(await server.look(redis), shadow.url, settings)
            found.append(await permissions.finding(redis, shadow.keys))
        async with shadow:
            found += [finding async for finding in holdings.findings(shadow, running)]
    except (RedisError, ShadowsError, OSError, TimeoutError) as error:
        words = str(error) if isinstance(error, ShadowsError) else str(shadow.server.unreachable(error))
        found.append(fail("redis", words, ""))
    return found


def status_of(settings: Settings) -> dict[str, Any] | None:
    """What the daemon that runs here says; None when there is none."""
    control = settings.control if settings.insists_on_control else None
    try:
        answer: dict[str, Any] = call(control, settings.shadow, {"command": "status"})
    except click.ClickException:
        return None
    return answer


def tell(found: list[Finding]) -> None:
    """One line for each, and a sum."""
    console = Console(highlight=False)
    wide = max(len(finding.check) for finding in found)
    for finding in found:
        line = Text(f"{finding.level:<5} ", style=STYLES[finding.level])
        line.append(f"{finding.check:<{wide}}  ", style="bold")
        line.append(printable(finding.line), style="")
        console.print(line, soft_wrap=True)
    fails = sum(finding.level is Level.FAIL for finding in found)
    warnings = sum(finding.level is Level.WARN for finding in found)
    console.print(f"{counted(fails, 'failure')}, {counted(warnings, 'warning')}, {counted(len(found), 'check')}.")
