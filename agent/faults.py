"""What can go wrong between the agent and a model server."""

from typing import Self


class RefusedURL(ValueError):  # noqa: N818 - the word of the contract
    """The URL leads off this machine to a host nobody allowed, or is not a plain http(s) URL; nothing was sent."""

    code = "refused-url"


class JudgeUnavailable(ConnectionError):  # noqa: N818 - the word of the contract
    """No answer to be had from the servers, whatever is asked; work stops and can be resumed.

    Attributes:
        code: `unreachable` (refused, reset or silent), `overloaded` (error statuses), `unauthorised`,
            `wrong-model` (a server serves another) or `no-probabilities` (it does not tell those of its tokens).
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code

    def __reduce__(self) -> tuple[type[Self], tuple[str, str]]:
        """How it crosses a process border."""
        return type(self), (self.code, str(self))


class JudgeReplyError(ValueError):
    """The server answers, but this request gets no usable reply.

    Attributes:
        code: `rejected` (the server calls the request wrong), `truncated`, or `malformed` (no reply, no JSON, or JSON
            that breaks the schema).
        reply: the raw reply, for the record; empty where there is none.
    """

    def __init__(self, code: str, message: str, reply: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.reply = reply

    def __reduce__(self) -> tuple[type[Self], tuple[str, str, str]]:
        """How it crosses a process border."""
        return type(self), (self.code, str(self), self.reply)
