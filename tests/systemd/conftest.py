"""One machine for all tests of this folder: it boots once, and each test reads what one check saw in it."""

import fcntl
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.systemd.rig import Rig, obstacle

# Two machines at a time would time each other out; whoever comes second waits.
LOCK = Path(tempfile.gettempdir()) / "shadowsd-rig.lock"

type Saw = Callable[[str], dict[str, Any]]


@pytest.fixture(scope="session")
def machine() -> Iterator[dict[str, Any]]:
    """What all checks saw, by their names."""
    if why := obstacle():
        pytest.skip(why)
    directory = Path(tempfile.mkdtemp(prefix="shadowsd-rig-"))
    with LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with Rig(directory) as rig:
            results = rig.boot()
    yield results
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def saw(machine: dict[str, Any]) -> Saw:
    """What one check saw; when it could not come to its end, that fails, with the service's journal."""

    def of(check: str) -> dict[str, Any]:
        assert check in machine, f"the machine ended before the check {check}; it has {sorted(machine)}"
        line = machine[check]
        assert "error" not in line, line["error"] + "\n".join(line["journal"])
        seen: dict[str, Any] = line["saw"]
        return seen

    return of
