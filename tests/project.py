"""A folder of films with its database, and the command line run on it as a process of its own."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from lrrg.agent.policy import DOMAINS
from lrrg.pipelines import settings
from lrrg.pipelines.annotate.stage import Order, annotate
from lrrg.pipelines.engines.outcome import Outcome
from lrrg.pipelines.store import Store
from lrrg.tests.poison import encoded, picture
from lrrg.tests.scripted import AGES

LRRG = (sys.executable, "-c", "import sys; from lrrg.pipelines.cli import main; sys.exit(main())")
HOW = {"workers": 2, "batch_rows": 8, "batch_seconds": 0.2, "tool_timeout": 2 * AGES}
"""Settings of `annotate`: small batches, and no film counts as hung because the machine is busy."""
VERDICTS = "SELECT * EXCLUDE (run_id, created_at, elapsed_ms) FROM verdict ORDER BY ALL"
LABELS = "SELECT * EXCLUDE (created_at) FROM labels ORDER BY ALL"


def policy(bias: float = -3.0) -> dict[str, Any]:
    """A policy that goes by grain alone; a higher bias finds more films low."""
    everywhere = [{"domain": domain, "measure": "noise.haar"} for domain in DOMAINS]
    usual = {"group": "unknown", "transform": "identity", "median": 2.0, "scale": 1.0, "films": 9}
    return {
        "name": f"grain{bias:g}",
        "version": 1,
        "views": {},
        "reference": [row | usual for row in everywhere],
        "severities": [row | {"aspect": "noise", "on": "z", "direction": 1, "cuts": (1, 2, 3)} for row in everywhere],
        "terms": [row | {"direction": 1, "low": 0, "high": 6, "weight": 1.0} for row in everywhere],
        "bias": dict.fromkeys(DOMAINS, bias),
        "regimes": {"low": 0.4, "high": 0.7},
        "rules": [],
        "band": (0.3, 0.8),
    }


@dataclass(frozen=True)
class Project:
    """Films in a folder, their database and policy beside it."""

    films: Path
    db: Path

    @property
    def policy(self) -> Path:
        """The policy that verdicts are made by."""
        return self.db.with_suffix(".json")

    def command(self, verb: str, *options: str) -> list[str]:
        """The command line of a verb on this database."""
        return [*LRRG, verb, *options, "--db", str(self.db)]

    def lrrg(self, verb: str, *options: str, **changed: Any) -> subprocess.CompletedProcess[str]:
        """Run a verb on this database to its end."""
        return self.run([verb, *options, "--db", str(self.db)], self.environment(changed))

    def run(self, arguments: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
        """Run `lrrg` to its end, with more in its environment."""
        given = self.environment({}) | environment
        return subprocess.run([*LRRG, *arguments], env=given, capture_output=True, text=True, timeout=AGES)

    def annotate(self, order: Order = Order()) -> Outcome:  # noqa: B008 - frozen
        """Annotate to the end from within this process, which spares the start of another."""
        return annotate(self.db, self.settings(), order, lambda label, total: nullcontext(lambda *done, **counts: None))

    def settings(self) -> settings.Settings:
        """Those of such a run: two workers, small batches."""
        return settings.load(agent={"policy": str(self.policy)}, annotate=HOW)

    @contextmanager
    def running(self, verb: str, *options: str, prepare: Callable[[], None] | None = None, **changed: Any):
        """A verb under way, in a process group of its own; what is left of it is killed at the end."""
        process = subprocess.Popen(
            self.command(verb, *options),
            env=self.environment(changed),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            preexec_fn=prepare,
        )
        try:
            yield process
        finally:
            for each in [*family(process.pid), process]:
                each.kill()
            process.communicate()

    def environment(self, changed: dict[str, Any]) -> dict[str, str]:
        """This environment with settings of `annotate`; small batches unless told otherwise."""
        given = HOW | changed
        named = {f"LRRG_ANNOTATE__{name.upper()}": str(value) for name, value in given.items()}
        return os.environ | {"OMP_NUM_THREADS": "1", "LRRG_AGENT__POLICY": str(self.policy)} | named

    def table(self) -> list[str]:
        """Every verdict and label, without what may differ between two runs."""
        with Store.open(self.db, read_only=True) as store:
            return [str(row) for row in store.query(VERDICTS).rows + store.query(LABELS).rows]

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Rows of a query."""
        with Store.open(self.db, read_only=True) as store:
            return store.query(sql).rows

    def nothing_lost_nothing_doubled(self) -> bool:
        """Whether every image of the catalog has exactly one verdict."""
        lost = "SELECT image_id FROM image ANTI JOIN verdict USING (image_id)"
        doubled = "SELECT image_id FROM verdict GROUP BY ALL HAVING count(*) > 1"
        return self.query(f"{lost} UNION ALL {doubled}") == []


def start_project(folder: Path, films: Path) -> Project:
    """Catalog a folder of films into a new database in `folder`."""
    made = Project(films, folder / "films.duckdb")
    made.policy.write_text(json.dumps(policy()), encoding="utf-8")
    done = made.lrrg("catalog", str(films))
    assert done.returncode == 0, done.stderr
    return made


def write_films(folder: Path, number: int, *, height: int = 480, width: int = 400) -> None:
    """Write some films."""
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(number):
        film = encoded(picture(height, width, seed=index), "JPEG", quality=95)
        (folder / f"film{index:03d}.jpg").write_bytes(film)


def family(pid: int) -> list[psutil.Process]:
    """All descendants of a process."""
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def all_gone(processes: list[psutil.Process], within: float = AGES) -> bool:
    """Whether the processes end within some seconds."""
    _, alive = psutil.wait_procs(processes, timeout=within)
    return not [each for each in alive if each.is_running() and each.status() != psutil.STATUS_ZOMBIE]


def eventually(holds: Callable[[], Any], within: float = AGES) -> Any:
    """Wait until `holds()` is true; returns it."""
    end = time.monotonic() + within
    while time.monotonic() < end:
        found = holds()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"did not happen within {within:g} s")


def printed(code: str) -> str:
    """What a fresh interpreter prints that runs this code."""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
