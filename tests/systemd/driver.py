"""Runs all checks inside the machine, one after another, and writes what each saw as a line of JSON.

A check judges nothing: it returns what it saw, and the test of its name on the other side judges that.
"""

import json
import time
import traceback
from pathlib import Path

from tests.systemd import credentials, lifecycle, security, upsets
from tests.systemd.machine import UNIT, configure, journal, release, systemctl

CHECKS = (*lifecycle.CHECKS, *upsets.CHECKS, *security.CHECKS, *credentials.CHECKS, upsets.upgraded)


def main() -> None:
    """All of them; one that fails leaves its traceback, and the next begins afresh."""
    release("one")
    systemctl("start", "redis.service")
    with Path("/out/results").open("w") as results:
        for check in CHECKS:
            began = time.monotonic()
            line: dict[str, object] = {"check": check.__name__}
            try:
                line["saw"] = check()
            except Exception:
                line["error"] = traceback.format_exc()
                line["journal"] = journal().splitlines()[-60:]
            line["seconds"] = round(time.monotonic() - began, 2)
            print(json.dumps(line), file=results, flush=True)
            print(line, flush=True)
            configure()
    systemctl("stop", UNIT)


main()
