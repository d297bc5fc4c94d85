"""The engine: runs tasks inside one process. `shadowsd`'s workers and in-process workers are the same."""

from .events import Event, Events, Observer
from .worker import Worker

__all__ = ["Event", "Events", "Observer", "Worker"]
