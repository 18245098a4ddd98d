"""The main job through the command line: catalog, annotate, resume, shards, explain, bench."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from lrrg.pipelines import settings
from lrrg.pipelines.annotate.stage import Order, parse_shard
from lrrg.pipelines.bench.annotate import bench_annotate
from lrrg.pipelines.bench.processes import cost
from lrrg.pipelines.errors import SettingsError, StoreError
from lrrg.tests.disturbed import copied
from lrrg.tests.project import Project, policy, start_project, write_films
from lrrg.tests.scripted import AGES

FILMS = 14
SLURM = Path(__file__).resolve().parents[2] / "docs" / "annotate.sbatch"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    write_films(tmp_path / "films", FILMS)
    return start_project(tmp_path, tmp_path / "films")


def counts(project: Project, *options: str) -> dict[str, int]:
    done = project.lrrg("annotate", "--json", *options)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_every_image_is_taken_on_once(project):
    assert counts(project, "--dry-run") == {"pending": FILMS}
    assert project.query("SELECT count(*) FROM verdict") == [(0,)]
    assert sum(counts(project, "--limit", "5").values()) == 5
    assert project.annotate().counts.total() == FILMS - 5
    assert counts(project) == {"pending": 0}
    assert project.nothing_lost_nothing_doubled()
    assert project.query("SELECT count(DISTINCT run_id), bool_and(exit_code = 0) FROM run") == [(2, True)]


def test_an_unreadable_file_is_not_tried_again(project):
    (project.films / "film003.jpg").write_bytes(b"")
    assert project.annotate().counts["unreadable"] == 1
    assert project.annotate(Order(retry_failed=True)).counts.total() == 0


def test_a_film_that_was_missing_is_taken_on_with_the_failed_ones(project, tmp_path):
    film = project.films / "film003.jpg"
    film.rename(tmp_path / "film.jpg")
    assert project.annotate().counts["unreadable"] == 1
    (tmp_path / "film.jpg").rename(film)
    assert project.annotate().counts.total() == 0
    assert project.annotate(Order(retry_failed=True)).counts.total() == 1
    assert project.query("SELECT count(*) FROM verdict WHERE error_code IS NOT NULL") == [(0,)]


def test_a_run_that_is_refused_leaves_the_labels_of_the_one_before(project, tmp_path):
    project.annotate(Order(limit=5))
    labels = project.query("FROM labels ORDER BY ALL")
    project.films.rename(tmp_path / "elsewhere")
    project.policy.write_text(json.dumps(policy(bias=3.0)), encoding="utf-8")
    with pytest.raises(StoreError, match="nothing is there"):
        project.annotate()
    assert project.query("FROM labels ORDER BY ALL") == labels


def test_shards_merge_to_what_one_run_gives(project, tmp_path):
    alone = Project(project.films, tmp_path / "alone.duckdb")
    alone.db.write_bytes(project.db.read_bytes())
    alone.policy.write_bytes(project.policy.read_bytes())
    alone.annotate()
    parts = [project.annotate(Order(shard=(part, 3))) for part in (1, 2)]
    last = counts(project, "--shard", "3/3")
    assert sum(part.counts.total() for part in parts) + sum(last.values()) == FILMS
    assert project.annotate(Order(shard=(2, 3))).counts.total() == 0
    assert project.query("SELECT count(*) FROM verdict") == [(0,)]
    for new in (FILMS, 0):
        done = project.lrrg("ingest", f"{project.db}.shards", "--json")
        assert json.loads(done.stdout) == {"new_verdicts": new}, done.stderr
    assert project.table() == alone.table()


def test_the_slurm_array_gives_what_one_run_gives(project, tmp_path):
    """The example as it stands, with Slurm's variables, its tasks at the same time."""
    (tmp_path / "alone").mkdir()
    alone = copied(project, tmp_path / "alone")
    alone.annotate()
    programs = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "SLURM_CPUS_PER_TASK": "1"}
    tasks = [
        subprocess.Popen(
            ["bash", str(SLURM), str(project.db)],
            env=project.environment({}) | programs | {"SLURM_ARRAY_TASK_COUNT": "2", "SLURM_ARRAY_TASK_ID": part},
        )
        for part in ("1", "2")
    ]
    assert [task.wait(timeout=AGES) for task in tasks] == [0, 0]
    assert project.query("SELECT count(*) FROM verdict") == [(0,)]
    assert counts(project) == {"pending": 0}, "annotate takes in what the array left"
    assert project.table() == alone.table()


def test_a_cluster_cuts_its_own_shards_and_needs_its_extra(project):
    done = project.lrrg("annotate", "--engine", "ray", "--shard", "1/2")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    without = "import sys; sys.modules['ray'] = None; from lrrg.pipelines.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", without, "annotate", "--engine", "ray", "--db", str(project.db)]
    done = subprocess.run(command, capture_output=True, text=True, env=project.environment({}))
    assert done.returncode == 2
    assert "lrrg[ray]" in done.stderr
    assert project.query("SELECT count(*) FROM run") == [(0,)]


def test_a_file_is_no_folder_for_shard_files(project: Project, tmp_path: Path):
    (tmp_path / "file").touch()
    done = project.lrrg("annotate", "--shard", "1/2", "--shards", str(tmp_path / "file"))
    assert done.returncode == 2
    assert f"{tmp_path / 'file'}: a file; name a folder" in done.stderr


@pytest.mark.parametrize("text", ["3", "0/2", "3/2", "a/b", "1/0", "-1/2"])
def test_a_shard_is_one_of_n(text):
    with pytest.raises(SettingsError):
        parse_shard(text)


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (("--judge", "http://example.com/v1"), 2),
        (("--judge", "http://127.0.0.1:9/v1"), 4),
        (("--policy", "no-such-policy"), 2),
        (("--shard", "3/2"), 2),
        (("--workers", "0"), 2),
    ],
)
def test_wrong_options_end_before_any_work(project, options, code):
    done = project.lrrg("annotate", *options)
    assert done.returncode == code
    assert "Traceback" not in done.stderr
    assert project.query("SELECT count(*) FROM run") == [(0,)]


@pytest.mark.parametrize(
    "arguments",
    [
        ("annotate", "--policy", "standard.v1"),
        ("annotate", "--policy", "standard.v1", "--dry-run"),
        ("annotate", "--policy", "standard.v1", "--shard", "1/2"),
        ("ingest", "."),
        ("splits", "--out", "out"),
        ("status",),
    ],
)
def test_a_database_that_is_not_there_is_said_in_one_line_and_not_made(tmp_path, arguments):
    done = Project(tmp_path, tmp_path / "none.duckdb").lrrg(*arguments)
    assert done.returncode == 4
    assert done.stderr.count("\n") == 1
    assert "none.duckdb" in done.stderr
    assert not list(tmp_path.iterdir())


def test_explain_tells_every_step_without_a_database_and_sends_nothing(project, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.1)
        tracing = {"LANGSMITH_TRACING": "true", "LANGSMITH_API_KEY": "key"}
        tracing["LANGSMITH_ENDPOINT"] = f"http://127.0.0.1:{server.getsockname()[1]}"
        done = project.run(["explain", str(project.films / "film001.jpg"), "--json"], tracing)
        with pytest.raises(TimeoutError):
            server.accept()
    assert done.returncode == 0, done.stderr
    steps = [json.loads(line) for line in done.stdout.splitlines()]
    assert [step["step"] for step in steps] == ["measure", "triage", "verdict"]
    grain = next(row for row in steps[1]["measures"] if row["measure"] == "noise.haar")
    assert grain["z"] == pytest.approx(grain["value"] - grain["usual"])
    assert grain["adds"] == pytest.approx(min(max(grain["z"], 0), 6))
    assert steps[2]["rationale"].startswith(steps[1]["regime"])


def test_explain_for_people_shows_the_verdict_on_a_bad_file_too(project):
    (project.films / "film001.jpg").write_bytes(b"no film")
    done = project.run(["explain", str(project.films / "film001.jpg")], {})
    assert done.returncode == 3, "as a run that allows no film without a verdict"
    assert "not-an-image" in done.stdout


def test_bench_compares_a_run_with_decoding(project):
    chosen = settings.load(agent={"policy": str(project.policy)}, annotate={"workers": 1})
    speed = bench_annotate(project.films, chosen, images=20)
    ratio = {part.part: part.ratio for part in speed.parts}
    assert ratio["bare cv2.imdecode"] == 1
    # Of small films and few: what one more costs drowns in the start-up's spread, the whole run does not.
    assert ratio["whole run, start-up included"] > 1
    assert all(ratio[part] > 0 for part in ("reading, hash, strict decoding", "quality tools", "agent's graph"))
    assert speed.images == 19
    assert {row.process for row in speed.memory} == {"main", "worker"}


def test_cost_counts_descendants_that_outlive_their_parent():
    burn = "import time\nend = time.process_time() + 0.5\nwhile time.process_time() < end: pass"
    orphan = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {burn!r}])"
    found = cost([sys.executable, "-c", orphan], {})
    assert 0.5 <= found.cpu < 5
    assert found.wall >= 0.4
