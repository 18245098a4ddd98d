"""What stops a fine-tuning run."""

from ..errors import CodedError


class StrategyError(CodedError, ValueError):
    """The model, its kernels or the way of running do not allow the strategy; raised before any step.

    Attributes:
        code: `fused-attention`, `checkpointing` (both: no second derivative), `processes` (of several), `sharded`.
    """


class TrainingError(CodedError, RuntimeError):
    """The machine does not let the run go on.

    Attributes:
        code: `out-of-memory`, `no-checkpoint`, `not-a-number`.
    """


class ModelError(CodedError, ValueError):
    """The model to train cannot be had.

    Attributes:
        code: `no-model` (neither a folder nor on a hub that may be asked) or `wrong-model` (no Qwen2.5-VL).
    """
