"""Whoever only adds tasks pays for little more than their Redis client."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.processes import SOURCES

ALLOWED = "redis.asyncio, hiredis, msgspec, uncalled_for"

# msgspec alone adds 9 %: what is left is for our own modules.
LIMIT = 1.15

# Runs are short, and each is disturbed upwards only, so the least of many is what the import itself takes.
ROUNDS = 21

LOADED = "import json, sys; import {}; print(json.dumps(list(sys.modules)))"
# CPU time: what other processes do meanwhile does not count.
TIMED = "import time; start = time.process_time(); import {}; print(time.process_time() - start)"


def fresh(code: str) -> str:
    """What a new interpreter prints, without anything of this test run's in it."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    run = subprocess.run(
        [sys.executable, "-c", code],
        env=environment | {"PYTHONPATH": SOURCES},
        capture_output=True,
        text=True,
        check=True,
    )
    return run.stdout


def loaded(modules: str) -> set[str]:
    return set(json.loads(fresh(LOADED.format(modules))))


def test_importing_shadows_loads_its_four_libraries_and_nothing_else() -> None:
    roots = {name.partition(".")[0] for name in loaded("shadows") - loaded(ALLOWED)}
    strangers = roots - sys.stdlib_module_names - {"shadows"}
    assert not strangers, f"`import shadows` also loads {sorted(strangers)}"


def test_optional_parts_load_only_when_they_are_used() -> None:
    """They cost time in every process, and are wanted in few."""
    optional = {"shadows.testing", "shadows.sync", "shadows.tasks", "zoneinfo", "cronsim", "sqlite3", "multiprocessing"}
    assert not optional & (loaded("shadows") - loaded(ALLOWED))


@pytest.mark.timed
def test_importing_shadows_takes_at_most_15_percent_longer_than_redis_asyncio(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As after an installation: where nothing may be compiled beforehand, each run would compile us anew.
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    monkeypatch.setenv("PYTHONPYCACHEPREFIX", str(tmp_path))
    fresh(LOADED.format("shadows, redis.asyncio"))

    def seconds(module: str) -> float:
        return float(fresh(TIMED.format(module)))

    rounds = [(seconds("redis.asyncio"), seconds("shadows")) for _ in range(ROUNDS)]
    redis, shadows = (min(each) for each in zip(*rounds, strict=True))
    ratio = shadows / redis
    assert ratio <= LIMIT, f"{shadows * 1000:.1f} ms against {redis * 1000:.1f} ms: {ratio:.3f} times"
