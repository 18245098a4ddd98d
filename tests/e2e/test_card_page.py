"""The card of one film in a real browser: what the tools saw, what the judge was asked, and why there is none."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from lrrg.pipelines import settings
from lrrg.pipelines.annotate.explain import explain
from lrrg.pipelines.report.card import write_card
from lrrg.tests.browser import Opened, chromium
from lrrg.tests.oracle import grades, spelling
from lrrg.tests.poison import encoded, picture
from lrrg.tests.scripted import serving
from playwright.sync_api import Browser


@pytest.fixture(scope="module")
def cards(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The cards of a sound film, of a torn one, and of one that a judge looked at more closely."""
    folder = tmp_path_factory.mktemp("cards")
    data = encoded(picture(480, 400, seed=3), "JPEG", quality=95)
    chosen, made = settings.load(), {}
    for name, content in {"sound": data, "torn": data[:2000]}.items():
        film, steps = folder / f"{name}.jpg", []
        film.write_bytes(content)
        explain(film, chosen, "PA", lambda step, found, steps=steps: steps.append((step, found)))
        made[name] = folder / f"{name}.html"
        write_card(film, steps, chosen, made[name])
    film, steps, made["judged"] = folder / "sound.jpg", [], folder / "judged.html"
    with serving(spelling('{"look":"detail","region":"upper left"}'), spelling(grades(positioning=3))) as server:
        asking = settings.load(judge={"urls": (server.url,)})
        explain(film, asking, "PA", lambda step, found: steps.append((step, found)))
    write_card(film, steps, asking, made["judged"])
    return made


@pytest.fixture(scope="module")
def browser(cards: dict[str, Path]) -> Iterator[Browser]:
    """The cards come first: the browser's event loop and the agent's do not share a thread."""
    with chromium() as found:
        yield found


def test_the_image_card_shows_film_layers_and_steps(browser: Browser, cards: dict[str, Path]):
    made = Opened(browser, cards["sound"])
    assert made.page.locator("#picture img.plate").evaluate("image => image.naturalWidth") == 400
    assert made.page.locator("#steps summary").all_inner_texts() == ["1. measure", "2. triage", "3. verdict"]
    noise = made.page.locator("#picture img.layer.noise")
    assert not noise.is_visible()
    made.page.locator("#picture label.noise input").check()
    assert noise.is_visible()
    assert made.page.locator("#population svg circle, #population svg path").count() > 5
    assert made.complaints == []
    assert made.requests == [cards["sound"].resolve().as_uri()]
    made.context.close()


def test_what_the_agent_said_is_never_cut_off(browser: Browser, cards: dict[str, Path]):
    made = Opened(browser, cards["sound"])
    made.page.set_viewport_size({"width": 390, "height": 844})
    tables = made.page.locator("#steps details[open] .wide")
    assert tables.count() > 0
    assert tables.evaluate_all("all => all.filter(each => each.scrollWidth > each.clientWidth).length") == 0
    made.context.close()


def test_the_card_of_a_judged_film_shows_what_was_asked_for_and_how_it_was_settled(browser: Browser, cards):
    made = Opened(browser, cards["judged"])
    steps = made.page.locator("#steps summary").all_inner_texts()
    assert [name.split(". ")[1] for name in steps][2:] == ["judge", "inspect", "judge", "reconcile", "verdict"]
    assert made.page.locator("#picture img.layer.looked").is_visible()
    rulings = made.page.locator("#steps details").nth(5).locator("table").nth(1)
    row = rulings.locator("tbody tr", has_text="positioning").inner_text().split()
    assert row[-2:] == ["3", "judge"]
    assert "[object" not in made.page.inner_text("body")
    assert "decided by judge, confidence 1.00" in made.page.inner_text("#verdict")
    assert made.complaints == []
    made.context.close()


def test_the_card_of_an_unreadable_file_says_why(browser: Browser, cards: dict[str, Path]):
    made = Opened(browser, cards["torn"])
    assert "truncated" in made.page.inner_text("#steps")
    assert made.page.locator("img").count() == 0
    assert made.complaints == []
    made.context.close()
