"""Finds classes by name among the modules that are already imported.

Nothing is ever imported for stored data.
"""

import sys
from typing import Any


def imported_class(module_name: str, qualified_name: str) -> type | None:
    """The class, if its module is imported.

    Goes by the modules' dictionaries: a lazy `__getattr__` may import.
    """
    found: Any = sys.modules.get(module_name)
    for part in qualified_name.split("."):
        found = getattr(found, "__dict__", {}).get(part)
    return found if isinstance(found, type) else None
