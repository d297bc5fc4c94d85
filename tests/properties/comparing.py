"""Compares a shadow with its model: executions, their outcomes, what ran, and what is counted."""

from datetime import timedelta

from shadows import Execution, ExecutionCancelled, QuarantinedTask, Shadow
from shadows.errors import ResultNotKept
from tests.properties.model import KEYS, Job, Model
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
    states = {"scheduled": snapshot.scheduled, "queued": snapshot.queued, "running": snapshot.running}
    for state, rows in states.items():
        assert sorted(row.key for row in rows) == sorted(job.key for job in jobs if shown(job) == state)
    assert snapshot.total == sum(job.live for job in jobs)
    assert snapshot.quarantined_count == len(model.quarantined)


def shown(job: Job) -> str:
    """What a dead worker holds runs, for all that anybody sees."""
    return "running" if job.held else job.state


async def compare_key(shadow: Shadow, model: Model, key: str) -> None:
    job, kept = model.jobs.get(key), model.kept.get(key)
    found = await shadow.get_execution(key)
    if job is None:
        assert found is None
        return
    assert found is not None
    assert (found.state, found.function_name) == (shown(job), job.kind)
    async with shadow.redis() as redis:
        counted = await redis.hmget(shadow.keys.record(key), "d", "l")
    assert [int(count or 0) for count in counted] == [job.deaths, job.losses]
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
