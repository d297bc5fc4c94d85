"""What a child is told when it is born: its place, its settings, and its descriptors."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Self

import msgspec

from shadows.priorities import PRIORITIES, Priority


@dataclass(frozen=True, slots=True)
class Client:
    """How a process of the node opens the shadow: the arguments of `Shadow`."""

    name: str | None = None
    url: str | None = None
    heartbeat_interval: timedelta = timedelta(seconds=2)
    missed_heartbeats: int = 5

    @property
    def lease(self) -> timedelta:
        """How long a worker counts as alive after its last sign of life."""
        return self.heartbeat_interval * self.missed_heartbeats


@dataclass(frozen=True, slots=True)
class Engine:
    """How each worker runs tasks: the arguments of `Worker`."""

    concurrency: int = 10
    priorities: tuple[Priority, ...] = tuple(PRIORITIES)
    redelivery_timeout: timedelta = timedelta(minutes=5)
    reconnection_delay: timedelta = timedelta(seconds=5)
    minimum_check_interval: timedelta = timedelta(milliseconds=250)
    scheduling_resolution: timedelta = timedelta(milliseconds=250)


@dataclass(frozen=True, slots=True)
class Assignment:
    """One child's orders. `page`, `channel` and `stacks` are descriptors, renumbered on their way to the child."""

    number: int
    slot: int
    generation: int
    suspect: bool
    master: int
    node: str
    name: str
    client: Client
    engine: Engine
    task_timeout: timedelta | None
    counts: bool
    logging_level: str
    logging_format: str
    page: int = -1
    channel: int = -1
    stacks: int = -1

    @classmethod
    def of(cls, message: dict[str, Any], descriptors: Sequence[int]) -> Self:
        """From the message that carried it, and the descriptors that came beside it."""
        page, channel, stacks = descriptors
        return replace(msgspec.convert(message, cls), page=page, channel=channel, stacks=stacks)
