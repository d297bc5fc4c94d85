"""What the demo prints: one line for each thing that happens, with colours at a terminal only."""

import os
import sys
from collections.abc import Callable
from time import monotonic

from rich.console import Console
from rich.text import Text

STYLES = {"demo": "bold", "shadowsd": "cyan", "warning": "yellow", "task": "green"}
# Columns for words, however narrow the terminal is.
NARROWEST = 20


class Pipe(Console):
    """Standard output. When nobody reads it any more, as behind `| head`, rich would end the process at once, wherever
    it is, and leave a Redis behind: whoever asked to be told ends the demo in order."""

    def __init__(self) -> None:
        super().__init__(highlight=False)
        self.on_closed: Callable[[], object] = lambda: None

    def on_broken_pipe(self) -> None:
        """Called by rich; from now on nothing is printed."""
        self.quiet = True
        # The interpreter flushes it once more, at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        self.on_closed()


class Teller:
    """Prints, and knows how long the demo has run."""

    def __init__(self) -> None:
        self._console = Pipe()
        self._began = monotonic()

    def when_nobody_reads(self, then: Callable[[], object]) -> None:
        """Calls this as soon as what is printed goes nowhere."""
        self._console.on_closed = then

    @property
    def seconds(self) -> float:
        """Since the demo began."""
        return monotonic() - self._began

    def say(self, who: str, words: str, style: str = "") -> None:
        """One line of who says it, the demo, the daemon or a task."""
        # Appended: a style of the whole line would be that of its words, too.
        line = Text().append(f"{self.seconds:5.1f} s  ", style="dim")
        line.append(f"{who:<9} ", style=STYLES.get(style or who, STYLES["task"]))
        said = Text(words, style=STYLES["warning"] if style == "warning" else "")
        if self._console.is_terminal:
            indent = line.cell_len
            rows = said.wrap(self._console, max(NARROWEST, self._console.width - indent))
            said = Text("\n" + " " * indent).join(rows)
        line.append_text(said)
        self._print(line)

    def plain(self, words: str = "", style: str = "") -> None:
        """Whatever stands outside of time."""
        self._print(Text(words, style=style))

    def heading(self, title: str, code: str = "") -> None:
        """A new part, and what one would write to have it."""
        self.plain()
        self.plain(title, "bold underline")
        for line in code.strip().splitlines():
            self.plain(f"           {line}", "dim")

    def _print(self, line: Text) -> None:
        # Not wrapped: lines that go to a file or a pipe must stay lines.
        self._console.print(line, soft_wrap=True)
