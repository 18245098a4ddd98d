"""What can be wrong with what the benchmark is made of, or with what answers it."""


class BenchmarkError(ValueError):
    """An error of several kinds, told apart by a stable `code`."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class LeakError(BenchmarkError):
    """The benchmark would be wrong; nothing is written.

    Attributes:
        code: `patient-overlap`, `id-in-two-splits`, `empty-target` or `duplicate-film`.
    """


class PredictionError(BenchmarkError):
    """Predictions do not answer the benchmark's cases exactly once; scoring stops.

    Attributes:
        code: `missing` (a case has no prediction), `doubled` (a case has several) or `foreign` (no such case).
    """
