"""Does whoever stops the daemon wait for its drain: systemd, or Kubernetes?"""

import os
import re
import subprocess
from collections.abc import Mapping
from datetime import timedelta

from shadows.durations import format_duration
from shadowsd.master.settings import Settings

from .finding import Finding, fail, ok, warn
from .machine import group_of

# What a handing back takes at most, after the drain.
HAND_BACK = timedelta(seconds=6)
# What Kubernetes waits unless terminationGracePeriodSeconds says more.
GRACE = timedelta(seconds=30)
SYSTEMCTL_SECONDS = 5.0
# Units that hear from their daemon, which asks for more time as it drains.
NOTIFYING = ("notify", "notify-reload")
PROPERTIES = ("TimeoutStopUSec", "KillMode", "Type")
SPAN = re.compile(r"([0-9.]+)(us|ms|s|min|h|d|w)")
UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1, "min": 60, "h": 3600, "d": 86400, "w": 604800}


def finding(settings: Settings, pid: int, environment: Mapping[str, str] = os.environ) -> Finding:
    """As the process `pid` has it: the running master, or this one."""
    drain = format_duration(settings.drain_timeout)
    if unit := unit_of(pid):
        return judge(settings.drain_timeout, unit, properties_of(unit, pid))
    if "KUBERNETES_SERVICE_HOST" in environment and settings.drain_timeout + HAND_BACK > GRACE + HAND_BACK / 2:
        return warn(
            "drain", f"It drains for {drain}, and Kubernetes kills after 30 s unless it was told otherwise.",
            f"Set terminationGracePeriodSeconds to {round((settings.drain_timeout + HAND_BACK).total_seconds())}.",
        )  # fmt: skip
    return ok("drain", f"It drains for {drain}; whoever stops it must wait for longer than that.")


def judge(drain: timedelta, unit: str, properties: dict[str, str]) -> Finding:
    """The drain against what the unit says."""
    kind, wait = properties.get("Type", "notify"), span(properties.get("TimeoutStopUSec", "infinity"))
    if wait is not None and wait < drain + HAND_BACK:
        words = f"{unit} gives {format_duration(wait)} to stop, and it drains for {format_duration(drain)}"
        remedy = f"Set TimeoutStopSec={round((drain + HAND_BACK).total_seconds())} or more, or lower --drain-timeout."
        if kind in NOTIFYING:
            return warn("drain", f"{words}: only as long as it can ask systemd for more, it is not killed.", remedy)
        return fail("drain", f"{words}: it is killed while tasks run, and other nodes wait for its lease.", remedy)
    if kind not in NOTIFYING:
        return warn(
            "drain", f"{unit} has Type={kind}: systemd takes it for started before it serves.",
            "Use Type=notify: shadowsd unit prints one.",
        )  # fmt: skip
    if properties.get("KillMode", "mixed") != "mixed":
        return warn(
            "drain", f"{unit} has KillMode={properties['KillMode']}: the signal to stop reaches the workers, too.",
            "Use KillMode=mixed: shadowsd unit prints one.",
        )  # fmt: skip
    return ok("drain", f"It drains for {format_duration(drain)}, and {unit} waits for longer.")


def unit_of(pid: int) -> str:
    """The service that a process belongs to; empty when it is none."""
    name = group_of(pid).name
    return name if name.endswith(".service") and not name.startswith("user@") else ""


def properties_of(unit: str, pid: int) -> dict[str, str]:
    """What systemd says of a unit; nothing when it does not answer."""
    scope = ["--user"] if any(part.startswith("user@") for part in group_of(pid).parts) else []
    command = ["systemctl", *scope, "show", f"--property={','.join(PROPERTIES)}", "--", unit]
    try:
        shown = subprocess.run(command, capture_output=True, text=True, timeout=SYSTEMCTL_SECONDS, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return {}
    pairs = (line.partition("=") for line in shown.splitlines())
    return {name: value for name, _, value in pairs if value}


def span(text: str) -> timedelta | None:
    """A time span as systemd prints it (`1min 30s`); None is for ever."""
    found = SPAN.findall(text)
    return timedelta(seconds=sum(float(number) * UNITS[unit] for number, unit in found)) if found else None
