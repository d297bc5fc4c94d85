"""On a real systemd, the URL of Redis can be kept encrypted, as the guide says."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.processes import ROOT
from tests.systemd.credentials import DROP_IN

pytestmark = [pytest.mark.slow, pytest.mark.systemd, pytest.mark.timeout(320)]

type Saw = Callable[[str], dict[str, Any]]


def test_a_url_that_is_encrypted_on_the_disk_reaches_the_daemon(saw: Saw) -> None:
    encrypted = saw("encrypted")
    assert encrypted["code"] == 0, encrypted["said"]
    assert encrypted["hidden"]
    assert (encrypted["ran"], encrypted["told"]) == (1, [])


def test_a_url_that_another_machine_encrypted_fails_the_start(saw: Saw) -> None:
    """It is not started with the default URL instead: that would be another's Redis."""
    encrypted = saw("encrypted")
    assert (encrypted["then"], encrypted["status"]) == (1, "243"), "the status that systemd.exec(5) calls CREDENTIALS"


def test_the_guide_has_the_lines_that_were_tried() -> None:
    guide = (ROOT / "docs" / "operating.md").read_text()
    assert "\n".join(["[Service]", *DROP_IN]) in guide
    assert "systemd-creds encrypt --name=shadows-url /etc/shadowsd/redis-url /etc/shadowsd/redis-url.cred" in guide
