"""What the state machine waits for while a worker runs."""

from shadows import Shadow, Worker
from tests.waiting import wait_until


async def until_idle(shadow: Shadow, worker: Worker) -> None:
    """Whatever is due has run, and nothing of it is on its way."""

    async def is_idle() -> bool:
        if not worker.slots.idle:
            return False
        seen = await shadow.snapshot()
        due = [row for row in seen.scheduled if row.when < seen.taken]
        return worker.slots.idle and not (due or seen.queued or seen.running)

    await wait_until(is_idle, "nothing is left that is due", 20)


async def until_promoted(shadow: Shadow) -> None:
    """Whatever is due is ready."""

    async def are_promoted() -> bool:
        seen = await shadow.snapshot()
        return not [row for row in seen.scheduled if row.when < seen.taken]

    await wait_until(are_promoted, "what is due is in the stream")
