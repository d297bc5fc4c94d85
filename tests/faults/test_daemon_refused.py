"""Workers that can't begin, or fail by themselves; and settings that a reload can't, or can, take over."""

import asyncio
from pathlib import Path

from shadows import Shadow
from tests.client.test_servers_that_will_not_do import old_server
from tests.daemon import TASKS, Daemon
from tests.faults.running import Runner, answer_of
from tests.faults.test_daemon_resources import AS_A_USER
from tests.waiting import wait_for, wait_until

# What a child does to numpy, when it is there, fails.
FAULTY = "import sys\nimport types\n\nsys.modules['numpy'] = types.ModuleType('numpy')\n"


async def test_a_server_that_is_too_old_ends_a_daemon_that_never_served(tmp_path: Path, brief: Shadow) -> None:
    listening = await asyncio.start_server(old_server, "127.0.0.1", 0)
    async with listening:
        port = listening.sockets[0].getsockname()[1]
        with Daemon(tmp_path, brief, url=f"redis://:secret@127.0.0.1:{port}/0") as daemon:
            await wait_until(lambda: daemon.process.poll() is not None, "it ends", 20)
            assert daemon.process.returncode == 78
            assert daemon.lines[-1].startswith(f"Error: The server at redis://:***@127.0.0.1:{port}/0 is Redis 6.0.16")


def test_a_worker_that_fails_by_itself_says_so(tmp_path: Path, brief: Shadow) -> None:
    (tmp_path / "work.py").write_text(FAULTY + TASKS)
    with Daemon(tmp_path, brief, workers="1") as daemon:
        daemon.wait_logged("The worker in slot 1 ended by an error of its own")
        daemon.wait_logged("AttributeError: module 'numpy' has no attribute 'random'")
        daemon.wait_logged("The worker in slot 1 .* is gone: exited with 1. 0 tasks were in flight.")
        assert daemon.stop() == 0


def test_a_control_path_in_a_directory_of_somebody_else_is_refused(tmp_path: Path, brief: Shadow) -> None:
    with Daemon(tmp_path, brief, control="/usr/s", app_dir="/usr", prefix=AS_A_USER) as daemon:
        assert daemon.wait() == 78
        assert "--control /usr/s can't be used: Permission denied: /usr. Give a path" in daemon.output


def test_a_reload_takes_what_it_can_of_new_settings_and_names_the_rest(tmp_path: Path, running: Runner) -> None:
    settings = tmp_path / "settings.toml"
    settings.write_text("workers = 1\n")
    with running(config=str(settings), workers=None, name=None) as daemon:
        settings.write_text('workers = 2\nname = "other"\n')
        assert daemon.ask("reload") == {"ok": True, "words": "the reload begins"}
        daemon.wait_logged("Reloaded: generation 2 serves whole")
        daemon.wait_logged("These settings changed and need a restart to take effect: name.")
        assert set(daemon.wait_serving(2, generation=2)) == {1, 2}
        assert "there is no slot 9; there are 1 to 2" in daemon.ask("status", slot=9)["error"]


def test_a_slot_that_is_gone_has_no_gauges_any_more(running: Runner) -> None:
    """Health and metrics share an address here."""
    with running(healthcheck_port="0", metrics_port="0") as daemon:
        assert {'shadows_slots{slot="1"}', 'shadows_slots{slot="2"}'} <= daemon.metrics.keys()
        url = daemon.wait_logged(r"Metrics are served at \S+/metrics").split()[-1]
        assert answer_of(url.replace("/metrics", "/readyz"))[0] == 200
        daemon.runs_alone()
        wait_for(lambda: 'shadows_slots{slot="2"}' not in daemon.metrics, "the gauges of slot 2 are gone")
        assert 'shadows_slots{slot="1"}' in daemon.metrics
