"""Real Python processes for tests: run a script file, read what it prints, and kill it."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from tests.waiting import PATIENCE_SECONDS, wait_for

ROOT = Path(__file__).parent.parent

# The tree under test comes first, whatever release of it is installed.
SOURCES = os.pathsep.join((str(ROOT / "client"), str(ROOT)))


class Process:
    """A Python process of its own process group; leaving the block kills whatever is left of the group.

    Its output goes to a file, so that it never blocks on a reader, and nothing is lost when it is killed.
    """

    def __init__(
        self, *arguments: str | Path, environment: Mapping[str, str] | None = None, stderr: int = subprocess.STDOUT,
        prefix: Sequence[str] = (),
    ) -> None:  # fmt: skip
        """stderr: a descriptor of the test's for its errors; by default they come with the output. prefix: a program
        that runs it."""
        self.arguments = [*prefix, sys.executable, "-u", "-W", "error", *map(str, arguments)]
        self.environment = os.environ | {"PYTHONPATH": SOURCES} | dict(environment or {})
        self._output = tempfile.NamedTemporaryFile("w+", prefix="process-", suffix=".out")  # noqa: SIM115 # closed in __exit__
        self.process = subprocess.Popen(
            self.arguments,
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=stderr,
            env=self.environment,
            start_new_session=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.process.wait()
        self._output.close()

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def output(self) -> str:
        """Everything that it printed so far, errors included."""
        return Path(self._output.name).read_text(errors="replace")

    @property
    def lines(self) -> list[str]:
        return self.output.splitlines()

    def wait_for(self, line: str, seconds: float = PATIENCE_SECONDS) -> None:
        """Wait until it has printed this line; if it ends without, that fails at once."""
        wait_for(lambda: line in self.lines or self.process.poll() is not None, f"{line!r} is printed", seconds)
        assert line in self.lines, f"ended with {self.process.returncode} before it printed {line!r}:\n{self.output}"

    def kill(self) -> None:
        """`kill -9`, and wait until the kernel has let go of everything that it held."""
        self.signal(signal.SIGKILL)
        self.process.wait()

    def pause(self) -> None:
        self.signal(signal.SIGSTOP)

    def resume(self) -> None:
        self.signal(signal.SIGCONT)

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def wait(self, seconds: float = PATIENCE_SECONDS) -> int:
        """Wait for its end; its exit code."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.arguments} still runs after {seconds:g} s:\n{self.output}") from None


def run_script(*arguments: str | Path, environment: Mapping[str, str] | None = None) -> str:
    """Run a script to its end, which must be a good one; what it printed."""
    with Process(*arguments, environment=environment) as process:
        code = process.wait(60)
        assert code == 0, f"{process.arguments} exited with {code}:\n{process.output}"
        return process.output


def write_script(directory: Path, name: str, source: str) -> Path:
    """A script file of its own, as users have them: functions typed at a prompt can't be imported again."""
    path = directory / f"{name}.py"
    path.write_text(source)
    return path
