"""A cluster of real nodes on this machine, and what can die of it during a run: a worker, a node, the driver.

Whatever the engine, a run must leave the table that an undisturbed run on one machine leaves.
"""

import os
import random
import secrets
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from lrrg.pipelines.store import shard_files
from lrrg.tests.disturbed import (
    HELD,
    copied,
    finish_and_compare,
    held,
    interrupt,
    stuck,
    wait_for_rows,
    write_films_and_poison,
)
from lrrg.tests.project import Project, all_gone, eventually, family, start_project
from lrrg.tests.scripted import AGES

pytest.importorskip("ray")

from lrrg.pipelines.engines.ray import RETRIES
from ray._private.node import Node
from ray.cluster_utils import Cluster

FILMS = 80


@pytest.fixture(scope="module")
def project_of_films(tmp_path_factory: pytest.TempPathFactory) -> Project:
    folder = tmp_path_factory.mktemp("films")
    write_films_and_poison(folder, FILMS)
    return start_project(tmp_path_factory.mktemp("cataloged"), folder)


@pytest.fixture(scope="module")
def undisturbed(project_of_films: Project, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The table as the local engine leaves it when nothing happens."""
    calm = copied(project_of_films, tmp_path_factory.mktemp("calm"))
    assert calm.annotate().exit_code == 0
    return calm.table()


@pytest.fixture
def project(project_of_films: Project, tmp_path: Path) -> Project:
    """A database whose images have no verdict yet."""
    return copied(project_of_films, tmp_path)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A head that works on nothing, and two nodes of one CPU each."""
    with pytest.MonkeyPatch.context() as here:
        here.setenv("RAY_AUTH_TOKEN", secrets.token_hex(32))
        here.setenv("RAY_USAGE_STATS_ENABLED", "0")
        made = Cluster()
        add_node(made, num_cpus=0, include_dashboard=False)
        for _ in range(2):
            add_node(made)
        here.setenv("RAY_ADDRESS", made.address)
        yield made
        made.shutdown()


def add_node(cluster: Cluster, **how: Any) -> None:
    """Add a node, of one CPU unless told otherwise, however long it takes to start."""
    cluster.add_node(wait=False, **{"num_cpus": 1, "object_store_memory": 80 << 20} | how)
    cluster.wait_for_nodes(AGES)


def tasks(root: int) -> list[psutil.Process]:
    """Processes that work on a shard right now."""
    found = []
    for each in family(root):
        with suppress(psutil.NoSuchProcess):
            if each.cmdline()[:1] == ["ray::finish"]:
                found.append(each)
    return found


def node_of(process: psutil.Process, cluster: Cluster) -> Node:
    """The node that a process runs on."""
    above = {each.pid for each in process.parents()}
    (found,) = (node for node in cluster.worker_nodes if node.all_processes["raylet"][0].process.pid in above)
    return found


def test_a_killed_worker_and_a_killed_node_cost_their_tasks_alone(cluster, project, undisturbed):
    with held(project) as films, project.running("annotate", engine="ray") as run:
        wait_for_rows(project)
        eventually(films.reached)
        one, other = tasks(os.getpid())
        lost = node_of(other, cluster)
        one.kill()
        cluster.remove_node(lost, allow_graceful=False)
        with suppress(psutil.NoSuchProcess):
            other.kill()
        films.let_go()
        _, said = run.communicate(timeout=AGES)
        assert run.returncode == 0, said
    add_node(cluster)
    assert project.nothing_lost_nothing_doubled()
    assert project.table() == undisturbed


def test_what_a_killed_driver_did_not_merge_is_taken_in_by_the_next_run(cluster, project, undisturbed):
    folder = Path(f"{project.db}.shards")
    with held(project) as films, project.running("annotate", engine="ray") as run:
        wait_for_rows(project)
        eventually(films.reached)
        run.send_signal(signal.SIGSTOP)
        written = len(shard_files(folder))
        films.let_go()
        eventually(lambda: len(shard_files(folder)) == written + 2)
        run.kill()
        run.wait()
    eventually(lambda: not tasks(os.getpid()))
    merged = project.query("SELECT count(*) FROM ingested_shard")[0][0]
    assert 0 < merged <= written
    (folder / "half.tmp").write_bytes(b"half a shard")
    finish_and_compare(project, undisturbed)
    first = "(SELECT run_id FROM run ORDER BY started_at LIMIT 1)"
    assert project.query("SELECT count(*) FROM ingested_shard") == [(written + 2,)]
    taken = f"SELECT count(*) = (SELECT sum(verdicts) FROM ingested_shard) FROM verdict WHERE run_id = {first}"
    assert project.query(taken) == [(True,)], "a film was measured although its verdict lay in a file"


@pytest.mark.parametrize("still", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["at work", "still"])
def test_two_signals_drop_a_hung_film_on_the_cluster_and_keep_the_rest(cluster, project, undisturbed, still):
    """Also where the task's process takes both at once, because it stood still when they came."""
    victim = stuck(project.films / "film005.jpg")
    with victim as films, project.running("annotate", engine="ray") as run:
        wait_for_rows(project)
        eventually(films.reached)
        stopped = tasks(os.getpid()) if still else []
        for each in stopped:
            each.suspend()
        interrupt(run)
        with pytest.raises(subprocess.TimeoutExpired):
            run.wait(timeout=3)
        interrupt(run)
        if still:
            time.sleep(3)
        for each in stopped:
            each.resume()
        assert run.wait(timeout=AGES) == 130
    assert project.query("SELECT exit_code FROM run") == [(130,)]
    assert project.query("SELECT count(*) FROM verdict WHERE image_id <= 'film004'") == [(5,)]
    finish_and_compare(project, undisturbed)


def test_a_ray_of_this_machine_alone_drains_on_sigterm_and_leaves_nothing_behind(project, undisturbed, monkeypatch):
    """To the whole process group, as a batch system sends it: Ray's own processes must not take it for theirs."""
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    with held(project) as films, project.running("annotate", engine="ray") as run:
        wait_for_rows(project)
        eventually(films.reached)
        relatives = family(run.pid)
        os.killpg(run.pid, signal.SIGTERM)
        films.let_go()
        _, said = run.communicate(timeout=AGES)
        assert run.returncode == 143, said
        assert all_gone(relatives)
    assert project.query(f"SELECT count(*) FROM verdict WHERE image_id IN {HELD}") == [(2,)], "they were under way"
    assert project.query("SELECT image_id FROM image ANTI JOIN verdict USING (image_id)") != []
    finish_and_compare(project, undisturbed)


@pytest.mark.slow
def test_anything_killed_at_random_moments_on_a_cluster(cluster, project_of_films, undisturbed, tmp_path):
    dice = random.Random(7)
    for index in range(12):
        folder = tmp_path / str(index)
        folder.mkdir()
        project = copied(project_of_films, folder)
        with project.running("annotate", engine="ray") as run:
            with suppress(subprocess.TimeoutExpired):
                run.wait(timeout=dice.uniform(3, 12))
            kill_something(cluster, run, dice)
            assert run.wait(timeout=AGES) in (0, -signal.SIGKILL)
        assert set(project.table()) <= set(undisturbed)
        finish_and_compare(project, undisturbed)


def kill_something(cluster: Cluster, run: subprocess.Popen[str], dice: random.Random) -> None:
    working = tasks(os.getpid())
    what = dice.choice(("driver", "worker", "node"))
    if what == "driver":
        run.kill()
    elif what == "worker" and working:
        dice.choice(working).kill()
    elif what == "node":
        cluster.remove_node(dice.choice(list(cluster.worker_nodes)), allow_graceful=False)
        add_node(cluster)


@pytest.mark.slow
def test_a_killed_driver_takes_its_own_ray_with_it(project, undisturbed, monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    with held(project) as films, project.running("annotate", engine="ray") as run:
        wait_for_rows(project)
        eventually(films.reached)
        relatives = family(run.pid)
        run.kill()
        run.wait()
        assert all_gone(relatives)
    finish_and_compare(project, undisturbed)


@pytest.mark.slow
def test_a_task_that_dies_again_and_again_is_named_and_the_next_run_finishes_it(cluster, project, undisturbed):
    deaths: set[int] = set()
    with project.running("annotate", "--limit", "1", engine="ray") as run:
        while run.poll() is None:
            for each in tasks(os.getpid()):
                with suppress(psutil.NoSuchProcess):
                    each.kill()
                    deaths.add(each.pid)
            time.sleep(0.05)
        _, said = run.communicate()
    assert run.returncode == 4, said
    assert "tasks lost: 1; run the same command again" in said
    assert len(deaths) == 1 + RETRIES
    assert project.query("SELECT exit_code FROM run") == [(4,)]
    finish_and_compare(project, undisturbed)


@pytest.mark.slow
def test_a_machine_with_another_version_of_a_package_is_named(project, undisturbed, tmp_path, monkeypatch):
    other = tmp_path / "other/duckdb-0.0.1.dist-info"
    other.mkdir(parents=True)
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: duckdb\nVersion: 0.0.1\n")
    monkeypatch.setenv("RAY_AUTH_TOKEN", secrets.token_hex(32))
    made = Cluster()
    try:
        add_node(made, num_cpus=0, include_dashboard=False)
        add_node(made, env_vars={"PYTHONPATH": str(other.parent)})
        monkeypatch.setenv("RAY_ADDRESS", made.address)
        done = project.lrrg("annotate", engine="ray")
    finally:
        made.shutdown()
    assert done.returncode == 4, done.stderr
    assert "'duckdb', '0.0.1'" in done.stderr
    assert project.query("SELECT count(*) FROM verdict") == [(0,)]
