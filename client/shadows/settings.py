"""The settings of a shadow, from arguments and the environment, refused at once when they can't be right."""

import os
from datetime import timedelta
from pathlib import Path
from typing import Literal, NamedTuple

from .errors import ArgumentsError, ConfigurationError
from .identifiers import checked
from .urls import DEFAULT_URL

MAXIMUM_PAYLOAD = 1 << 20
SERIALIZERS: dict[str, Literal["msgpack", "pickle"]] = {"msgpack": "msgpack", "pickle": "pickle"}


class Settings(NamedTuple):
    """What a `Shadow` was made with."""

    name: str
    url: str
    heartbeat_interval: timedelta
    missed_heartbeats: int
    execution_ttl: timedelta
    serializer: Literal["msgpack", "pickle"]
    secret: bytes | None
    maximum_payload: int

    @property
    def lease(self) -> timedelta:
        """How long a worker counts as alive after its last sign of life."""
        return self.heartbeat_interval * self.missed_heartbeats

    @property
    def ttl_ms(self) -> int:
        """How long outcomes are kept, in the unit of the scripts."""
        return int(self.execution_ttl.total_seconds() * 1000)

    @classmethod
    def gather(
        cls,
        name: str | None,
        url: str | None,
        heartbeat_interval: timedelta,
        missed_heartbeats: int,
        execution_ttl: timedelta,
        serializer: str | None,
        secret: str | bytes | None,
        maximum_payload: int,
    ) -> "Settings":
        """Arguments first, the environment where they are None. Raises ConfigurationError."""
        environment = os.environ
        name = shadow_name(name)
        secret = secret if secret is not None else environment.get("SHADOWS_SECRET") or None
        chosen = serializer or environment.get("SHADOWS_SERIALIZER") or "msgpack"
        if chosen not in SERIALIZERS:
            raise ConfigurationError(
                f"The serializer {chosen!r} is not known; expected 'msgpack' or 'pickle' (which can carry any "
                "object, and must be able to trust whoever can write to Redis)."
            )
        settings = cls(
            name,
            url or url_from_environment() or DEFAULT_URL,
            heartbeat_interval,
            missed_heartbeats,
            execution_ttl,
            SERIALIZERS[chosen],
            secret.encode() if isinstance(secret, str) else secret,
            maximum_payload,
        )
        settings._check()
        return settings

    def _check(self) -> None:
        require_text("shadow's name", self.name)
        if not self.name or "}" in self.name or "{" in self.name:
            raise ConfigurationError(
                f"A shadow can't be named {self.name!r}; expected some text without braces, which mark the name in "
                "Redis keys. Choose a name like 'orders'."
            )
        require_duration("heartbeat_interval", self.heartbeat_interval, timedelta(milliseconds=10))
        require_duration("execution_ttl", self.execution_ttl, timedelta(0))
        if self.missed_heartbeats < 2:
            raise ConfigurationError(
                f"missed_heartbeats is {self.missed_heartbeats}; expected at least 2, since one late beat is no death."
            )


def require_text(what: str, name: str) -> None:
    """Raises ConfigurationError unless `name` is text that can be sent."""
    try:
        checked(name, what)
    except ArgumentsError as error:
        raise ConfigurationError(str(error)) from None


def shadow_name(name: str | None) -> str:
    """The name of a shadow: as given, else SHADOWS_NAME, else "shadows"."""
    return name if name is not None else os.environ.get("SHADOWS_NAME", "shadows")


def url_from_environment() -> str | None:
    """SHADOWS_URL, or what stands in the file that SHADOWS_URL_FILE names, or in the systemd credential
    `shadows-url`: so a password need not be in an environment that others can read."""
    environment = os.environ
    if url := environment.get("SHADOWS_URL"):
        return url
    named = environment.get("SHADOWS_URL_FILE")
    if not named and (directory := environment.get("CREDENTIALS_DIRECTORY")):
        credential = f"{directory}/shadows-url"
        named = credential if Path(credential).exists() else None
    if not named:
        return None
    try:
        url = Path(named).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"The file {named!r} with the Redis URL can't be read: {error}. Correct SHADOWS_URL_FILE, or the file's "
            "permissions."
        ) from error
    if not url:
        raise ConfigurationError(f"The file {named!r} is empty; expected a Redis URL such as redis://:password@host/0.")
    return url


def require_duration(name: str, value: timedelta, least: timedelta) -> None:
    """Raises ConfigurationError unless `value` is a duration of at least `least`."""
    if not isinstance(value, timedelta) or value < least:
        raise ConfigurationError(
            f"{name} is {value!r}; expected a timedelta of at least {least.total_seconds():g} s, "
            f"such as timedelta(seconds=2)."
        )
