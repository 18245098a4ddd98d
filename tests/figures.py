"""Draw the pictures of the README anew: `make figures`. Every film in them is synthetic."""

import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import matplotlib as mpl
import numpy as np
from lrrg.benchmark.degrade import degrade
from lrrg.benchmark.ladder import SHIPPED, read_ladder
from lrrg.benchmark.phantom import phantom
from lrrg.pipelines import settings
from lrrg.pipelines.annotate.explain import explain
from lrrg.pipelines.demo.stage import tell
from lrrg.pipelines.report.card import write_card
from lrrg.pipelines.report.group import write_report
from lrrg.pipelines.store import Store
from lrrg.pipelines.view import progress, warn
from lrrg.tests.browser import Opened, chromium
from PIL import Image

mpl.use("Agg")
from matplotlib import pyplot as plt

LADDER = ("low_contrast", "defocus", "over_exposure", "shutter", "tilt")
WORST = """
SELECT r.path || '/' || l.path FROM labels AS l JOIN image AS i USING (image_id) JOIN root AS r USING (root_id)
WHERE l.exposure >= 1 AND l.artifact = 0 ORDER BY l.quality, l.image_id LIMIT 1
"""


def main(out: Path) -> None:
    """Run the demo in a folder of its own and picture it."""
    chosen = settings.load()
    with TemporaryDirectory() as name:
        folder = Path(name)
        story = tell(folder / "demo", chosen, progress, warn)
        shutil.copy(story.picture, out / "overview.png")
        report, card = folder / "report.html", folder / "card.html"
        write_report(story.database, report, chosen.read, progress)
        with Store.open(story.database, read_only=True) as store:
            film = Path(store.query(WORST).rows[0][0])
        steps = []
        explain(film, chosen, "PA", lambda step, found: steps.append((step, found)))
        write_card(film, steps, chosen, card)
        with chromium() as browser:
            desk, phone = Opened(browser, report), Opened(browser, report, width=390, scheme="dark")
            _shoot(desk, out / "report.png", 1420)
            _shoot(phone, out / "report-phone.png", 1420)
            _shoot(Opened(browser, card), out / "card.png", 1010)
    _draw_ladder(out / "ladder.png")


def _shoot(opened: Opened, path: Path, height: int) -> None:
    opened.page.set_viewport_size({"width": opened.page.viewport_size["width"], "height": height})  # pyright: ignore[reportOptionalSubscript]
    opened.page.wait_for_timeout(500)  # what follows the width is drawn once it is known
    opened.page.screenshot(path=path)
    _squeeze(path)


def _squeeze(path: Path) -> None:
    """Few colours are enough for a page, and make a small file."""
    Image.open(path).convert("RGB").quantize(255).save(path, optimize=True)


def _draw_ladder(path: Path) -> None:
    """Some defects of LRRG-C at all their severities."""
    ladder = read_ladder(SHIPPED)
    film = (phantom(0, height=512).stored >> 4).astype(np.uint8)
    figure, grid = plt.subplots(len(LADDER), 6, figsize=(8.4, 8.6), facecolor="white")
    for row, (line, defect) in enumerate(zip(grid, LADDER, strict=True)):
        for severity, panel in enumerate(line):
            shown = degrade(film, defect, severity, key="figure", ladder=ladder) if severity else film
            panel.imshow(shown, cmap="gray", vmin=0, vmax=255)
            panel.set_xticks([])
            panel.set_yticks([])
            if row == 0:
                panel.set_title("clean" if not severity else f"severity {severity}", fontsize=9)
        line[0].set_ylabel(defect.replace("_", " "), fontsize=9)
    figure.tight_layout(pad=0.4)
    figure.savefig(path, dpi=90, metadata={"Software": None})
    plt.close(figure)
    _squeeze(path)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
