"""Values as JSON knows them: it has neither NaN nor infinity."""

import math
from typing import Any


def finite(value: Any) -> Any:
    """The value with null in place of every number that JSON does not know, inside dictionaries and lists too.

    >>> finite({"p": float("nan"), "at": (0.5, float("inf"))})
    {'p': None, 'at': [0.5, None]}
    """
    if isinstance(value, dict):
        return {name: finite(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
