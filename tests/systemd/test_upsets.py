"""On a real systemd, a service that is killed, wedged, wrongly set up or without Redis comes back, or says why not."""

from collections.abc import Callable
from typing import Any

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.systemd, pytest.mark.timeout(320)]

type Saw = Callable[[str], dict[str, Any]]


def test_a_killed_worker_is_the_masters_to_replace(saw: Saw) -> None:
    killed = saw("killed_worker")
    assert killed["same"], "the master was replaced"
    assert (killed["state"], killed["restarts"], killed["ran"]) == ("active", 0, 1)


def test_journalctl_tells_a_warning_from_information(saw: Saw) -> None:
    """Each line that reaches the journal has its priority."""
    killed = saw("killed_worker")
    assert "shadowsd: Ready: 2 workers serve" in killed["journal"]
    assert "shadowsd: The worker in slot" in killed["warnings"]
    assert "INFO" not in killed["warnings"]


def test_the_task_of_a_killed_worker_runs_again(saw: Saw) -> None:
    assert saw("killed_worker")["redelivered"]


def test_a_killed_master_is_started_again_and_leaves_no_orphan(saw: Saw) -> None:
    killed = saw("killed_master")
    assert killed["everybody"] == 4
    assert (killed["ready"], killed["ran"]) == (2, 1)


def test_the_task_of_a_killed_master_runs_again(saw: Saw) -> None:
    assert saw("killed_master")["redelivered"]


def test_a_wedged_master_is_ended_by_the_watchdog_and_started_again(saw: Saw) -> None:
    wedged = saw("wedged_master")
    assert "Watchdog timeout" in wedged["journal"]
    assert wedged["gone"], "processes of the wedged master are left"
    assert wedged["ran"] == 1


def test_the_log_says_where_a_wedged_master_was(saw: Saw) -> None:
    journal = saw("wedged_master")["journal"]
    assert "Fatal Python error: Aborted" in journal
    assert "in _reconcile" in journal or "in run_forever" in journal


def test_a_master_that_is_well_keeps_its_watchdog_content(saw: Saw) -> None:
    assert saw("watched_master") == {"same": True, "restarts": 0}


def test_wrong_settings_are_not_tried_again(saw: Saw) -> None:
    """They stay wrong: a loop would fill the journal, and hide the sentence that says what to do."""
    wrong = saw("wrong_module")
    assert (wrong["code"], wrong["state"], wrong["status"], wrong["restarts"]) == (1, "failed", "78", 0)
    assert "there is no module 'no_such_module'" in wrong["journal"]


def test_why_a_service_can_not_start_is_an_error_of_the_journal(saw: Saw) -> None:
    assert "there is no module 'no_such_module'" in saw("wrong_module")["errors"]


def test_a_start_waits_for_redis_longer_than_its_timeout(saw: Saw) -> None:
    waited = saw("start_without_redis")
    assert (waited["state"], waited["same"], waited["restarts"], waited["ready"]) == ("activating", True, 0, False)
    assert "Redis can't be used" in waited["words"]
    assert (waited["then_same"], waited["ran"]) == (True, 1)


def test_an_upgraded_package_makes_a_reload_ask_for_a_restart(saw: Saw) -> None:
    upgraded = saw("upgraded")
    assert upgraded["code"] != 0
    assert "under this master, which can only run its own release. Restart it." in upgraded["journal"]
    assert (upgraded["state"], upgraded["ran"]) == ("active", 1)
    assert (upgraded["restart"], upgraded["version"], upgraded["then_ran"]) == (0, "9.9.9", 1)
