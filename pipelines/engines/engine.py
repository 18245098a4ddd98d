"""What every engine is to a run."""

from typing import Protocol

from .outcome import Outcome
from .unit import Advance, Job, Work


class Engine(Protocol):
    """Gets a run's work done."""

    def run(self, work: Work, job: Job, outcome: Outcome, advance: Advance) -> None:
        """Have every image of `work` decided on and its verdict committed, unless the outcome is over before.

        Args:
            work: may be long; no more of it is taken than is about to be worked on.
            job: how to decide.
            outcome: counts what was committed; no image is begun once it is over.
            advance: called with the number of images that were done, and the counts so far.
        """
        ...
