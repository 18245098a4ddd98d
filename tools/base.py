"""What a quality tool is: one function from a film to one number, with its unit, direction and range as data."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from inspect import cleandoc
from math import isfinite
from typing import Literal, NamedTuple

from .film import Domain, Film

Better = Literal["lower", "higher", "neither"]


class Measurement(NamedTuple):
    """One number a tool found on one film."""

    tool: str
    """Family: the module's name (`noise`, `blur`, …)."""
    metric: str
    """The measure's own name inside the family (`haar`, `edge_width`, …)."""
    version: int
    value: float
    unit: str


@dataclass(frozen=True)
class Tool:
    """A measure with everything that must be known to read its numbers.

    Attributes:
        run: maps a film to a finite number, or to None where the measure has no meaning on that film.
        domains: the intensity domains in which the measure is defined; elsewhere it is absent, never a sentinel.
        bounds: smallest and largest value the measure can take.
    """

    run: Callable[[Film], float | None]
    family: str
    metric: str
    version: int
    unit: str
    better: Better
    bounds: tuple[float, float]
    domains: tuple[Domain, ...]
    summary: str
    source: str = ""
    """Publication the measure comes from; empty for those of this project."""

    @property
    def name(self) -> str:
        """`family.metric`, the key under which the number is stored."""
        return f"{self.family}.{self.metric}"

    def __call__(self, film: Film) -> float | None:
        """The measure's value on `film`, None where it is not measurable."""
        return self.run(film) if film.domain in self.domains else None


ALL_DOMAINS: tuple[Domain, ...] = ("linear", "presentation", "equalised")


def tool(
    *,
    version: int,
    unit: str,
    better: Better,
    bounds: tuple[float, float],
    domains: tuple[Domain, ...] = ALL_DOMAINS,
) -> Callable[[Callable[[Film], float | None]], Tool]:
    """Declare a quality tool; the module names its family, the function its metric, the docstring its summary."""

    def declare(run: Callable[[Film], float | None]) -> Tool:
        family = run.__module__.rpartition(".")[2]
        text = cleandoc(run.__doc__ or "")
        source = " ".join(text.partition("Source:\n")[2].split())
        return Tool(run, family, run.__name__, version, unit, better, bounds, domains, text.partition("\n")[0], source)

    return declare


def measure(film: Film, tools: Iterable[Tool]) -> list[Measurement]:
    """Run `tools` over one film; measures without meaning on it are left out.

    The film's pyramid, field and masks are computed once and shared, because they live on the film.

    Raises:
        ArithmeticError: a tool broke its promise of a finite number; compared with NaN, every film would be good.
    """
    found = ((each, each(film)) for each in tools)
    return [_measurement(each, float(value)) for each, value in found if value is not None]


def _measurement(of: Tool, value: float) -> Measurement:
    if not isfinite(value):
        raise ArithmeticError(f"{of.name} version {of.version} gave {value}")
    return Measurement(of.family, of.metric, of.version, value, of.unit)
