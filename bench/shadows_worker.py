"""`python -m bench.shadows_worker URL COUNT CLOCK`: a worker of shadows in a process of its own."""

from shadows import Shadow, Worker

from .benchmark import CONCURRENCY
from .child import run_child, work_until_released
from .project import NAME
from .tasks import Stamps


async def serve(url: str, stamps: Stamps) -> None:
    """Runs `stamp`, and nothing else."""
    async with Shadow(name=NAME, url=url) as shadow:
        shadow.register(stamps.stamp)
        async with Worker(shadow, concurrency=CONCURRENCY) as worker:
            await work_until_released(worker.run_forever(), stamps)


if __name__ == "__main__":
    run_child(serve)
