"""The example for Kubernetes in the operator's guide: its parts fit each other, and a daemon starts as it says."""

import re
import socket
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from shadowsd.commands.daemon import run
from shadowsd.master.decide import STOP_SECONDS
from shadowsd.master.master import SIGN_OFF_SECONDS
from tests.commands.commands import Daemon, task_file
from tests.commands.manifests import manifests
from tests.processes import ROOT
from tests.waiting import wait_for

GUIDE = (ROOT / "docs" / "operating.md").read_text()
(TEXT,) = re.findall(r"```yaml\n(.*?)```", GUIDE, re.DOTALL)
# What the daemon takes from the environment beside its options.
OTHERS = {"SHADOWS_URL_FILE", "SHADOWS_SECRET", "SHADOWS_SERIALIZER"}
SECRET, DEPLOYMENT = manifests(TEXT)
POD = DEPLOYMENT["spec"]["template"]["spec"]
(CONTAINER,) = POD["containers"]
ENVIRONMENT = {each["name"]: each["value"] for each in CONTAINER["env"]}
(PORT,) = CONTAINER["ports"]


def settings() -> dict[str, Any]:
    """The options as the daemon would take them."""
    environment = {name: value for name, value in ENVIRONMENT.items() if name not in OTHERS}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        return run.make_context("run", list(CONTAINER["args"])).params


def test_every_variable_is_one_of_the_daemons() -> None:
    """One that is not would change nothing, and nobody would notice."""
    known = {name for option in run.params for name in (option.envvar or ())} | OTHERS
    assert ENVIRONMENT.keys() <= known


def test_the_url_comes_from_the_secret() -> None:
    """By a volume: the environment of a pod can be read by whoever may look at the pod."""
    (mount,) = [
        each for each in CONTAINER["volumeMounts"] if ENVIRONMENT["SHADOWS_URL_FILE"].startswith(each["mountPath"])
    ]
    (volume,) = [each for each in POD["volumes"] if each["name"] == mount["name"]]
    assert volume["secret"]["secretName"] == SECRET["metadata"]["name"]
    assert ENVIRONMENT["SHADOWS_URL_FILE"].removeprefix(mount["mountPath"] + "/") in SECRET["stringData"]


def test_every_mount_has_its_volume() -> None:
    assert {each["name"] for each in CONTAINER["volumeMounts"]} == {each["name"] for each in POD["volumes"]}
    assert CONTAINER["securityContext"]["readOnlyRootFilesystem"]
    assert "/tmp" in {each["mountPath"] for each in CONTAINER["volumeMounts"]}, "the control socket has no place"


def test_the_deployment_selects_its_own_pods() -> None:
    template = DEPLOYMENT["spec"]["template"]
    assert DEPLOYMENT["spec"]["selector"]["matchLabels"] == template["metadata"]["labels"]
    assert template["metadata"]["annotations"]["prometheus.io/port"] == str(PORT["containerPort"])


def test_the_grace_is_above_all_that_a_stop_may_take() -> None:
    drain = settings()["drain_timeout"].total_seconds()
    assert POD["terminationGracePeriodSeconds"] > drain + STOP_SECONDS + SIGN_OFF_SECONDS


def test_the_memory_is_what_the_limits_of_the_workers_ask_for() -> None:
    """`--max-memory` and half as much again for each worker, of which there is one a processor."""
    limits, unit = CONTAINER["resources"]["limits"], {"Mi": 1 << 20, "Gi": 1 << 30}
    memory = int(limits["memory"][:-2]) * unit[limits["memory"][-2:]]
    assert memory > int(limits["cpu"]) * settings()["max_memory"] * 1.5


def test_a_daemon_serves_as_it_says(tmp_path: Path, shadows_url: str) -> None:
    """With its arguments and its environment; the probes are answered where they look, by everybody's address."""
    (tmp_path / "myapp").mkdir()
    task_file(tmp_path / "myapp", name="tasks")
    (tmp_path / "url").write_text(shadows_url)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    arguments = [each.replace(str(PORT["containerPort"]), str(port)) for each in CONTAINER["args"]]
    places = {"SHADOWS_URL": "", "SHADOWS_URL_FILE": str(tmp_path / "url"), "SHADOWS_WORKER_LOGGING_FORMAT": ""}
    with Daemon(tmp_path, *arguments, **ENVIRONMENT | places) as daemon:
        probes = [CONTAINER[name]["httpGet"] for name in ("livenessProbe", "readinessProbe")]
        assert [probe["port"] for probe in probes] == [PORT["name"]] * 2
        for path in (*(probe["path"] for probe in probes), "/metrics"):
            wait_for(lambda path=path: answers(port, path) or daemon.process.poll() is not None, f"{path} answers", 30)
        assert daemon.process.poll() is None, daemon.output
        assert all(line.startswith("{") for line in daemon.lines)


def answers(port: int, path: str) -> bool:
    """Whether a probe would be content."""
    try:
        with urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return bool(answer.status == 200)
    except URLError:
        return False
