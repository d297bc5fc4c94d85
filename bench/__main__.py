"""`python -m bench NAME ...`: measures shadows beside a bare redis-py loop, on private Redis servers."""

import argparse
import platform
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import uvloop

from shadows.errors import ShadowsError
from shadows.redis_server import version_of
from shadows.testing import server_program

from . import cost, daemon, dependencies, drain, enqueue, flat, idle, latency, lateness, limits, memory
from .benchmark import Benchmark, Size
from .report import load, say, table

BENCHMARKS: dict[str, Benchmark] = {
    module.__name__.rpartition(".")[2]: module.BENCHMARK
    for module in (enqueue, drain, latency, lateness, cost, idle, memory, dependencies, flat, limits, daemon)
}

MISSED, UNUSABLE = 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the named benchmarks one after the other; the exit code."""
    options = parser().parse_args(arguments)
    missed: list[str] = []
    try:
        for name in options.name:
            missed += run(name, options)
    except ShadowsError as error:
        say(str(error))
        return UNUSABLE
    if missed:
        say(f"Missed: {'; '.join(missed)}.")
    return MISSED if missed and options.check else 0


def parser() -> argparse.ArgumentParser:
    """The command line."""
    lines = [f"  {name:<10}{benchmark.purpose}" for name, benchmark in BENCHMARKS.items()]
    parser = argparse.ArgumentParser(
        "python -m bench",
        description=__doc__,
        epilog="benchmarks:\n" + "\n".join(lines),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", nargs="+", choices=BENCHMARKS, metavar="NAME", help="see below")
    parser.add_argument("--redis", type=program, metavar="PATH", help="the redis-server program to measure on")
    parser.add_argument("--tasks", type=positive(int), metavar="N", help="how many tasks in each round")
    parser.add_argument("--rounds", type=positive(int), metavar="N", help="how many rounds of each side")
    parser.add_argument("--seconds", type=positive(float), metavar="S", help="how long `idle` watches")
    parser.add_argument("--check", action="store_true", help="exit with 1 when a target is missed")
    return parser


def program(text: str) -> Path:
    """Reads the path of a server program."""
    if not Path(text).is_file():
        raise argparse.ArgumentTypeError(f"there is no file {text}; expected a redis-server program")
    return Path(text)


def positive[Number: (int, float)](kind: type[Number]) -> Callable[[str], Number]:
    """Reads a number above zero."""

    def read(text: str) -> Number:
        number = kind(text)
        if number <= 0:
            raise argparse.ArgumentTypeError(f"{text} is not above zero")
        return number

    read.__name__ = kind.__name__  # argparse names the type by it
    return read


def run(name: str, options: argparse.Namespace) -> list[str]:
    """One benchmark with its report; the names of the figures that missed their targets."""
    benchmark = BENCHMARKS[name]
    size = sized(benchmark.size, options)
    numbers = [f"{size.tasks} tasks" if size.tasks else "", f"{size.seconds:g} s" if size.seconds else ""]
    say(f"{name}: {benchmark.purpose}")
    say(f"{', '.join(filter(None, numbers))}, rounds: {size.rounds}; {surroundings(size)}")
    say(f"before: {load()}")
    rows = uvloop.run(benchmark.measure(size))
    for line in table(benchmark.columns, rows):
        say(line)
    say(f"after: {load()}")
    say()
    return [f"{name}: {row.name}" for row in rows if row.missed]


def sized(size: Size, options: argparse.Namespace) -> Size:
    """The benchmark's own size, with what the command line changes of it."""
    given = {name: getattr(options, name) for name in ("tasks", "rounds", "seconds")}
    wanted = {name: value for name, value in given.items() if value is not None and getattr(size, name)}
    return replace(size, **wanted, program=options.redis or server_program())


def surroundings(size: Size) -> str:
    """What it runs on."""
    assert size.program
    return f"{version_of(size.program)}, Python {platform.python_version()}, {platform.machine()}"


if __name__ == "__main__":
    sys.exit(main())
