"""Processes of a node whose master is gone before they began: they end, and leave nothing behind."""

import os
import subprocess
import sys
from dataclasses import asdict

import pytest

from shadowsd.master.channel import Channel
from shadowsd.master.exits import ORPHANED
from shadowsd.master.generation import Plan
from tests.processes import SOURCES

PLAN = asdict(Plan(1, "s", (), None, "/", "fork", "info", "plain"))
PROCESSES = {"zygote": 1, "executed": 3}


def executed(module: str, given: int, descriptors: int) -> subprocess.Popen[bytes]:
    """One of our modules; its channel is the descriptor that counts for it."""
    command = [sys.executable, "-m", f"shadowsd.master.{module}", *[str(given)] * descriptors]
    return subprocess.Popen(command, pass_fds=[given], env=os.environ | {"PYTHONPATH": SOURCES})


@pytest.mark.parametrize(("module", "descriptors"), PROCESSES.items())
def test_who_gets_no_orders_ends(module: str, descriptors: int) -> None:
    channel, given = Channel.pair()
    with given, executed(module, given.fileno(), descriptors) as process:
        given.close()
        channel.close()
        assert process.wait(20) == ORPHANED


def test_who_finds_another_parent_than_its_master_ends() -> None:
    """The one that made it died meanwhile, and somebody else adopted it. Both wait for a while: see `die_with`."""
    processes = []
    for module, descriptors in PROCESSES.items():
        channel, given = Channel.pair()
        with given:
            processes.append((channel, executed(module, given.fileno(), descriptors)))
        channel.send({**PLAN, "master": os.getppid(), "plan": PLAN})
    for channel, process in processes:
        with process:
            assert process.wait(20) == ORPHANED
        channel.close()
