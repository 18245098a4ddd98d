"""Faults that really happen to a run: kills, hangs, bad files, full disks. After each: nothing lost, nothing doubled.

Every disturbed run is finished with the same command, and its table compared with that of an undisturbed run.
"""

import ctypes
import json
import os
import random
import re
import resource
import signal
import subprocess
import time
from contextlib import nullcontext, suppress
from pathlib import Path

import psutil
import pytest
from lrrg.pipelines.annotate.stage import Order, annotate
from lrrg.pipelines.errors import StoreError
from lrrg.tests.disturbed import (
    HELD,
    copied,
    finish_and_compare,
    held,
    interrupt,
    readers,
    stuck,
    wait_for_rows,
    write_films_and_poison,
)
from lrrg.tests.poison import write_poison
from lrrg.tests.project import Project, all_gone, eventually, family, policy, start_project, write_films
from lrrg.tests.scripted import AGES

FILMS, FEW = 80, 14
HUNG = 12.0
"""Seconds after which a film counts as hung: more than a busy machine takes for a sound one."""
REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("films")
    write_films_and_poison(folder, FILMS)
    return folder


@pytest.fixture(scope="module")
def cataloged(films: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    return start_project(tmp_path_factory.mktemp("cataloged"), films)


@pytest.fixture(scope="module")
def undisturbed(cataloged: Project, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The table as a run leaves it that nothing happened to."""
    calm = copied(cataloged, tmp_path_factory.mktemp("calm"))
    assert calm.annotate().exit_code == 0
    assert calm.nothing_lost_nothing_doubled()
    return calm.table()


@pytest.fixture
def project(cataloged: Project, tmp_path: Path) -> Project:
    """A database whose images have no verdict yet."""
    return copied(cataloged, tmp_path)


def kill_at_random(project: Project, dice: random.Random) -> bool:
    """SIGKILL a run at a random moment; False where it was done before. Its workers must be gone soon."""
    with project.running("annotate") as run:
        with suppress(subprocess.TimeoutExpired):
            assert run.wait(timeout=dice.uniform(0.8, 4.5)) == 0
            return False
        relatives = family(run.pid)
        run.send_signal(signal.SIGKILL)
        run.wait()
        assert all_gone(relatives), "a killed run left orphans"
        return True


def killed_again_and_again(cataloged: Project, folder: Path, undisturbed: list[str], kills: int) -> None:
    dice, done = random.Random(20), 0
    project = copied(cataloged, folder)
    while done < kills:
        if kill_at_random(project, dice):
            done += 1
            assert set(project.table()) <= set(undisturbed)
        else:
            assert project.table() == undisturbed
            project = copied(cataloged, folder)
    finish_and_compare(project, undisturbed)


def test_main_killed_at_random_moments(cataloged, tmp_path, undisturbed):
    killed_again_and_again(cataloged, tmp_path, undisturbed, kills=4)


@pytest.mark.slow
def test_main_killed_at_twenty_random_moments(cataloged, tmp_path, undisturbed):
    killed_again_and_again(cataloged, tmp_path, undisturbed, kills=20)


def test_all_workers_killed_at_once(project, undisturbed):
    with held(project) as films, project.running("annotate") as run:
        wait_for_rows(project)
        eventually(films.reached)
        films.let_go()
        assert run.wait(timeout=AGES) == 0
    assert project.table() == undisturbed


def test_a_file_that_kills_every_worker_fails_alone(project, undisturbed):
    victim = project.films / "film007.jpg"
    with stuck(victim), project.running("annotate") as run:
        while run.poll() is None:
            for each in readers(victim):
                with suppress(psutil.NoSuchProcess):
                    each.kill()
            time.sleep(0.02)
        assert run.returncode == 0
    assert project.nothing_lost_nothing_doubled()
    assert project.query("SELECT image_id, error_code FROM verdict WHERE status = 'failed'") == [
        ("film007", "worker-killed")
    ]
    assert len(set(undisturbed) - set(project.table())) == 2  # its verdict and its label
    assert project.annotate(Order(retry_failed=True)).exit_code == 0
    assert project.table() == undisturbed


def test_a_hung_file_times_out_alone(project, undisturbed):
    victim = project.films / "film007.jpg"
    with stuck(victim):
        done = project.lrrg("annotate", "--max-failures", "0.9", tool_timeout=HUNG)
    assert done.returncode == 0, done.stderr
    assert project.query("SELECT image_id, error_code FROM verdict WHERE status = 'failed'") == [("film007", "timeout")]
    assert project.annotate(Order(retry_failed=True)).exit_code == 0
    assert project.table() == undisturbed


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_one_signal_drains(project, undisturbed, number, code):
    """To the whole process group, as a terminal and a batch system send it."""
    with held(project) as films, project.running("annotate") as run:
        wait_for_rows(project)
        eventually(films.reached)
        relatives = family(run.pid)
        os.killpg(run.pid, number)
        films.let_go()
        assert run.wait(timeout=AGES) == code
        assert all_gone(relatives)
    assert project.query(f"SELECT count(*) FROM verdict WHERE image_id IN {HELD}") == [(2,)], "they were under way"
    assert project.query("SELECT image_id FROM image ANTI JOIN verdict USING (image_id)") != []
    assert project.query("SELECT exit_code FROM run") == [(code,)]
    finish_and_compare(project, undisturbed)


def test_a_signal_before_the_first_film_ends_the_run_too(project, undisturbed):
    with held(project) as films, project.running("annotate") as run:
        eventually(project.db.with_suffix(".duckdb.wal").exists)
        run.send_signal(signal.SIGTERM)
        films.let_go()
        assert run.wait(timeout=AGES) in (143, -signal.SIGTERM)
    assert project.query("SELECT run_id FROM run WHERE ended_at IS NULL") == []
    finish_and_compare(project, undisturbed)


def test_two_signals_stop_at_once(project, undisturbed):
    """With a hung file in flight, draining would take until its timeout."""
    victim = project.films / "film000.jpg"
    with stuck(victim) as films, project.running("annotate") as run:
        wait_for_rows(project)
        eventually(films.reached)
        relatives = family(run.pid)
        interrupt(run)
        with pytest.raises(subprocess.TimeoutExpired):
            run.wait(timeout=2)
        run.send_signal(signal.SIGINT)
        assert run.wait(timeout=AGES) == 130
        assert all_gone(relatives)
    finish_and_compare(project, undisturbed)


def test_a_full_disk(project, undisturbed):
    def small_disk() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))

    with project.running("annotate", prepare=small_disk) as run:
        _, said = run.communicate(timeout=AGES)
        assert run.returncode == 4, said
        assert "disk is full" in said
    finish_and_compare(project, undisturbed)


def test_a_folder_that_cannot_be_written(project, undisturbed):
    def no_override() -> None:
        """Root writes anywhere; without CAP_DAC_OVERRIDE it obeys permissions like everybody."""
        drop_from_bounding_set, dac_override = 24, 1
        ctypes.CDLL(None).prctl(drop_from_bounding_set, dac_override, 0, 0, 0)

    folder = project.db.parent
    folder.chmod(0o555)
    project.db.chmod(0o444)
    try:
        with project.running("annotate", prepare=no_override) as run:
            _, said = run.communicate(timeout=AGES)
            assert run.returncode == 4, said
            assert said.count("\n") == 1
    finally:
        folder.chmod(0o755)
        project.db.chmod(0o644)
    finish_and_compare(project, undisturbed)


def test_a_second_writer_is_refused_and_told_who_has_the_lock(project, undisturbed):
    with stuck(project.films / "film000.jpg"), project.running("annotate") as run:
        wait_for_rows(project)
        second = project.lrrg("annotate")
        assert second.returncode == 4
        assert f"process {run.pid}" in second.stderr
        run.kill()
        run.wait()
    finish_and_compare(project, undisturbed)


def test_every_bad_file_has_its_row_and_code(cataloged, undisturbed, tmp_path):
    codes = write_poison(tmp_path)
    project = copied(cataloged, tmp_path)
    assert project.annotate().exit_code == 0
    rows = project.query("SELECT image_id, error_code FROM verdict WHERE status = 'unreadable'")
    assert len(rows) > 20
    for image_id, code in rows:
        stem, _, suffix = Path(image_id).name.rpartition("-")
        assert codes[f"{stem}.{suffix}"] == code
    assert project.query("SELECT count(*) FROM image WHERE image_id LIKE 'poison/%'") == [(len(rows),)]


def test_two_files_with_one_id_are_refused(tmp_path):
    write_films(tmp_path / "films", 2)
    (tmp_path / "films" / "film001.png").write_bytes((tmp_path / "films" / "film001.jpg").read_bytes())
    project = Project(tmp_path / "films", tmp_path / "films.duckdb")
    done = project.lrrg("catalog", str(project.films))
    assert done.returncode == 2
    assert "film001.jpg" in done.stderr
    assert "film001.png" in done.stderr


def test_another_policy_adds_rows_without_opening_a_file(tmp_path):
    write_films(tmp_path / "films", 12)
    project = start_project(tmp_path, tmp_path / "films")
    assert project.annotate().exit_code == 0
    before = project.query("SELECT * FROM verdict ORDER BY ALL")
    project.films.rename(tmp_path / "unplugged")
    project.policy.write_text(json.dumps(policy(bias=3.0)), encoding="utf-8")
    assert project.annotate().exit_code == 0
    after = project.query("SELECT * FROM verdict ORDER BY ALL")
    assert set(map(str, before)) < set(map(str, after))
    assert len(after) == 24
    assert project.query("SELECT DISTINCT status, regime FROM labels") == [("ok", "low")]


@pytest.fixture
def few(tmp_path: Path) -> Project:
    """Some films of its own, so that they may go away."""
    write_films(tmp_path / "films", FEW)
    return start_project(tmp_path, tmp_path / "films")


def test_more_failures_than_allowed_end_the_run_early(project):
    away = project.films.with_name("away")
    project.films.rename(away)
    project.films.mkdir()
    other = project.films / "other"
    other.touch()
    try:
        done = project.lrrg("annotate", "--max-failures", "0.1")
    finally:
        other.unlink()
        project.films.rmdir()
        away.rename(project.films)
    assert done.returncode == 3
    assert "than --max-failures allows" in done.stderr
    assert project.query("SELECT count(*) FROM verdict")[0][0] < FILMS / 2


def test_a_disk_that_is_not_there_stops_a_run_before_it_begins(few, tmp_path):
    few.films.rename(tmp_path / "elsewhere")
    for place in ("gone", "not mounted"):
        done = few.lrrg("annotate")
        assert (done.returncode, done.stdout) == (4, ""), place
        assert f"{few.films}: nothing is there; mount it" in done.stderr
        few.films.mkdir(exist_ok=True)
    assert few.query("SELECT count(*) FROM verdict") == [(0,)]
    assert few.lrrg("catalog", str(tmp_path / "elsewhere")).returncode == 0
    assert few.annotate().counts.total() == FEW, "it was said where the films are now"


def test_a_disk_that_goes_while_films_are_read_stops_the_run(few, tmp_path):
    away = tmp_path / "away"

    def go(done: int = 1, **counts: int) -> None:
        if not away.exists():
            few.films.rename(away)

    with pytest.raises(StoreError, match="nothing is there"):
        annotate(few.db, few.settings(), Order(), lambda label, total: nullcontext(go))
    assert few.query("SELECT count(*) FROM verdict WHERE error_code IS NOT NULL") == [(0,)]
    assert few.query("SELECT exit_code FROM run") == [(4,)]
    away.rename(few.films)
    assert 0 < few.annotate().counts.total() < FEW
    assert few.nothing_lost_nothing_doubled()


def test_the_page_on_faults_lists_these_tests():
    listed = set(re.findall(r"`(test_\w+)`", (REPOSITORY / "docs" / "faults.md").read_text(encoding="utf-8")))
    texts = [path.read_text(encoding="utf-8") for path in (Path(__file__), Path(__file__).with_name("test_ray.py"))]
    here = {name for text in texts for name in re.findall(r"^def (test_\w+)", text, re.MULTILINE)}
    assert listed == here - {"test_the_page_on_faults_lists_these_tests"}
