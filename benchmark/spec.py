"""The benchmark's fixed choices as one frozen object; its hash names the benchmark beside every number."""

import hashlib
import json
from dataclasses import asdict, dataclass

VERSION = 3


@dataclass(frozen=True)
class Spec:
    """What decides which cases exist.

    Attributes:
        version: of the rules in this package; a change of rules is a new version.
        target: report section to be generated.
        projections: view positions a report is generated from, the preferred first; the last two are what some catalogs
            call a supine and any frontal film.
        holdout: fraction of train patients kept aside for evaluation, half of it patients with a low-quality film.
        pair_days: largest distance of the two studies of a within-patient pair, in days.
        prior_hours: an examination whose report a case is told began more than so many hours earlier: what was taken
            together may have been dictated together, and one text under two numbers would tell the target.
        synthetic: defects of the synthetic track; empty takes every one of the ladder that has degrees.
        seed: of the hold-out and of splits that no data set publishes.
    """

    version: int = VERSION
    target: str = "findings"
    projections: tuple[str, ...] = ("PA", "AP", "AP_HORIZONTAL", "FRONTAL")
    holdout: float = 0.05
    pair_days: float = 7.0
    prior_hours: float = 1.0
    synthetic: tuple[str, ...] = ()
    seed: str = "lrrg-v1"

    @property
    def sha256(self) -> str:
        """Hash of every choice."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()

    def draw(self, name: str) -> float:
        """A number in [0, 1) that depends on the seed and `name` alone: the same on every machine, for ever."""
        digest = hashlib.md5(f"{self.seed}:{name}".encode(), usedforsecurity=False).hexdigest()
        return int(digest[:12], 16) / 16**12
