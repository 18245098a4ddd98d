"""The judge's say in SQL against its say in Python, and the looser ends of how its verdicts are stored."""

import asyncio
import json
import random
from collections import Counter
from pathlib import Path

import pytest
from lrrg.agent import graph
from lrrg.agent.policy import Policy, assess
from lrrg.agent.state import ASPECTS, Assessment, ImageRef, Verdict
from lrrg.pipelines.recipe import begin_run, build_recipe
from lrrg.pipelines.report import facts
from lrrg.pipelines.store import ShardWriter, Store
from lrrg.tests import stored
from lrrg.tests.oracle import Scripted, grades, judging

FILMS = 120
SECTION = {
    "model": "judge",
    "revision": "1",
    "prompt_sha256": "ab",
    "temperatures": {"noise": 0.7, "blur": 2.5},
    "shifts": {"blur": -1.4, "artifact": 0.8},
    "bias": -1.2,
    "tools": 0.6,
    "weights": {aspect: 0.3 * number for number, aspect in enumerate(ASPECTS)},
    "regimes": {"low": 0.3, "high": 0.8},
}


def policy(section: dict | None) -> Policy:
    return Policy.model_validate(stored.policy().model_dump() | {"judge": section})


BY = ("tools", "judge", "again", "open")


def alone(policy: Policy, found: Verdict) -> Assessment:
    """What the tools alone say."""
    return assess(policy, found.reading.measures, found.reading.intensity_domain, found.reading.view)


def judged(policy: Policy, number: int) -> Verdict:
    draw = random.Random(number)
    said = grades(**{aspect: draw.randrange(4) for aspect in ASPECTS})
    judge = judging(
        Scripted(said, sure=draw.choice((0.55, 0.75, 0.98))), again=dict(stored.reading(number + 1).measures)
    )
    image = ImageRef(f"i{number}", "", "AP")
    return asyncio.run(graph.decide(graph.build(None, policy, judge), image, stored.reading(number)))


@pytest.mark.parametrize("section", [None, SECTION], ids=["not fitted", "fitted"])
def test_labels_are_what_python_decides(tmp_path: Path, section: dict | None):
    chosen = policy(section)
    recipe = build_recipe(
        reader=1, tools=stored.tools(), policy=json.loads(chosen.canonical()), judge={"model": "judge"}
    )
    found = {f"i{number}": judged(chosen, number) for number in range(FILMS)}
    with Store.open(tmp_path / "db") as store:
        store.add_images(tmp_path, stored.rows(list(found)))
        store.register_recipe(recipe)
        store.write(list(found.values()), recipe.recipe_id, "run")
        severities = ", ".join(ASPECTS)
        rows = store.query(f"SELECT image_id, quality, regime, judge_confidence, {severities} FROM labels").rows
        against, rulings = facts.judged(store), facts.rulings(store)
    assert len(rows) == FILMS
    for name, quality, regime, confidence, *graded in rows:
        said, judgement = found[name].assessment, found[name].judgement
        assert quality == pytest.approx(said.quality, abs=1e-9)
        assert regime == said.regime
        assert confidence == pytest.approx(judgement.confidence)
        assert dict(zip(ASPECTS, graded, strict=True)) == said.severities
    both = Counter((alone(chosen, each).regime, each.assessment.regime) for each in found.values())
    assert {(row["tools"], row["judge"]): row["films"] for row in against} == both
    stands = Counter((a, ruling.by) for each in found.values() for a, ruling in each.judgement.rulings.items())
    assert {(row["aspect"], by): row[by] for row in rulings for by in BY if row[by]} == stands
    assert {by for _, by in stands} == set(BY), "every clause of the rule is among these films"


def test_a_fitted_judge_changes_quality_and_one_fitted_to_another_does_not():
    alone, fitted = policy(None), policy(SECTION)
    number = next(each for each in range(FILMS) if judged(fitted, each).assessment.quality != 0.5)
    assert judged(fitted, number).assessment.quality != judged(alone, number).assessment.quality
    other = fitted.for_judge("another")
    assert judged(other, number) == judged(alone, number)
    assert other.sha256 == alone.sha256, "the recipe without a judge keeps its id"


def test_shard_files_carry_what_the_judge_said(tmp_path: Path):
    chosen = policy(SECTION)
    recipe = build_recipe(
        reader=1, tools=stored.tools(), policy=json.loads(chosen.canonical()), judge={"model": "judge"}
    )
    found = [judged(chosen, number) for number in range(9)]
    with Store.open(tmp_path / "alone") as alone, Store.open(tmp_path / "merged") as merged:
        for store in (alone, merged):
            store.add_images(tmp_path, stored.rows([each.image_id for each in found]))
        alone.register_recipe(recipe)
        alone.write(found, recipe.recipe_id, "run")
        run = begin_run(recipe, {})
        with ShardWriter.open(tmp_path / "shards", recipe) as writer:
            writer.start_run(run)
            writer.write(found, recipe.recipe_id, run.run_id)
        assert merged.ingest(tmp_path / "shards") == len(found)
        assert stored.table(merged) == stored.table(alone)
        assert merged.query("FROM judgements ORDER BY ALL") == alone.query("FROM judgements ORDER BY ALL")
