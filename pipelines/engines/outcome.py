"""How a run goes: what it found so far, and what makes it stop."""

import signal
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType

from ...agent.state import Verdict

WITHOUT_VERDICT = ("unreadable", "failed")


def nothing_to_drop() -> None:
    """What a second signal does where nothing is under way."""


@dataclass
class Outcome:
    """How a run went, kept up to date while it goes.

    Attributes:
        failure_limit: number of images without a verdict above which the run has failed.
        counts: images by regime, or by status where that is not `ok`.
        stopped_by: the signal that ended it early: no new image is begun, those under way are finished.
        drop: called by a second signal: what is under way is to be dropped. An engine sets it while it works.
    """

    failure_limit: float = float("inf")
    counts: Counter[str] = field(default_factory=Counter)
    stopped_by: signal.Signals | None = None
    drop: Callable[[], object] = nothing_to_drop

    def note(self, verdict: Verdict) -> None:
        """Count one verdict."""
        found = verdict.assessment
        self.counts[found.regime if found and verdict.status == "ok" else verdict.status] += 1

    def add(self, counts: Mapping[str, int]) -> None:
        """Count the verdicts of a shard."""
        self.counts.update(counts)

    @property
    def failed(self) -> bool:
        """Whether more images are without a verdict than the run allows; going on would be in vain."""
        return sum(self.counts[status] for status in WITHOUT_VERDICT) > self.failure_limit

    @property
    def over(self) -> bool:
        """Whether no further image is to be begun."""
        return self.stopped_by is not None or self.failed

    @property
    def exit_code(self) -> int:
        """0 done, 3 more failures than allowed, 130 or 143 interrupted and resumable."""
        if self.stopped_by is not None:
            return 128 + self.stopped_by
        return 3 if self.failed else 0


@contextmanager
def stoppable(outcome: Outcome, *signals: signal.Signals) -> Iterator[None]:
    """Let signals stop the run: the first asks it to finish what is under way, every further one to drop that.

    Only in a process's main thread.
    """

    def received(number: int, frame: FrameType | None) -> None:
        if outcome.stopped_by is None:
            outcome.stopped_by = signal.Signals(number)
        else:
            outcome.drop()

    before = {each: signal.signal(each, received) for each in signals}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
