"""`lrrg splits`: from verdicts, catalog and reports to the benchmark's cases, in the database and as files."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from ...benchmark.cohort import Examination, LabelledImage, Study
from ...benchmark.findings import NO_FINDING, SUBSETS, SUPPORT_DEVICES
from ...benchmark.labeler import label
from ...benchmark.ladder import read_ladder
from ...benchmark.leaks import check_films
from ...benchmark.metrics import positives
from ...benchmark.priors import with_priors
from ...benchmark.spec import Spec
from ...benchmark.tracks import build, primary
from ..errors import SettingsError
from ..store import Store
from .export import Exported, Materialised, check_formats, export

SHARES = (("train", 0.8), ("validate", 0.1), ("test", 0.1))
"""Of patients, where the data set publishes no split."""
IMAGES = """
SELECT l.image_id, l.study_id, coalesce(l.subject_id, min(l.subject_id) OVER (PARTITION BY l.study_id)) AS subject_id,
    l.official_split, upper(l.view_position) AS "view", l.regime, l.quality,
    l.defects, l.fingerprint, r.path || '/' || l.path AS path, i.study_date, i.study_time, i.procedure,
    i."rows" * i."columns" / 1e6 AS megapixels
FROM labels AS l JOIN image AS i USING (image_id) JOIN root AS r USING (root_id)
WHERE l.regime IS NOT NULL AND l.study_id IS NOT NULL
ORDER BY l.image_id
"""
REPORTS = "SELECT * FROM report ORDER BY study_id"
DATES = "SELECT DISTINCT subject_id, study_id, study_date, study_time FROM image WHERE study_date IS NOT NULL"
VIEWS = """
SELECT study_id, image_id, coalesce(nullif(upper(view_position), ''), 'unknown') AS "view"
FROM image WHERE study_id IS NOT NULL
"""
RECIPE = "SELECT recipe_id, policy FROM recipes WHERE latest"


@dataclass(frozen=True)
class Summary:
    """What was materialised.

    Attributes:
        exported: what was written.
        without_target: judged studies that are left out because their report lacks the section to be written.
        without_patient: judged studies of whom the catalog names no patient: each counts as a patient of its own, so
            that one who has several of them may stand in two splits.
    """

    exported: Exported
    without_target: int
    without_patient: int


def materialise(store: Store, out: Path, formats: tuple[str, ...], spec: Spec) -> Summary:
    """Build the benchmark from the database's latest verdicts and write it to `benchmark_case` and to `out`.

    Raises:
        SettingsError: an unknown format, nothing is annotated, or no judged study has a report.
        LeakError: patients or duplicate films cross splits.
    """
    check_formats(formats)
    images = store.query(IMAGES).records()
    if not images:
        raise SettingsError(
            "no judged image belongs to a study; run lrrg annotate first, or name the studies in a table lrrg.csv"
        )
    reports = {report["study_id"]: report for report in store.query(REPORTS).records()}
    films = [_film(image, spec) for image in images]
    if not any(film.view in spec.projections for film in films):
        raise SettingsError(f"no judged film is frontal by the catalog's view position ({', '.join(spec.projections)})")
    # Before anything is left out: a film without a report can still be another patient's duplicate.
    check_films(films)
    dates = store.query(DATES).records()
    studies = _studies(_shown(images, films, spec), reports, dates, spec)
    if not studies:
        raise SettingsError(f"no judged study has a report with a {spec.target} section; catalog the reports too")
    ladder = read_ladder()
    defects = spec.synthetic or tuple(name for name, defect in ladder.defects.items() if defect.ordered)
    cases = with_priors(build(films, studies, spec, defects), _examinations(reports, dates, spec), spec)
    exported = export(
        Materialised(
            cases=cases,
            paths={image["image_id"]: image["path"] for image in images},
            reports=reports,
            spec=spec,
            recipe=store.query(RECIPE).records()[0],
            ladder=ladder,
            defects=defects,
            fingerprints={film.image_id: film.fingerprint for film in films},
            views=_views(store.query(VIEWS).records()),
        ),
        out,
        formats,
    )
    store.replace_cases(cases)
    judged = {film.study_id for film in films}
    unnamed = {image["study_id"] for image in images if not image["subject_id"]}
    return Summary(exported, len(judged - studies.keys()), len(unnamed))


def _film(image: Mapping[str, Any], spec: Spec) -> LabelledImage:
    # Where nobody says whose a study is, it counts as a patient of its own: strangers are no cluster.
    subject = image["subject_id"] or image["study_id"]
    return LabelledImage(
        image_id=image["image_id"],
        study_id=image["study_id"],
        subject_id=subject,
        split=image["official_split"] or seeded_split(subject, spec),
        view=image["view"] or "",
        regime=image["regime"],
        quality=image["quality"],
        aspects=tuple(image["defects"]),
        fingerprint=image["fingerprint"] or "",
    )


def seeded_split(subject: str, spec: Spec) -> str:
    """Split of a patient where the data set publishes none: 80 / 10 / 10, the same on every machine."""
    drawn = spec.draw(f"split:{subject}")
    for split, share in SHARES:
        if drawn < share:
            return split
        drawn -= share
    return SHARES[-1][0]


def _views(images: list[dict[str, Any]]) -> dict[str, dict[str, str]]:
    """View position of every film, judged or not, by study and image."""
    views: dict[str, dict[str, str]] = {}
    for image in images:
        views.setdefault(image["study_id"], {})[image["image_id"]] = image["view"]
    return views


def _earliest(dates: list[dict[str, Any]], of: str) -> dict[str, datetime]:
    """Time of the first film of each `subject_id` or `study_id` in the catalog, judged or not."""
    earliest: dict[str, datetime] = {}
    for image in dates:
        if image[of] and (time := _time(image)):
            earliest[image[of]] = min(time, earliest.get(image[of], time))
    return earliest


def _shown(images: list[dict[str, Any]], films: list[LabelledImage], spec: Spec) -> dict[str, dict[str, Any]]:
    """The film that each study is shown by; any of a study that has no frontal one."""
    frontal: dict[str, list[LabelledImage]] = {}
    for film in films:
        if film.view in spec.projections:
            frontal.setdefault(film.study_id, []).append(film)
    shown = {primary(each, spec).image_id for each in frontal.values()}
    return {image["study_id"]: image for image in sorted(images, key=lambda image: image["image_id"] in shown)}


def _studies(
    shown: Mapping[str, Mapping[str, Any]],
    reports: Mapping[str, Mapping[str, Any]],
    dates: list[dict[str, Any]],
    spec: Spec,
) -> dict[str, Study]:
    """Studies with a target."""
    times, first = _earliest(dates, "study_id"), _earliest(dates, "subject_id")
    return {
        study_id: _study(image, reports[study_id][spec.target], times.get(study_id), first)
        for study_id, image in sorted(shown.items())
        if study_id in reports and (reports[study_id][spec.target] or "").strip()
    }


def _study(image: Mapping[str, Any], target: str, time: datetime | None, first: Mapping[str, datetime]) -> Study:
    labels = label(target)
    present = positives(labels, uncertain=False)
    procedure = (image["procedure"] or "").upper()
    return Study(
        study_id=image["study_id"],
        target=target.strip(),
        labels=tuple(labels.tolist()),
        time=time,
        covariates={
            "portable": float("PORTABLE" in procedure),
            "positives": float(present[list(SUBSETS["13"])].sum()),
            "support_devices": float(present[SUPPORT_DEVICES]),
            "no_finding": float(present[NO_FINDING]),
            "reference_words": float(len(target.split())),
            # Of an undated study, or an unnamed patient, nothing is known: no report invents an earlier one.
            "has_prior": float(time is None or time > first.get(image["subject_id"], datetime.min)),
            "hour": float(time.hour if time else 12),
            "megapixels": float(image["megapixels"] or 0),
        },
    )


def _examinations(
    reports: Mapping[str, Mapping[str, Any]], dates: list[dict[str, Any]], spec: Spec
) -> list[Examination]:
    """Dated examinations of named patients, with the section to be generated or, for want of it, the impression."""
    patients = {image["study_id"]: image["subject_id"] for image in dates if image["subject_id"]}
    return [
        Examination(study_id, patients[study_id], time, said)
        for study_id, time in _earliest(dates, "study_id").items()
        if study_id in patients and (said := _said(reports.get(study_id), spec))
    ]


def _said(report: Mapping[str, Any] | None, spec: Spec) -> str:
    sections = (report[spec.target], report["impression"]) if report else ()
    return next((text.strip() for text in sections if text and text.strip()), "")


def _time(image: Mapping[str, Any]) -> datetime | None:
    """Study date and time: headers hold what consoles wrote, so a date may be unknown or none of the calendar's (None).

    An impossible time counts as midnight, as an unknown one does.
    """
    date, time = image["study_date"] or "", re.sub(r"\D.*", "", image["study_time"] or "").zfill(6)
    if len(date) != 8 or not date.isdigit():
        return None
    for clock in (time, "000000"):
        try:
            return datetime.strptime(f"{date} {clock}", "%Y%m%d %H%M%S")
        except ValueError:
            continue
    return None
