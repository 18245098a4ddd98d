"""What a killed writer and a full disk leave behind: all that was acknowledged, once."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from lrrg.pipelines.recipe import begin_run
from lrrg.pipelines.store import ShardWriter, Store
from lrrg.tests import stored
from lrrg.tests.stored import RECIPE, rows, table

COUNTS = "SELECT count(*), count(DISTINCT image_id), (SELECT count(quality) FROM labels) FROM verdict"
LEDGER = "SELECT sum(verdicts), count(*) FROM ingested_shard"
WRITE_FOR_EVER = """
import itertools, sys
from pathlib import Path
from lrrg.pipelines.store import Store
from lrrg.tests import stored
recipe = stored.recipe()
with Store.open(Path(sys.argv[1])) as store:
    store.query("SET checkpoint_threshold = '64KB'")
    for _ in itertools.count():
        batch = list(store.pending(recipe.recipe_id, limit=16))
        if not batch:
            break
        store.write([stored.verdict(each.image_id, int(each.image_id[1:])) for each in batch], recipe.recipe_id, "run")
        print(*(each.image_id for each in batch), flush=True)
"""
MERGE = """
import sys
from pathlib import Path
from lrrg.pipelines.store import Store, shards
shards.TOGETHER = int(sys.argv[3])
with Store.open(Path(sys.argv[1])) as store:
    store.query("SET checkpoint_threshold = '64KB'")
    print("begun", flush=True)
    store.ingest(Path(sys.argv[2]))
"""
FILL_DISK = """
import resource, sys
from pathlib import Path
from lrrg.pipelines.store import Store, StoreError
from lrrg.tests import stored
recipe = stored.recipe()
try:
    with Store.open(Path(sys.argv[1])) as store:
        size = Path(sys.argv[1]).stat().st_size
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 65536, size + 65536))
        for batch in range(100):
            ids = [f"i{k}" for k in range(batch * 256, batch * 256 + 256)]
            store.write([stored.verdict(name, batch) for name in ids], recipe.recipe_id, "run")
            print(batch, flush=True)
except StoreError as error:
    sys.exit(error.code)
"""
CATALOG_AND_DIE = """
import os, signal, sys
from pathlib import Path
from lrrg.pipelines.store import Store
from lrrg.tests.stored import rows
path, first = Path(sys.argv[1]), int(sys.argv[2])
with Store.open(path) as store:
    store.add_images(path.parent, rows([f"i{k}" for k in range(first, first + 10)]))
    store.query("BEGIN")
    store.query("INSERT INTO image (image_id, root_id, path) SELECT 'x' || i, 1, 'x' FROM range(5) AS t(i)")
    os.kill(os.getpid(), signal.SIGKILL)
"""
NO_ROOM = """
import resource, sys
from pathlib import Path
from lrrg.pipelines.store import Store, StoreError
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
try:
    with Store.open(Path(sys.argv[1])):
        pass
except StoreError as error:
    sys.exit(error.code)
"""


def test_a_killed_catalog_gives_no_number_twice(tmp_path: Path):
    path = tmp_path / "lrrg.duckdb"
    for first in (0, 10):
        done = subprocess.run([sys.executable, "-c", CATALOG_AND_DIE, str(path), str(first)])
        assert done.returncode == -signal.SIGKILL
    with Store.open(path) as store:
        store.add_images(tmp_path, rows(["last"]))
        assert store.query("SELECT count(*), count(DISTINCT image_number) FROM image").rows == [(21, 21)]


@pytest.mark.parametrize("kills", [4, pytest.param(20, marks=pytest.mark.slow)])
def test_a_killed_writer_loses_nothing_acknowledged_and_doubles_nothing(tmp_path: Path, kills: int):
    path, draw = tmp_path / "lrrg.duckdb", random.Random(kills)
    ids = [f"i{k:04d}" for k in range(160 * kills)]
    with Store.open(path) as store:
        store.add_images(tmp_path, rows(ids))
        store.register_recipe(RECIPE)
    acknowledged: set[str] = set()
    for _ in range(kills):
        writer = subprocess.Popen([sys.executable, "-c", WRITE_FOR_EVER, str(path)], stdout=subprocess.PIPE, text=True)
        assert writer.stdout is not None
        acknowledged |= set(writer.stdout.readline().split())
        time.sleep(draw.uniform(0, 0.15))
        writer.send_signal(signal.SIGKILL)
        acknowledged |= set(writer.communicate()[0].rpartition("\n")[0].split())
        with Store.open(path) as store:
            here = [name for (name,) in store.query("SELECT image_id FROM verdict").rows]
            labels = {name for (name,) in store.query("SELECT image_id FROM labels WHERE quality IS NOT NULL").rows}
        assert len(here) == len(set(here))
        assert acknowledged <= set(here)
        assert labels == set(here)
    subprocess.run([sys.executable, "-c", WRITE_FOR_EVER, str(path)], check=True, capture_output=True)
    undisturbed = tmp_path / "undisturbed.duckdb"
    with Store.open(undisturbed) as other:
        other.add_images(tmp_path, rows(ids))
        other.register_recipe(RECIPE)
        other.write([stored.verdict(name, int(name[1:])) for name in ids], RECIPE.recipe_id, "run")
        expected = table(other)
    with Store.open(path) as store:
        assert table(store) == expected


def test_a_full_disk_is_named_and_costs_nothing_committed(tmp_path: Path):
    path = tmp_path / "lrrg.duckdb"
    ids = [f"i{k}" for k in range(25_600)]
    with Store.open(path) as store:
        store.add_images(tmp_path, rows(ids))
        store.register_recipe(RECIPE)
    done = subprocess.run([sys.executable, "-c", FILL_DISK, str(path)], capture_output=True, text=True)
    assert done.stderr.strip().splitlines()[-1] == "disk-full"
    batches = len(done.stdout.split())
    with Store.open(path) as store:
        (count,) = store.query("SELECT count(*) FROM verdict").rows[0]
        assert batches * 256 <= count <= (batches + 1) * 256
        assert len(store.pending(RECIPE.recipe_id)) == 25_600 - count


@pytest.mark.parametrize("room", [8192, 20_000])
def test_a_disk_too_full_for_a_new_database_leaves_nothing_in_its_way(tmp_path: Path, room: int):
    path = tmp_path / "lrrg.duckdb"
    done = subprocess.run([sys.executable, "-c", NO_ROOM, str(path), str(room)], capture_output=True, text=True)
    assert done.stderr.strip().splitlines()[-1] == "disk-full"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kills", [3, pytest.param(20, marks=pytest.mark.slow)])
def test_a_killed_merge_leaves_whole_files_with_their_ledger_and_labels(tmp_path: Path, kills: int):
    path, folder, draw = tmp_path / "lrrg.duckdb", tmp_path / "shards", random.Random(kills)
    ids = [f"i{k:04d}" for k in range(1200)]
    with ShardWriter.open(folder, RECIPE) as writer:
        run = begin_run(RECIPE, {})
        writer.start_run(run)
        for start in range(0, len(ids), 40):
            batch = [stored.verdict(name, int(name[1:])) for name in ids[start : start + 40]]
            writer.write(batch, RECIPE.recipe_id, run.run_id)
    for whole in (path, tmp_path / "undisturbed.duckdb"):
        with Store.open(whole) as store:
            store.add_images(tmp_path, rows(ids))
    together = 4 * max(each.stat().st_size for each in folder.glob("*.parquet"))
    command = [sys.executable, "-c", MERGE, str(path), str(folder), str(together)]
    for _ in range(kills):
        merging = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert merging.stdout is not None
        merging.stdout.readline()
        time.sleep(draw.uniform(0, 0.5))
        merging.kill()
        merging.communicate()
        with Store.open(path, read_only=True) as store:
            (count, distinct, labels), ledger = (store.query(each).rows[0] for each in (COUNTS, LEDGER))
        assert count == distinct == labels == (ledger[0] or 0)
    subprocess.run(command, check=True, capture_output=True)
    with Store.open(path) as store, Store.open(tmp_path / "undisturbed.duckdb") as other:
        other.ingest(folder)
        assert store.query("FROM labels ORDER BY ALL").rows == other.query("FROM labels ORDER BY ALL").rows
        assert table(store) == table(other)
        assert store.query(LEDGER).rows == [(len(ids), 30)]
