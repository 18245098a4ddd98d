"""`lrrg score` on a benchmark of judged synthetic films, from predictions on disk to files on disk."""

import json
import random
import re
from dataclasses import replace
from pathlib import Path

import pytest
from lrrg.benchmark.baselines import CONSTANT, FLOORS, PRIOR, RETRIEVAL, TEMPLATE
from lrrg.benchmark.errors import PredictionError
from lrrg.benchmark.ngram import Cider
from lrrg.benchmark.spec import Spec
from lrrg.benchmark.tokens import COMPLETE
from lrrg.pipelines.cli import app
from lrrg.pipelines.errors import SettingsError, StoreError
from lrrg.pipelines.score.figures import draw
from lrrg.pipelines.score.files import card, save
from lrrg.pipelines.score.stage import Options, make_signature, read_benchmark, read_predictions, score
from lrrg.pipelines.splits.export import CASES
from lrrg.pipelines.splits.stage import materialise
from lrrg.pipelines.store import Store, read_parquet
from lrrg.tests import judged
from lrrg.tests.judged import judged_store
from lrrg.tests.quiet import quiet
from typer.testing import CliRunner

OPTIONS = Options(reference="sft", draws=100)


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> dict[str, Path]:
    """Database, benchmark folder, and predictions of two models; `sft` loses more words on degraded films."""
    root = tmp_path_factory.mktemp("score")
    database = judged_store(root / "verdicts.duckdb")
    with Store.open(database) as store:
        materialise(store, root / "splits", ("parquet",), Spec(synthetic=("motion", "tilt")))
    for model, loss in (("sft", 0.15), ("dual", 0.02)):
        rng = random.Random(model)
        with (root / f"{model}.jsonl").open("w") as lines:
            for case in read_benchmark(root / "splits").scored:
                words = case.reference.split()
                kept = [word for word in words if rng.random() > 0.1 + loss * case.severity]
                lines.write(json.dumps({"case_id": case.case_id, "text": " ".join(kept), "model": model}) + "\n")
    return {"db": database, "splits": root / "splits", "sft": root / "sft.jsonl", "dual": root / "dual.jsonl"}


@pytest.fixture(scope="module")
def scores(world):
    return score(world["splits"], [world["sft"], world["dual"]], OPTIONS, quiet)


@pytest.fixture(scope="module")
def written(scores, world, tmp_path_factory) -> dict[str, Path]:
    """Folders that `save` filled, for keeping and for sharing."""
    folders = {name: tmp_path_factory.mktemp(name) for name in ("kept", "shared")}
    save(scores, folders["kept"], db=world["db"], share=False)
    save(scores, folders["shared"], db=None, share=True)
    return folders


def test_floors_are_always_scored(scores):
    assert set(scores.models) == {"sft", "dual", CONSTANT, TEMPLATE, RETRIEVAL, PRIOR}


def test_the_model_that_withstands_is_seen_to(scores):
    found = {(row.model, row.quantity, row.defect): row for row in scores.rows if row.metric == "rouge_l"}
    better = found["dual", "mean_difference_in_differences", "all"]
    assert better.low > 0
    assert found["sft", "mean_corruption_error", "all"].value == pytest.approx(1)
    assert {each.endpoint for each in scores.endpoints if each.model == "dual"} == {"P1", "P2"}


def test_every_row_is_signed_sized_and_large_enough(scores, world, written):
    files = {path.name for path in written["kept"].iterdir()}
    rows = read_parquet(written["kept"] / "scores.parquet")
    assert {row["signature"] for row in rows} == {scores.signature}
    plain = [row for row in rows if row["quantity"] == "value"]
    assert all(row["studies"] >= 30 and row["patients"] >= 15 for row in plain)
    assert {"per_case.parquet", "report.md", "card.json", "severity_rouge_l.svg", "forest_rouge_l.png"} <= files
    with Store.open(world["db"], read_only=True) as store:
        assert store.query("SELECT count(*) FROM scores").rows == [(len(rows),)]


def test_shared_files_name_no_study(world, written):
    ids = {row["study_id"].encode() for row in read_parquet(world["splits"] / CASES)}
    references = {row["reference"].encode() for row in read_parquet(world["splits"] / CASES)}
    assert not (written["shared"] / "per_case.parquet").exists()
    for path in written["shared"].iterdir():
        content = path.read_bytes()
        assert not any(each in content for each in ids | references), path.name


def test_sharing_into_a_folder_takes_an_earlier_table_of_cases_away(scores, tmp_path: Path):
    save(scores, tmp_path, db=None, share=False)
    assert (tmp_path / "per_case.parquet").exists()
    assert tmp_path / "per_case.parquet" not in save(scores, tmp_path, db=None, share=True)
    assert not (tmp_path / "per_case.parquet").exists()


def test_no_figure_of_an_earlier_score_stays_beside_another(scores, tmp_path: Path):
    save(scores, tmp_path, db=None, share=False)
    assert (tmp_path / "severity_rouge_l.png").exists()
    (tmp_path / "severity_own.png").touch()
    save(replace(scores, rows=[row for row in scores.rows if row.track != "T4"]), tmp_path, db=None, share=False)
    assert [path.name for path in tmp_path.glob("severity_*")] == ["severity_own.png"]
    assert (tmp_path / "forest_rouge_l.png").exists()


def test_the_card_is_json_where_an_endpoint_has_no_value(scores):
    nothing = [each._replace(value=float("nan"), p_value=float("nan")) for each in scores.endpoints]
    assert nothing
    text = json.dumps(card(replace(scores, endpoints=nothing)), allow_nan=False)
    assert all(each["value"] is None for each in json.loads(text)["endpoints"])


def test_that_a_benchmark_is_too_small_for_any_figure_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(judged.SPLITS, "test", 10)
    with Store.open(judged_store(tmp_path / "few.duckdb")) as store:
        materialise(store, tmp_path / "splits", ("parquet",), Spec(synthetic=("motion",)))
    command = ["score", "--splits", str(tmp_path / "splits"), "--out", str(tmp_path / "out"), "--draws", "100"]
    assert "every cell is under 30 studies or 15 patients" in CliRunner().invoke(app, command).stderr


def test_where_results_cannot_be_written_is_said_before_anything_is_scored(world, tmp_path: Path):
    (tmp_path / "text").write_text("no database")
    command = ["score", "--splits", str(tmp_path / "none"), "--out"]
    with pytest.raises(StoreError, match="not a DuckDB database"):
        CliRunner().invoke(app, [*command, str(tmp_path), "--db", str(tmp_path / "text")], catch_exceptions=False)
    assert CliRunner().invoke(app, [*command, str(tmp_path / "text")]).exit_code == 2


def test_a_benchmark_that_is_none_leaves_no_folder_behind(tmp_path: Path):
    command = ["score", "--splits", str(tmp_path / "none"), "--out", str(tmp_path / "new" / "scores")]
    assert isinstance(CliRunner().invoke(app, command).exception, SettingsError)
    assert list(tmp_path.iterdir()) == []


def test_the_report_says_which_gaps_are_effects(scores, written):
    text = (written["shared"] / "report.md").read_text()
    assert "performance disparities" in text
    assert "overlap-weighted" in text
    assert text.count("P1") >= 2
    assert scores.signature in text


def test_floors_stand_everywhere_but_with_synthetic_twins(scores, written):
    sections = (written["shared"] / "report.md").read_text().split("\n## ")
    twins = [each for each in sections if each.startswith("Synthetic twins")]
    assert len(twins) == 1
    assert all(f"| {floor} |" not in twins[0] for floor in FLOORS)
    assert all(f"| {model} |" in twins[0] for model in set(scores.models) - set(FLOORS))
    assert all(any(f"| {floor} |" in each for each in sections) for floor in FLOORS)


def test_the_report_sets_no_minus_before_a_zero(written):
    assert not re.search(r"-0\.0+\b", (written["shared"] / "report.md").read_text())


def test_scoring_twice_gives_the_same_numbers(scores, world):
    again = score(world["splits"], [world["dual"], world["sft"]], OPTIONS, quiet)
    # As text: a quantity without a value is NaN, which differs from itself.
    assert repr(again.rows) == repr(scores.rows)
    assert again.endpoints == scores.endpoints


def test_the_signature_changes_with_every_setting(world):
    benchmark = read_benchmark(world["splits"])
    settings = [
        OPTIONS,
        replace(OPTIONS, protocol="r2gen-100"),
        replace(OPTIONS, reference=None),
        replace(OPTIONS, draws=200),
        replace(OPTIONS, seed=1),
    ]
    signatures = {make_signature(benchmark, each) for each in settings}
    assert len(signatures) == len(settings)
    changed = [{key: "0" * 64} for key in ("spec_sha256", "cases_sha256", "test_studies_sha256", "recipe_id")]
    for other in [*changed, {"ladder": {"sha256": "0" * 64}}, {"spec": {"target": "impression"}}]:
        signatures.add(make_signature(replace(benchmark, manifest={**benchmark.manifest, **other}), OPTIONS))
    assert len(signatures) == len(settings) + 6


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("not json", ":1: expected"),
        ('{"case_id": "a"}', ":1: expected"),
        ("[]", ":1: expected"),
        ('{"case_id": "a", "text": null}', ":1: expected"),
    ],
)
def test_a_malformed_line_is_named(world, tmp_path: Path, line: str, message: str):
    (tmp_path / "bad.jsonl").write_text(line + "\n")
    with pytest.raises(SettingsError, match=message):
        score(world["splits"], [tmp_path / "bad.jsonl"], Options(draws=100), quiet)


def test_what_is_wrong_is_said_before_a_floor_learns(world, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("lrrg.pipelines.score.stage.floors", lambda *_: pytest.fail("minutes of work"))
    with pytest.raises(SettingsError, match="no such predictions file"):
        score(world["splits"], [tmp_path / "none.jsonl"], OPTIONS, quiet)
    with pytest.raises(SettingsError, match="--protocol other: choose from complete"):
        score(world["splits"], [], replace(OPTIONS, protocol="other"), quiet)


def test_a_missing_prediction_stops_scoring(world, tmp_path: Path):
    lines = world["sft"].read_text().splitlines(keepends=True)
    (tmp_path / "short.jsonl").write_text("".join(lines[1:]))
    with pytest.raises(PredictionError, match="1 of"):
        score(world["splits"], [tmp_path / "short.jsonl"], Options(draws=100), quiet)


def test_an_edited_benchmark_is_refused(world, tmp_path: Path):
    for path in world["splits"].iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / CASES).write_bytes((tmp_path / CASES).read_bytes() + b"x")
    with pytest.raises(SettingsError, match="run lrrg splits again"):
        read_benchmark(tmp_path)


def test_no_file_can_pose_as_a_floor(world, tmp_path: Path):
    (tmp_path / "posing.jsonl").write_text(world["sft"].read_text().replace('"sft"', f'"{TEMPLATE}"'))
    with pytest.raises(SettingsError, match="a floor's name"):
        score(world["splits"], [tmp_path / "posing.jsonl"], Options(draws=100), quiet)


def test_the_hold_out_does_not_move_the_test_sets_cider(scores, world):
    benchmark = read_benchmark(world["splits"])
    own = [case for case in benchmark.scored if "T5" in case.tracks]
    assert any(case.split == "train_holdout" for case in benchmark.scored)
    references = {case.study_id: COMPLETE.tokens(case.reference) for case in own}
    cider = Cider(list(references.values()))
    answers = dict(read_predictions(world["sft"])[1])
    expected = sum(cider(COMPLETE.tokens(answers[c.case_id]), references[c.study_id]) for c in own) / len(own)
    found = next(
        row
        for row in scores.rows
        if (row.model, row.track, row.view, row.metric, row.quantity) == ("sft", "T5", "all", "cider", "value")
    )
    assert found.value == pytest.approx(expected)


def test_figures_draw_an_estimate_outside_its_interval(scores, tmp_path: Path):
    rows = [row._replace(value=row.low - 1e-12) if row.quantity == "gap" else row for row in scores.rows]
    assert any(path.stem == "forest_rouge_l" for path in draw(replace(scores, rows=rows), tmp_path))


@pytest.mark.parametrize(
    "line",
    [
        b'{"case_id": "a"',
        b"[1]",
        b'{"case_id": "a"}',
        b'{"case_id": "a", "text": null}',
        b'{"case_id": ["a"], "text": "clear"}',
        b'{"case_id": "a", "text": "\xff"}',
        b'{"case_id": "a", "text": "clear", "model": 5}',
    ],
)
def test_a_line_that_is_no_prediction_is_named(tmp_path: Path, line: bytes):
    path = tmp_path / "model.jsonl"
    path.write_bytes(b'{"case_id": "b", "text": "clear"}\n' + line + b"\n")
    with pytest.raises(SettingsError, match=r"model\.jsonl:2: "):
        read_predictions(path)
