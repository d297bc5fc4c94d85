"""Where a master's control socket is, and where those who look for one find it."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import quote

SYSTEM = Path("/run/shadowsd")


def own_control_path(shadow: str, environment: Mapping[str, str] = os.environ) -> Path:
    """Where a master of this shadow listens when nothing else is said: one path for each shadow of a user."""
    return next(_directories(environment)) / socket_name(shadow)


def control_paths(shadow: str, environment: Mapping[str, str] = os.environ) -> list[Path]:
    """Where one may be listening; the first that exists is meant. An instance of the service has a directory of its
    own beside the service's, so that neither takes the other's with it when it stops."""
    name = socket_name(shadow)
    places = [directory / name for directory in (*_directories(environment), SYSTEM)]
    return [*dict.fromkeys(places), *sorted(SYSTEM.parent.glob(f"{SYSTEM.name}-*/{name}"))]


def socket_name(shadow: str) -> str:
    """A file's name for any shadow's."""
    return f"{quote(shadow, safe='')}.sock"


def _directories(environment: Mapping[str, str]) -> Iterator[Path]:
    # What systemd made for this very service: its `ExecReload` must find no other's master.
    if made := environment.get("RUNTIME_DIRECTORY", "").partition(":")[0]:
        yield Path(made)
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
