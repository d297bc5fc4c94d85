"""The numbers of each function are written as the library of Prometheus would write them, in a fraction of its time."""

import time
from collections.abc import Callable, Iterable
from itertools import accumulate

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import generate_latest as write_text
from prometheus_client.openmetrics.exposition import generate_latest as write_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text

from shadowsd.observe.function_text import DURATION, PUNCTUALITY, TASKS, function_text
from shadowsd.observe.tally import DURATION_BOUNDS, MOST_FUNCTIONS, PUNCTUALITY_BOUNDS, FunctionCounts, Histogram

HOSTILE = ["app.tasks.greet", "", 'quote"d', "back\\slash", "two\nlines", "100 %d %s {x}", "größe", 'all\\"\n\\n']
OPENMETRICS_END = "# EOF\n"

type Functions = dict[str, FunctionCounts]


def functions_of(names: Iterable[str]) -> Functions:
    """Counts of each, all of them different."""
    return {
        name: FunctionCounts(
            {"completed": number + 10**7, "handed back": number},
            Histogram([number + place for place, _ in enumerate((*DURATION_BOUNDS, 0.0))], number / 7),
            Histogram([number * place for place, _ in enumerate((*PUNCTUALITY_BOUNDS, 0.0))], 1e-7),
        )
        for number, name in enumerate(names)
    }


class Library:
    """The same counts, given to the library."""

    def __init__(self, functions: Functions) -> None:
        self._functions = functions
        self.registry = CollectorRegistry(auto_describe=False)
        self.registry.register(self)  # type: ignore[arg-type] # it asks for nothing but `collect`

    def collect(self) -> Iterable[Metric]:
        tasks = CounterMetricFamily(*TASKS, labels=["function", "outcome"])
        for name, counts in self._functions.items():
            for outcome, count in counts.outcomes.items():
                tasks.add_metric([name, outcome.replace(" ", "_")], count)
        yield tasks
        yield self._histogram(DURATION, DURATION_BOUNDS, lambda counts: counts.duration)
        yield self._histogram(PUNCTUALITY, PUNCTUALITY_BOUNDS, lambda counts: counts.punctuality)

    def _histogram(
        self, named: tuple[str, str], bounds: tuple[float, ...], of: Callable[[FunctionCounts], Histogram]
    ) -> Metric:
        family = HistogramMetricFamily(*named, labels=["function"])
        edges = [*map(str, bounds), "+Inf"]
        for name, counts in self._functions.items():
            buckets = list(zip(edges, accumulate(of(counts).counts), strict=True))
            family.add_metric([name], buckets, of(counts).total)
        return family


@pytest.mark.parametrize("names", [[], HOSTILE], ids=["none", "hostile"])
@pytest.mark.parametrize("openmetrics", [False, True])
def test_a_scraper_reads_what_the_library_would_have_written(names: list[str], openmetrics: bool) -> None:
    functions = functions_of(names)
    read, write = (read_openmetrics, write_openmetrics) if openmetrics else (read_text, write_text)
    text = "".join(function_text(functions, openmetrics=openmetrics)) + (OPENMETRICS_END if openmetrics else "")
    assert list(read(text)) == list(read(write(Library(functions).registry).decode()))


def test_as_many_functions_as_there_may_be_hold_up_nobody_for_long() -> None:
    """A master serves its metrics from the loop that sees deaths and answers probes: the library would hold that up
    for a third of a second at each scrape."""
    functions = functions_of(f"app.tasks.function_{number}" for number in range(MOST_FUNCTIONS))
    library = Library(functions).registry
    ours = min(cost(lambda: "".join(function_text(functions, openmetrics=True)).encode()) for _ in range(3))
    theirs = min(cost(lambda: write_openmetrics(library)) for _ in range(3))
    assert ours < theirs / 5


def cost(call: Callable[[], object]) -> float:
    """How long this thread takes for it, whatever else the machine does."""
    began = time.thread_time()
    call()
    return time.thread_time() - began
