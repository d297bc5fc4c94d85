"""Loading the user's tasks, and telling a wrong path from a module that is broken."""

import difflib
import importlib
import logging
import sys
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Any

from shadows import Shadow, tasks
from shadows.errors import ConfigurationError

from .fallback import Fallback

logger = logging.getLogger("shadows.worker")


class BrokenModule(ConfigurationError):
    """A module of tasks raised while it was imported; `traceback` is its part of the traceback, as text."""

    def __init__(self, message: str, traceback: str) -> None:
        super().__init__(message)
        self.traceback = traceback


def make_importable(directory: Path) -> None:
    """Lets Python find modules in a directory; an installed command looks only beside itself."""
    path = str(directory.resolve())
    if path not in sys.path:
        sys.path.insert(0, path)


def load_tasks(shadow: Shadow, paths: Iterable[str], directory: Path) -> None:
    """Registers what the paths name, then the built-in tasks under the names that are left.

    Raises ConfigurationError, BrokenModule or RegistrationError.
    """
    for path in paths:
        load_module("--tasks", path, directory)
        shadow.register_collection(path)
    for name in tasks.__all__:
        if name in shadow.registry:
            logger.info("The built-in task %r is not registered: a task of yours has its name.", name)
        else:
            shadow.register(getattr(tasks, name))


def load_fallback(path: str | None, directory: Path) -> Callable[..., Any] | None:
    """The function of `--fallback-task module:function`, if there is one; raises ConfigurationError or BrokenModule."""
    if path is None:
        return None
    option = "--fallback-task"
    load_module(option, path, directory)
    module, _, name = path.partition(":")
    function = getattr(sys.modules[module], name, None)
    if not callable(function):
        what = "has no such function" if function is None else f"has {function!r} there, which can't be called"
        near = difflib.get_close_matches(name, vars(sys.modules[module]), n=1)
        hint = f"Did you mean {module}:{near[0]}?" if near and function is None else "Name a function of it."
        raise ConfigurationError(f"{option} {path}: the module {module} {what}. {hint}")
    Fallback(function)  # so that what can't be one is refused here, and not by each worker
    fallback: Callable[..., Any] = function
    return fallback


def load_module(option: str, path: str, directory: Path) -> None:
    """Imports a path's module, so that what goes wrong in it can be told from what is wrong with the path."""
    module = path.partition(":")[0]
    try:
        importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise broken(option, path, error) from None
        raise ConfigurationError(
            f"{option} {path}: there is no module {error.name!r}, neither in {directory.resolve()} nor among the "
            f"installed ones. {remedy(module)}"
        ) from None
    except (Exception, SystemExit) as error:
        raise broken(option, path, error) from None


def remedy(module: str) -> str:
    """What to do about a module that there is not; many give the file's name first."""
    if module.endswith(".py"):
        return f"Name the module, without the .py of its file: {module.removesuffix('.py')}."
    return "Start from the directory that holds it, or pass that as --app-dir."


def broken(option: str, path: str, error: BaseException) -> BrokenModule:
    """The error for a module that failed, with only the user's part of the traceback."""
    shown = "".join(traceback.format_exception(type(error), error, theirs(error.__traceback__)))
    what = f"called sys.exit({error.code!r})" if isinstance(error, SystemExit) else f"raised {type(error).__name__}"
    return BrokenModule(
        f"{option} {path}: importing {path.partition(':')[0]} {what}; see its traceback. Correct the module; no worker "
        "was started with it.",
        shown,
    )


def theirs(trace: TracebackType | None) -> TracebackType | None:
    """A traceback without our frames and those of the import machinery at its beginning."""
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if not (file == __file__ or file == importlib.__file__ or file.startswith("<frozen importlib")):
            break
        trace = trace.tb_next
    return trace
