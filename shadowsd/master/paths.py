"""Where a master's control socket is, and where those who look for one find it."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import quote

SYSTEM = Path("/run/shadowsd")


def own_control_path(shadow: str, environment: Mapping[str, str] = os.environ) -> Path:
    """Where a master of this shadow listens when nothing else is said: one path for each shadow of a user."""
    name = f"{quote(shadow, safe='')}.sock"
    if runtime := environment.get("RUNTIME_DIRECTORY", "").partition(":")[0]:
        return Path(runtime) / name
    return next(directory for directory in _directories(environment)) / name


def control_paths(shadow: str, environment: Mapping[str, str] = os.environ) -> list[Path]:
    """Where one may be listening; the first that exists is meant. A service of another name has a directory of its
    own below the system's."""
    name = f"{quote(shadow, safe='')}.sock"
    places = [directory / name for directory in (*_directories(environment), SYSTEM)]
    return [*dict.fromkeys(places), *sorted(SYSTEM.glob(f"*/{name}"))]


def _directories(environment: Mapping[str, str]) -> Iterator[Path]:
    if runtime := environment.get("XDG_RUNTIME_DIR"):
        yield Path(runtime) / "shadowsd"
    if os.geteuid() == 0:
        yield SYSTEM
    yield Path("/tmp") / f"shadowsd-{os.geteuid()}"


def logical_directory(environment: Mapping[str, str] = os.environ) -> Path:
    """The working directory as it was named: a reload must follow a `current` symlink that was swapped, which the
    kernel's own name for the directory does not."""
    named = environment.get("PWD", "")
    try:
        if named and Path(named).samefile("."):
            return Path(named)
    except OSError:
        pass
    return Path.cwd()
