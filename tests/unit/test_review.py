"""Readers' opinions: from the page's file into the database, and what they say of the verdicts."""

import json
from datetime import datetime
from math import isnan
from pathlib import Path

import numpy as np
import pytest
from lrrg.benchmark.readers import FEWEST, area, calibration, detection, fit_cut, kappa
from lrrg.pipelines.recipe import begin_run
from lrrg.pipelines.report.trust import trust
from lrrg.pipelines.review.agreement import agreement
from lrrg.pipelines.review.opinions import ReviewError, import_reads
from lrrg.pipelines.store import Store
from lrrg.tests import stored

HEAD = "image_id,reader,regime,noise,blur,exposure,collimation,positioning,artifact,blind,read_at\n"


@pytest.fixture
def db(tmp_path: Path) -> Path:
    with stored.catalogued(tmp_path) as store:
        run = begin_run(stored.RECIPE, {})
        store.start_run(run)
        found = [stored.verdict(name, k) for k, name in enumerate(stored.IDS)]
        store.write(found, stored.RECIPE.recipe_id, run.run_id)
    return tmp_path / "lrrg.duckdb"


def written(folder: Path, *lines: str) -> Path:
    path = folder / "reads.csv"
    path.write_text(HEAD + "".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def stored_reads(db: Path) -> list[tuple]:
    with Store.open(db, read_only=True) as store:
        return store.query("SELECT * EXCLUDE (imported_at) FROM review ORDER BY ALL").rows


def test_importing_twice_changes_nothing_and_an_older_read_never_wins(db: Path, tmp_path: Path):
    newer = written(tmp_path, "i000,ann,low,yes,no,,,,,yes,2026-01-02T00:00:00")
    assert import_reads(newer, db) == {"reads": 1, "written": 1, "readers": 1}
    once = stored_reads(db)
    assert import_reads(newer, db)["written"] == 0
    assert stored_reads(db) == once
    older = written(tmp_path, "i000,ann,high,no,no,,,,,no,2026-01-01T00:00:00")
    assert import_reads(older, db)["written"] == 0
    assert stored_reads(db) == once
    assert once[0][2:5] == ("low", True, False)
    assert once[0][5] is None


def test_times_of_another_zone_are_stored_in_utc(db: Path, tmp_path: Path):
    import_reads(written(tmp_path, "i000,ann,low,,,,,,,no,2026-01-01T01:30:00+02:00"), db)
    assert stored_reads(db)[0][-1] == datetime(2025, 12, 31, 23, 30)
    later = written(tmp_path, "i000,ann,high,,,,,,,no,2026-01-01T00:00:00Z")
    assert import_reads(later, db)["written"] == 1, "half an hour later, though its clock shows less"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("i000,ann,bad,,,,,,,no,2026-01-01T00:00:00", "regime is 'bad'"),
        ("i000,ann,low,maybe,,,,,,no,2026-01-01T00:00:00", "noise is 'maybe'"),
        ("i000,,low,,,,,,,no,2026-01-01T00:00:00", "reader is empty"),
        ("i000,ann,low,,,,,,,no,yesterday", "read_at is 'yesterday'"),
        ("nobody,ann,low,,,,,,,no,2026-01-01T00:00:00", "no such image"),
    ],
)
def test_one_bad_line_imports_nothing_and_is_named(db: Path, tmp_path: Path, line: str, said: str):
    good = "i001,ann,low,,,,,,,no,2026-01-01T00:00:00"
    with pytest.raises(ReviewError, match=said) as caught:
        import_reads(written(tmp_path, good, line), db)
    assert caught.value.code == "review"
    assert stored_reads(db) == []


def test_a_file_that_is_no_list_of_reads_says_what_lacks(db: Path, tmp_path: Path):
    (tmp_path / "other.csv").write_text("image_id,reader\n", encoding="utf-8")
    with pytest.raises(ReviewError, match="no column regime"):
        import_reads(tmp_path / "other.csv", db)
    with pytest.raises(ReviewError, match=r"absent.csv: cannot be read: No such file"):
        import_reads(tmp_path / "absent.csv", db)
    (tmp_path / "packed.csv").write_bytes(b"\x1f\x8b\x08")
    with pytest.raises(ReviewError, match=r"packed.csv: no table in UTF-8"):
        import_reads(tmp_path / "packed.csv", db)


def test_a_reader_who_repeats_the_agent_agrees_fully(db: Path, tmp_path: Path):
    with pytest.raises(ReviewError, match="no read"):
        agreement(db)
    aspects = "noise, blur, exposure, collimation, positioning, artifact"
    with Store.open(db, read_only=True) as store:
        verdicts = store.query(f"SELECT image_id, regime, {aspects} FROM labels ORDER BY image_id").rows
    answers = [["" if value is None else "yes" if value else "no" for value in row[2:]] for row in verdicts]
    lines = [
        f"{row[0]},ann,{row[1]},{','.join(said)},yes,2026-01-01T00:00:00"
        for row, said in zip(verdicts, answers, strict=True)
    ]
    import_reads(written(tmp_path, *lines), db)
    found = agreement(db)
    assert (found.reads, found.readers, found.blind) == (40, 1, 40)
    kappas = [value.value for name, value in found.overall.items() if name.startswith("kappa")]
    assert kappas == pytest.approx([1.0, 1.0])
    assert {each.precision.value for each in found.defects.values() if each.present} == {1.0}
    assert {each.recall.value for each in found.defects.values() if each.present} == {1.0}
    assert not any(each.better for each in found.suggestions)
    said = trust(found)
    assert said is not None
    assert said["films"] == 40


def test_films_of_one_study_are_one_patients_where_nobody_is_named(db: Path, tmp_path: Path):
    with Store.open(db) as store:
        store.query("UPDATE image SET subject_id = NULL, study_id = if(image_id < 'i010', 's1', image_id)")
    reads = [f"{name},ann,low,,,,,,,yes,2026-01-01T00:00:00" for name in ("i000", "i001", "i010")]
    import_reads(written(tmp_path, *reads), db)
    assert agreement(db).patients == 2


def test_one_patient_gives_no_interval(db: Path, tmp_path: Path):
    with Store.open(db) as store:
        store.query("UPDATE image SET subject_id = 'one'")
    reads = [f"i00{k},ann,{regime},,,,,,,yes,2026-01-01T00:00:00" for k, regime in enumerate(["low", "high"] * 5)]
    import_reads(written(tmp_path, *reads), db)
    found = agreement(db)
    known = found.overall["kappa, low or not"], found.overall["AUROC of quality, low or not"]
    assert all(not isnan(each.value) and isnan(each.low) and isnan(each.high) for each in known)
    shown = dict(found.tables()["verdict against readers (95 % intervals over patients)"][1])
    assert shown["kappa, low or not"].endswith("(no interval)")
    assert json.dumps(trust(found), allow_nan=False)


PATIENTS = [f"p{k // 2}" for k in range(400)]


def test_kappa_is_cohens():
    # Cohen 1960's layout: 45 and 25 agree, 15 each way do not.
    said = np.repeat([0, 0, 1, 1], [45, 15, 15, 25])
    read = np.repeat([0, 1, 0, 1], [45, 15, 15, 25])
    assert kappa(said, read, 2, [f"p{k}" for k in range(100)]).value == pytest.approx((0.7 - 0.52) / 0.48)


def test_weighted_kappa_forgives_a_near_miss_more_than_a_far_one():
    read = np.arange(400) % 3
    near, far = np.where(read == 0, 1, read), np.where(read == 0, 2, read)
    assert kappa(near, read, 3, PATIENTS).value > kappa(far, read, 3, PATIENTS).value


def test_detection_counts_and_its_intervals_hold_the_value():
    present = np.arange(400) % 4 == 0
    flagged = present & (np.arange(400) % 8 == 0) | (np.arange(400) % 40 == 1)
    found = detection(flagged, present, PATIENTS)
    assert (found.reads, found.present) == (400, 100)
    assert found.recall.value == 0.5
    assert found.precision.value == pytest.approx(50 / 60)
    assert found.recall.low <= 0.5 <= found.recall.high
    assert np.isnan(detection(np.zeros(400, bool), present, PATIENTS).precision.value)


def test_area_needs_both_classes():
    assert area([0.1, 0.9], [False, True], ["a", "b"]).value == 1.0
    assert np.isnan(area([0.1, 0.9], [True, True], ["a", "b"]).value)


def test_calibration_of_a_calibrated_quality_lies_on_the_line():
    rng = np.random.default_rng(0)
    quality = rng.uniform(size=4000)
    low = rng.uniform(size=4000) > quality
    points = calibration(quality, low, [f"p{k}" for k in range(4000)])
    assert sum(point.reads for point in points) == 4000
    assert all(abs(point.quality - point.share) < 0.08 for point in points)


def test_a_misplaced_cut_is_found_and_said_to_be_better():
    rng = np.random.default_rng(1)
    scores = rng.normal(size=400)
    present = scores + rng.normal(0, 0.2, 400) > 0.5
    fit = fit_cut(scores, present, scores >= 2.5, np.zeros(400, bool), PATIENTS)
    assert fit is not None
    assert fit.cut == pytest.approx(0.5, abs=0.3)
    assert fit.gain.low > 0


def test_films_of_one_patient_alone_fit_no_cut():
    present = np.arange(40) % 2 == 0
    assert fit_cut(present * 1.0, present, present, np.zeros(40, bool), ["p"] * 40) is None
    assert fit_cut(present * 1.0, present, present, np.zeros(40, bool), ["p", "q"] * 20) is not None


def test_chance_is_not_called_better_and_few_reads_fit_nothing():
    rng = np.random.default_rng(2)
    scores, present = rng.normal(size=400), rng.uniform(size=400) > 0.5
    fit = fit_cut(scores, present, scores >= 0.0, np.zeros(400, bool), PATIENTS)
    assert fit is not None
    assert fit.gain.low <= 0
    few = np.arange(400) < FEWEST - 1
    assert fit_cut(scores, few, scores >= 0.0, np.zeros(400, bool), PATIENTS) is None
