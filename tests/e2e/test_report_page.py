"""The report in a real browser: opened from disk, silent, offline, and counting what the database counts."""

import csv
import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from lrrg.agent.forms import Detail
from lrrg.agent.policy import Policy, assess, load
from lrrg.agent.state import ASPECTS, Judgement, Ruling, Step, Verdict
from lrrg.pipelines import settings
from lrrg.pipelines.annotate.stage import recipe_of
from lrrg.pipelines.bench import sql as bench_sql
from lrrg.pipelines.recipe import begin_run
from lrrg.pipelines.records import CatalogRow, ReportRow
from lrrg.pipelines.report.group import write_report
from lrrg.pipelines.review.agreement import agreement
from lrrg.pipelines.review.opinions import import_reads
from lrrg.pipelines.store import Store
from lrrg.tests import stored
from lrrg.tests.browser import Opened, chromium
from lrrg.tests.quiet import silent
from playwright.sync_api import Browser

FILMS = 240
SECRET = "Cardiomegaly unchanged since yesterday"
DOT = "data:image/gif;base64,R0lGODlhAQABAIAAAAUEBAAAACwAAAAAAQABAAACAkQBADs="


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def db(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random verdicts under a policy with every kind of row, one unreadable film, and a report."""
    path = tmp_path_factory.mktemp("report") / "films.duckdb"
    found = [stored.verdict(f"film{k:03d}", k, ("AP", "PA", "LATERAL", None)[k % 4]) for k in range(FILMS)]
    found.append(Verdict("torn", "unreadable", error_code="truncated", error_detail="cut off"))
    rows = [
        CatalogRow(each.image_id, f"f/{each.image_id}.jpg", f"p{k // 3}", f"s{k // 2}", ("AP", "PA", "LL", None)[k % 4])
        for k, each in enumerate(found)
    ]
    run = begin_run(stored.RECIPE, {})
    with Store.open(path) as store:
        store.add_images(path.parent, rows)
        store.add_reports([ReportRow("s1", "p0", "s1.txt", findings=SECRET)])
        store.register_recipe(stored.RECIPE)
        store.start_run(run)
        store.write(found, stored.RECIPE.recipe_id, run.run_id)
        store.end_run(run.run_id, 0)
    return path


def annotated(path: Path, found: list[Verdict]) -> Path:
    """The report of a database with these verdicts."""
    run = begin_run(stored.RECIPE, {})
    with Store.open(path) as store:
        store.add_images(path.parent, [CatalogRow(each.image_id, f"{each.image_id}.jpg") for each in found])
        store.register_recipe(stored.RECIPE)
        store.start_run(run)
        store.write(found, stored.RECIPE.recipe_id, run.run_id)
    out = path.with_suffix(".html")
    write_report(path, out, None, silent)
    return out


@pytest.fixture(scope="module")
def report(db: Path) -> Path:
    out = db.with_suffix(".html")
    write_report(db, out, None, silent)
    return out


def counted(db: Path, sql: str) -> dict[str, int]:
    with Store.open(db, read_only=True) as store:
        return dict(store.query(sql).rows)


@pytest.fixture
def opened(browser: Browser, report: Path) -> Iterator[Opened]:
    """The report in a fresh tab; at the end it must have said nothing and asked for nothing."""
    made = Opened(browser, report)
    yield made
    assert made.complaints == []
    assert made.requests == [report.resolve().as_uri()]
    made.context.close()


def test_the_page_counts_every_film_as_the_database_does(opened: Opened, db: Path):
    regimes = counted(db, "SELECT regime, count(*) FROM labels WHERE regime IS NOT NULL GROUP BY ALL")
    assert {regime: opened.count(regime) for regime in regimes} == regimes
    assert opened.page.evaluate("lrrg.mismatch") == 0
    severities = "SELECT concat('{0} ', {0}), count(*) FROM labels WHERE {0} IS NOT NULL GROUP BY ALL"
    for aspect in ASPECTS:
        shown = opened.page.evaluate(f"tally(lrrg.now.severity.{aspect}, 4)")
        stored_counts = counted(db, severities.format(aspect))
        assert {f"{aspect} {level}": films for level, films in enumerate(shown[:4]) if films} == stored_counts


def test_moving_the_cut_on_quality_recounts_the_regimes(opened: Opened, db: Path):
    low = opened.count("low")
    slider = opened.page.locator("#quality input").nth(0)
    slider.focus()
    for _ in range(30):
        slider.press("ArrowRight")
    opened.page.wait_for_selector("#changed")
    cut = opened.page.evaluate("lrrg.now.quality.edges[lrrg.now.quality.at[0]]")
    ruled = "noise = 3"  # the only rule of this policy that makes a film low
    expected = counted(db, f"SELECT 'low', count(*) FROM labels WHERE quality < {cut!r} OR {ruled}")["low"]
    assert opened.count("low") == expected > low
    opened.page.click("#reset")
    opened.page.wait_for_selector("#changed", state="detached")
    assert opened.count("low") == low


def test_a_cut_is_dragged_with_the_mouse_and_pushes_the_other(opened: Opened):
    page = opened.page
    high = page.locator("#quality input").nth(1)
    high.scroll_into_view_if_needed()
    box = high.bounding_box()
    assert box is not None
    thumb, middle = 22, box["y"] + box["height"] / 2
    place = [box["x"] + thumb / 2 + share * (box["width"] - thumb) for share in (0.7, 0.2)]  # 0.7 is this policy's cut
    page.mouse.move(place[0], middle)
    page.mouse.down()
    page.mouse.move(place[1], middle, steps=6)
    page.mouse.up()
    page.wait_for_selector("#changed")
    low_cut, high_cut = page.evaluate("lrrg.now.quality.at.map((edge) => lrrg.now.quality.edges[edge])")
    assert high_cut == pytest.approx(0.2, abs=0.03)
    assert low_cut == high_cut
    assert opened.count("borderline") == opened.page.evaluate("tally(lrrg.now.regime, 3)[1]")


def test_moving_a_severity_cut_gives_what_the_policy_gives_with_that_cut(opened: Opened, db: Path):
    moved = opened.page.evaluate("""() => {
        const film = lrrg.data.measures.find((each) => each.name === 'noise.two');
        const [domain, scales] = Object.entries(film.by)[0];
        const set = scales[0].cuts[0];
        moveCut(set, 2, set.edges[Math.round(set.edges.length * (set.direction > 0 ? 0.2 : 0.8))]);
        lrrg.grade(lrrg.now, 'noise');
        lrrg.decide(lrrg.now);
        return { domain, on: scales[0].on, cuts: set.at.map((edge) => set.edges[edge]),
                 counts: tally(lrrg.now.regime, 3).slice(0, 3), severities: tally(lrrg.now.severity.noise, 4) };
    }""")
    body = stored.policy().model_dump()
    for row in body["severities"]:
        if (row["domain"], row["measure"], row["on"]) == (moved["domain"], "noise.two", moved["on"]):
            row["cuts"] = moved["cuts"]
    policy = Policy.model_validate(body)
    readings = [(stored.reading(k), ("AP", "PA", "LATERAL", None)[k % 4]) for k in range(FILMS)]
    said = [assess(policy, each.measures, each.intensity_domain, view) for each, view in readings]
    regimes = [each.regime for each in said]
    assert moved["counts"] == [regimes.count(name) for name in ("high", "borderline", "low")]
    severe = [each.severities.get("noise") for each in said]
    assert moved["severities"][:4] == [severe.count(level) for level in range(4)]


def test_films_are_filtered_sorted_and_only_those_in_view_are_in_the_page(opened: Opened, db: Path):
    page = opened.page
    assert 0 < page.locator("#table .row").count() < FILMS / 2
    page.select_option("#filter-regime", "low")
    low = counted(db, "SELECT 'low', count(*) FROM labels WHERE regime = 'low'")["low"]
    assert page.inner_text("#found").startswith(f"{low} of {FILMS + 1} ")
    page.select_option("#filter-regime", "")
    page.fill("#filter-text", "truncated")
    assert page.locator("#table .row").count() == 1
    assert "torn" in page.inner_text("#table .row")
    page.fill("#filter-text", "")
    for expected in (min, max):
        page.locator("#table th button", has_text="quality").click()
        shown = [float(text) for text in page.locator("#table td.number").all_inner_texts() if text != "–"]
        order = expected(shown)
        assert shown[0] == order


def test_reads_make_the_round_trip_into_the_database(opened: Opened, db: Path, tmp_path: Path):
    page = opened.page
    page.fill("#filter-text", "film00")
    page.fill("#reader", 'Dr. "X", senior')
    page.check("#blind")
    page.locator("#table .row").nth(0).click()
    assert not page.locator("#film .verdict").first.is_visible()
    page.locator("#film [aria-label=regime] button", has_text="borderline").click()
    page.locator("#film [aria-label=noise] button", has_text="present").click()
    first = page.inner_text("#film .id")
    page.click("#film .close")
    page.uncheck("#blind")
    page.locator("#table .row").filter(has_not_text=first).first.click()
    page.click("#agree")
    page.click("#film .close")
    with page.expect_download() as download:
        page.click("#save")
    saved = tmp_path / "reads.csv"
    download.value.save_as(saved)
    rows = list(csv.DictReader(io.StringIO(saved.read_text(encoding="utf-8"))))
    assert [(row["regime"], row["noise"], row["blind"]) for row in rows[:1]] == [("borderline", "yes", "yes")]
    assert import_reads(saved, db) == {"reads": 2, "written": 2, "readers": 1}
    kept = (
        "SELECT r.image_id, r.regime = l.regime FROM review AS r JOIN labels AS l USING (image_id) WHERE reader = '{0}'"
    )
    assert counted(db, kept.format('Dr. "X", senior'))[rows[1]["image_id"]]
    assert agreement(db).reads == 2


def test_blind_reading_hides_what_would_tell_the_verdicts(opened: Opened):
    page = opened.page
    page.fill("#filter-text", "")
    films = "browser.rows.map((row) => row.image_id)"
    sorted_by_quality = page.evaluate(films)
    page.select_option("#filter-regime", "high")
    page.check("#blind")
    mixed = page.evaluate(films)
    assert sorted(mixed) == sorted(sorted_by_quality), "a filter on the regime would tell it"
    quality = page.evaluate("browser.rows.map((row) => row.quality ?? 0)")
    rank = np.corrcoef(np.argsort(np.argsort(quality)), np.arange(len(quality)))[0, 1]
    assert abs(rank) < 0.5, "the worst would stand first"
    assert page.locator("#filter-regime").is_disabled()
    page.locator("#table th button", has_text="quality").click(force=True)
    assert page.evaluate(films) == mixed
    page.uncheck("#blind")
    page.select_option("#filter-regime", "")
    page.locator("#table .row").nth(0).click()
    known = page.inner_text("#film .id")
    page.click("#film .close")
    page.check("#blind")
    page.evaluate("id => lrrg.openFilm(browser.rows.findIndex((row) => row.image_id === id))", known)
    page.locator("#film [aria-label=noise] button", has_text="present").click()
    assert page.evaluate("id => lrrg.reads.get(id).blind", known) == "no", "its verdict had been in sight"
    assert opened.complaints == []


def test_blind_reading_hides_what_the_tools_saw_on_the_film(opened: Opened):
    page = opened.page
    page.evaluate("dot => (browser.rows[0].picture = { film: dot, layers: { saturated: dot } })", DOT)
    page.check("#blind")
    page.evaluate("lrrg.openFilm(browser.rows.findIndex((row) => row.picture))")
    assert page.locator("#film .plate").is_visible()
    assert [page.locator(f"#film .{name}").first.is_visible() for name in ("layer", "layer-name")] == [False, False]
    page.click("#film .close")
    page.uncheck("#blind")
    page.evaluate("lrrg.openFilm(browser.rows.findIndex((row) => row.picture))")
    assert [page.locator(f"#film .{name}").first.is_visible() for name in ("layer", "layer-name")] == [True, True]


def test_no_report_text_and_no_pixel_is_in_the_page(opened: Opened):
    assert SECRET not in opened.page.evaluate("JSON.stringify(lrrg.data)")
    assert opened.page.locator("img").count() == 0


def test_an_archive_of_unreadable_files_still_has_a_report(browser: Browser, tmp_path: Path):
    torn = [Verdict(f"torn{k}", "unreadable", error_code="truncated", error_detail="cut off") for k in range(3)]
    made = Opened(browser, annotated(tmp_path / "torn.duckdb", torn))
    assert "truncated" in made.page.inner_text("#failures")
    assert made.page.locator("#table .row").count() == 3
    assert [made.count(regime) for regime in ("high", "borderline", "low")] == [0, 0, 0]
    assert made.complaints == []
    made.context.close()


def test_a_judges_films_are_compared_with_the_tools_and_keep_their_regime(browser: Browser, tmp_path: Path):
    films = [replace(stored.verdict(f"f{k}", k), route="judge" if k < 20 else "tools") for k in range(60)]
    made = Opened(browser, annotated(tmp_path / "judged.duckdb", films))
    assert "The judge kept the tools' regime on 100 % of 20 films" in made.page.inner_text("#judged")
    moved = made.page.evaluate("""() => {
        const { quality, regime, facet } = lrrg.now;
        quality.at = [quality.edges.length - 1, quality.edges.length - 1];
        lrrg.decide(lrrg.now);
        const judge = facet.route.names.indexOf('judge');
        const same = (route) => [...regime].filter((each, i) => facet.route.codes[i] === route
            && each === facet.regime.codes[i]).length;
        return [same(judge), same(1 - judge)];
    }""")
    assert moved[0] == 20
    assert moved[1] < 40
    assert made.complaints == []
    made.context.close()


def test_a_judged_film_shows_the_looks_that_the_judge_asked_for(browser: Browser, tmp_path: Path):
    step = Step(Detail(look="detail", region="upper left"), "The upper left ninth.")
    said, ruled = dict.fromkeys(ASPECTS, (1.0, 0.0, 0.0, 0.0)), dict.fromkeys(ASPECTS, Ruling(0, "tools"))
    told = Judgement("all", (step,), said, 1.0, {}, ruled, contested=False)
    films = [replace(stored.verdict("judged", 1), route="judge", judgement=told), stored.verdict("clear", 2)]
    made = Opened(browser, annotated(tmp_path / "looks.duckdb", films))
    for row in made.page.locator("#table .row").all():
        row.click()
        asked = "detail, upper left: The upper left ninth." in made.page.inner_text("#film")
        assert asked == ("judged" in made.page.inner_text("#film h3"))
        made.page.keyboard.press("Escape")
    assert made.complaints == []
    made.context.close()


def test_reads_of_one_patient_are_shown_without_an_interval(browser: Browser, tmp_path: Path):
    films = [stored.verdict(f"f{k}", k) for k in range(4)]
    out = annotated(tmp_path / "read.duckdb", films)
    with Store.open(tmp_path / "read.duckdb") as store:
        store.query("UPDATE image SET subject_id = 'one'")
    head = ",".join(("image_id", "reader", "regime", *ASPECTS, "blind", "read_at"))
    reads = [f"f{k},ann,{regime},,,,,,,yes,2026-01-01" for k, regime in enumerate(("low", "high") * 2)]
    (tmp_path / "reads.csv").write_text("\n".join((head, *reads)), encoding="utf-8")
    import_reads(tmp_path / "reads.csv", tmp_path / "read.duckdb")
    write_report(tmp_path / "read.duckdb", out, None, silent)
    made = Opened(browser, out)
    assert "(no interval)" in made.page.inner_text("#agreement")
    made.page.locator("#agreement circle").first.hover()
    assert "4 reads" in (made.page.locator("#agreement [aria-label=tip]").text_content() or "")
    assert made.complaints == []
    made.context.close()


@pytest.mark.slow
def test_an_archive_of_mimics_size_fits_one_page(browser: Browser, tmp_path: Path):
    recipe = recipe_of(load(settings.load().agent.policy))
    path, out = tmp_path / "large.duckdb", tmp_path / "large.html"
    with Store.open(path) as store:
        bench_sql.fill(store, recipe, bench_sql.IMAGES)
    written = write_report(path, out, None, silent)
    assert written["bytes"] <= 25_000_000
    assert written["listed"] == 2000
    made = Opened(browser, out)
    assert made.page.evaluate("lrrg.mismatch") == 0
    assert sum(made.count(regime) for regime in ("high", "borderline", "low")) == bench_sql.IMAGES
    assert made.complaints == []
    made.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_sticks_out_on_a_phone_or_a_desk(browser: Browser, report: Path, width: int, scheme: str):
    made = Opened(browser, report, width=width, scheme=scheme)
    assert made.page.evaluate("document.documentElement.scrollWidth") == width
    made.page.locator("#table .row").nth(0).click()
    assert made.page.locator("#film").bounding_box()["width"] <= width  # pyright: ignore[reportOptionalSubscript]
    assert made.complaints == []
    made.context.close()
