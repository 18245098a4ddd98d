"""Settings that cannot be read end before any work."""

from pathlib import Path

import pytest
from lrrg.pipelines.errors import SettingsError
from lrrg.pipelines.settings import load


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder, where `lrrg.toml` is looked for."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_command_line_comes_before_the_environment_before_the_file(here: Path, monkeypatch: pytest.MonkeyPatch):
    (here / "lrrg.toml").write_text("[annotate]\nworkers = 3\nbatch_rows = 30\ntool_timeout = 9\n", encoding="utf-8")
    monkeypatch.setenv("LRRG_ANNOTATE__WORKERS", "4")
    monkeypatch.setenv("LRRG_ANNOTATE__BATCH_ROWS", "40")
    found = load(annotate={"workers": 5, "batch_rows": None}).annotate
    assert (found.workers, found.batch_rows, found.tool_timeout) == (5, 40, 9)


@pytest.mark.parametrize("content", [b"no toml [", b"[annotate]\nworker = 3\n", b"[annotate]\nworkers = 0\n", b"\xff"])
def test_a_wrong_file_is_said(here: Path, content: bytes):
    (here / "lrrg.toml").write_bytes(content)
    with pytest.raises(SettingsError):
        load()


def test_more_workers_than_any_machine_holds_are_refused():
    with pytest.raises(SettingsError, match=r"annotate.workers: .*less than or equal to"):
        load(annotate={"workers": 999_999})


@pytest.mark.parametrize(
    "name", ["LRRG_ANNOTATE", "LRRG_ANNOTATE__WORKERS", "LRRG_ANNOTATE__NONE", "LRRG_ANOTATE__WORKERS"]
)
def test_a_wrong_variable_is_said(monkeypatch: pytest.MonkeyPatch, name: str):
    monkeypatch.setenv(name, "many")
    with pytest.raises(SettingsError):
        load()
