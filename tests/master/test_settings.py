"""What a daemon was told is refused at once when it can't be right, with the option and the remedy."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from shadows.errors import ConfigurationError
from shadowsd.commands.shadowsd import main
from shadowsd.master.assignment import Client, Engine
from shadowsd.master.settings import FIXED, LEAST_MEMORY, Settings


def settings(**chosen: Any) -> Settings:
    return Settings(**{
        "shadow": "s", "name": "node", "app_dir": "/", "control": Path("/s"), "client": Client("s", "redis://x"),
    } | chosen)  # fmt: skip


@pytest.mark.parametrize(
    ("chosen", "words"),
    [
        ({"workers": 0}, "--workers is 0; expected a whole number from 1"),
        ({"engine": Engine(concurrency=0)}, "--concurrency is 0"),
        ({"max_deaths": 1}, "--max-deaths is 1; expected a whole number from 2"),
        ({"max_tasks": 0}, "--max-tasks is 0"),
        ({"max_memory": LEAST_MEMORY - 1}, "which a fresh worker reaches by itself.* Give it 16M or more"),
        ({"spawn": "thread"}, "--spawn is 'thread'; expected fork or exec"),
        ({"name": "n" * 201}, "--name is 201 bytes long; give at most 200"),
        ({"name": "é" * 101}, "--name is 202 bytes long"),
        ({"drain_timeout": timedelta(0)}, "--drain-timeout"),
        ({"boot_timeout": timedelta(0)}, "--boot-timeout"),
        ({"hang_timeout": timedelta(seconds=-1)}, "--hang-timeout"),
        ({"task_timeout": timedelta(0)}, "--task-timeout"),
        ({"reload_drain_timeout": timedelta(0)}, "--reload-drain-timeout"),
    ],
)
def test_what_can_not_be_right_is_refused(chosen: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        settings(**chosen)


def test_what_is_just_right_is_taken() -> None:
    settings(workers=1, max_deaths=2, max_tasks=1, max_memory=LEAST_MEMORY, name="n" * 200)


def test_a_worker_may_be_silent_as_long_as_its_tasks_are_not_given_away() -> None:
    assert settings().limits.hang == 300
    assert settings(engine=Engine(redelivery_timeout=timedelta(seconds=9))).limits.hang == 9
    assert settings(hang_timeout=timedelta(seconds=8)).limits.hang == 8
    assert settings().limits.reload_drain is None
    assert settings(reload_drain_timeout=timedelta(seconds=7)).limits.reload_drain == 7


def test_what_can_not_change_under_a_running_master_is_named_and_kept() -> None:
    running = settings()
    newer = settings(shadow="t", name="other", workers=5, control=Path("/t"))
    assert running.changed(newer) == ["shadow", "name", "control"]
    kept = newer.with_fixed_of(running)
    assert [getattr(kept, name) for name in FIXED] == [getattr(running, name) for name in FIXED]
    assert kept.workers == 5
    assert running.changed(running) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--workers", "many"], "'many' is not a number of workers"),
        (["--workers", "0"], "--workers is 0"),
        (["--max-memory", "lots"], "'lots' is not a size"),
        (["--max-memory", "1M"], "Give it 16M or more"),
        (["--drain-timeout", "soon"], "'soon' is not a duration"),
        (["--tasks", "app/tasks.py"], "does not name tasks"),
        (["--heartbeat-interval", "1ms"], "heartbeat_interval"),
        (["--priorities", "urgent"], "'urgent'; expected some of high, normal and low, parted by commas."),
        (["--missed-heartbeats", "1"], "missed_heartbeats is 1; expected at least 2"),
        (["--url", "nonsense://x"], "nonsense"),
        (["--config", "/nowhere/at/all.toml"], "can't be read: No such file or directory"),
    ],
)
def test_wrong_options_end_the_daemon_before_it_begins(arguments: list[str], words: str) -> None:
    result = CliRunner().invoke(main, ["--check-config", *arguments])
    assert result.exit_code == 78
    assert words in result.output


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("workers = ", "is no TOML"),
        ("wrokers = 3", "there is no setting 'wrokers'. Did you mean 'workers'?"),
        ("[workers]\na = 1", "'workers' is a table"),
        ("config = 'x'", "there is no setting 'config'"),
        ("workers = 0", "--workers is 0"),
    ],
)
def test_a_file_that_can_not_be_used_is_refused(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "daemon.toml"
    file.write_text(text)
    result = CliRunner().invoke(main, ["--check-config", "--config", str(file)])
    assert result.exit_code == 78
    assert words in result.output


def test_options_come_before_the_environment_and_that_before_the_file(tmp_path: Path) -> None:
    file = tmp_path / "daemon.toml"
    file.write_text("workers = 3\nshadows = 'orders'\nheartbeat-interval = '3s'\n")
    chosen = ["--check-config", "--config", str(file)]
    told = "These settings can be used: {} workers of 'orders'"
    assert CliRunner().invoke(main, chosen).output.startswith(told.format(3))
    environment = {"SHADOWSD_WORKERS": "4"}
    assert CliRunner(env=environment).invoke(main, chosen).output.startswith(told.format(4))
    assert CliRunner(env=environment).invoke(main, [*chosen, "--workers", "5"]).output.startswith(told.format(5))
