"""What the report's page is made of: exact codes, telling films, one sealed file, pictures of what the tools saw."""

import base64
import json
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lrrg.agent.state import Verdict
from lrrg.pipelines.errors import SettingsError
from lrrg.pipelines.recipe import begin_run
from lrrg.pipelines.records import CatalogRow
from lrrg.pipelines.report import rows as report_rows
from lrrg.pipelines.report.against import beyond_usual
from lrrg.pipelines.report.grid import BARS, codes, grid, histogram
from lrrg.pipelines.report.group import gather, write_report
from lrrg.pipelines.report.overlay import COLOURS, picture
from lrrg.pipelines.report.page import write_page
from lrrg.pipelines.report.population import ABSENT, load_population
from lrrg.pipelines.settings import ReadSettings
from lrrg.pipelines.store import Store, StoreError
from lrrg.tests import stored
from lrrg.tests.quiet import silent
from lrrg.tools.film import Film

FINITE = st.floats(-1e6, 1e6, allow_subnormal=False)


@given(st.lists(FINITE, min_size=1, max_size=60), st.lists(FINITE, min_size=1, max_size=3), st.sampled_from([-1, 1]))
def test_counting_codes_is_counting_values(values: list[float], cuts: list[float], direction: int):
    known = np.array([*values, *cuts, np.nan])
    edges = grid(known, cuts).edges
    assert len(edges) < ABSENT
    found = codes(known, edges, direction).astype(int)
    assert found[-1] == ABSENT
    for cut in cuts:
        at = int(np.searchsorted(edges, cut))
        assert edges[at] == cut
        passed = found[:-1] > at if direction > 0 else found[:-1] <= at
        assert passed.tolist() == (direction * known[:-1] >= direction * cut).tolist()


@given(st.lists(FINITE, max_size=60))
def test_every_known_value_is_in_one_bar(values: list[float]):
    known = np.array([*values, np.nan])
    drawn = histogram(known, grid(known))
    assert len(drawn.bars) == BARS
    assert sum(drawn.bars) == drawn.films == len(values)


@pytest.fixture(scope="module")
def db(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random verdicts of 120 films, a film that failed and one that cannot be read."""
    path = tmp_path_factory.mktemp("report") / "films.duckdb"
    found = [stored.verdict(f"i{k:03d}", k) for k in range(120)]
    found += [Verdict("torn", "unreadable", error_code="truncated"), Verdict("lost", "failed", error_code="io-error")]
    run = begin_run(stored.RECIPE, {})
    with Store.open(path) as store:
        rows = [CatalogRow(each.image_id, f"{each.image_id}.jpg", f"p{each.image_id[-1]}") for each in found]
        store.add_images(path.parent, rows)
        store.register_recipe(stored.RECIPE)
        store.start_run(run)
        store.write(found, stored.RECIPE.recipe_id, run.run_id)
    return path


def test_columns_are_the_policys_own_numbers(db: Path):
    policy = stored.policy()
    with Store.open(db, read_only=True) as store:
        films = load_population(store)
    assert len(films) == 122
    for k in range(120):
        reading = stored.reading(k)
        expected = policy.z(reading.measures, reading.intensity_domain, "AP")
        for measure in stored.MEASURES[:-1]:
            given_z = films.z(policy, reading.intensity_domain, measure)[k]
            if measure in expected:
                assert given_z == pytest.approx(expected[measure], rel=1e-9)
            else:
                assert np.isnan(given_z)


def test_more_names_than_codes_end_in_other(tmp_path: Path):
    run = begin_run(stored.RECIPE, {})
    with Store.open(tmp_path / "views.duckdb") as store:
        names = [f"i{k:03d}" for k in range(300)]
        store.add_images(tmp_path, [CatalogRow(name, f"{name}.jpg", view_position=f"V{name}") for name in names])
        store.register_recipe(stored.RECIPE)
        store.start_run(run)
        found = [stored.verdict(name, k) for k, name in enumerate(names)]
        store.write(found, stored.RECIPE.recipe_id, run.run_id)
        films = load_population(store)
    shown = [films.names["view"][code] for code in films.codes["view"]]
    assert shown[:253] == [f"V{name}" for name in names[:253]]
    assert set(shown[253:]) == {"other"}


def test_a_large_archive_lists_its_most_telling_films(db: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(report_rows, "MOST", 60)
    with Store.open(db, read_only=True) as store:
        listed = report_rows.listed(store, stored.policy())
        worst = {name for (name,) in store.query("SELECT image_id FROM labels ORDER BY quality LIMIT 20").rows}
    assert len(listed.rows) == 60
    assert not listed.complete
    by_id = {row["image_id"]: row for row in listed.rows}
    assert worst <= set(by_id)
    assert {by_id[name]["why"] for name in ("torn", "lost")} == {"no verdict"}


def test_a_small_archive_lists_all_films_without_a_reason(db: Path):
    with Store.open(db, read_only=True) as store:
        listed = report_rows.listed(store, stored.policy())
    assert listed.complete
    assert len(listed.rows) == 122
    assert {row["why"] for row in listed.rows} == {""}


def test_what_speaks_against_a_film_leaves_out_what_every_film_has():
    policy = stored.policy()
    usual = {term.measure: 0.0 for term in policy.terms if term.domain == "linear"}
    for term in policy.terms:
        if term.domain == "linear":
            usual[term.measure] += term.add(0.0)
    beyond = beyond_usual({name: value + 0.25 for name, value in usual.items()}, policy, "linear")
    assert list(beyond.values()) == pytest.approx([0.25] * len(usual))


def test_a_database_without_verdicts_has_no_report(tmp_path: Path):
    with Store.open(tmp_path / "empty.duckdb") as store, pytest.raises(StoreError, match="annotate") as caught:
        gather(store, "empty")
    assert caught.value.code == "empty"


def test_a_page_is_whole_or_absent_and_its_data_cannot_break_out(tmp_path: Path):
    out = tmp_path / "page.html"
    hostile = {"title": '</script><img src=x onerror="alert(1)">'}
    write_page(out, "group", hostile["title"], hostile)
    text = out.read_text(encoding="utf-8")
    assert hostile["title"] not in text
    packed = text.partition('id="data">')[2].partition("<")[0]
    assert json.loads(zlib.decompress(base64.b64decode(packed))) == hostile
    with pytest.raises(ValueError, match="JSON"):
        write_page(out, "group", "broken", {"quality": float("nan")})
    assert out.read_text(encoding="utf-8") == text
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]


def test_pictures_are_only_there_when_asked_for(db: Path, tmp_path: Path):
    out = tmp_path / "report.html"
    assert write_report(db, out, None, silent)["pictures"] == 0
    assert "image/jpeg" not in out.read_text(encoding="utf-8")
    with pytest.raises(SettingsError, match="cannot be opened"):
        write_report(db, out, ReadSettings(), silent)  # the films of this database do not exist


def decoded(url: str) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(base64.b64decode(url.partition(",")[2]), np.uint8), cv2.IMREAD_UNCHANGED)


def test_layers_lie_where_the_film_is_saturated_noisy_and_shuttered():
    rng = np.random.default_rng(0)
    pixels = cv2.GaussianBlur(rng.normal(120, 40, (1024, 1024)), (0, 0), 12)
    pixels = 120 + 6 * (pixels - 120) + 2 * rng.normal(size=(1024, 1024))
    pixels[600:700, 300:400] = 255  # saturated
    pixels[200:300, 600:800] += rng.normal(0, 40, (100, 200))  # grain
    pixels[:, :150] = 4  # a shutter
    film = Film(np.clip(pixels, 0, 255).astype(np.uint8))
    shown = picture(film, 512)
    assert set(shown["layers"]) <= set(COLOURS)
    strength = {name: cv2.resize(decoded(url)[..., 3], (512, 512)) for name, url in shown["layers"].items()}
    assert strength["saturated"][305:345, 155:195].mean() > 200
    assert strength["saturated"][110:140, 310:390].mean() < 60
    assert strength["noise"][110:140, 310:390].mean() > 2 * strength["noise"][400:500, 300:500].mean()
    rim = np.argwhere(strength["field"][200:300] > 0)[:, 1]
    assert 60 <= rim.min() <= 90
    assert decoded(shown["film"]).shape == (512, 512)
