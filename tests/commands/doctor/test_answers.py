"""What the doctor says when somebody does not answer, or says no: a daemon, a Redis, systemd."""

import json
import stat
from datetime import timedelta
from pathlib import Path

import pytest
import redis
from click.testing import CliRunner
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from shadows.keys import Keys
from shadows.testing import RedisServer
from shadowsd.commands.doctor import service
from shadowsd.commands.doctor.finding import Level
from shadowsd.commands.doctor.permissions import subscribing_fails
from shadowsd.commands.doctor.server import look
from shadowsd.commands.shadowsd import main
from shadowsd.master.assignment import Client
from shadowsd.master.settings import Settings
from tests.commands.commands import Daemon, task_file

NOWHERE = "redis://127.0.0.1:1/0"
SETTINGS = Settings(
    shadow="orders", name="node", app_dir="/", control=Path("/c"), client=Client("orders"),
    drain_timeout=timedelta(seconds=25),
)  # fmt: skip


def findings(directory: Path, *arguments: str) -> dict[str, tuple[str, str]]:
    """Level and words of each check."""
    places = ["--app-dir", str(directory), "--control", str(directory / "control.sock")]
    result = CliRunner().invoke(main, ["doctor", *places, *arguments, "--json"])
    return {row["check"]: (row["level"], row["words"]) for row in json.loads(result.stdout)["findings"]}


def test_a_daemon_that_is_not_ready_fails_with_its_reasons(tmp_path: Path) -> None:
    with Daemon(tmp_path, "--workers", "1", SHADOWS_URL=NOWHERE) as daemon:
        daemon.says("Redis can't be used now")
        level, words = findings(tmp_path)["daemon"]
    assert level == "FAIL"
    assert words.startswith("It is not ready: ")
    assert "Redis can't be used" in words


def test_what_forbids_a_fork_is_a_warning_unless_nobody_forks(tmp_path: Path) -> None:
    source = "import threading\nthreading.Thread(target=threading.Event().wait, daemon=True, name='poller').start()\n"
    tasks = ["--tasks", task_file(tmp_path, f"{source}async def greet() -> None: ...\n")]
    level, words = findings(tmp_path, *tasks)["tasks"]
    assert level == "WARN"
    assert words.startswith("The imports left the thread 'poller': each worker is executed and not forked")
    assert findings(tmp_path, *tasks, "--spawn", "exec")["tasks"][0] == "OK"


@pytest.mark.parametrize(
    ("serializer", "secret", "level", "words"),
    [
        ("pickle", "", "FAIL", "whoever can write to Redis can run any code here"),
        ("pickle", "secret", "OK", "Payloads are pickle, and signed."),
        ("msgpack", "secret", "OK", "Payloads are msgpack, and signed."),
        ("msgpack", "", "OK", "Payloads are not signed"),
    ],
)
def test_pickles_must_be_signed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, serializer: str, secret: str, level: str, words: str
) -> None:
    monkeypatch.setenv("SHADOWS_SERIALIZER", serializer)
    monkeypatch.setenv("SHADOWS_SECRET", secret)
    found = findings(tmp_path)["signing"]
    assert (found[0], words in found[1]) == (level, True)


async def test_a_user_who_may_not_read_settings_is_told_the_rest(own_redis: RedisServer) -> None:
    """Which is every user that is not an administrator."""
    own_redis.command("ACL", "SETUSER", "worker", "reset", "on", ">secret", "~*", "&*", "+@all", "-config")
    async with Redis.from_url(own_redis.url.replace("redis://", "redis://worker:secret@")) as client:
        seen = await look(client)
    assert seen.saves is None
    assert seen.info["role"] == "master"


async def test_a_server_that_ends_is_not_one_that_refuses_subscriptions(own_redis: RedisServer) -> None:
    """Who is told to change an access control list looks there, in vain."""
    async with Redis.from_url(own_redis.url, retry=Retry(NoBackoff(), 0)) as client:
        assert not await subscribing_fails(client, Keys("orders"))
        own_redis.kill()
        with pytest.raises(redis.ConnectionError):
            await client.ping()
        assert not await subscribing_fails(client, Keys("orders"))


def systemctl(directory: Path, source: str) -> None:
    """A program of this name which notes how it was called."""
    program = directory / "systemctl"
    program.write_text(f'#!/bin/sh\necho "$@" >> {directory}/called\n{source}\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)


@pytest.fixture
def unit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """This process as systemd would have started it; where the program that asks for its unit is."""
    monkeypatch.setattr(service, "group_of", lambda _: Path("/system.slice/orders.service"))
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return tmp_path


def test_a_service_is_judged_by_what_systemd_says_of_it(unit: Path) -> None:
    systemctl(unit, "printf 'Type=simple\\nKillMode=\\nTimeoutStopUSec=10s\\n'")
    found = service.finding(SETTINGS, 1)
    assert found.level is Level.FAIL
    assert found.words.startswith("orders.service gives 10s to stop, and it drains for 25s: it is killed")
    assert (unit / "called").read_text() == "show --property=TimeoutStopUSec,KillMode,Type -- orders.service\n"


def test_a_service_of_a_user_is_asked_of_the_users_systemd(unit: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    group = Path("/user.slice/user-1000.slice/user@1000.service/app.slice/orders.service")
    monkeypatch.setattr(service, "group_of", lambda _: group)
    systemctl(unit, "printf 'Type=notify\\nKillMode=control-group\\nTimeoutStopUSec=1min 30s\\n'")
    assert "orders.service has KillMode=control-group" in service.finding(SETTINGS, 1).words
    assert (unit / "called").read_text().startswith("--user show ")


def test_what_systemd_leaves_empty_is_as_its_units_have_it(unit: Path) -> None:
    systemctl(unit, "printf 'Type=notify\\nKillMode=\\nTimeoutStopUSec=1min 30s\\n'")
    assert service.finding(SETTINGS, 1).level is Level.OK


@pytest.mark.parametrize("source", ["exit 1", "sleep 60", None])
def test_a_systemd_that_does_not_answer_is_no_failure(
    unit: Path, monkeypatch: pytest.MonkeyPatch, source: str | None
) -> None:
    """In a container there may be a unit's control group and nobody to ask."""
    monkeypatch.setattr(service, "SYSTEMCTL_SECONDS", 0.2)
    if source is None:
        monkeypatch.setenv("PATH", str(unit))
    else:
        systemctl(unit, f"exec {source}" if "sleep" in source else source)
    found = service.finding(SETTINGS, 1)
    assert (found.level, found.words) == (Level.OK, "It drains for 25s, and orders.service waits for longer.")
