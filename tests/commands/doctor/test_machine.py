"""What the doctor says of limits: judged by values, and read of real processes."""

import os
import resource
from dataclasses import replace
from pathlib import Path

import pytest

from shadowsd.commands.doctor.finding import Level
from shadowsd.commands.doctor.machine import descriptors, findings, limit_of, memory, processes
from shadowsd.master.assignment import Client, Engine
from shadowsd.master.settings import Settings

MB = 1 << 20
SETTINGS = Settings(
    shadow="orders", name="node", app_dir="/", control=Path("/c"), client=Client("orders"), workers=4,
    engine=Engine(concurrency=100),
)  # fmt: skip


@pytest.mark.parametrize(("limit", "level"), [(None, Level.OK), (1024, Level.OK), (400, Level.WARN), (90, Level.FAIL)])
def test_open_files_must_do_for_the_master_and_should_for_a_worker(limit: int | None, level: Level) -> None:
    assert descriptors(SETTINGS, limit).level is level


@pytest.mark.parametrize(
    ("limit", "group", "level"),
    [
        (None, None, Level.OK),
        (5000, None, Level.OK),
        (5000, 500, Level.WARN),
        (None, 500, Level.WARN),
        (9, 500, Level.FAIL),
    ],
)
def test_processes_are_limited_by_the_user_and_by_the_control_group(
    limit: int | None, group: int | None, level: Level
) -> None:
    assert processes(SETTINGS, limit, group).level is level


@pytest.mark.parametrize(
    ("max_memory", "limit", "level"),
    [
        (None, None, Level.OK),
        (None, 4096 * MB, Level.WARN),
        (200 * MB, 4096 * MB, Level.OK),
        (1100 * MB, 4096 * MB, Level.WARN),
    ],
)
def test_workers_must_be_replaced_before_the_kernel_kills(
    max_memory: int | None, limit: int | None, level: Level
) -> None:
    """A container whose limit is reached loses any of its processes, and innocent tasks with it."""
    assert memory(replace(SETTINGS, max_memory=max_memory), limit, 40 * MB).level is level


def test_limits_are_those_of_the_process_that_is_meant() -> None:
    assert limit_of(os.getpid(), "Max open files") == resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    assert [finding.check for finding in findings(SETTINGS, os.getpid(), None)] == ["open files", "processes", "memory"]
    # One that has ended meanwhile says nothing, and is no error.
    assert len([*findings(SETTINGS, 1 << 30, None)]) == 3
