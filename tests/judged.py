"""A database of judged synthetic films in which every track of the benchmark occurs; no pixels are read."""

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

from lrrg.agent.state import Reading, Verdict
from lrrg.pipelines.recipe import begin_run, build_recipe
from lrrg.pipelines.records import CatalogRow, ReportRow
from lrrg.pipelines.store import Store
from lrrg.tools import TOOLS

SPLITS = {"train": 60, "validate": 12, "test": 70, "without_target": 3}
"""Patients of each split, and studies whose report has no findings section."""
POLICY = {
    "name": "test",
    "version": 1,
    "views": {"AP": "frontal", "PA": "frontal"},
    "reference": [
        {
            "domain": "equalised",
            "group": "frontal",
            "measure": "noise.haar",
            "transform": "identity",
            "median": 0.0,
            "scale": 1.0,
            "films": 1,
        }
    ],
    "severities": [
        {
            "domain": "equalised",
            "aspect": "noise",
            "measure": "noise.haar",
            "on": "z",
            "direction": 1,
            "cuts": [1.0, 2.0, 3.0],
        }
    ],
    "terms": [{"domain": "equalised", "measure": "noise.haar", "direction": 1, "low": 0.0, "high": 6.0, "weight": 2.0}],
    "bias": {"equalised": -3.0},
    "regimes": {"low": 0.4, "high": 0.7},
    "rules": [],
    "band": [0.3, 0.8],
}
NOISE = {"high": 0.2, "borderline": 1.4, "low": 4.0}
SENTENCES = (
    "The lungs are clear.",
    "There is a small left pleural effusion.",
    "Moderate cardiomegaly is present.",
    "Bibasilar atelectasis is seen.",
    "No pneumothorax.",
)


def judged_store(path: Path, *, duplicate: bool = False) -> Path:
    """Write the database; with `duplicate` one film stands in train and in test."""
    rng = random.Random(5)
    images: list[CatalogRow] = []
    reports: list[ReportRow] = []
    verdicts: list[Verdict] = []
    for split in ("train", "validate", "test"):
        for _ in range(SPLITS[split]):
            subject = f"1{len(images):07d}"
            for _study in range(rng.randint(1, 4)):
                _add_study(rng, subject, split, images, reports, verdicts)
    if duplicate:
        images_by_split = {row.official_split: index for index, row in enumerate(images)}
        one, other = images_by_split["train"], images_by_split["test"]
        verdicts[one] = verdict(images[one].image_id, "high", _fingerprint(verdicts[other]))
        verdicts[other] = verdict(images[other].image_id, "high", _fingerprint(verdicts[other]))
    recipe = build_recipe(reader=1, tools=TOOLS, policy=POLICY)
    with Store.open(path) as store:
        store.add_images(path.parent / "films", images)
        store.add_reports(reports)
        store.register_recipe(recipe)
        run_id = store.start_run(begin_run(recipe, {}))
        store.write(verdicts, recipe.recipe_id, run_id)
        store.end_run(run_id, 0)
    return path


def _add_study(
    rng: random.Random,
    subject: str,
    split: str,
    images: list[CatalogRow],
    reports: list[ReportRow],
    verdicts: list[Verdict],
) -> None:
    study = f"5{len(reports):07d}"
    day = datetime(2180, 1, 1, tzinfo=UTC) + timedelta(days=rng.random() * 30)
    view = rng.choice(["AP", "PA"])
    findings = " ".join(rng.sample(SENTENCES, rng.randint(1, 2)))
    without = len(reports) % 20 == 7 and sum(report.findings is None for report in reports) < SPLITS["without_target"]
    reports.append(ReportRow(study, subject, findings=None if without else findings, indication="Cough."))
    for _ in range(rng.choice([1, 1, 2])):
        image = f"{study}-{len(images):06d}"
        row = CatalogRow(
            image,
            f"{image}.jpg",
            subject,
            study,
            view,
            split,
            3056,
            2544,
            f"{day:%Y%m%d}",
            f"{day:%H%M%S}",
            "CHEST (PORTABLE AP)" if view == "AP" else "CHEST (PA AND LAT)",
        )
        images.append(row)
        regime = rng.choices(["high", "borderline", "low"], [6, 2, 2 if view == "PA" else 5])[0]
        verdicts.append(verdict(image, regime, f"{rng.getrandbits(256):064x}"))


def verdict(image_id: str, regime: str, fingerprint: str) -> Verdict:
    """A verdict of the tools that the test policy puts into a regime."""
    measures = {"noise.haar": NOISE[regime]}
    reading = Reading("0" * 64, fingerprint, 1, "JPEG", 2544, 3056, 8, "equalised", "PA", (), measures, 1.0)
    return Verdict(image_id, "ok", reading=reading)


def _fingerprint(verdict: Verdict) -> str:
    assert verdict.reading is not None
    return verdict.reading.fingerprint
