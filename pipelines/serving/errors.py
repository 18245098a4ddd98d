"""What can go wrong with a server of ours."""

from ..errors import CodedError


class ServeError(CodedError, RuntimeError):
    """A model server does not start, or does not stay up.

    Attributes:
        code: `no-vllm` (not installed), `port-taken`, `start` (it ended before it was healthy), `start-timeout`, or
            `died` (it kept dying afterwards). The message names the server's log where there is one.
    """
