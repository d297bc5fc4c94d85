"""The one place where what most processes need late or never is loaded, at its first use.

Besides optional libraries these are parts of our own: the codec and the declarations are wanted by the first
`Shadow` and the first registration, and `import shadows` may cost little more than redis-py itself.
"""

from importlib import import_module
from types import ModuleType

from shadows.errors import ConfigurationError


def cloudpickle() -> ModuleType:
    """The library behind `serializer="pickle"`."""
    return _load("cloudpickle", 'serializer="pickle"', "shadow-task[pickle]")


def cronsim() -> ModuleType:
    """The library behind `Cron`."""
    return _load("cronsim", "Cron", "shadow-task")


def msgpack() -> ModuleType:
    """msgspec's msgpack, for small values of our own."""
    return import_module("msgspec.msgpack")


def told() -> ModuleType:
    """What reads what workers tell of themselves, for who asks about them."""
    return import_module("shadows.told")


def ledger() -> ModuleType:
    """What keeps the steps of tasks, for the first one that asks for `Once`."""
    return import_module("shadows.ledger")


def codec() -> ModuleType:
    """What encodes arguments and results, for the first `Shadow`."""
    return import_module("shadows.codec.codec")


def signature() -> ModuleType:
    """What tells how a function's arguments travel, for the first registration."""
    return import_module("shadows.codec.signature")


def validation() -> ModuleType:
    """What refuses conflicting dependencies, for the first registration."""
    return import_module("shadows.dependencies.validation")


def embedded() -> ModuleType:
    """Our own part that starts a Redis server, which few processes do."""
    return import_module("shadows.embedded")


def difflib() -> ModuleType:
    """The standard library's search for similar names, for errors only."""
    return import_module("difflib")


def zoneinfo() -> ModuleType:
    """The standard library's time zones, whose import takes longer than the rest of the codec's."""
    return import_module("zoneinfo")


def _load(module: str, feature: str, distribution: str) -> ModuleType:
    try:
        return import_module(module)
    except ImportError as error:
        raise ConfigurationError(
            f"{feature} needs the library {module}, which can't be imported here ({error}). "
            f'Install it with: pip install "{distribution}"'
        ) from error
