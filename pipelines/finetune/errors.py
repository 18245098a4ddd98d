"""What stops a fine-tuning run."""


class StrategyError(ValueError):
    """The model, its kernels or the way of running do not allow the strategy; raised before any step.

    Attributes:
        code: `fused-attention`, `checkpointing` (both: no second derivative), `processes` (of several), `sharded`.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class TrainingError(RuntimeError):
    """The machine does not let the run go on.

    Attributes:
        code: `out-of-memory`, `no-checkpoint`, `not-a-number`.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
