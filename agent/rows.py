"""The rows a policy is made of. Flat on purpose: each kind is one SQL table."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from .scores import Calibration, Score
from .state import Aspect, Regime

Domain = Literal["linear", "presentation", "equalised"]
Direction = Literal[-1, 1]
Transform = Literal["identity", "log", "log1p"]


class Row(BaseModel):
    """Frozen, and strict about what it holds."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Reference(Row):
    """What a measure is on films of one intensity domain and view group: z = (transform(value) - median) / scale."""

    domain: Domain
    group: str
    measure: str
    transform: Transform
    median: float
    scale: float = Field(gt=0)
    """Robust standard deviation of the transformed measure (interquartile range / 1.349, with a floor)."""
    films: int = Field(ge=1)
    """Films behind the row."""


class Severity(Row):
    """Where severity 1, 2 and 3 of an aspect begin on one measure; the worst measure counts."""

    domain: Domain
    aspect: Aspect
    measure: str
    on: Literal["z", "value"]
    direction: Direction
    """1 where larger is worse, -1 where smaller is."""
    cuts: tuple[float, ...] = Field(min_length=1, max_length=3)

    def grade(self, value: float) -> int:
        """Severity of a z or a raw value, whichever the row goes by: the number of cuts it has passed."""
        return sum(self.direction * value >= self.direction * cut for cut in self.cuts)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if any(self.direction * first > self.direction * second for first, second in pairwise(self.cuts)):
            raise ValueError(f"cuts of {self.measure} do not get worse: {self.cuts}")
        return self


class Term(Row):
    """What a measure adds to the log-odds of low quality: weight * clip(direction * z, low, high).

    The weight cannot be negative: `direction` says, from physics, which way is worse.
    """

    domain: Domain
    measure: str
    direction: Direction
    low: float
    high: float
    weight: float = Field(ge=0)

    def add(self, z: float) -> float:
        """The contribution of a measure at `z`."""
        return self.weight * min(max(self.direction * z, self.low), self.high)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.low > self.high:
            raise ValueError(f"term of {self.measure}: low {self.low} is above high {self.high}")
        return self


class Regimes(Row):
    """Quality below `low` is low, from `high` on high, between them borderline."""

    low: float = Field(ge=0, le=1)
    high: float = Field(ge=0, le=1)

    def of(self, quality: float) -> Regime:
        """Regime of a quality."""
        return "low" if quality < self.low else "borderline" if quality < self.high else "high"

    @model_validator(mode="after")
    def _ascending(self) -> Self:
        if self.low > self.high:
            raise ValueError("regimes must ascend")
        return self


class Rule(Row):
    """A severity that alone makes a film low or borderline, whatever its quality."""

    aspect: Aspect
    severity: int = Field(ge=1, le=3)
    regime: Literal["low", "borderline"]


class Judged(Row):
    """How one judge's scores join what the tools say; fitted for one model and prompt, and true of no other.

    Log-odds of low quality = bias + tools * log-odds by the tools + sum of weight * expected severity.
    """

    model: str
    revision: str | None = None
    prompt_sha256: str
    temperatures: Mapping[Aspect, float]
    """What an aspect's log-probabilities are divided by; 1 where absent."""
    shifts: Mapping[Aspect, float] = {}
    """What an aspect's log-odds of any severity above 0 are raised by; 0 where absent."""
    bias: float
    tools: float = Field(ge=0)
    weights: Mapping[Aspect, float]
    """Log-odds a unit of expected severity; not negative, because a defect seen cannot make a film better."""
    regimes: Regimes

    @model_validator(mode="after")
    def _sane(self) -> Self:
        if any(weight < 0 for weight in self.weights.values()):
            raise ValueError("a weight is negative")
        if any(temperature <= 0 for temperature in self.temperatures.values()):
            raise ValueError("a temperature is not positive")
        return self

    def calibration(self, aspect: Aspect) -> Calibration:
        """What makes the judge's scores of an aspect true."""
        return Calibration(self.temperatures.get(aspect, 1.0), self.shifts.get(aspect, 0.0))

    def calibrated(self, raw: Mapping[Aspect, Score]) -> dict[Aspect, Score]:
        """Scores made true."""
        return {aspect: score.calibrated(self.calibration(aspect)) for aspect, score in raw.items()}
