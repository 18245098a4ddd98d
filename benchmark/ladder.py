"""What can be wrong with a film and how badly: the defects of LRRG-C and their severities, as versioned data.

LRRG-C has severities 1 (just visible) to 5. The tool benchmark's severities 1, 2, 3 and 4 are LRRG-C's 2, 3, 4 and 5
(`TOOL_SEVERITIES`). `seen` defects may be used to train a model; the headline figures are on the others.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

Aspect = Literal["noise", "blur", "exposure", "collimation", "positioning", "artifact"]
SEVERITIES = (1, 2, 3, 4, 5)
TOOL_SEVERITIES: Mapping[int, int] = {1: 2, 2: 3, 3: 4, 4: 5}
"""LRRG-C severity by severity of the tool benchmark."""
SHIPPED = Path(__file__).parent / "ladders" / "lrrg-c.v1.json"


class LadderError(ValueError):
    """A ladder file, defect or severity that does not exist or make sense."""

    code = "ladder"


@dataclass(frozen=True)
class Defect:
    """One way to spoil a film.

    Attributes:
        aspect: what a quality tool should call it.
        seen: whether training may use it.
        parameter: what a severity sets, None for a defect without degrees.
        unit: of the parameter.
        ladder: the parameter at severities 1 to 5; empty for a defect without degrees.
    """

    name: str
    aspect: Aspect
    seen: bool
    parameter: str | None
    unit: str | None
    ladder: tuple[float, ...]
    summary: str

    @property
    def ordered(self) -> bool:
        """Whether the defect has degrees."""
        return bool(self.ladder)

    def value(self, severity: int) -> float:
        """The parameter at `severity`; a defect without degrees has 0 at each.

        Raises:
            LadderError: severity outside 1 … 5.
        """
        if severity not in SEVERITIES:
            raise LadderError(f"{self.name}: severity {severity} does not exist; it is one of {SEVERITIES}")
        return self.ladder[severity - 1] if self.ordered else 0.0


@dataclass(frozen=True)
class Ladder:
    """A versioned table of defects; `calibrated_on` says which films its severities were solved on, if any."""

    name: str
    version: int
    calibrated_on: Mapping[str, Any] | None
    defects: Mapping[str, Defect]

    @property
    def sha256(self) -> str:
        """Hash of every defect and severity."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()

    def __getitem__(self, name: str) -> Defect:
        """The defect called `name`.

        Raises:
            LadderError: there is none.
        """
        try:
            return self.defects[name]
        except KeyError:
            raise LadderError(f"no defect {name!r} in {self.name}; it is one of {', '.join(self.defects)}") from None

    def with_steps(self, steps: Mapping[str, tuple[float, ...]], calibrated_on: Mapping[str, Any]) -> "Ladder":
        """A ladder in which the defects of `steps` have new parameters."""
        defects = {name: replace(self[name], ladder=values) for name, values in steps.items()}
        return replace(self, calibrated_on=calibrated_on, defects={**self.defects, **defects})


def read_ladder(path: Path = SHIPPED) -> Ladder:
    """Read a ladder file.

    Raises:
        LadderError: the file is not a ladder; the message names it and the fault.
    """
    try:
        return _read(path, path.stat().st_mtime_ns)
    except LadderError:
        raise
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LadderError(f"{path}: not a ladder file ({error}); start from a copy of {SHIPPED.name}") from error


@lru_cache(maxsize=8)
def _read(path: Path, changed: int) -> Ladder:
    """The ladder of a file as it was when it last changed, which is part of the key alone."""
    found = json.loads(path.read_text(encoding="utf-8"))
    rows = [Defect(**{**row, "ladder": tuple(row["ladder"])}) for row in found["defects"]]
    for defect in rows:
        if len(defect.ladder) not in (0, len(SEVERITIES)):
            raise LadderError(f"{path}: {defect.name} has {len(defect.ladder)} severities instead of {len(SEVERITIES)}")
        if not _one_way(defect.ladder):
            raise LadderError(f"{path}: {defect.name} does not go one way from severity to severity: {defect.ladder}")
    return Ladder(found["name"], found["version"], found["calibrated_on"], {row.name: row for row in rows})


def _one_way(ladder: tuple[float, ...]) -> bool:
    """Whether each step goes up, or each goes down."""
    steps = [after - before for before, after in pairwise(ladder)]
    return all(step > 0 for step in steps) or all(step < 0 for step in steps)


def write_ladder(ladder: Ladder, path: Path) -> None:
    """Write a ladder file, one defect a line."""
    lines = [json.dumps(asdict(defect), ensure_ascii=False) for defect in ladder.defects.values()]
    head = {"name": ladder.name, "version": ladder.version, "calibrated_on": ladder.calibrated_on}
    fields = [f'  "{key}": {json.dumps(value, ensure_ascii=False)},' for key, value in head.items()]
    body = ",\n".join(f"    {line}" for line in lines)
    path.write_text("\n".join(["{", *fields, '  "defects": [', body, "  ]", "}", ""]), encoding="utf-8")
