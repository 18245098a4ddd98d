"""A page in one file: its frame and its body, styles, scripts, the charting library and the data, packed."""

import base64
import json
import zlib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any, Literal

from ..files import atomic

LIBRARY = ("d3.min.js", "plot.umd.min.js")
"""D3 and Observable Plot, both under the ISC licence, which lies beside them."""
STYLES = ("base.css", "parts.css", "media.css")
SHARED = ("base.js", "charts.js", "film.js")
GROUP = ("columns.js", "cuts.js", "counts.js", "measures.js", "about.js", "review.js", "browse.js", "group.js")
CARD = ("card.js",)


def write_page(out: Path, body: Literal["group", "card"], title: str, data: Mapping[str, Any]) -> int:
    """Write a page; it appears whole or not at all. Returns its size in bytes.

    Args:
        out: the file.
        body: which page it is.
        title: shown in the browser's tab.
        data: what the page draws, in types that JSON knows.
    """
    scripts = (*SHARED, *(GROUP if body == "group" else CARD))
    text = Template(_asset("page.html")).substitute(
        title=_escaped(title),
        body=_asset(f"{body}.html"),
        style="\n".join(map(_asset, STYLES)),
        library="\n".join(f"<script>{_asset(f'vendor/{name}')}</script>" for name in LIBRARY),
        scripts="\n".join(f"<script>\n{_asset(name)}</script>" for name in scripts),
        data=_packed(data),
    )
    with atomic(out) as part:
        part.write_text(text, encoding="utf-8")
    return len(text.encode())


def _packed(data: Mapping[str, Any]) -> str:
    """Data as compressed text: nothing in it can end the element it stands in."""
    plain = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return base64.b64encode(zlib.compress(plain.encode(), 6)).decode()


def _asset(name: str) -> str:
    return (resources.files("lrrg.pipelines.report") / "assets" / name).read_text(encoding="utf-8")


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
