"""The one schema of the agent: what an image is, what reading it gave, and the verdict on it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple, NotRequired, TypedDict

from .forms import Request

Status = Literal["ok", "needs_review", "unreadable", "failed"]
Regime = Literal["high", "borderline", "low"]
Route = Literal["tools", "judge"]
Why = Literal["all", "uncertain", "audit"]
"""Why a judge was asked: it sees every film, this one was uncertain, or it was drawn from the clear ones."""
Aspect = Literal["noise", "blur", "exposure", "collimation", "positioning", "artifact"]
ASPECTS: tuple[Aspect, ...] = ("noise", "blur", "exposure", "collimation", "positioning", "artifact")


@dataclass(frozen=True, slots=True)
class ImageRef:
    """An image of the catalog, as far as the agent may know it: never its report, labels or findings."""

    image_id: str
    path: str
    """Absolute path of the file."""
    view: str | None = None
    """View position by the catalog (`PA`, `AP`, `LATERAL`, …)."""


@dataclass(frozen=True)
class Reading:
    """What one worker call found in one file.

    Attributes:
        fingerprint: perceptual hash, 64 hexadecimal digits; near duplicates differ in few bits.
        view: view position by the catalog, else by the file.
        measures: value by `family.metric`; a measure without meaning on this film is absent.
        intensity_domain: `linear`, `presentation` or `equalised`.
        elapsed_ms: wall time of reading and measuring.
    """

    sha256: str
    fingerprint: str
    file_bytes: int
    file_format: str
    width: int
    height: int
    bits: int
    intensity_domain: str
    view: str | None
    notes: tuple[str, ...]
    measures: Mapping[str, float]
    elapsed_ms: float


class Step(NamedTuple):
    """One more look that a judge asked for."""

    request: Request
    told: str
    """What it was told; a picture is named, not kept."""


Scores = Mapping[Aspect, tuple[float, ...]]
"""Probability of severity 0, 1, 2 and 3 by aspect, as the model gave them."""


@dataclass(frozen=True)
class Recalled(Reading):
    """A stored reading with what the same judge said of the film, which need not be asked again.

    Attributes:
        scores: what it said.
        steps: the looks it had asked for.
    """

    scores: Scores
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class Assessment:
    """What the policy makes of one reading.

    Attributes:
        quality: probability that a reader would not call the film low-quality, 0 worst … 1 best.
        severities: 0 none … 3 severe by aspect; an aspect that cannot be measured is absent.
        contributions: by measure, what it adds to the log-odds of low quality.
        z: by measure, how far it lies from films of its kind, in robust standard deviations.
    """

    quality: float
    regime: Regime
    severities: Mapping[str, int]
    contributions: Mapping[str, float]
    z: Mapping[str, float]


class Ruling(NamedTuple):
    """How one aspect was settled between judge and tools."""

    severity: int
    by: Literal["tools", "judge", "again", "open"]
    """Who stands: the tools, the judge, the tools measured again, or the tools although the judge is sure otherwise."""


@dataclass(frozen=True)
class Judgement:
    """What a judge said of one film, and what came of it.

    Attributes:
        why: it was asked.
        steps: the looks it asked for, in order.
        probabilities: of severity 0, 1, 2 and 3 by aspect, as the model gave them.
        confidence: 0.25 … 1, how sure it was of its least sure aspect; calibrated where the policy knows how.
        again: severities of the tools measured again; empty where nothing was disputed.
        rulings: by aspect.
        contested: whether the regime hangs on what stayed open, so that a person should look.
    """

    why: Why
    steps: tuple[Step, ...]
    probabilities: Scores
    confidence: float
    again: Mapping[str, int]
    rulings: Mapping[Aspect, Ruling]
    contested: bool


@dataclass(frozen=True)
class Verdict:
    """The agent's last word on one image; becomes one row, whatever happened.

    Attributes:
        judgement: what the judge said, where one was asked.
        reply: the judge's raw reply where it was no use.
    """

    image_id: str
    status: Status
    route: Route = "tools"
    reading: Reading | None = None
    assessment: Assessment | None = None
    rationale: str = ""
    error_code: str | None = None
    error_detail: str | None = None
    judgement: Judgement | None = None
    reply: str | None = None


class Failure(NamedTuple):
    """Why an image has no reading, or no use could be made of what the judge replied."""

    status: Literal["unreadable", "failed"]
    code: str
    detail: str
    reply: str | None = None
    """The judge's raw reply, where that is the reason."""


class State(TypedDict):
    """What travels along the graph's edges; never pixels."""

    image: ImageRef
    reading: NotRequired[Reading]
    failure: NotRequired[Failure]
    assessment: NotRequired[Assessment]
    why: NotRequired[Why]
    request: NotRequired[Request]
    steps: NotRequired[tuple[Step, ...]]
    scores: NotRequired[Scores]
    judgement: NotRequired[Judgement]
    verdict: NotRequired[Verdict]
