"""The Redis server programs that this machine has, by version: some tests run on every one of them."""

import os
from pathlib import Path

from shadows.redis_server import NAMES, ServerVersion, bundled_server, version_of
from shadows.testing import PROGRAM_VARIABLE

# More programs than PATH shows, separated as PATH is; `.ci/run` names all that it tests on.
MORE_VARIABLE = "SHADOWS_TEST_SERVERS"


def programs() -> dict[ServerVersion, Path]:
    """One program for each version, oldest first."""
    folders = [Path(folder) for folder in os.get_exec_path()]
    named = [os.environ.get(PROGRAM_VARIABLE, ""), *os.environ.get(MORE_VARIABLE, "").split(os.pathsep)]
    candidates = [*map(Path, filter(None, named)), *(folder / name for folder in folders for name in NAMES)]
    if bundled := bundled_server():
        candidates.append(bundled)
    found: dict[ServerVersion, Path] = {}
    for program in dict.fromkeys(candidates):
        if program.is_file():
            found.setdefault(version_of(program), program)
    return dict(sorted(found.items(), key=lambda item: (item[0].product, item[0].major, item[0].minor)))
