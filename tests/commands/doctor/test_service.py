"""Does whoever stops the daemon wait for its drain?"""

import os
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from shadowsd.commands.doctor.finding import Level
from shadowsd.commands.doctor.service import finding, judge, span
from shadowsd.master.assignment import Client
from shadowsd.master.settings import Settings

SETTINGS = Settings(shadow="orders", name="node", app_dir="/", control=Path("/c"), client=Client("orders"))
GOOD = {"Type": "notify", "KillMode": "mixed", "TimeoutStopUSec": "40s"}


@pytest.mark.parametrize(
    ("properties", "level", "words"),
    [
        (GOOD, Level.OK, "and shadowsd.service waits for longer"),
        ({}, Level.OK, "waits for longer"),
        (GOOD | {"TimeoutStopUSec": "infinity"}, Level.OK, "waits for longer"),
        (GOOD | {"TimeoutStopUSec": "28s"}, Level.WARN, "gives 28s to stop, and it drains for 25s: only as long as"),
        (
            {"Type": "simple", "TimeoutStopUSec": "10s"},
            Level.FAIL,
            "gives 10s to stop, and it drains for 25s: it is killed",
        ),
        (GOOD | {"Type": "simple"}, Level.WARN, "has Type=simple"),
        (GOOD | {"KillMode": "control-group"}, Level.WARN, "has KillMode=control-group"),
    ],
)
def test_the_unit_must_wait_for_longer_than_the_drain(properties: dict[str, str], level: Level, words: str) -> None:
    found = judge(timedelta(seconds=25), "shadowsd.service", properties)
    assert (found.level, words in found.words) == (level, True)


@pytest.mark.parametrize(
    ("text", "seconds"), [("1min 30s", 90), ("40s", 40), ("250ms", 0.25), ("2h", 7200), ("infinity", None)]
)
def test_time_spans_are_read_as_systemd_prints_them(text: str, seconds: float | None) -> None:
    assert span(text) == (None if seconds is None else timedelta(seconds=seconds))


def test_kubernetes_waits_for_thirty_seconds_unless_it_is_told_otherwise() -> None:
    inside = {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}
    assert finding(SETTINGS, os.getpid(), inside).level is Level.OK
    longer = replace(SETTINGS, drain_timeout=timedelta(minutes=1))
    found = finding(longer, os.getpid(), inside)
    assert (found.level, "66" in found.remedy) == (Level.WARN, True)
    assert finding(longer, os.getpid(), {}).level is Level.OK
