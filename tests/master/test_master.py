"""The loop of the master, with passes of the test's own."""

from pathlib import Path

import pytest

from shadowsd.master import clock as clock_module
from shadowsd.master.assignment import Client
from shadowsd.master.master import Master
from shadowsd.master.settings import Settings
from shadowsd.master.signals import Signals

HELD_UP_SECONDS = 100.0


class HeldUp(Master):
    """One whose first pass takes very long, after everything was decided; the second is its last."""

    def __init__(self, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
        self._lost = 0.0
        usual = clock_module.monotonic
        monkeypatch.setattr(clock_module, "monotonic", lambda: usual() + self._lost)
        super().__init__(settings, lambda: settings)

    def _pass(self) -> None:
        if self._lost:
            self.node.exit_code = 0
        self._lost = HELD_UP_SECONDS
        self.node.wake()


async def test_what_a_pass_was_held_up_for_counts_against_nobody_in_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The time that a pass itself takes was not measured: every deadline was over when it came back."""
    client = Client("s", "redis://127.0.0.1:1")
    settings = Settings(shadow="s", name="node", app_dir="/", control=tmp_path / "s", client=client)
    master = HeldUp(settings, monkeypatch)
    before = master.node.clock.now()
    assert await master._reconcile(Signals(master.node.wake)) == 0
    assert master.node.clock.now() - before < HELD_UP_SECONDS / 2
    assert "The master itself was held up for 100.0 s; every deadline moves by that." in caplog.text
