"""A task that runs alone over all workers, one that is free, and what ran of them."""

from shadows import ConcurrencyLimit

ran: list[int] = []


async def free(number: int) -> None:
    ran.append(number)


async def alone(number: int, limit: ConcurrencyLimit = ConcurrencyLimit(1)) -> None:
    ran.append(number)
