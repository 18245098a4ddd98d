"""Join a judge's expected severities with the tools' log-odds, and judge every film by a fit that never saw it."""

from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...agent.policy import Policy, assess
from ...agent.rows import Judged
from ...agent.scores import AS_IT_CAME, Score
from ...agent.state import ASPECTS, Aspect
from ..errors import SettingsError
from ..examples import Example
from ..policy.fit import FOLDS, MIN_GOOD, of, set_regimes
from ..policy.model import Floats, Line, Rows, fit_line, fit_model, log_odds, take
from .file import Calibrations
from .films import CLEAR, Asked, Sample

Mask = NDArray[np.bool_]
Who = Literal["tools", "judge", "agent"]
WHO: tuple[Who, ...] = ("tools", "judge", "agent")
"""Tools alone, judge alone, both."""


class Held(NamedTuple):
    """Films and their quality by fits that saw neither them nor their patient (or their source)."""

    films: list[Example]
    quality: dict[Who, Floats]


@dataclass(frozen=True)
class Join:
    """What the tools say, and how the judge is heard.

    Attributes:
        policy: gives the tools' log-odds; None where it was fitted on these very films: then its kind of model is
            fitted anew for each fold.
        others: more films that such a fit may learn from, of patients that are not judged.
        calibration: of the judge's scores, by aspect; as they came where absent.
    """

    policy: Policy | None
    others: tuple[Example, ...] = ()
    calibration: Calibrations = field(default_factory=dict)

    def log_odds(self, learn: Sequence[Sample], judged: Sequence[Sample]) -> Floats:
        """The tools' log-odds of low quality of some films, by what may be learnt from others: shape (n,)."""
        films = [each.example for each in judged]
        if self.policy is not None:
            said = [assess(self.policy, each.measures, each.domain, each.film.view).quality for each in films]
            return np.log(1 / np.clip(said, 1e-15, 1 - 1e-15) - 1)
        found, teachers = np.zeros(len(films)), [*(each.example for each in learn), *self.others]
        for domain in {each.domain for each in films}:
            model = fit_model(of(domain, teachers, []))
            alike = [each for each in films if each.domain == domain]
            found[[each.domain == domain for each in films]] = log_odds(model, alike)
        return found


def by_patient(samples: Sequence[Sample], join: Join) -> Held:
    """Judge every film by the fold that left its patient out.

    Raises:
        SettingsError: too few good or low films, or too few patients who have them.
    """
    _enough(samples)
    quality: dict[Who, Floats] = {who: np.zeros(len(samples)) for who in WHO}
    for held in _folds(samples):
        judged = _judge(_take(samples, ~held), _take(samples, held), join)
        for who in WHO:
            quality[who][held] = judged.quality[who]
    return Held([each.example for each in samples], quality)


def by_source(samples: Sequence[Sample], source: str, join: Join) -> Held | None:
    """Judge the films of one source by a fit on all others; None where either has too few good or low films."""
    there = np.array([each.example.film.source == source for each in samples])
    held, rest = _take(samples, there), _take(samples, ~there)
    if min(_fewest(held), _fewest(rest) // 2) < MIN_GOOD // 2:
        return None
    elsewhere = tuple(each for each in join.others if each.film.source != source)
    return _judge(rest, held, replace(join, others=elsewhere))


def section(asked: Asked, samples: Sequence[Sample], held: Held, join: Join) -> Judged:
    """The policy's section: fitted on all samples, with regimes from films judged by fits that never saw them.

    Args:
        asked: whose judge it is true of.
        samples: to fit on.
        held: the same films judged by `by_patient`.
        join: as there.
    """
    line = _fit(samples, _held_out_odds(samples, join), join, "agent")
    tools, *weights = line.weights.tolist()
    return Judged(
        model=asked.judge["model"],
        revision=asked.judge["revision"],
        prompt_sha256=asked.judge["prompt_sha256"],
        temperatures={aspect: each.temperature for aspect, each in join.calibration.items()},
        shifts={aspect: each.shift for aspect, each in join.calibration.items()},
        bias=round(line.bias, 5),
        tools=round(tools, 5),
        weights={aspect: round(weight, 5) for aspect, weight in zip(ASPECTS, weights, strict=True)},
        regimes=set_regimes(held.films, held.quality["agent"]),
    )


def _judge(learn: Sequence[Sample], held: Sequence[Sample], join: Join) -> Held:
    odds, theirs = _held_out_odds(learn, join), join.log_odds(learn, held)
    quality: dict[Who, Floats] = {}
    for who in WHO:
        line = _fit(learn, odds, join, who)
        quality[who] = 1 / (1 + np.exp(line.bias + _features(held, theirs, join, who) @ line.weights))
    return Held([each.example for each in held], quality)


def _held_out_odds(samples: Sequence[Sample], join: Join) -> Floats:
    """The tools' log-odds of each film by tools that did not learn from its patient: what they are on new films."""
    found = np.zeros(len(samples))
    for held in _folds(samples):
        found[held] = join.log_odds(_take(samples, ~held), _take(samples, held))
    return found


def _folds(samples: Sequence[Sample]) -> list[Mask]:
    """Which films each fold holds out; all films of a patient share one.

    Patients with and without a low film are dealt out evenly: a fold with more low films leaves fewer to learn from,
    and its films would come out better than those of other folds for no other reason.
    """
    patients = [each.example.film.patient for each in samples]
    low = {each.example.film.patient for each in samples if each.example.film.label == "low"}
    names = sorted(set(patients))
    order = np.random.default_rng(0).permutation(len(names))
    dealt = sorted((names[k] for k in order), key=lambda name: name not in low)
    fold = {name: k % FOLDS for k, name in enumerate(dealt)}
    part = np.array([fold[name] for name in patients])
    return [part == k for k in range(min(FOLDS, len(names)))]


def _take(samples: Sequence[Sample], mask: Mask) -> list[Sample]:
    return [each for each, chosen in zip(samples, mask, strict=True) if chosen]


def _fit(samples: Sequence[Sample], odds: Floats, join: Join, who: Who) -> Line:
    films = [each.example.film for each in samples]
    clear = np.array([film.label in CLEAR for film in films])
    rows = Rows(
        _features(samples, odds, join, who),
        np.array([film.label == "low" for film in films]),
        np.array([film.source for film in films]),
        np.array([film.patient for film in films]),
        np.zeros(len(films), bool),
    )
    return fit_line(take(rows, clear))


def _features(samples: Sequence[Sample], odds: Floats, join: Join, who: Who) -> Floats:
    """What speaks: shape (n, features)."""
    severities = np.array([[_severity(each.scores, aspect, join) for aspect in ASPECTS] for each in samples])
    columns = {"tools": (odds[:, None],), "judge": (severities,), "agent": (odds[:, None], severities)}
    return np.concatenate(columns[who], axis=1)


def _severity(scores: Mapping[Aspect, Score], aspect: Aspect, join: Join) -> float:
    return scores[aspect].calibrated(join.calibration.get(aspect, AS_IT_CAME)).severity if aspect in scores else 0.0


def _enough(samples: Sequence[Sample]) -> None:
    if _fewest(samples) < MIN_GOOD:
        kinds = Counter(each.example.film.label for each in samples)
        raise SettingsError(
            f"{kinds['good']} good and {kinds['low']} low films that the judge has seen; need {MIN_GOOD} of each"
        )
    if not all(_fewest(_take(samples, ~held)) for held in _folds(samples)):
        raise SettingsError(
            "with some patients held out, no good or no low film is left to learn from; label films of more patients"
        )


def _fewest(samples: Sequence[Sample]) -> int:
    kinds = Counter(each.example.film.label for each in samples)
    return min(kinds["good"], kinds["low"])


def sources(samples: Sequence[Sample]) -> Set[str]:
    """Where the films come from."""
    return {each.example.film.source for each in samples}
