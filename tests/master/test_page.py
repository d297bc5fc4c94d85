"""The page that a worker writes and its master reads, whatever became of the worker."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

import pytest

from shadowsd.master.page import Head, Page, Phase
from tests.waiting import wait_for


@pytest.fixture
def page() -> Iterator[Page]:
    page = Page.make(4)
    yield page
    page.close()


def test_a_new_page_says_that_a_worker_is_being_born_and_not_silent(page: Page) -> None:
    head = page.head
    assert head.phase is Phase.BOOTING
    assert monotonic() - head.loop_stamp < 1
    assert monotonic() - head.thread_stamp < 1
    assert (page.consumer, page.in_flight) == ("", [])


def test_what_was_written_is_read_through_another_mapping(page: Page) -> None:
    other = Page(os.dup(page.fd), 4)
    page.stamp_loop(1.0, 0.5, 7, 2, 3, Phase.READY)
    page.stamp_thread(2.0, 1 << 33)
    page.named("host-1#abc")
    page.begin("18446744073709551615", "função", "k" * 100)
    assert other.head == Head(1.0, 0.5, 7, 2, 3, Phase.READY, 2.0, 1 << 33)
    assert other.consumer == "host-1#abc"
    (task,) = other.in_flight
    assert (task.generation, task.function, task.key) == ("18446744073709551615", "função", "k" * 40)
    other.close()


def test_what_is_cut_in_the_middle_of_a_letter_can_be_read(page: Page) -> None:
    page.begin("1", "f" + "é" * 30, "\udcff")
    (task,) = page.in_flight
    assert task.function.startswith("f" + "é" * 19)


def test_rows_come_in_the_order_of_their_beginning_and_are_used_again(page: Page) -> None:
    for generation in ("5", "3", "4"):
        page.begin(generation, "f", "k")
    assert [task.generation for task in page.in_flight] == ["5", "3", "4"]
    page.end("3")
    page.end("3")
    page.begin("9", "f", "k")
    assert [task.generation for task in page.in_flight] == ["5", "4", "9"]


def test_more_tasks_than_rows_are_left_out_and_harm_nothing(page: Page) -> None:
    for generation in range(1, 9):
        page.begin(str(generation), "f", "k")
    assert [task.generation for task in page.in_flight] == ["1", "2", "3", "4"]
    for generation in range(1, 9):
        page.end(str(generation))
    assert page.in_flight == []
    page.begin("10", "f", "k")
    assert [task.generation for task in page.in_flight] == ["10"]


def test_what_a_killed_process_had_in_flight_can_be_read(page: Page, tmp_path: Path) -> None:
    """At any moment of its writing: a row that is there is true, and one that was whole is there."""
    ready = tmp_path / "ready"
    child = os.fork()
    if child == 0:
        write_for_ever(page, ready)
    wait_for(ready.exists, "it writes")
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    rows = {task.generation: (task.function, task.key) for task in page.in_flight}
    assert rows["1"] == ("steady", "k")
    assert set(rows) <= {"1", "2"}
    assert rows.get("2", ("brief", "other")) == ("brief", "other")
    assert page.consumer == "node-1#x"


def write_for_ever(page: Page, ready: Path) -> None:
    """The life of a process that is about to be killed."""
    page.named("node-1#x")
    page.begin("1", "steady", "k")
    ready.touch()
    while True:
        page.begin("2", "brief", "other")
        page.end("2")
