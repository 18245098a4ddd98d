"""What a report model is told of a patient's past: the preceding examination's report, never the one to be written."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from .cases import Case
from .cohort import Examination
from .spec import Spec


def with_priors(cases: Sequence[Case], examinations: Iterable[Examination], spec: Spec) -> list[Case]:
    """The cases with the report of the preceding examination, where there is one.

    It is the latest of the same patient that began more than `spec.prior_hours` earlier. Both members of a pair within
    a patient (T3) are told what came before the first of them: the second would else know the other's report.

    Args:
        cases: as `build` made them.
        examinations: with a report, a date and a named patient; judged or not.
        spec: the fixed choices.
    """
    past: dict[str, list[Examination]] = defaultdict(list)
    began: dict[str, datetime] = {}
    for each in sorted(examinations, key=lambda each: (each.time, each.study_id)):
        past[each.subject_id].append(each)
        began[each.study_id] = each.time
    ends = {study: time - timedelta(hours=spec.prior_hours) for study, time in _beginnings(cases, began).items()}
    return [
        replace(case, prior=_last(past[case.subject_id], ends[case.study_id])) if case.study_id in ends else case
        for case in cases
    ]


def _beginnings(cases: Sequence[Case], began: dict[str, datetime]) -> dict[str, datetime]:
    """When each study began, or the first one of those that it is compared with."""
    first: dict[str, datetime] = {}
    for case in cases:
        if case.pair and case.study_id in began:
            first[case.pair] = min(began[case.study_id], first.get(case.pair, began[case.study_id]))
    earliest = dict(began)
    for case in cases:
        if case.pair in first and case.study_id in began:
            earliest[case.study_id] = min(earliest[case.study_id], first[case.pair])
    return earliest


def _last(past: Sequence[Examination], end: datetime) -> str:
    """The latest report before a time; empty where there is none."""
    return next((each.report for each in reversed(past) if each.time < end), "")
