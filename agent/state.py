"""The one schema of the agent: what an image is, what reading it gave, and the verdict on it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple, NotRequired, TypedDict

Status = Literal["ok", "needs_review", "unreadable", "failed"]
Regime = Literal["high", "borderline", "low"]
Route = Literal["tools", "judge"]
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


@dataclass(frozen=True)
class Assessment:
    """What the policy makes of one reading.

    Attributes:
        quality: probability that a reader would not call the film low-quality, 0 worst … 1 best.
        severities: 0 none … 3 severe by aspect; an aspect that cannot be measured is absent.
        contributions: by measure, what it adds to the log-odds of low quality.
    """

    quality: float
    regime: Regime
    severities: Mapping[str, int]
    contributions: Mapping[str, float]
    z: Mapping[str, float]


@dataclass(frozen=True)
class Verdict:
    """The agent's last word on one image; becomes one row, whatever happened."""

    image_id: str
    status: Status
    route: Route = "tools"
    reading: Reading | None = None
    assessment: Assessment | None = None
    rationale: str = ""
    error_code: str | None = None
    error_detail: str | None = None


class Failure(NamedTuple):
    """Why an image has no reading."""

    status: Literal["unreadable", "failed"]
    code: str
    detail: str


class State(TypedDict):
    """What travels along the graph's edges; never pixels."""

    image: ImageRef
    reading: NotRequired[Reading]
    failure: NotRequired[Failure]
    assessment: NotRequired[Assessment]
    verdict: NotRequired[Verdict]
