"""What a daemon was told: from its options, its environment and its file, refused at once when it can't be right."""

from dataclasses import dataclass, field, fields
from datetime import timedelta
from pathlib import Path
from typing import Any

from shadows.amounts import counted
from shadows.durations import format_duration
from shadows.errors import ConfigurationError
from shadowsd.observe.addresses import Address

from .assignment import Client, Engine
from .world import Limits

FORK, EXEC = "fork", "exec"
# A fresh worker's own memory moves by some megabytes; a limit within that would recycle it for ever.
LEAST_MEMORY = 16 << 20
LEAST_DURATION = timedelta(milliseconds=1)
# What a name may take: with a slot and a random part it must fit into the child's page, and into one line of a table.
LONGEST_NAME = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One reading of them. A reload reads them again; what can't change under a running master is in `FIXED`."""

    shadow: str
    name: str
    app_dir: str
    control: Path
    insists_on_control: bool = True
    client: Client
    tasks: tuple[str, ...] = ()
    fallback_task: str | None = None
    workers: int = 1
    engine: Engine = field(default_factory=Engine)
    spawn: str = FORK
    drain_timeout: timedelta = timedelta(seconds=25)
    reload_drain_timeout: timedelta | None = None
    boot_timeout: timedelta = timedelta(seconds=60)
    hang_timeout: timedelta | None = None
    task_timeout: timedelta | None = None
    max_tasks: int | None = None
    max_memory: int | None = None
    max_deaths: int = 3
    logging_level: str = "info"
    logging_format: str = "plain"
    healthcheck_port: Address | None = None
    metrics_port: Address | None = None

    def __post_init__(self) -> None:
        """Raises ConfigurationError, naming the option and the remedy."""
        self._require_number("--workers", self.workers, 1, "how many processes run tasks, or auto")
        self._require_number("--concurrency", self.engine.concurrency, 1, "how many tasks each of them runs at a time")
        self._require_number("--max-deaths", self.max_deaths, 2, "at which death a task is quarantined")
        if self.max_tasks is not None:
            self._require_number("--max-tasks", self.max_tasks, 1, "after how many a worker is replaced")
        if self.max_memory is not None and self.max_memory < LEAST_MEMORY:
            raise ConfigurationError(
                f"--max-memory is {counted(self.max_memory, 'byte')}, which a fresh worker reaches by itself; it "
                "counts what a worker takes beyond what it had when it became ready. Give it "
                f"{LEAST_MEMORY >> 20}M or more."
            )
        if self.spawn not in (FORK, EXEC):
            raise ConfigurationError(f"--spawn is {self.spawn!r}; expected fork or exec.")
        if len(self.name.encode()) > LONGEST_NAME:
            raise ConfigurationError(f"--name is {len(self.name.encode())} bytes long; give at most {LONGEST_NAME}.")
        for name in ("drain_timeout", "boot_timeout", "hang_timeout", "task_timeout", "reload_drain_timeout"):
            value = getattr(self, name)
            if value is not None and value < LEAST_DURATION:
                raise ConfigurationError(
                    f"--{name.replace('_', '-')} is {format_duration(value)}; expected a duration of at least "
                    f"{format_duration(LEAST_DURATION)}, such as 30s."
                )

    @staticmethod
    def _require_number(option: str, value: int, least: int, meaning: str) -> None:
        if value < least:
            raise ConfigurationError(f"{option} is {value}; expected a whole number from {least}: {meaning}.")

    @property
    def limits(self) -> Limits:
        """The timeouts that decisions are made by."""
        hang = self.hang_timeout or self.engine.redelivery_timeout
        reload_drain = self.reload_drain_timeout
        return Limits(
            self.drain_timeout.total_seconds(),
            reload_drain.total_seconds() if reload_drain is not None else None,
            self.boot_timeout.total_seconds(),
            hang.total_seconds(),
        )

    def changed(self, newer: "Settings") -> list[str]:
        """What differs in a newer reading and needs a restart to take effect."""
        return [name for name in FIXED if getattr(self, name) != getattr(newer, name)]

    def with_fixed_of(self, running: "Settings") -> "Settings":
        """This reading, but for what can't change under a running master."""
        values: dict[str, Any] = {item.name: getattr(self, item.name) for item in fields(self)}
        return Settings(**values | {name: getattr(running, name) for name in FIXED})


# The master's own place in Redis and on the machine.
FIXED = ("shadow", "name", "control", "client", "healthcheck_port", "metrics_port")
