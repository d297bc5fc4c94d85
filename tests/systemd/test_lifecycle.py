"""On a real systemd, `systemctl start | reload | stop | restart` do what they say, and say what they did."""

from collections.abc import Callable
from typing import Any

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.systemd, pytest.mark.timeout(320)]

type Saw = Callable[[str], dict[str, Any]]


def test_the_account_is_made_as_the_guide_says(saw: Saw) -> None:
    users = saw("users")
    assert (users["code"], users["said"]) == (0, "")
    assert users["account"].endswith(":/var/lib/shadowsd:/usr/sbin/nologin\n")


def test_systemd_finds_no_fault_in_the_units(saw: Saw) -> None:
    """The plain one, an instance, and the plain one with the hardening drop-in."""
    verify = saw("verify")
    assert (verify["code"], verify["said"]) == (0, "")


def test_a_start_returns_when_every_worker_serves(saw: Saw) -> None:
    start = saw("start")
    assert (start["code"], start["state"], start["ready"], start["ran"]) == (0, "active", 2, 1)
    assert saw("slow_start")["ready"] == 2, "it was active before the imports, which take 5 s, were over"


def test_the_status_says_what_the_workers_do(saw: Saw) -> None:
    assert saw("start")["words"].startswith("2 of 2 workers serve 'shadows'")


def test_the_log_is_in_the_journal(saw: Saw) -> None:
    assert "shadowsd: Ready: 2 workers serve 'shadows'." in saw("start")["journal"]


def test_a_password_from_a_credential_is_told_to_nobody(saw: Saw) -> None:
    """Not in arguments, titles or environments, which others can read, and not in the log."""
    secrets = saw("secrets")
    assert secrets["looked"] >= 4 * 2, "the master, its zygote and two workers, each with two places"
    assert secrets["told"] == []


def test_a_reload_returns_when_the_new_code_serves(saw: Saw) -> None:
    """The deploy was a symlink that was swapped."""
    reload = saw("reload")
    assert (reload["code"], reload["state"], reload["ran"]) == (0, "active", 2)
    assert reload["same"], "the master was replaced"


def test_a_reload_to_broken_code_fails_and_the_service_serves_on(saw: Saw) -> None:
    reload = saw("bad_reload")
    assert reload["code"] != 0
    assert (reload["state"], reload["ready"], reload["ran"]) == ("active", 2, 2)
    assert reload["same"], "the master was replaced"


def test_the_journal_has_the_traceback_of_a_failed_reload(saw: Saw) -> None:
    assert "RuntimeError: this release is broken" in saw("bad_reload")["journal"]


def test_the_whole_traceback_is_an_error_of_the_journal(saw: Saw) -> None:
    """`journalctl -p err` shows each of its lines, which are entries there."""
    errors = saw("bad_reload")["errors"]
    assert "The reload failed, and generation" in errors
    assert 'jobs.py", line' in errors
    assert "RuntimeError: this release is broken" in errors


def test_the_next_reload_to_good_code_works(saw: Saw) -> None:
    reload = saw("bad_reload")
    assert (reload["next"], reload["then_ran"]) == (0, 1)


def test_a_reload_that_imports_for_long_is_not_timed_out(saw: Saw) -> None:
    """TimeoutStartSec bounds a reload, too; --boot-timeout is the limit that is meant."""
    assert saw("slow_reload") == {"code": 0, "ran": 3}


def test_a_start_that_imports_for_long_is_not_timed_out(saw: Saw) -> None:
    assert saw("slow_start") == {"ready": 2, "state": "active", "restarts": 0, "ran": 3}


def test_a_stop_lets_running_tasks_finish(saw: Saw) -> None:
    """Even beyond TimeoutStopSec, when the drain timeout is longer than that."""
    stop = saw("stop_with_a_short_task")
    assert (stop["code"], stop["result"], stop["task"]) == (0, "success", "completed")
    assert stop["everybody"] == 4
    assert stop["gone"]


def test_a_task_that_outlasts_the_drain_runs_again_after_the_start(saw: Saw) -> None:
    stop = saw("stop_with_a_long_task")
    assert (stop["code"], stop["result"], stop["state"]) == (0, "success", "inactive")
    assert 2 <= stop["took"] < 7, "the drain timeout is 2 s, and the task takes 7"
    assert stop["then"] == "done"


def test_a_restart_loses_no_queued_task(saw: Saw) -> None:
    restart = saw("restart_with_a_queue")
    assert (restart["code"], restart["results"]) == (0, ["done"] * 60)


def test_instances_run_beside_the_service(saw: Saw) -> None:
    instances = saw("instances")
    assert (instances["code"], instances["ran"], instances["reload"], instances["other"]) == (0, 1, 0, 2)
    assert "serves 'orders'" in instances["status"]


def test_a_service_that_stops_leaves_an_instance_reachable(saw: Saw) -> None:
    """With its directory inside of the service's, the instance would lose its control socket to the other's stop."""
    instances = saw("instances")
    assert instances["after_the_other_stopped"] == 0
    assert instances["left"] == []


def test_a_unit_that_was_printed_runs_beside_the_service(saw: Saw) -> None:
    """Its directory was inside of the service's: it lost its control socket when that stopped, and nobody found it."""
    printed = saw("printed")
    assert printed["verified"] == ""
    assert (printed["code"], printed["ran"], printed["reload"]) == (0, 1, 0)
    assert "serves 'printed'" in printed["status"]
