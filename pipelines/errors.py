"""Errors that a verb must know without loading the settings, the database or the tools."""

from typing import Self


class CodedError(Exception):
    """An error of several kinds, told apart by a stable `code`; it crosses process borders whole."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code

    def __reduce__(self) -> tuple[type[Self], tuple[str, str]]:
        """Keep the code when a worker process sends the error home."""
        return type(self), (self.code, str(self))


class SettingsError(ValueError):
    """A setting, option or input folder of the caller's is wrong; raised before any work."""

    code = "settings"


class StoreError(CodedError, RuntimeError):
    """The database cannot be used; raised before or instead of work, never half-way through a transaction.

    Attributes:
        code: `missing`, `empty` (it holds no verdict), `locked`, `newer-schema`, `older-schema`, `other-schema` (of
            other files of the same numbers), `read-only-folder`, `disk-full`, `disk` (any other trouble with the file),
            `not-a-database`, `no-films` (a folder of films is gone), or `shard` (a broken file of `annotate --shard`).
    """


class PoolError(RuntimeError):
    """Worker processes do not start on this machine; raised before any image is blamed for it."""

    code = "worker-start"


class ClusterError(CodedError, RuntimeError):
    """The cluster cannot do the work; what was committed stays, and the same command goes on from there.

    Attributes:
        code: `unreachable` (none at that address), `lost` (tasks died more often than they are begun anew), `version`
            (one of its machines has another version of this program), `folder` (its machines do not share the folder
            of shard files).
    """


class QueryError(SettingsError):
    """The caller's SQL is wrong or asks for more than reading."""

    code = "query"


class ModelMetricError(CodedError, RuntimeError):
    """A model outside gave no usable values for a metric; scoring stops rather than leave a study out.

    Attributes:
        code: `missing-interpreter`, `missing-package`, `missing-checkpoint`, `missing-vocabulary`, `missing-weights`,
            `not-a-checkpoint`, `unknown-metric`, `crash`, `malformed`; about a pair of reports `missing`, `doubled`,
            `foreign`, `not-a-number`; from the judge those of `JudgeReplyError`.
    """
