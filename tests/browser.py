"""A real headless Chromium that opens pages from disk and keeps account of what they do."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from lrrg.tests.scripted import AGES
from playwright.sync_api import Browser, Page, Request, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser; without one on this machine the test is skipped. `LRRG_CHROMIUM` names another."""
    found = os.environ.get("LRRG_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip("no Chromium on this machine: install Debian's package chromium, or set LRRG_CHROMIUM")
    with sync_playwright() as driver:
        # Containers forbid the sandbox; the pages are our own.
        browser = driver.chromium.launch(
            executable_path=found, args=["--no-sandbox", "--disable-dev-shm-usage"], timeout=AGES * 1e3
        )
        try:
            yield browser
        finally:
            browser.close()


class Opened:
    """A page opened from disk, with everything it complained about or asked for."""

    def __init__(self, browser: Browser, path: Path, *, width: int = 1280, scheme: str = "light"):
        self.context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme="dark" if scheme == "dark" else "light"
        )
        self.context.set_default_timeout(AGES * 1e3)
        self.page: Page = self.context.new_page()
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda said: self.complaints.append(f"{said.type}: {said.text}"))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", self._asked)
        self.page.goto(path.resolve().as_uri())
        self.page.wait_for_selector("html[data-ready]", state="attached")

    def _asked(self, request: Request) -> None:
        if not request.url.startswith(("data:", "blob:")):
            self.requests.append(request.url)

    def count(self, regime: str) -> int:
        """Films of a regime as the page counts them now."""
        return int(self.page.inner_text(f"#count-{regime}").replace(",", ""))
