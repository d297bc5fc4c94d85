"""`python -m bench.bare_worker URL COUNT CLOCK`: the bare loop in a process of its own, which loads no shadows."""

from .bare import Bare
from .child import run_child, work_until_released
from .tasks import Stamps


async def serve(url: str, stamps: Stamps) -> None:
    """Runs whatever comes as a stamp."""
    async with Bare.opened(url) as bare:
        await bare.join()
        await work_until_released(forever(bare, stamps), stamps)


async def forever(bare: Bare, stamps: Stamps) -> None:
    """Turn after turn."""
    while True:
        await bare.turn(stamps.stamp)


if __name__ == "__main__":
    run_child(serve)
