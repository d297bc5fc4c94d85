"""Compares a shadow with its model: executions, their outcomes, what ran, and what is counted."""

from datetime import timedelta

from shadows import Execution, ExecutionCancelled, QuarantinedTask, Shadow
from shadows.errors import ResultNotKept
from tests.properties.model import KEYS, Model
from tests.recorded import Journal


async def compare(shadow: Shadow, model: Model, journal: Journal) -> None:
    """Everything that can be asked for is as the model says."""
    await compare_snapshot(shadow, model)
    assert journal.count("start") == +model.starts
    for label, count in journal.count("end").items():
        assert count == model.ends[label] or model.stopped[label] >= count, label
    assert not model.ends - journal.count("end")
    for key in KEYS:
        await compare_key(shadow, model, key)


async def compare_snapshot(shadow: Shadow, model: Model) -> None:
    snapshot = await shadow.snapshot()
    jobs = model.jobs.values()
    for state, rows in (("scheduled", snapshot.scheduled), ("queued", snapshot.queued)):
        assert sorted(row.key for row in rows) == sorted(job.key for job in jobs if job.state == state)
    assert (snapshot.running, snapshot.total) == ([], sum(job.live for job in jobs))
    assert snapshot.quarantined_count == len(model.quarantined)


async def compare_key(shadow: Shadow, model: Model, key: str) -> None:
    job, kept = model.jobs.get(key), model.kept.get(key)
    found = await shadow.get_execution(key)
    if job is None:
        assert found is None
        return
    assert found is not None
    assert (found.state, found.function_name) == (job.state, job.kind)
    if job.live:
        assert (found.args[1], found.attempt) == (job.label, job.attempt)
        assert await outcome_of(job.execution or found) == ("pending",)
    if kept is not None and kept.execution is not None:
        assert await outcome_of(kept.execution) == kept.outcome


async def outcome_of(execution: Execution) -> tuple[str, ...]:
    try:
        return ("result", await execution.get_result(timeout=timedelta(0)))
    except ExecutionCancelled as error:
        return ("cancelled", error.reason)
    except QuarantinedTask:
        return ("quarantined",)
    except ValueError as error:
        return ("error", str(error))
    except ResultNotKept:
        return ("gone",)
    except TimeoutError:
        return ("pending",)
