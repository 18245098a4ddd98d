from pathlib import Path

import pytest
from lrrg.pipelines.files import atomic, write_json


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


def test_who_reads_a_json_file_meanwhile_has_all_of_the_one_before(tmp_path):
    path = tmp_path / "run.json"
    write_json(path, {"a": 1})
    with path.open() as reader:
        write_json(path, {"a": 2})
        assert reader.read() == '{\n "a": 1\n}\n'
    assert (path.read_text(), list(tmp_path.iterdir())) == ('{\n "a": 2\n}\n', [path])
