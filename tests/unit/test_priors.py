"""The report that a case is told of: an earlier examination's, the patient's own, and never the target."""

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from lrrg.benchmark.cases import Case
from lrrg.benchmark.cohort import Examination
from lrrg.benchmark.priors import with_priors
from lrrg.benchmark.spec import Spec
from lrrg.pipelines.records import CatalogRow, ReportRow
from lrrg.pipelines.score.stage import read_benchmark
from lrrg.pipelines.splits.export import CASES
from lrrg.pipelines.splits.stage import materialise
from lrrg.pipelines.store import Store, read_parquet
from lrrg.tests.judged import judged_store

FORMATS = ("parquet", "sharegpt")
NOON = datetime(2180, 5, 6, 12)


def case(study: str, patient: str = "p", pair: str = "") -> Case:
    return Case(study, study, patient, "target", ("T1",), "high", pair=pair)


def told(cases: list[Case], *examinations: tuple[str, str, float]) -> dict[str, str]:
    """Priors by case, of examinations given by study, patient and hours after noon."""
    past = [Examination(study, patient, NOON + timedelta(hours=at), study) for study, patient, at in examinations]
    return {each.case_id: each.prior for each in with_priors(cases, past, Spec())}


def test_the_latest_earlier_report_of_the_same_patient_is_told():
    cases = [case("first"), case("second"), case("third"), case("stranger", "q"), case("undated")]
    examinations = [("third", "p", 48), ("first", "p", 0), ("second", "p", 24), ("stranger", "q", 30)]
    found = {"first": "", "second": "first", "third": "second", "stranger": "", "undated": ""}
    assert told(cases, *examinations) == found
    assert told(cases, *reversed(examinations)) == found


@pytest.mark.parametrize(
    ("hours", "known"), [(-24, "other"), (-1.01, "other"), (-1, ""), (-0.1, ""), (0, ""), (24, "")]
)
def test_what_was_taken_together_or_later_is_no_prior(hours: float, known: str):
    assert told([case("one")], ("one", "p", 0), ("other", "p", hours)) == {"one": known}


def test_a_pair_within_a_patient_is_told_what_came_before_both():
    cases = [case("one", pair="one:two"), case("two", pair="one:two"), case("three")]
    days = [("before", "p", -24), ("one", "p", 0), ("two", "p", 24), ("three", "p", 48)]
    assert told(cases, *days) == {"one": "before", "two": "before", "three": "two"}
    assert told(cases, *days[1:]) == {"one": "", "two": "", "three": "two"}


def test_one_of_a_pair_may_be_no_known_examination():
    cases = [case("one", pair="one:two"), case("two", pair="one:two")]
    assert told(cases, ("before", "p", -24), ("two", "p", 24)) == {"one": "", "two": "before"}


def test_the_files_tell_the_report_and_say_where_there_is_none(tmp_path: Path):
    with Store.open(judged_store(tmp_path / "verdicts.duckdb")) as store:
        materialise(store, tmp_path / "before", FORMATS, Spec())
        first = next(row for row in own_cases(tmp_path / "before") if row["split"] == "train" and not row["prior"])
        image = CatalogRow("old", "old.jpg", first["subject_id"], "unjudged", study_date="20000101")
        store.add_images(tmp_path / "films", [image])
        store.add_reports([ReportRow("unjudged", first["subject_id"], impression="Old <|image_pad|> fracture.")])
        materialise(store, tmp_path / "after", FORMATS, Spec())
    before, after = own_cases(tmp_path / "before"), own_cases(tmp_path / "after")
    changed = [new for old, new in zip(before, after, strict=True) if old["prior"] != new["prior"]]
    assert [(row["case_id"], row["prior"]) for row in changed] == [(first["case_id"], "Old <|image_pad|> fracture.")]
    lines = [json.loads(line) for line in (tmp_path / "after" / "train.jsonl").read_text().splitlines()]
    asked = {line["study_id"]: line["messages"][1]["content"] for line in lines}
    assert "preceding examination: Old < |image_pad|> fracture.\n" in asked[first["study_id"]]
    known = {row["study_id"]: row["prior"] for row in after if row["split"] == "train"}
    assert all(
        f"preceding examination: {known[study] or 'not given'}\n" in asked[study]
        for study in known.keys() - {first["study_id"]}
    )
    assert {case.case_id: case.prior or None for case in read_benchmark(tmp_path / "after").cases if case.own} == {
        row["case_id"]: row["prior"] for row in after
    }


def test_no_case_is_told_its_own_or_a_later_or_another_patients_report(tmp_path: Path):
    with Store.open(judged_store(tmp_path / "verdicts.duckdb")) as store:
        # What each report says becomes the name of its study.
        store.query("UPDATE report SET findings = study_id || '. ' || findings WHERE findings IS NOT NULL")
        materialise(store, tmp_path / "splits", FORMATS, Spec())
        began = dict(store.query("SELECT study_id, min(study_date || study_time) FROM image GROUP BY ALL").rows)
        patients = dict(store.query("SELECT study_id, subject_id FROM report").rows)
    rows = read_parquet(tmp_path / "splits" / CASES)
    sources = [(row, row["prior"].partition(".")[0]) for row in rows if row["prior"]]
    assert len(sources) > 50
    assert all(began[source] < began[row["study_id"]] for row, source in sources)
    assert all(patients[source] == row["subject_id"] for row, source in sources)
    pairs = {row["pair"].split(":")[0] for row in rows if {"T3", "T3h"} & {*row["tracks"]}}
    assert pairs
    assert not {row["case_id"] for row, source in sources if row["pair"].split(":")[0] == source}


def own_cases(splits: Path) -> list[dict[str, Any]]:
    return [row for row in read_parquet(splits / CASES) if row["case_id"] == row["study_id"]]
