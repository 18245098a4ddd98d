"""How measures become severities, a quality and a regime: versioned data, and the arithmetic the SQL views repeat."""

import hashlib
import json
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, Self

from pydantic import Field, ValidationError, model_validator

from .rows import Domain, Judged, Reference, Regimes, Row, Rule, Severity, Term, Transform
from .scores import Score
from .state import ASPECTS, Aspect, Assessment, Regime

DOMAINS: tuple[Domain, ...] = ("linear", "presentation", "equalised")
UNKNOWN = "unknown"
"""Group of every view the policy does not name."""
SHIPPED = Path(__file__).parent / "policies"
TRANSFORMS: Mapping[Transform, Callable[[float], float]] = {
    "identity": lambda value: value,
    "log": lambda value: math.log(max(value, 1e-6)),
    "log1p": lambda value: math.log(1 + max(value, 0.0)),
}


def worst(regimes: Iterable[Regime]) -> Regime:
    """The worst of some regimes; `high` where there is none."""
    found = set(regimes)
    return "low" if "low" in found else "borderline" if "borderline" in found else "high"


class PolicyError(ValueError):
    """A policy that does not exist or contradicts itself; raised before any work."""

    code = "policy"


class _Scale(NamedTuple):
    transform: Callable[[float], float]
    median: float
    scale: float


class Policy(Row):
    """Everything that turns raw measures into an assessment. Flat rows on purpose: each list is one SQL table.

    Attributes:
        views: view group by view position in upper case; any other view is `unknown`.
        bias: log-odds of low quality before any measure speaks, by intensity domain.
        band: quality from `band[0]` up to `band[1]` counts as uncertain.
        judge: how a judge's scores join in; None where they decide severities alone.
    """

    name: str = Field(min_length=1)
    version: int = Field(ge=1)
    views: Mapping[str, str]
    reference: tuple[Reference, ...]
    severities: tuple[Severity, ...]
    terms: tuple[Term, ...]
    bias: Mapping[Domain, float]
    regimes: Regimes
    rules: tuple[Rule, ...]
    band: tuple[float, float]
    judge: Judged | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        keys = [(row.domain, row.group, row.measure) for row in self.reference]
        if len(set(keys)) < len(keys):
            raise ValueError("reference has two rows for one domain, group and measure")
        needed = {(row.domain, row.measure) for row in self.terms}
        needed |= {(row.domain, row.measure) for row in self.severities if row.on == "z"}
        groups = {UNKNOWN, *self.views.values()}
        missing = sorted({(d, group, m) for d, m in needed for group in groups} - set(keys))
        if missing:
            raise ValueError(f"reference has no row for {', '.join(map(str, missing))}")
        if set(self.bias) != set(DOMAINS):
            raise ValueError(f"bias must be given for {', '.join(DOMAINS)}")
        if self.band[0] > self.band[1]:
            raise ValueError("band must ascend")
        return self

    @cached_property
    def _scales(self) -> dict[tuple[str, str], dict[str, _Scale]]:
        found: dict[tuple[str, str], dict[str, _Scale]] = defaultdict(dict)
        for row in self.reference:
            scale = _Scale(TRANSFORMS[row.transform], row.median, row.scale)
            found[row.domain, row.group][row.measure] = scale
        return dict(found)

    @cached_property
    def _terms(self) -> dict[str, list[Term]]:
        return {domain: [row for row in self.terms if row.domain == domain] for domain in DOMAINS}

    @cached_property
    def _severities(self) -> dict[str, list[Severity]]:
        return {domain: [row for row in self.severities if row.domain == domain] for domain in DOMAINS}

    def group(self, view: str | None) -> str:
        """View group of a view position."""
        return self.views.get((view or "").upper(), UNKNOWN)

    def z(self, measures: Mapping[str, float], intensity_domain: str, view: str | None) -> dict[str, float]:
        """Robust z of every measure that has a reference row."""
        scales = self._scales.get((intensity_domain, self.group(view)), {})
        return {
            name: (each.transform(measures[name]) - each.median) / each.scale
            for name, each in scales.items()
            if name in measures
        }

    def ruled(self, severities: Mapping[str, int]) -> Regime:
        """The best regime a film with these severities can have."""
        hit: list[Regime] = [rule.regime for rule in self.rules if severities.get(rule.aspect, 0) >= rule.severity]
        return worst(hit)

    def uncertain(self, assessment: Assessment) -> bool:
        """Whether a judge or a person should look: quality in the band or borderline, unless a rule makes it low."""
        if self.ruled(assessment.severities) == "low":
            return False
        low, high = self.band
        return assessment.regime == "borderline" or low <= assessment.quality < high

    def for_judge(self, model: str | None, revision: str | None = None, prompt_sha256: str = "") -> Self:
        """The policy for runs with this judge (None: without one): a section that is true of another is left out."""
        if self.judge is None or (self.judge.model, self.judge.revision, self.judge.prompt_sha256) == (
            model,
            revision,
            prompt_sha256,
        ):
            return self
        # Built anew: a copy would keep the hash that is already worked out.
        return type(self)(**{**dict(self), "judge": None})

    def calibrated(self, raw: Mapping[Aspect, Score]) -> dict[Aspect, Score]:
        """A judge's scores made true; as they are where the policy does not know the judge."""
        return self.judge.calibrated(raw) if self.judge else dict(raw)

    def canonical(self) -> str:
        """One text for equal policies: JSON with sorted keys and no spaces."""
        return json.dumps(self._dump(), sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    def _dump(self) -> dict[str, Any]:
        """Without what is None, so that a policy without a judge is the same text whether or not it might have one."""
        return self.model_dump(mode="json", exclude_none=True)

    @cached_property
    def sha256(self) -> str:
        """Hash of `canonical`, in hex."""
        return hashlib.sha256(self.canonical().encode()).hexdigest()

    def text(self) -> str:
        """The policy as a JSON file that a person can read and compare: one row a line."""
        fields = ",\n".join(f'  "{key}": {_rows(value)}' for key, value in self._dump().items())
        return f"{{\n{fields}\n}}\n"


def assess(policy: Policy, measures: Mapping[str, float], intensity_domain: str, view: str | None) -> Assessment:
    """Judge one reading; a measure that is absent adds nothing.

    Args:
        policy: what to judge by.
        measures: raw value by `family.metric`.
        intensity_domain: `linear`, `presentation` or `equalised`.
        view: view position (`AP`, `LATERAL`, …), None where nobody knows it.

    Raises:
        PolicyError: an intensity domain that does not exist.
    """
    if intensity_domain not in DOMAINS:
        raise PolicyError(f"intensity domain {intensity_domain!r} is none of {', '.join(DOMAINS)}")
    z = policy.z(measures, intensity_domain, view)
    contributions: dict[str, float] = {}
    for term in policy._terms[intensity_domain]:
        if term.measure in z:
            contributions[term.measure] = contributions.get(term.measure, 0.0) + term.add(z[term.measure])
    quality = _sigmoid(-policy.bias[intensity_domain] - sum(contributions.values()))
    severities = _grade(policy._severities[intensity_domain], measures, z)
    regime = worst([policy.regimes.of(quality), policy.ruled(severities)])
    return Assessment(quality, regime, severities, contributions, z)


def combine(policy: Policy, assessment: Assessment, raw: Mapping[Aspect, Score]) -> Assessment:
    """What tools and judge together make of a film; as the tools have it where the policy does not know the judge.

    Args:
        policy: what to judge by.
        assessment: by the tools, with whatever severities judge and tools have settled on.
        raw: what the judge said, as the model gave it.
    """
    judge = policy.judge
    if judge is None:
        return assessment
    odds = math.log(1 / min(max(assessment.quality, 1e-15), 1 - 1e-15) - 1)
    contributions = {name: judge.tools * value for name, value in assessment.contributions.items()}
    for aspect, score in judge.calibrated(raw).items():
        contributions[f"judge.{aspect}"] = judge.weights.get(aspect, 0.0) * score.severity
    said = sum(value for name, value in contributions.items() if name not in assessment.contributions)
    quality = _sigmoid(-judge.bias - judge.tools * odds - said)
    regime = worst([judge.regimes.of(quality), policy.ruled(assessment.severities)])
    return replace(assessment, quality=quality, regime=regime, contributions=contributions)


def _grade(rows: list[Severity], measures: Mapping[str, float], z: Mapping[str, float]) -> dict[str, int]:
    found: dict[str, int] = {}
    for row in rows:
        value = (z if row.on == "z" else measures).get(row.measure)
        if value is not None:
            found[row.aspect] = max(found.get(row.aspect, 0), row.grade(value))
    return {aspect: found[aspect] for aspect in ASPECTS if aspect in found}


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


def load(name_or_path: str | Path) -> Policy:
    """Read a shipped policy by name (`standard.v1`) or any policy file by path.

    Raises:
        PolicyError: no such policy, or not a valid one; the message says what is wrong where.
    """
    shipped = SHIPPED / f"{name_or_path}.json"
    path = shipped if shipped.is_file() else Path(name_or_path)
    try:
        return Policy.model_validate_json(path.read_bytes())
    except OSError as error:
        known = ", ".join(sorted(each.stem for each in SHIPPED.glob("*.json")))
        raise PolicyError(f"{path}: no policy ({error.strerror}); shipped policies: {known}") from error
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'policy'}: {e['msg']}" for e in error.errors()[:5])
        raise PolicyError(f"{path}: not a policy: {problems}") from error


def _rows(value: Any) -> str:
    if not (isinstance(value, list) and value and isinstance(value[0], dict)):
        return json.dumps(value, ensure_ascii=False)
    return "[\n" + ",\n".join(f"    {json.dumps(row, ensure_ascii=False)}" for row in value) + "\n  ]"
