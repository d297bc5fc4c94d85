"""Checks of a URL with a password that is nowhere on the disk but encrypted."""

from pathlib import Path
from typing import Any

from tests.systemd.lifecycle import secrets
from tests.systemd.machine import UNIT, configure, fresh_start, outcome, properties, run, systemctl
from tests.systemd.rig import PASSWORD

PLAIN = Path("/etc/shadowsd/redis-url")
ENCRYPTED = Path("/etc/shadowsd/redis-url.cred")
DROP_IN = ("LoadCredential=", f"LoadCredentialEncrypted=shadows-url:{ENCRYPTED}")


def encrypted() -> dict[str, Any]:
    """As the guide says. Then the file is that of another machine: its key does not open it."""
    text = PLAIN.read_text()
    made = run("systemd-creds", "encrypt", "--name=shadows-url", str(PLAIN), str(ENCRYPTED))
    PLAIN.unlink()
    try:
        fresh_start(*DROP_IN)
        saw = {
            "code": made.returncode, "said": made.stdout, "hidden": PASSWORD not in ENCRYPTED.read_text(),
            "ran": outcome("version"), "told": secrets()["told"],
        }  # fmt: skip
        systemctl("stop", UNIT)
        Path("/var/lib/systemd/credential.secret").unlink()
        return saw | {"then": systemctl("start", UNIT), "status": properties("ExecMainStatus")["ExecMainStatus"]}
    finally:
        PLAIN.touch(0o600)
        PLAIN.write_text(text)
        systemctl("stop", UNIT)
        configure()


CHECKS = (encrypted,)
