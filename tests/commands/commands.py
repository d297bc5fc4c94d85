"""Running the command line: in this process where it only asks, and as a process of its own where it works."""

from pathlib import Path

from click.testing import CliRunner, Result

from shadowsd.commands.shadows import main
from tests.processes import Process
from tests.waiting import wait_for

TASKS = """
import asyncio
import time
from pathlib import Path


async def greet(name: str) -> str:
    print(f"Hello, {name}, from {type(asyncio.get_running_loop()).__module__}!")
    return name.upper()


async def waits_for(file: str) -> str:
    print("it waits")
    while not Path(file).exists():
        await asyncio.sleep(0.005)
    return "it came"


async def stubborn() -> None:
    print("it stays")
    while True:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            print("it was asked to go")


async def blocks() -> None:
    print("it blocks")
    time.sleep(60)


def plain(seconds: float) -> None:
    print("it sleeps")
    time.sleep(seconds)


collection = [greet, waits_for, stubborn, blocks, plain]
"""


def run(*arguments: str) -> Result:
    """Runs a command that ends by itself."""
    return CliRunner().invoke(main, arguments, prog_name="shadows")


def output_of(*arguments: str) -> str:
    """What a command that succeeds prints."""
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    return result.output


class Command(Process):
    """A command, started and not waited for; its output stays after the block."""

    def __init__(self, *arguments: str | Path, **environment: str) -> None:
        self._said: str | None = None
        super().__init__("-m", *arguments, environment={"SHADOWS_WORKER_LOGGING_FORMAT": "plain"} | environment)

    def __exit__(self, *error: object) -> None:
        self._said = super().output
        super().__exit__(*error)

    @property
    def output(self) -> str:
        return super().output if self._said is None else self._said

    def says(self, words: str) -> None:
        """Waits until its output has these words."""
        wait_for(lambda: words in self.output or self.process.poll() is not None, f"it says {words!r}")
        assert words in self.output, f"it ended with {self.process.returncode}:\n{self.output}"


class Worker(Command):
    """`shadows worker`."""

    def __init__(self, *arguments: str | Path, **environment: str) -> None:
        super().__init__("shadowsd.commands.shadows", "worker", *arguments, **environment)


class Daemon(Command):
    """`shadowsd`, with a control socket in a directory of the test; its tasks are there, too."""

    def __init__(self, directory: Path, *arguments: str | Path, **environment: str) -> None:
        self.control = directory / "control.sock"
        places = {"SHADOWSD_CONTROL": str(self.control), "SHADOWSD_APP_DIR": str(directory), "SHADOWSD_NAME": "node"}
        super().__init__("shadowsd.commands.shadowsd", *arguments, **places | environment)


def task_file(directory: Path, source: str = TASKS, name: str = "chores") -> str:
    """Writes a module of tasks; the options that make a worker run it."""
    (directory / f"{name}.py").write_text(source)
    return name
