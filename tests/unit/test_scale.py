"""The simulation against what can be worked out by hand, the idle clock against a busy machine, the verb `plan`."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from lrrg.pipelines import settings
from lrrg.pipelines.bench.idle import IdleClock, Spent, undisturbed
from lrrg.pipelines.bench.scale import REQUESTS, RUNS, bench_scale
from lrrg.pipelines.cli import app
from lrrg.pipelines.errors import SettingsError
from lrrg.pipelines.scale.events import Clock, Process, Resource
from lrrg.pipelines.scale.parts import Parts, mean, read_parts
from lrrg.pipelines.scale.plan import plan
from lrrg.pipelines.scale.simulate import Hardware, cluster_run, local_run
from lrrg.tests.scripted import GRADES, serving
from typer.testing import CliRunner

PARTS = Parts("paper", 1e6, (0.04, 0.06), 0.002, 0.0005, 3.0, 10.0, 1.0, 0.05, 0.0001, 0.02, 0.03, 0.004)
QUICK = replace(PARTS, decide=0.0, write=0.0, start=0.0, cluster_start=0.0, task=0.0, merge=0.0, merge_row=0.0)


def test_a_resource_is_given_out_in_order_and_its_use_adds_up():
    clock, seen = Clock(), list[tuple[str, float]]()
    desk = Resource(clock, 2)

    def visitor(name: str, seconds: float) -> Process:
        yield from desk.held(seconds)
        seen.append((name, clock.now))

    for name, seconds in (("a", 3), ("b", 1), ("c", 1), ("d", 5)):
        clock.start(visitor(name, seconds))
    assert clock.run() == 7
    assert seen == [("b", 1), ("c", 2), ("a", 3), ("d", 7)]
    assert desk.busy == 3 + 1 + 1 + 5


@pytest.mark.parametrize(("cores", "workers", "seconds"), [(1, 1, 50.0), (4, 4, 12.5), (4, 8, 12.5), (8, 4, 12.5)])
def test_a_local_run_without_anything_else_is_films_over_processors(cores: int, workers: int, seconds: float):
    found = local_run(1000, QUICK, Hardware(cores=cores, workers=workers, stream=1e12))
    assert found.seconds == pytest.approx(seconds, rel=0.03)


def test_waiting_for_films_costs_nothing_once_there_are_workers_enough():
    slow = Hardware(cores=4, workers=4, wait=0.05)
    one, two = (local_run(2000, QUICK, replace(slow, workers=workers)) for workers in (4, 16))
    assert one.seconds == pytest.approx(2000 * 0.1 / 4, rel=0.03)
    assert two.seconds == pytest.approx(2000 * 0.05 / 4, rel=0.05)
    assert one.used["cores"] == pytest.approx(0.5, abs=0.03)


def test_one_main_process_ends_what_more_cores_can_do():
    few, many = (local_run(3000, PARTS, Hardware(cores=cores, workers=cores)) for cores in (64, 256))
    assert few.seconds == pytest.approx(PARTS.start + 3000 * PARTS.decide, rel=0.05)
    assert many.seconds == pytest.approx(few.seconds, rel=0.05)
    assert max(many.used, key=lambda name: many.used[name]) == "main process"


def test_a_cluster_runs_tasks_in_waves_and_one_driver_merges():
    there = Hardware(machines=2, cores=2, workers=2, stream=1e12)
    found = cluster_run(8000, 1000, PARTS, there)
    wave = PARTS.task + 1000 * (PARTS.film + PARTS.decide + PARTS.write)
    merges = PARTS.merge + 1000 * PARTS.merge_row
    assert found.seconds == pytest.approx(PARTS.cluster_start + 2 * wave + 4 * merges, rel=0.05)
    slow = cluster_run(8000, 1000, replace(PARTS, merge_row=0.1), there)
    assert slow.seconds == pytest.approx(PARTS.cluster_start + wave + 8000 * 0.1, rel=0.05)


def test_a_judge_that_is_slower_than_the_cores_decides_how_long_it_takes():
    there = Hardware(machines=4, cores=8, workers=8, judges=2, judge_rate=5.0, judged=0.5)
    found = plan(20_000, PARTS, there)
    assert found.demands[0].resource == "judges"
    assert found.hours * 3600 == pytest.approx(20_000 * 0.5 / (2 * 5.0), rel=0.15)


@pytest.mark.parametrize(("judged", "worker"), [(1.0, 0.05 + 0.03), (0.5, 0.05 + 0.5 * (0.02 + 0.03))])
def test_showing_films_to_a_judge_takes_workers_and_asking_takes_the_main_process(judged: float, worker: float):
    fast = Hardware(cores=4, workers=4, judges=1, judge_rate=1e6, judged=judged, stream=1e12)
    assert local_run(2000, PARTS, fast).seconds == pytest.approx(
        PARTS.start + 2000 * (worker + PARTS.decide + judged * PARTS.ask + PARTS.write) / 4, rel=0.05
    )
    many = replace(fast, cores=64, workers=64)
    bound = PARTS.start + 2000 * (PARTS.decide + judged * PARTS.ask)
    assert local_run(2000, PARTS, many).seconds == pytest.approx(bound, rel=0.05)
    alone = {each.resource: each.alone_hours * 3600 for each in plan(2000, PARTS, fast).demands}
    assert alone["workers"] == pytest.approx(2000 * worker / 4, rel=1e-3)
    assert alone["main process"] == pytest.approx(bound - PARTS.start)


def test_a_film_is_read_once_more_for_a_judge_who_does_not_see_all():
    few, all_of_them, none = (Hardware(judges=1, judged=judged).reads for judged in (0.25, 1.0, 0.0))
    assert (few, all_of_them, none) == (1.25, 1.0, 1.0)


def test_the_same_seed_gives_the_same_run():
    there = Hardware(cores=3, workers=5, wait=0.01)
    assert local_run(500, PARTS, there) == local_run(500, PARTS, there)


def test_waiting_for_a_busy_machine_is_not_counted():
    assert undisturbed(1.0, Spent(0.25, 0.75), 2) == pytest.approx(0.25)
    assert undisturbed(1.0, Spent(0.5, 1.5), 2) == pytest.approx(0.25)
    assert undisturbed(1.0, Spent(0.1, 0.2), 2) == pytest.approx(0.8)
    assert undisturbed(1.0, Spent(2.0, 2.0), 2) == pytest.approx(1.0), "its own processes wait for each other"


@pytest.mark.slow  # it makes the machine busy and then has to share it
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_idle_clock_sees_through_other_peoples_load():
    spin = "import time\nwhile time.process_time() < {}: pass"
    strangers = f"for each in 1 2 3; do '{sys.executable}' -c '{spin.format(60)}' >/dev/null 2>&1 & echo $!; done"
    started = subprocess.run(["sh", "-c", strangers], capture_output=True, text=True, check=True)  # nobody's children
    try:
        with IdleClock() as clock:
            subprocess.run([sys.executable, "-c", spin.format(2.0)], check=True)
    finally:
        for pid in started.stdout.split():
            os.kill(int(pid), signal.SIGKILL)
    assert clock.wall > 2.8
    assert 1.8 < clock.seconds < 2.8


def test_parts_are_kept_as_json_and_a_wrong_file_is_named(tmp_path: Path):
    PARTS.save(tmp_path / "parts.json")
    assert read_parts(tmp_path / "parts.json") == PARTS
    (tmp_path / "broken.json").write_text("{}")
    with pytest.raises(SettingsError, match=r"broken\.json"):
        read_parts(tmp_path / "broken.json")


def test_several_measurements_become_their_mean():
    other = replace(PARTS, films=(0.08,), start=5.0, merge=0.07)
    expected = replace(PARTS, films=(0.04, 0.06, 0.08), start=4.0, merge=pytest.approx(0.06))
    assert mean([PARTS, other]) == expected


def test_the_verb_names_the_bottleneck(tmp_path: Path):
    PARTS.save(tmp_path / "parts.json")
    command = ["plan", "--images", "50000", "--cores", "64", "--parts", str(tmp_path / "parts.json"), "--json"]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["bottleneck"] == found["demands"][0]["resource"] == "main process"
    assert found["TB read"] == 0.05


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["local", "ray"])
def test_a_forecast_holds_for_a_real_run(engine: str):
    _, (check,) = bench_scale(settings.load(annotate={"workers": 2}), 120, [engine])
    assert 0.7 < check.ratio < 1.4, "looser than what is wanted (0.85 to 1.15): the machine is shared"


@pytest.mark.slow
def test_a_judge_is_measured_and_asked_about_every_film_of_the_runs():
    with serving(GRADES) as server:
        chosen = settings.load(annotate={"workers": 1}, judge={"urls": (server.url,)})
        parts, (check,) = bench_scale(chosen, 10, ["local"])
    assert parts.show > 0
    assert parts.ask > 0
    assert len(server.asked) >= RUNS * (check.images + REQUESTS)
