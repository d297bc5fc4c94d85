"""Counts the words of all Markdown and text files below a directory, one background task a file.

1. It starts a Redis of its own in a temporary directory (`embedded://`), and a worker in this process.
2. Each file becomes a task. Every fourth is scheduled for half a second later; the largest fails once, on
   purpose, and is retried.
3. It prints each count as it comes in, then the words that were used most, and ends.

Run it with: python docs/examples/count_words.py docs
"""

import asyncio
import re
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from time import perf_counter

from shadows import Execution, ExecutionState, Retry, Shadow, TaskCall, Worker

LATER = timedelta(milliseconds=500)
LIMIT = timedelta(minutes=1)
BAR = 24


@dataclass
class Count:
    """What a task finds in one file. The caller gets it back as this class, because the task says so."""

    words: int
    frequent: dict[str, int]


def count_words(
    path: str, stumbles: bool = False, retry: Retry = Retry(attempts=3, delay=timedelta(milliseconds=200))
) -> Count:
    """A plain `def` runs in a thread of the worker, so reading a file holds nothing else up."""
    if stumbles and retry.attempt == 1:
        raise OSError(f"{path} could not be read (on purpose)")
    words = re.findall(r"[^\W\d_]+", Path(path).read_text(errors="replace").lower())
    frequent = Counter(word for word in words if len(word) > 4).most_common(200)
    return Count(len(words), dict(frequent))


def calls_for(shadows: Shadow, files: list[Path]) -> list[TaskCall]:
    """One call a file. Its key is the path, so a file that waits to be counted can't be added twice."""
    largest = max(files, key=lambda file: file.stat().st_size)
    calls = []
    for number, file in enumerate(files, start=1):
        call = shadows.call(count_words, when=LATER if number % 4 == 0 else None, key=str(file))
        calls.append(call(str(file), stumbles=file == largest))
    return calls


async def line_of(execution: Execution, directory: Path, total: Counter[str]) -> str:
    """Waits for one count, adds it to the total, and tells of it."""
    was_scheduled = execution.state is ExecutionState.SCHEDULED
    count: Count = await execution.get_result(timeout=LIMIT)
    total.update(count.frequent)
    notes = ""
    if execution.attempt > 1:
        notes = f"   <- failed on purpose, attempt {execution.attempt} made it"
    elif was_scheduled and execution.started_at and execution.when:
        late = (execution.started_at - execution.when) / timedelta(milliseconds=1)
        notes = f"   <- scheduled, began {late:.0f} ms after its time"
    return f"{count.words:7,} words  {Path(execution.key).relative_to(directory)}{notes}"


def bar(share: float) -> str:
    """A bar that is filled to a share from 0 to 1."""
    return "█" * round(BAR * share) + "░" * (BAR - round(BAR * share))


def show_most_used(total: Counter[str]) -> None:
    """The ten words that were used most; short ones say little and were not counted."""
    print("\nThe words used most:")
    most = total.most_common(10)
    for word, times in most:
        print(f"  {word:>14}  {bar(times / most[0][1])} {times}")


async def count_directory(directory: Path, files: list[Path]) -> None:
    """Adds all, runs all, and prints what comes back."""
    total: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(prefix="shadows-") as data:
        async with Shadow("count-words", url=f"embedded://{data}") as shadows, Worker(shadows) as worker:
            began = perf_counter()
            executions = await shadows.add_many(calls_for(shadows, files))
            added = perf_counter() - began
            running = asyncio.create_task(worker.run_until_finished())
            waiting = [line_of(execution, directory, total) for execution in executions]
            for done, line in enumerate(asyncio.as_completed(waiting), start=1):
                print(f"{bar(done / len(files))} {await line}")
            await running
            took = perf_counter() - began
    show_most_used(total)
    print(
        f"\nTasks: {len(files)}, added in {added * 1000:.0f} ms, done in {took:.2f} s with the waiting.\n"
        "The worker has left and the Redis is gone. With Shadow(url='redis://...') and `shadows worker`,\n"
        "the same task runs on any machine."
    )


def main() -> None:
    """Reads the command line."""
    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]  # a terminal may have no blocks to draw with
    directory = Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve()
    files = sorted(file for file in directory.rglob("*") if file.suffix in (".md", ".txt") and file.is_file())
    if not files:
        sys.exit(f"{directory} holds no .md or .txt file. Name one that does: count_words.py DIRECTORY")
    print(f"Files below {directory}: {len(files)}, one task each.\n")
    asyncio.run(count_directory(directory, files))


if __name__ == "__main__":
    main()
