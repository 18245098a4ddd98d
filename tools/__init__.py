"""Quality tools: pixels to numbers, no I/O. `TOOLS` is the explicit list; nothing is discovered."""

from .base import Measurement, Tool, measure, tool
from .film import Domain, Film

TOOLS: tuple[Tool, ...] = ()

__all__ = ["TOOLS", "Domain", "Film", "Measurement", "Tool", "measure", "tool"]
