"""Figures as people read them: both sides, the ratio of their medians, and what it should be."""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal

NAME_WIDTH, FIGURES_WIDTH, RATIO_WIDTH = 40, 31, 8


@dataclass(frozen=True)
class Target:
    """A limit for the ratio of medians, for the second side's median alone, or for the difference of both."""

    of: Literal["ratio", "median", "difference"]
    limit: float
    at_least: bool = False

    def __str__(self) -> str:
        subject = {"ratio": "ratio ", "median": "", "difference": "difference "}[self.of]
        return f"{subject}{'>=' if self.at_least else '<='} {self.limit:g}"


@dataclass(frozen=True)
class Row:
    """One figure in every round, of the reference and of what is measured against it."""

    name: str
    reference: Sequence[float]
    measured: Sequence[float]
    target: Target | None = None

    @property
    def ratio(self) -> float | None:
        """None when the reference is nothing."""
        reference = median(self.reference) if self.reference else 0.0
        return median(self.measured) / reference if reference else None

    @property
    def missed(self) -> bool:
        """Whether the target is not reached; a ratio to nothing reaches none."""
        if self.target is None:
            return False
        measured = median(self.measured)
        reference = median(self.reference) if self.reference else 0.0
        judged = {"ratio": self.ratio, "median": measured, "difference": measured - reference}
        value = judged[self.target.of]
        if value is None:
            return True
        return value < self.target.limit if self.target.at_least else value > self.target.limit


def say(line: str = "") -> None:
    """Print a line at once: some benchmarks take minutes."""
    sys.stdout.write(line.rstrip() + "\n")
    sys.stdout.flush()


def load() -> str:
    """How busy this machine is, which says how much the figures are worth."""
    averages = " ".join(f"{average:.2f}" for average in os.getloadavg())
    return f"load average {averages}, {os.cpu_count()} CPUs"


def table(columns: tuple[str, str], rows: Sequence[Row]) -> list[str]:
    """The rows as lines of text, each figure as min / median / max over the rounds."""
    head = line("min / median / max", *columns, "ratio", "target")
    return [head, "-" * len(head), *[row_line(row) for row in rows]]


def row_line(row: Row) -> str:
    """One row as text."""
    verdict = ""
    if row.target is not None:
        verdict = f"{row.target}: {'MISSED' if row.missed else 'ok'}"
    ratio = "-" if row.ratio is None else f"{row.ratio:.2f}"
    return line(row.name, spread(row.reference), spread(row.measured), ratio, verdict)


def line(name: str, first: str, second: str, ratio: str, target: str) -> str:
    """One line of the table."""
    columns = f"{first:>{FIGURES_WIDTH}}{second:>{FIGURES_WIDTH}}"
    return f"{name:<{NAME_WIDTH}}{columns}{ratio:>{RATIO_WIDTH}}  {target}".rstrip()


def spread(figures: Sequence[float]) -> str:
    """The least, the median, and the most."""
    if not figures:
        return "-"
    return " / ".join(figure(each) for each in (min(figures), median(figures), max(figures)))


def figure(value: float) -> str:
    """Three digits that count."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
