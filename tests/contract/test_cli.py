"""The command line as users script it."""

import json
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import typer
from lrrg.agent.policy import load
from lrrg.pipelines.cli import app
from lrrg.pipelines.errors import SettingsError
from lrrg.pipelines.policy import stage
from lrrg.pipelines.policy.stage import Outcome
from lrrg.tools import TOOLS
from typer.testing import CliRunner


def commands(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    if hasattr(group, "commands"):
        for name, command in group.commands.items():
            yield from commands(command, (*path, name))
    else:
        yield " ".join(path), group


COMMANDS = dict(commands(typer.main.get_command(app)))


def test_the_version_is_that_of_the_package():
    done = CliRunner().invoke(app, ["--version"])
    assert (done.exit_code, done.stdout) == (0, f"lrrg {version('lrrg')}\n")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_verb_and_option_has_help(name: str):
    command = COMMANDS[name]
    assert command.help
    for parameter in command.params:
        if parameter.name != "help":
            assert getattr(parameter, "help", None), f"lrrg {name}: {parameter.name}"


def test_tools_are_listed_for_programs_too():
    done = CliRunner().invoke(app, ["tools", "--json"])
    listed = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(each["name"], each["version"]) for each in listed] == [(each.name, each.version) for each in TOOLS]


@pytest.mark.parametrize(("film", "said"), [("none.png", "no such file"), ("", "a folder; name one film in it")])
def test_a_film_that_is_not_there_is_a_wrong_argument(tmp_path, film: str, said: str):
    with pytest.raises(SettingsError, match=said):
        CliRunner().invoke(app, ["explain", str(tmp_path / film)], catch_exceptions=False)


def test_a_view_that_no_policy_knows_is_a_wrong_argument(tmp_path):
    (tmp_path / "film.png").touch()
    with pytest.raises(SettingsError, match="SIDEWAYS: no view position"):
        CliRunner().invoke(app, ["explain", str(tmp_path / "film.png"), "--view", "SIDEWAYS"], catch_exceptions=False)


@pytest.mark.parametrize(
    "command",
    [
        ["annotate", "--db", "none.db", "--judge-when", "uncertain"],
        ["annotate", "--db", "none.db", "--judge", "none", "--model", "large"],
        ["explain", "none.png", "--model", "large"],
    ],
)
def test_how_a_judge_is_asked_is_refused_where_none_is(command: list[str]):
    with pytest.raises(SettingsError, match="no judge is asked; name its server with --judge"):
        CliRunner().invoke(app, command, catch_exceptions=False)


def test_every_verb_with_a_result_speaks_to_programs():
    silent = {name for name, command in COMMANDS.items() if not any(each.name == "as_json" for each in command.params)}
    assert silent == {"sql"}, "which has --format json"


@pytest.mark.parametrize("verb", ["policy fit", "policy reference", "policy chest", "calibrate --db none.db"])
def test_a_file_that_cannot_be_written_is_said_before_any_film_is_read(tmp_path, verb: str):
    command = [*verb.split(), str(tmp_path), "--out", str(tmp_path / "none" / "out.json")]
    with pytest.raises(SettingsError, match="make it first"):
        CliRunner().invoke(app, command, catch_exceptions=False)


def test_a_policy_fitted_on_films_of_one_source_has_no_table_of_others(tmp_path, monkeypatch):
    tables = {"patients": [{"AUROC": 0.9}], "sources": []}
    fitted = Outcome(load("standard.v1"), tables)
    monkeypatch.setattr(stage, "fit_folder", lambda *_: fitted)
    done = CliRunner().invoke(app, ["policy", "fit", str(tmp_path), "--out", str(tmp_path / "own.json")])
    assert (done.exit_code, "0.9" in done.stdout, "sources" in done.stdout) == (0, True, False)


@pytest.mark.parametrize(
    "command",
    [
        ["report", "--db", "none.db", "--out"],
        ["sql", "SELECT 1", "--db", "none.db", "--format", "csv", "--out"],
        ["explain", "none.png", "--html"],
    ],
)
def test_a_page_or_answer_that_cannot_be_written_is_said_first(tmp_path, command: list[str]):
    with pytest.raises(SettingsError, match=r"there is no folder .*none; make it first"):
        CliRunner().invoke(app, [*command, str(tmp_path / "none" / "out")], catch_exceptions=False)
    folder = CliRunner().invoke(app, [*command, str(tmp_path)], catch_exceptions=False)
    assert folder.exit_code == 2
    assert f"Invalid value for '{command[-1]}'" in folder.stderr


def test_a_full_disk_is_no_bug():
    tools = [sys.executable, "-c", "from lrrg.pipelines.cli import main; main()", "tools", "--json"]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(tools, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 4
    assert done.stderr.startswith("lrrg: No space left on device: make room")
