"""The benchmark's files from a real database of judged synthetic films."""

import json
from datetime import datetime
from pathlib import Path

import pytest
from lrrg.benchmark.errors import LeakError
from lrrg.benchmark.ladder import read_ladder
from lrrg.benchmark.spec import Spec
from lrrg.pipelines.cli import app
from lrrg.pipelines.errors import SettingsError
from lrrg.pipelines.records import CatalogRow
from lrrg.pipelines.splits.export import CASES, MANIFEST
from lrrg.pipelines.splits.stage import _earliest, materialise, seeded_split
from lrrg.pipelines.store import Store, read_parquet
from lrrg.tests.judged import SPLITS, judged_store, verdict
from typer.testing import CliRunner

FORMATS = ("parquet", "r2gen", "sharegpt")


@pytest.fixture(scope="module")
def database(tmp_path_factory) -> Path:
    return judged_store(tmp_path_factory.mktemp("splits") / "verdicts.duckdb")


def test_every_file_holds_the_same_studies(database: Path, tmp_path: Path):
    with Store.open(database) as store:
        summary = materialise(store, tmp_path, FORMATS, Spec())
        split_rows = store.query("SELECT split, track, count(*) FROM lrrg_split GROUP BY ALL").rows
    cases = read_parquet(tmp_path / CASES)
    own = {case["case_id"] for case in cases if case["case_id"] == case["study_id"]}
    annotation = json.loads((tmp_path / "annotation.json").read_text())
    held = {case["study_id"] for case in cases if case["split"] == "train_holdout"}
    assert {item["study_id"] for items in annotation.values() for item in items} == own - held
    lines = [
        json.loads(line)
        for split in ("train", "train_holdout", "validate", "test")
        for line in (tmp_path / f"{split}.jsonl").read_text().splitlines()
    ]
    assert {line["study_id"] for line in lines} == own
    assert all(Path(line["images"][0]).is_absolute() for line in lines)
    assert all(line["messages"][1]["content"].count("<image>") == 1 for line in lines)
    assert summary.exported.splits.keys() == {"train", "train_holdout", "validate", "test"}
    assert {(split, track) for split, track, _ in split_rows} >= {("test", "T1"), ("test", "T5"), ("train", "")}
    assert summary.without_target == SPLITS["without_target"]


def test_a_case_names_the_views_of_the_studys_other_films(database: Path, tmp_path: Path):
    copy = tmp_path / "verdicts.duckdb"
    copy.write_bytes(database.read_bytes())
    with Store.open(copy) as store:
        materialise(store, tmp_path / "before", FORMATS, Spec())
        before = {case["case_id"]: case for case in read_parquet(tmp_path / "before" / CASES)}
        one = next(case for case in before.values() if case["split"] == "train" and not case["other_views"])
        row = CatalogRow("unjudged", "unjudged.jpg", one["subject_id"], one["study_id"], "LATERAL", "train", 100, 80)
        store.add_images(copy.parent / "films", [row])
        materialise(store, tmp_path / "after", FORMATS, Spec())
    after = {case["case_id"]: case for case in read_parquet(tmp_path / "after" / CASES)}
    changed = {case_id for case_id, case in after.items() if case != before[case_id]}
    assert changed == {one["case_id"]}
    assert after[one["case_id"]]["other_views"] == ["LATERAL"]
    asked = [json.loads(line) for line in (tmp_path / "after" / "train.jsonl").read_text().splitlines()]
    (record,) = [each for each in asked if each["study_id"] == one["study_id"]]
    assert "Other films of this study, not shown: LATERAL\n" in record["messages"][1]["content"]
    assert any("not shown: not given\n" in each["messages"][1]["content"] for each in asked)


def test_training_has_both_films_of_a_study(database: Path, tmp_path: Path):
    with Store.open(database) as store:
        materialise(store, tmp_path, FORMATS, Spec())
    cases = [case for case in read_parquet(tmp_path / CASES) if case["split"] == "train"]
    own = {case["study_id"] for case in cases if case["case_id"] == case["study_id"]}
    further = [case for case in cases if case["case_id"] != case["study_id"]]
    assert further
    assert {case["study_id"] for case in further} <= own
    assert len({case["image_id"] for case in cases}) == len(cases), "each film once"
    assert len((tmp_path / "train.jsonl").read_text().splitlines()) == len(own), "chat records stay one a study"


def test_the_same_database_gives_the_same_bytes(database: Path, tmp_path: Path):
    for name in ("one", "two"):
        with Store.open(database) as store:
            materialise(store, tmp_path / name, FORMATS, Spec())
    files = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert MANIFEST in files
    for name in files:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes(), name


def test_the_manifest_says_what_the_numbers_depend_on(database: Path, tmp_path: Path):
    with Store.open(database) as store:
        materialise(store, tmp_path / "a", ("parquet",), Spec())
        materialise(store, tmp_path / "b", ("parquet",), Spec(seed="other"))
    first, second = (json.loads((tmp_path / name / MANIFEST).read_text()) for name in "ab")
    assert first["spec_sha256"] != second["spec_sha256"]
    assert first["test_studies_sha256"] == second["test_studies_sha256"], "the official test split is never re-drawn"
    assert first["recipe_id"]
    assert first["policy"]
    assert first["unseen_defects"]
    assert first["ladder"]["sha256"] == read_ladder().sha256


def test_where_the_films_lie_does_not_change_the_name_of_the_cases(database: Path, tmp_path: Path):
    hashes, files = set(), set()
    for place in ("here", "there"):
        copy = tmp_path / f"{place}.duckdb"
        copy.write_bytes(database.read_bytes())
        with Store.open(copy) as store:
            store.query("UPDATE root SET path = $path", {"path": f"/{place}"})
            materialise(store, tmp_path / place, ("parquet",), Spec())
        manifest = json.loads((tmp_path / place / MANIFEST).read_text())
        hashes.add(manifest["cases_sha256"])
        files.add(manifest["files"][CASES])
    assert len(hashes) == 1
    assert len(files) == 2


def test_files_of_an_earlier_benchmark_do_not_stay_beside_another(database: Path, tmp_path: Path):
    with Store.open(database) as store:
        materialise(store, tmp_path, FORMATS, Spec())
        (tmp_path / "notes.jsonl").touch()
        materialise(store, tmp_path, ("parquet", "r2gen"), Spec(seed="other"))
    kept = {path.name for path in tmp_path.iterdir()}
    assert kept == {CASES, MANIFEST, "annotation.json", "notes.jsonl"}


def test_a_file_that_is_not_ours_stays(database: Path, tmp_path: Path):
    (tmp_path / "train.jsonl").write_text("mine")
    with Store.open(database) as store:
        materialise(store, tmp_path, ("parquet",), Spec())
    assert (tmp_path / "train.jsonl").read_text() == "mine"


def test_what_is_known_of_a_study_is_of_the_film_shown(database: Path, tmp_path: Path):
    copy = tmp_path / "verdicts.duckdb"
    copy.write_bytes(database.read_bytes())
    with Store.open(copy) as store:
        materialise(store, tmp_path / "before", ("parquet",), Spec())
        before = {case["case_id"]: case for case in read_parquet(tmp_path / "before" / CASES)}
        one = next(case for case in before.values() if case["split"] == "test" and not case["covariates"]["has_prior"])
        film = CatalogRow("0", "0.jpg", one["subject_id"], one["study_id"], "LATERAL", "test", 10, 10, "19000101")
        store.add_images(copy.parent / "films", [film])
        ((recipe, run),) = store.query("SELECT recipe_id, run_id FROM runs").rows
        store.write([verdict("0", "high", "")], recipe, run)
        materialise(store, tmp_path / "after", ("parquet",), Spec())
    after = {case["case_id"]: case for case in read_parquet(tmp_path / "after" / CASES)}
    known = after[one["case_id"]]["covariates"]
    assert known["megapixels"] == one["covariates"]["megapixels"] > 1
    assert known["has_prior"] == 0, "a study's own film is no earlier examination"


@pytest.mark.parametrize(
    ("date", "time", "known"),
    [
        ("21800506", "080556", datetime(2180, 5, 6, 8, 5, 56)),
        ("21800506", "996101", datetime(2180, 5, 6)),
        ("21800506", None, datetime(2180, 5, 6)),
        ("21801350", "080556", None),
        ("00000000", "000000", None),
        (None, "080556", None),
    ],
)
def test_a_date_that_no_calendar_has_is_unknown(date: str | None, time: str | None, known: datetime | None):
    (found,) = [*_earliest([{"study_id": "s", "study_date": date, "study_time": time}], "study_id").values()] or [None]
    assert found == known


def test_a_duplicate_film_across_splits_stops_everything(tmp_path: Path):
    database = judged_store(tmp_path / "verdicts.duckdb", duplicate=True)
    with Store.open(database) as store, pytest.raises(LeakError, match="are one film"):
        materialise(store, tmp_path / "out", ("parquet",), Spec())
    assert not (tmp_path / "out").exists()


def test_that_there_is_nothing_to_score_on_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(SPLITS, "test", 0)
    database = judged_store(tmp_path / "verdicts.duckdb")
    done = CliRunner().invoke(app, ["splits", "--db", str(database), "--out", str(tmp_path / "out")])
    assert done.exit_code == 0
    assert "no study is in split test" in done.stderr


def test_studies_of_nobody_are_counted_because_they_may_leak(database: Path, tmp_path: Path):
    copy = tmp_path / "verdicts.duckdb"
    copy.write_bytes(database.read_bytes())
    with Store.open(copy) as store:
        assert materialise(store, tmp_path / "named", ("parquet",), Spec()).without_patient == 0
        ((study,),) = store.query("SELECT study_id FROM image WHERE official_split = 'test' LIMIT 1").rows
        store.query("UPDATE image SET subject_id = NULL WHERE study_id = $study", {"study": study})
        assert materialise(store, tmp_path / "unnamed", ("parquet",), Spec()).without_patient == 1


def test_a_film_that_names_no_patient_is_of_the_patient_whom_its_study_names(database: Path, tmp_path: Path):
    copy = tmp_path / "verdicts.duckdb"
    copy.write_bytes(database.read_bytes())
    with Store.open(copy) as store:
        materialise(store, tmp_path / "named", ("parquet",), Spec())
        found = store.query("SELECT min(image_id) FROM image GROUP BY study_id HAVING count(*) > 1").rows
        store.query("UPDATE image SET subject_id = NULL WHERE image_id IN $ids", {"ids": [each[0] for each in found]})
        assert materialise(store, tmp_path / "half", ("parquet",), Spec()).without_patient == 0
    assert found
    assert read_parquet(tmp_path / "half" / CASES) == read_parquet(tmp_path / "named" / CASES)


def test_an_unknown_format_is_said_before_any_work(tmp_path: Path):
    with Store.open(tmp_path / "empty.duckdb") as store, pytest.raises(SettingsError, match="--format csv: choose"):
        materialise(store, tmp_path / "out", ("parquet", "csv"), Spec())


def test_nothing_judged_is_a_clear_error(tmp_path: Path):
    with Store.open(tmp_path / "empty.duckdb") as store, pytest.raises(SettingsError, match="lrrg annotate"):
        materialise(store, tmp_path / "out", ("parquet",), Spec())


def test_splits_without_a_published_one_keep_patients_together_and_near_their_shares():
    drawn = [seeded_split(f"p{i}", Spec()) for i in range(5000)]
    assert drawn == [seeded_split(f"p{i}", Spec()) for i in range(5000)]
    assert abs(drawn.count("train") / 5000 - 0.8) < 0.03
    assert abs(drawn.count("test") / 5000 - 0.1) < 0.02


def test_an_earlier_film_that_was_never_judged_is_a_prior(database: Path, tmp_path: Path):
    def priors(out: Path) -> dict[str, float]:
        materialise(store, out, ("parquet",), Spec())
        return {case["case_id"]: case["covariates"]["has_prior"] for case in read_parquet(out / CASES)}

    copy = tmp_path / "copy.duckdb"
    copy.write_bytes(database.read_bytes())
    with Store.open(copy) as store:
        before = priors(tmp_path / "before")
        first = next(case for case, prior in before.items() if not prior and ":" not in case)
        root = "SELECT root_id FROM root"
        ((subject,),) = store.query("SELECT DISTINCT subject_id FROM image WHERE study_id = $s", {"s": first}).rows
        store.query(
            "INSERT INTO image (image_id, root_id, path, subject_id, study_id, study_date) "
            f"VALUES ('unjudged', ({root}), 'unjudged.jpg', $subject, 'earlier', '20000101')",
            {"subject": subject},
        )
        assert priors(tmp_path / "after")[first] == 1
