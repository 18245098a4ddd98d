from pathlib import Path

import pytest
from lrrg.pipelines.files import atomic


def half_way(path: Path) -> None:
    with atomic(path) as part:
        part.write_text("half of it")
        raise RuntimeError("half-way")


def test_a_file_that_is_not_written_to_its_end_changes_nothing(tmp_path):
    path = tmp_path / "page.html"
    path.write_text("before")
    with pytest.raises(RuntimeError, match="half-way"):
        half_way(path)
    assert (path.read_text(), list(tmp_path.iterdir())) == ("before", [path])
    with atomic(path) as part:
        part.write_text("after")
        assert (path.read_text(), part.suffix) == ("before", ".html")
    assert (path.read_text(), list(tmp_path.iterdir())) == ("after", [path])
