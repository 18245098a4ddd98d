"""The engine of one machine: one agent, its worker processes, and verdicts written as they come."""

import asyncio
from dataclasses import dataclass

from .batch import Batch, Write
from .outcome import Outcome
from .unit import Advance, Job, Work, run_shard


@dataclass(frozen=True)
class Local:
    """Runs all work as one shard in this process.

    Attributes:
        write: stores verdicts; called from one thread at a time.
    """

    write: Write

    def run(self, work: Work, job: Job, outcome: Outcome, advance: Advance) -> None:
        """See `Engine.run`."""
        how = job.settings.annotate
        asyncio.run(run_shard(work, job, Batch(self.write, how.batch_rows, how.batch_seconds), outcome, advance))
