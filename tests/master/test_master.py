"""The loop of the master, with passes of the test's own."""

from pathlib import Path

import pytest

from shadows import __version__
from shadowsd.master import clock as clock_module
from shadowsd.master.acting import Acting
from shadowsd.master.assignment import Client
from shadowsd.master.channel import Channel
from shadowsd.master.exits import FAILED, MISCONFIGURED
from shadowsd.master.generation import Plan, Stage
from shadowsd.master.master import Master
from shadowsd.master.node import Node
from shadowsd.master.settings import Settings
from shadowsd.master.signals import Signals
from shadowsd.master.world import Reload, Spawn

HELD_UP_SECONDS = 100.0


def settings(directory: Path) -> Settings:
    """Of a node without Redis."""
    client = Client("s", "redis://127.0.0.1:1")
    return Settings(shadow="s", name="node", app_dir="/", control=directory / "s", client=client)


class HeldUp(Master):
    """One whose first pass takes very long, after everything was decided; the second is its last."""

    def __init__(self, chosen: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
        self._lost = 0.0
        usual = clock_module.monotonic
        monkeypatch.setattr(clock_module, "monotonic", lambda: usual() + self._lost)
        super().__init__(chosen, lambda: chosen)

    def _pass(self) -> None:
        if self._lost:
            self.node.exit_code = 0
        self._lost = HELD_UP_SECONDS
        self.node.wake()


async def test_what_a_pass_was_held_up_for_counts_against_nobody_in_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The time that a pass itself takes was not measured: every deadline was over when it came back."""
    master = HeldUp(settings(tmp_path), monkeypatch)
    before = master.node.clock.now()
    assert await master._reconcile(Signals(master.node.wake)) == 0
    assert master.node.clock.now() - before < HELD_UP_SECONDS / 2
    assert "The master itself was held up for 100.0 s; every deadline moves by that." in caplog.text


async def test_of_several_reasons_to_end_before_it_served_the_first_counts(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    node = Node(settings(tmp_path), lambda: settings(tmp_path))
    node.quit(MISCONFIGURED, "one", "its traceback")
    node.quit(FAILED, "other", "another traceback")
    assert (node.exit_code, node.failure) == (MISCONFIGURED, "one")
    assert "another" not in caplog.text


async def test_a_suspect_without_a_process_waits_for_the_next_renewal(tmp_path: Path) -> None:
    """It would be asked for again in each pass, and no other slot is to wait for it."""
    node = Node(settings(tmp_path), lambda: settings(tmp_path))
    node.fleet.begin(Plan(1, "s", (), None, "/", "fork", "info", "plain"))
    generation = node.fleet.generations[1]
    generation.stage, generation.forks = Stage.READY, True
    generation.channel, given = Channel.pair()
    given.close()
    node.leases.told.suspects = 2
    Acting(node).act(Spawn(1, 1, suspect=True))
    assert node.leases.told.suspects == 0
    assert node.history.restarts(1) == 0
    Acting(node).act(Spawn(1, 1))
    assert node.history.restarts(1) == 1
    assert node.reloading.under_way is None
    node.reloading.begin(1, 1, 0.0)
    Acting(node).act(Spawn(1, 1))
    assert node.reloading.under_way == Reload(1, failure="no process for slot 1 could be had")
    generation.ended()


async def test_a_zygote_of_another_release_is_not_used(tmp_path: Path) -> None:
    """Somebody installed one while the master ran; what its processes say to each other may have changed."""
    node = Node(settings(tmp_path), lambda: settings(tmp_path))
    generation = node.fleet.begin(Plan(1, "s", (), None, "/", "fork", "info", "plain"))
    generation.channel, given = Channel.pair()
    with given:
        Channel(given).send({"version": "99"})
    Acting(node).take_in()
    assert generation.stage is Stage.FAILED
    assert generation.failure.startswith(f"shadow-task was changed from {__version__} to 99 under this master")
    generation.ended()


async def test_a_master_that_can_not_sign_off_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    await Node(settings(tmp_path), lambda: settings(tmp_path)).leases.leave()
    assert "The master could not sign off; its lease ends by itself." in caplog.text
