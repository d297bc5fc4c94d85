"""Threads for plain functions: few, used again, and never in the way of the process's end."""

import asyncio
import threading
from contextvars import ContextVar
from pathlib import Path

import pytest

from shadowsd.engine.threads import Threads, deliver
from tests.processes import run_script, write_script
from tests.waiting import wait_until


async def test_a_thread_is_used_again() -> None:
    """One after the other needs one thread."""
    threads = Threads(5)
    names = {await threads.run(lambda: threading.current_thread().name) for _ in range(5)}
    assert len(names) == 1
    threads.close()


async def test_there_are_never_more_threads_than_allowed() -> None:
    """What is too much waits for one that becomes free."""
    threads, may_end, running = Threads(2), threading.Event(), []

    def block() -> int:
        running.append(threading.current_thread().name)
        may_end.wait(10)
        return len(running)

    jobs = [asyncio.ensure_future(threads.run(block)) for _ in range(4)]
    await wait_until(lambda: len(running) == 2, "two run")
    assert threads._count == 2
    may_end.set()
    await asyncio.gather(*jobs)
    assert (len(running), len(set(running))) == (4, 2)
    threads.close()


async def test_closing_lets_idle_threads_end() -> None:
    """A worker that stopped leaves nothing behind."""
    threads = Threads(3)
    seen: list[threading.Thread] = []
    await asyncio.gather(*[threads.run(lambda: seen.append(threading.current_thread())) for _ in range(3)])
    threads.close()
    await wait_until(lambda: not any(thread.is_alive() for thread in seen), "the threads ended")


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(3), KeyboardInterrupt()])
async def test_whatever_a_function_raises_is_raised_to_the_caller(error: BaseException) -> None:
    """And its thread lives on."""
    threads = Threads(1)

    def fails() -> None:
        raise error

    with pytest.raises(type(error)):
        await threads.run(fails)
    assert await threads.run(lambda: "alive") == "alive"
    threads.close()


async def test_a_stop_iteration_becomes_an_error_that_a_future_can_hold() -> None:
    """asyncio refuses that one class, and whoever waits would wait for ever."""
    threads = Threads(1)
    with pytest.raises(RuntimeError, match=r"the task raised StopIteration\(5\)"):
        await threads.run(raise_stop_iteration)
    threads.close()


def raise_stop_iteration() -> None:
    raise StopIteration(5)


async def test_a_result_that_nobody_waits_for_any_more_is_dropped() -> None:
    """The run was cancelled meanwhile."""
    future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    future.cancel()
    deliver(future, 1, None)
    assert future.cancelled()


value: ContextVar[str] = ContextVar("value")


async def test_a_function_sees_the_context_of_its_caller_and_leaves_nothing_in_it() -> None:
    """Tracing and the like travel by it."""
    threads = Threads(1)
    value.set("callers")

    def look() -> str:
        seen = value.get()
        value.set("threads")
        return seen

    assert await threads.run(look) == "callers"
    assert await threads.run(look) == "callers"
    assert value.get() == "callers"
    threads.close()


async def test_a_thread_whose_loop_was_closed_ends() -> None:
    """Nobody is there to take its result."""
    may_end, threads = threading.Event(), Threads(1)
    seen: list[threading.Thread] = []

    def block() -> None:
        seen.append(threading.current_thread())
        may_end.wait(10)

    def run_and_leave() -> None:
        async def main() -> None:
            job = asyncio.ensure_future(threads.run(block))
            await wait_until(lambda: seen, "it runs")
            job.cancel()

        asyncio.run(main())

    await asyncio.to_thread(run_and_leave)
    may_end.set()
    await wait_until(lambda: not seen[0].is_alive(), "the thread ended")


def test_a_function_that_never_ends_does_not_keep_its_process_alive(tmp_path: Path) -> None:
    """The standard library's pool would wait for it at exit."""
    source = """
import asyncio, threading
from shadowsd.engine.threads import Threads

async def main():
    threads, started = Threads(1), threading.Event()
    job = asyncio.ensure_future(threads.run(lambda: (started.set(), threading.Event().wait())))
    await asyncio.to_thread(started.wait)
    job.cancel()
    print("ends")

asyncio.run(main())
"""
    assert run_script(write_script(tmp_path, "never", source)) == "ends\n"
