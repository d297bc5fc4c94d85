"""On a real systemd, the units forbid much, and tasks can do what ordinary tasks do."""

from collections.abc import Callable
from typing import Any

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.systemd, pytest.mark.timeout(320)]

type Saw = Callable[[str], dict[str, Any]]

LIMITS = {"plain_unit": 3.5, "hardened_unit": 1.5}
each_unit = pytest.mark.parametrize("unit", LIMITS)


@each_unit
def test_the_score_is_low(saw: Saw, unit: str) -> None:
    """Of `systemd-analyze security`; without any of its settings a unit has 9.6."""
    assert saw(unit)["score"] <= LIMITS[unit]


@each_unit
def test_an_ordinary_task_runs_under_it(saw: Saw, unit: str) -> None:
    """It writes to its StateDirectory, opens a TCP connection, starts a program, and looks at the machine."""
    task = saw(unit)["task"]
    assert (task["written"], task["connected"], task["memory"], task["processes"]) == (["written"], 6379, True, True)
    assert task["user"] != 0
    assert task["no_new_privileges"], "the sandbox was not there"


@each_unit
def test_the_daemon_can_do_its_own_under_it(saw: Saw, unit: str) -> None:
    """Reload, signal its workers, and read what memory they take."""
    seen = saw(unit)
    assert seen["reload"] == 0
    assert "most recent call first" in seen["stacks"]
    assert seen["memory"] > 0


@each_unit
def test_nothing_of_the_daemon_is_refused_under_it(saw: Saw, unit: str) -> None:
    """A refusal that it only warns of would be a feature that is lost in silence."""
    lines = [line for line in saw(unit)["journal"].splitlines() if "not permitted" in line or "denied" in line]
    assert lines == []
