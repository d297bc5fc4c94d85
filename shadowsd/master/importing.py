"""Importing the user's tasks: a zygote and a worker that was executed do it alike, and say alike why they can't."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from shadows import Shadow
from shadows.errors import ConfigurationError, ShadowsError
from shadowsd.engine.loading import BrokenModule, load_fallback, load_tasks, make_importable


class CanNotImport(Exception):
    """In words; `traceback` is the user's part of it, if a module of theirs failed."""

    def __init__(self, words: str, traceback: str = "") -> None:
        super().__init__(words)
        self.traceback = traceback


def import_tasks(plan: Mapping[str, Any]) -> tuple[Shadow, Callable[..., Any] | None]:
    """Does what a plan (generation.py) says: the shadow that knows the tasks, and the fallback task, if there is one.

    Raises CanNotImport.
    """
    directory = Path(plan["app_dir"])
    shadow = Shadow(plan["shadow"])
    try:
        os.chdir(directory)
        make_importable(directory)
        load_tasks(shadow, plan["tasks"], directory)
        return shadow, load_fallback(plan["fallback_task"], directory)
    except BrokenModule as error:
        raise CanNotImport(str(error), error.traceback) from None
    except (ConfigurationError, ShadowsError, OSError) as error:
        raise CanNotImport(str(error)) from None
