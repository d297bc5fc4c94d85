"""The one place where libraries that most processes never need are loaded, at their first use."""

from importlib import import_module
from types import ModuleType

from shadows.errors import ConfigurationError


def cloudpickle() -> ModuleType:
    """The library behind `serializer="pickle"`."""
    return _load("cloudpickle", 'serializer="pickle"', "shadow-task[pickle]")


def cronsim() -> ModuleType:
    """The library behind `Cron`."""
    return _load("cronsim", "Cron", "shadow-task")


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
