"""The numbers of one daemon, or of one worker, for Prometheus: one registry, owned by one loop or thread.

Counters only rise, whatever dies: what a worker counted is added up here, and its process is no label. Labels are
functions (a limited number of them), outcomes, causes and slots; never a key, a pid or a worker's name.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from shadows import __version__

from .depths import Reading
from .function_text import function_text
from .tally import Delta, FunctionCounts, Names

type Labels = tuple[str, ...]

OPENMETRICS: Final = "application/openmetrics-text"
# What ends a text in that format, and may stand nowhere else.
END: Final = "# EOF\n"

# Name, labels, and what it tells, of those that are not by function.
COUNTERS: Final[dict[str, tuple[Labels, str]]] = {
    "shadows_redeliveries_total": ((), "Runs of tasks that a worker had been handed before."),
    "shadows_parked_total": ((), "Entries that were set aside for a worker that knows their function."),
    "shadows_quarantined_total": ((), "Executions that were put into the quarantine from here."),
    "shadows_reclaims_total": ((), "Workers found dead whose tasks were taken over from here."),
    "shadows_reclaimed_tasks_total": ((), "Tasks that were taken over from dead workers."),
    "shadows_fenced_outcomes_total": ((), "Outcomes that were refused because the worker had lost the task."),
    "shadows_redis_outages_total": (("slot",), "Times that Redis could not be used, as a slot saw it."),
    "shadows_worker_restarts_total": (("slot", "cause"), "Worker processes that were replaced, by what ended them."),
    "shadows_hangs_total": (("slot", "kind"), "Workers that did not answer, by what they hung in."),
    "shadows_reloads_total": (("outcome",), "Reloads of the code, by how they ended."),
    "shadows_log_lines_dropped_total": ((), "Log lines that standard error did not take in time."),
}


@dataclass(frozen=True, slots=True)
class SlotGauges:
    """How one slot is at this moment; None where it can't be known."""

    slots: int
    slots_busy: int
    longest_running_seconds: float
    loop_lag_seconds: float
    private_memory_bytes: int | None = None


SLOT_GAUGES: Final[dict[str, str]] = {
    "slots": "Tasks that may run at a time.",
    "slots_busy": "Tasks that run now.",
    "longest_running_seconds": "How long the task that has run the longest runs already.",
    "loop_lag_seconds": "By how much the event loop was late at worst, since it was last asked.",
    "private_memory_bytes": "Memory that belongs to this process alone.",
}

DEPTHS: Final[dict[str, str]] = {
    "queue_depth": "Executions that wait for a free worker, in the whole shadow.",
    "schedule_depth": "Executions that are scheduled for later, in the whole shadow.",
    "oldest_waiting_seconds": "How long the execution at the head of the queue waits already.",
    "waiting_at_limits": "Executions that wait at a limit, such as a ConcurrencyLimit, and for no worker.",
    "parked_size": "Executions that wait for a worker that knows their function.",
    "quarantine_size": "Executions in the quarantine.",
}


class Metrics(Collector):
    """Adds up deltas, and holds gauges until they are set anew."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry(auto_describe=False)
        self.registry.register(self)
        self._names = Names()
        self._functions: dict[str, FunctionCounts] = {}
        self._counters: dict[str, dict[Labels, float]] = {name: {} for name in COUNTERS}
        for name, (labels, _) in COUNTERS.items():
            if not labels:
                self._count(name, (), 0)
        self._gauges: dict[str, SlotGauges] = {}
        self._redis: Reading | None = None

    def add(self, slot: str, delta: Delta) -> None:
        """Adds what the worker in a slot counted."""
        for function, counts in delta.functions.items():
            self._functions.setdefault(self._names.label(function), FunctionCounts.new()).add(counts)
        self._count("shadows_redeliveries_total", (), delta.redelivered)
        self._count("shadows_parked_total", (), delta.parked)
        self._count("shadows_quarantined_total", (), delta.quarantined)
        self._count("shadows_reclaims_total", (), delta.reclaims)
        self._count("shadows_reclaimed_tasks_total", (), delta.reclaimed_tasks)
        self._count("shadows_fenced_outcomes_total", (), delta.fenced_outcomes)
        self._count("shadows_redis_outages_total", (slot,), delta.redis_outages)
        self.log_lines_dropped(delta.log_lines_dropped)

    def reclaimed(self, taken: int, quarantined: int) -> None:
        """A dead worker's tasks were taken over by the daemon itself."""
        self._count("shadows_reclaims_total", ())
        self._count("shadows_reclaimed_tasks_total", (), taken)
        self._count("shadows_quarantined_total", (), quarantined)

    def worker_restarted(self, slot: str, cause: str) -> None:
        """The process in a slot was replaced."""
        self._count("shadows_worker_restarts_total", (slot, cause))

    def hang(self, slot: str, kind: str) -> None:
        """The process in a slot did not answer."""
        self._count("shadows_hangs_total", (slot, kind))

    def reload(self, outcome: str) -> None:
        """A reload of the code ended."""
        self._count("shadows_reloads_total", (outcome,))

    def log_lines_dropped(self, count: int) -> None:
        """More lines of the log were lost."""
        self._count("shadows_log_lines_dropped_total", (), count)

    def observe_slot(self, slot: str, gauges: SlotGauges) -> None:
        """Sets what a slot shows until it is set again, or forgotten."""
        self._gauges[slot] = gauges
        self._count("shadows_redis_outages_total", (slot,), 0)

    def forget_slot(self, slot: str) -> None:
        """The slot is gone, as after `scale`; what it counted stays."""
        self._gauges.pop(slot, None)

    def observe_redis(self, reading: Reading) -> None:
        """Sets what was read from Redis. What could not be read is not shown: old numbers would be lies."""
        self._redis = reading

    def _count(self, name: str, labels: Labels, more: float = 1) -> None:
        counts = self._counters[name]
        counts[labels] = counts.get(labels, 0) + more

    def text(self, accept: str) -> tuple[str, bytes]:
        """The content type and the text that a scraper with this Accept header wants."""
        try:
            encode, content_type = choose_encoder(accept)
        except (TypeError, ValueError):
            # It compares versions before it knows that they are some; such a header comes from no scraper.
            encode, content_type = choose_encoder("")
        openmetrics = content_type.startswith(OPENMETRICS)
        others = encode(self.registry).decode().removesuffix(END)
        functions = function_text(self._functions, openmetrics=openmetrics)
        return content_type, "".join([others, *functions, END if openmetrics else ""]).encode()

    def collect(self) -> Iterator[Metric]:
        """All families but those by function, also without numbers: so that they are known before something happens."""
        build = GaugeMetricFamily("shadows_build_info", "The release that runs.", labels=["version"])
        build.add_metric([__version__], 1)
        yield build
        for name, (labels, told) in COUNTERS.items():
            family = CounterMetricFamily(name, told, labels=labels)
            for values, count in self._counters[name].items():
                family.add_metric(values, count)
            yield family
        yield from self._slot_families()
        yield from self._redis_families()

    def _slot_families(self) -> Iterator[Metric]:
        for field in fields(SlotGauges):
            family = GaugeMetricFamily(f"shadows_{field.name}", SLOT_GAUGES[field.name], labels=["slot"])
            for slot, gauges in self._gauges.items():
                value = getattr(gauges, field.name)
                if value is not None:
                    family.add_metric([slot], value)
            yield family

    def _redis_families(self) -> Iterator[Metric]:
        up = GaugeMetricFamily("shadows_redis_up", "Whether Redis answered the last time it was asked.")
        if self._redis is not None:
            up.add_metric([], self._redis.up)
        yield up
        for name, told in DEPTHS.items():
            family = GaugeMetricFamily(f"shadows_{name}", told)
            if self._redis is not None and self._redis.depths is not None:
                family.add_metric([], getattr(self._redis.depths, name))
            yield family
