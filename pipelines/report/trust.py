"""What the page says about readers: agreement, per-defect detection, calibration."""

from typing import Any

from ...benchmark.statistics import Interval
from ..finite import finite
from ..review.agreement import Agreement


def trust(found: Agreement | None) -> dict[str, Any] | None:
    """The agreement in types that JSON knows; None where no read is stored."""
    if found is None:
        return None
    return {
        "reads": found.reads,
        "films": found.films,
        "patients": found.patients,
        "readers": found.readers,
        "blind": found.blind,
        "overall": [{"statistic": name, **_interval(value)} for name, value in found.overall.items()],
        "defects": [
            {
                "aspect": name,
                "films": each.reads,
                "present": each.present,
                "precision": _interval(each.precision),
                "recall": _interval(each.recall),
            }
            for name, each in found.defects.items()
        ],
        "calibration": [finite(point._asdict()) for point in found.calibration],
        "cuts": [
            {
                "domain": each.domain,
                "decides": each.decides,
                "measure": each.measure,
                "now": each.now,
                "fitted": each.fitted,
                "unseen": _interval(each.j_unseen),
                "in_force": _interval(each.j_now),
                "better": each.better,
            }
            for each in found.suggestions
        ],
    }


def _interval(value: Interval) -> dict[str, float | None]:
    return finite(value._asdict())
