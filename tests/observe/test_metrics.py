"""The registry: counters that only rise, gauges that go with their slots, and names as Prometheus wants them."""

import re

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text

from shadows import __version__
from shadowsd.engine.events import BeatCame, OutageBegan
from shadowsd.observe.depths import Depths, Reading
from shadowsd.observe.metrics import Metrics, SlotGauges
from shadowsd.observe.tally import MOST_FUNCTIONS, OTHER, Delta, Tally
from tests.observe.events import ended, started

OPENMETRICS = "application/openmetrics-text; version=1.0.0"
GAUGES = SlotGauges(
    slots=10, slots_busy=3, longest_running_seconds=4.5, loop_lag_seconds=0.01, private_memory_bytes=9_000_000
)
DEPTHS = Depths(
    queue_depth=7, schedule_depth=8, oldest_waiting_seconds=1.5, parked_size=2, quarantine_size=1, waiting_at_limits=3
)

type Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def samples(metrics: Metrics) -> Samples:
    """All numbers, by name and labels, as a scraper reads them."""
    _, text = metrics.text("")
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in read_text(text.decode())
        for sample in family.samples
    }


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return samples(metrics).get((name, tuple(sorted(labels.items()))))


def counted() -> Delta:
    """Some runs of one worker."""
    tally = Tally()
    tally.observe(BeatCame(0.0, to_redis_seconds=990.0))
    for event in (started(10.2), ended("completed", 0.02), started(10.002), ended("handed back"), OutageBegan("gone")):
        tally.observe(event)
    (delta,) = tally.take()
    return delta


def filled() -> Metrics:
    """With a number in every family."""
    metrics = Metrics()
    metrics.add("1", counted())
    metrics.observe_slot("1", GAUGES)
    metrics.observe_redis(Reading(up=True, depths=DEPTHS))
    metrics.worker_restarted("1", "SIGSEGV")
    metrics.hang("1", "loop blocked")
    metrics.reload("failed")
    return metrics


def test_runs_of_all_workers_are_added_up() -> None:
    metrics = Metrics()
    metrics.add("1", counted())
    metrics.add("2", counted())
    assert value(metrics, "shadows_tasks_total", function="job", outcome="completed") == 2
    assert value(metrics, "shadows_tasks_total", function="job", outcome="handed_back") == 2
    assert value(metrics, "shadows_task_duration_seconds_count", function="job") == 2
    assert value(metrics, "shadows_task_duration_seconds_sum", function="job") == pytest.approx(0.04)
    assert value(metrics, "shadows_task_duration_seconds_bucket", function="job", le="0.01") == 0
    assert value(metrics, "shadows_task_duration_seconds_bucket", function="job", le="0.025") == 2
    assert value(metrics, "shadows_task_duration_seconds_bucket", function="job", le="+Inf") == 2
    assert value(metrics, "shadows_task_punctuality_seconds_bucket", function="job", le="0.0025") == 2
    assert value(metrics, "shadows_task_punctuality_seconds_bucket", function="job", le="0.25") == 4
    assert value(metrics, "shadows_redis_outages_total", slot="1") == 1
    assert value(metrics, "shadows_redis_outages_total", slot="2") == 1


def test_each_number_of_a_delta_has_its_counter() -> None:
    metrics = Metrics()
    metrics.add("1", Delta({}, 1, 2, 3, 4, 5, 6, 7, 8))
    for name, count in {
        "reclaims": 1, "reclaimed_tasks": 2, "fenced_outcomes": 3, "quarantined": 4, "parked": 5, "redeliveries": 6,
        "log_lines_dropped": 8,
    }.items():  # fmt: skip
        assert value(metrics, f"shadows_{name}_total") == count
    assert value(metrics, "shadows_redis_outages_total", slot="1") == 7


def test_what_the_master_does_is_counted_beside_it() -> None:
    metrics = Metrics()
    for _ in range(2):
        metrics.worker_restarted("3", "SIGKILL")
        metrics.hang("3", "stopped")
        metrics.reload("done")
        metrics.reclaimed(taken=32, quarantined=1)
        metrics.log_lines_dropped(5)
    assert value(metrics, "shadows_worker_restarts_total", slot="3", cause="SIGKILL") == 2
    assert value(metrics, "shadows_hangs_total", slot="3", kind="stopped") == 2
    assert value(metrics, "shadows_reloads_total", outcome="done") == 2
    assert value(metrics, "shadows_reclaims_total") == 2
    assert value(metrics, "shadows_reclaimed_tasks_total") == 64
    assert value(metrics, "shadows_quarantined_total") == 2
    assert value(metrics, "shadows_log_lines_dropped_total") == 10


def test_the_gauges_of_a_slot_go_with_it_and_its_counters_stay() -> None:
    """After `scale` down its last numbers would be lies, and a counter that goes back is a reset to Prometheus."""
    metrics = filled()
    assert value(metrics, "shadows_slots", slot="1") == 10
    assert value(metrics, "shadows_slots_busy", slot="1") == 3
    assert value(metrics, "shadows_longest_running_seconds", slot="1") == 4.5
    assert value(metrics, "shadows_loop_lag_seconds", slot="1") == 0.01
    assert value(metrics, "shadows_private_memory_bytes", slot="1") == 9_000_000
    metrics.forget_slot("1")
    metrics.forget_slot("never there")
    left = [name for name, labels in samples(metrics) if ("slot", "1") in labels]
    assert sorted(left) == ["shadows_hangs_total", "shadows_redis_outages_total", "shadows_worker_restarts_total"]


def test_a_slot_has_its_counter_of_outages_before_the_first(metrics: Metrics) -> None:
    """`increase` sees nothing in a series that begins with 1."""
    metrics.observe_slot("1", GAUGES)
    assert value(metrics, "shadows_redis_outages_total", slot="1") == 0


def test_memory_that_can_not_be_known_is_not_shown(metrics: Metrics) -> None:
    metrics.observe_slot("1", SlotGauges(1, 0, 0.0, 0.0))
    assert value(metrics, "shadows_private_memory_bytes", slot="1") is None


def test_what_can_not_be_read_from_redis_is_not_shown(metrics: Metrics) -> None:
    """The numbers of before the outage would be lies."""
    names = [f"shadows_{name}" for name in DEPTHS._fields]
    assert value(metrics, "shadows_redis_up") is None
    metrics.observe_redis(Reading(up=True, depths=DEPTHS))
    assert [value(metrics, name) for name in ("shadows_redis_up", *names)] == [1, *DEPTHS]
    metrics.observe_redis(Reading(up=False, depths=None))
    assert [value(metrics, name) for name in ("shadows_redis_up", *names)] == [0, *[None] * len(names)]


def test_counters_without_labels_begin_at_nothing(metrics: Metrics) -> None:
    """So that alerts on their increase see the first."""
    assert value(metrics, "shadows_fenced_outcomes_total") == 0
    assert value(metrics, "shadows_log_lines_dropped_total") == 0
    assert value(metrics, "shadows_build_info", version=__version__) == 1


def test_functions_of_all_generations_share_one_limit(metrics: Metrics) -> None:
    """Each child limits its own; a master that lives for months sees many of them."""
    for generation in range(2):
        tally = Tally()
        for n in range(MOST_FUNCTIONS - 100):
            tally.observe(ended(function=f"{generation}-{n}"))
        for delta in tally.take():
            metrics.add("1", delta)
    functions = {dict(labels)["function"] for name, labels in samples(metrics) if name == "shadows_tasks_total"}
    assert len(functions) == MOST_FUNCTIONS + 1
    assert value(metrics, "shadows_tasks_total", function=OTHER, outcome="completed") == MOST_FUNCTIONS - 200


def test_hostile_names_and_causes_are_only_text() -> None:
    metrics = Metrics()
    metrics.worker_restarted("1", 'a "cause"\nwith \\ signs')
    assert value(metrics, "shadows_worker_restarts_total", slot="1", cause='a "cause"\nwith \\ signs') == 1


def test_openmetrics_is_for_those_who_ask_for_it() -> None:
    """Prometheus does; it tells the same, with an end that shows whether it is whole."""
    metrics = filled()
    kind, text = metrics.text(f"{OPENMETRICS}, text/plain;q=0.5")
    assert kind.startswith("application/openmetrics-text")
    families = {family.name: family for family in read_openmetrics(text.decode())}
    (sample,) = families["shadows_reloads"].samples
    assert (sample.name, sample.labels, sample.value) == ("shadows_reloads_total", {"outcome": "failed"}, 1)
    assert text.endswith(b"# EOF\n")
    kind, _ = metrics.text("*/*")
    assert kind.startswith("text/plain; version=0.0.4")


@pytest.mark.parametrize("accept", ["text/plain;version=x", "application/openmetrics-text;version=;;=", ",;,=", "\xff"])
def test_whatever_a_client_accepts_it_gets_an_answer(accept: str) -> None:
    kind, text = filled().text(accept)
    assert kind
    assert b"shadows_tasks_total" in text


def test_names_follow_the_conventions_of_prometheus() -> None:
    """What `promtool check metrics` complains about."""
    families = list(filled().collect())
    assert len({family.name for family in families}) == len(families)
    for family in families:
        name = family.name + ("_total" if family.type == "counter" else "")
        assert re.fullmatch(r"shadows_[a-z_]+", name)
        assert family.documentation.endswith(".")
        assert family.samples, f"{name} is not filled by this test"
        assert (family.type == "counter") == name.endswith("_total")
        assert not re.search(r"_(count|sum|bucket|counter|gauge|histogram|ms|milliseconds|minutes|kb|mb)$", name)
        for label in {label for sample in family.samples for label in sample.labels}:
            assert label in {"function", "outcome", "slot", "cause", "kind", "version", "le"}


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()
