"""Speaking to a running master over its control socket."""

import json
import socket
from pathlib import Path
from typing import Any

import click

from shadows.settings import shadow_name
from shadowsd.master.paths import control_paths

# A master answers at once; only a reload that is waited for takes longer, and so does an answer to `stacks`.
ANSWER_SECONDS = 5.0


class Unreachable(click.ClickException):
    """No master answers."""


def call(
    control: Path | None, shadow: str | None, command: dict[str, Any], seconds: float | None = ANSWER_SECONDS
) -> Any:
    """One command and its answer. Raises Unreachable, or ClickException with what the master says."""
    path = control or find(shadow_name(shadow))
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(seconds)
        try:
            connection.connect(str(path))
            connection.sendall(json.dumps(command).encode() + b"\n")
            line = connection.makefile("rb").readline()
        except TimeoutError:
            raise Unreachable(
                f"The master at {path} did not answer within {seconds:g} s. Look at its process: it may be stopped."
            ) from None
        except PermissionError:
            raise Unreachable(
                f"The control socket {path} is not for this user. Ask as root (`sudo`), or as the user of the daemon."
            ) from None
        except OSError as error:
            raise Unreachable(
                f"No master answers at {path} ({error.strerror or error}). Start one with `shadowsd --tasks ...`, or "
                "name the one that runs: its set of tasks with --shadows, or its control socket with --control."
            ) from None
    if not line:
        raise Unreachable(f"The master at {path} ended before it answered.")
    answer = json.loads(line)
    if "error" in answer:
        raise click.ClickException(answer["error"])
    return answer


def find(shadow: str) -> Path:
    """The control socket of a shadow's master on this machine; the first place, when there is none."""
    paths = control_paths(shadow)
    return next((path for path in paths if path.exists()), paths[0])


def control_options(function: Any) -> Any:
    """`--control` and `--shadows`: which master is meant."""
    control = click.option(
        "--control", type=click.Path(path_type=Path), envvar="SHADOWSD_CONTROL", show_envvar=True,
        help="The master's control socket.  [default: that of the shadow]",
    )  # fmt: skip
    name = click.option(
        "--shadows", "shadow", envvar="SHADOWS_NAME", show_envvar=True, metavar="NAME",
        help="The set of tasks.  [default: shadows]",
    )  # fmt: skip
    return control(name(function))
