"""`docs/metrics.md` lists the metrics that there are, and figures of the rules and phrases that there are."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from lrrg.benchmark.agreement import Agreement
from lrrg.benchmark.honesty import Topic, says
from lrrg.benchmark.honesty import signature as honesty_signature
from lrrg.benchmark.labeler import signature
from lrrg.benchmark.metrics import METRICS
from lrrg.pipelines.adapters.iu_xray import IndianaReport
from lrrg.pipelines.score.labeler import HELD_OUT, against_mesh, half_of, iu_reports

PAGE = Path(__file__).resolve().parents[2] / "docs" / "metrics.md"
ARCHIVE = "LRRG_IU_REPORTS"


def filled(name: str, lines: Sequence[str]) -> str:
    """The page with the lines between the markers of one table replaced."""
    head, _, rest = PAGE.read_text(encoding="utf-8").partition(f"<!-- {name} -->\n")
    _, _, tail = rest.partition(f"<!-- end {name} -->")
    assert rest, f"the page has no marker {name}"
    assert tail, f"the page has no end of {name}"
    return "\n".join([f"{head}<!-- {name} -->", *lines, f"<!-- end {name} -->{tail}"])


def metric_lines() -> list[str]:
    rows = [
        f"| `{metric.name}` | {metric.better} | {metric.bounds[0]:g} … {metric.bounds[1]:g} | {metric.summary} |"
        for metric in METRICS.values()
    ]
    return ["| metric | better | range | what it is |", "|---|---|---|---|", *rows]


def rule14_lines(title: str, rows: Sequence[Agreement]) -> list[str]:
    cells = [" | ".join(f"{value:.3f}" if isinstance(value, float) else str(value) for value in row) for row in rows]
    heading = " | ".join(name.replace("_", " ") for name in Agreement._fields)
    return [
        f"`{signature()}`, {title}:",
        "",
        f"| {heading} |",
        "|---|" + "---:|" * (len(Agreement._fields) - 1),
        *(f"| {each} |" for each in cells),
    ]


def honesty_lines(reports: Sequence[IndianaReport]) -> list[str]:
    def share(topic: Topic, among: Sequence[IndianaReport]) -> str:
        return f"{sum(says(topic, report.text) for report in among)} of {len(among)}"

    def coded(*codes: str) -> list[IndianaReport]:
        return [report for report in reports if any(code in " ".join(report.codes).lower() for code in codes)]

    def compared(word: str) -> list[IndianaReport]:
        return [report for report in reports if word in report.sections.get("comparison", "").lower()]

    alone, dated = compared("none"), compared("xxxx")
    flawed = coded("technical quality", "hypoinflation", "obscured")
    others = [report for report in reports if report not in flawed]
    rows = [
        ("a limitation", "coded: technical quality unsatisfactory", share("limitation", coded("technical quality"))),
        ("a limitation", "coded: that, hypoinflation or something obscured", share("limitation", flawed)),
        ("a limitation", "coded: none of these", share("limitation", others)),
        ("an earlier film", "compared with a dated film", share("prior", dated)),
        ("an earlier film", "compared with none", share("prior", alone)),
    ]
    return [
        f"Phrases `{honesty_signature()}`, {HELD_OUT}, {len(reports)} reports:",
        "",
        "| speak of | among reports | how many do |",
        "|---|---|---:|",
        *(f"| {' | '.join(row)} |" for row in rows),
    ]


@pytest.fixture(scope="module")
def archive() -> Path:
    """The Indiana University reports, wherever they lie."""
    if not os.environ.get(ARCHIVE):
        pytest.skip(f"set {ARCHIVE} to NLMCXR_reports.tgz or to the folder it unpacks to")
    return Path(os.environ[ARCHIVE])


def test_every_metric_says_what_it_is():
    assert [name for name, metric in METRICS.items() if not metric.summary] == []


def test_the_metrics_on_the_page_are_up_to_date(golden: Callable[[str, str], None]):
    golden("docs/metrics.md", filled("metrics", metric_lines()))


def test_rule14_figures_are_what_the_reports_give(archive: Path, golden: Callable[[str, str], None]):
    ((title, rows),) = [item for item in against_mesh(archive).items() if item[0].startswith(HELD_OUT)]
    golden("docs/metrics.md", filled("rule14", rule14_lines(title, rows)))


def test_honesty_figures_are_what_the_reports_give(archive: Path, golden: Callable[[str, str], None]):
    reports = [report for report in iu_reports(archive) if report.text and half_of(report.study) == HELD_OUT]
    golden("docs/metrics.md", filled("honesty", honesty_lines(reports)))


def test_the_page_has_figures_of_these_rules_and_phrases():
    stated = PAGE.read_text(encoding="utf-8")
    for name in (signature(), honesty_signature()):
        assert f"`{name}`" in stated, f"rules changed: measure them again (set {ARCHIVE}, then make golden)"
