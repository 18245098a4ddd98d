"""Errors that a verb must know without loading the settings, the database or the tools."""


class SettingsError(ValueError):
    """A setting, option or input folder of the caller's is wrong; raised before any work."""

    code = "settings"


class StoreError(RuntimeError):
    """The database cannot be used; raised before or instead of work, never half-way through a transaction.

    Attributes:
        code: `missing`, `locked`, `newer-schema`, `older-schema`, `read-only-folder`, `disk-full`, `disk` (any other
            trouble with the file), `not-a-database`, `no-films` (a folder of films is gone), or `shard` (a broken file
            of `annotate --shard`).
    """

    def __init__(self, code: str, message: str):
        super().__init__(message)
        self.code = code

    def __reduce__(self) -> tuple[type["StoreError"], tuple[str, str]]:
        """Cross a process border whole."""
        return type(self), (self.code, str(self))


class PoolError(RuntimeError):
    """Worker processes do not start on this machine; raised before any image is blamed for it."""

    code = "worker-start"


class ClusterError(RuntimeError):
    """The cluster cannot do the work; what was committed stays, and the same command goes on from there.

    Attributes:
        code: `unreachable` (none at that address), `lost` (tasks died more often than they are begun anew), `version`
            (one of its machines has another version of this program), `folder` (its machines do not share the folder
            of shard files).
    """

    def __init__(self, code: str, message: str):
        super().__init__(message)
        self.code = code

    def __reduce__(self) -> tuple[type["ClusterError"], tuple[str, str]]:
        """Cross a process border whole."""
        return type(self), (self.code, str(self))


class QueryError(SettingsError):
    """The caller's SQL is wrong or asks for more than reading."""

    code = "query"


class ModelMetricError(RuntimeError):
    """A model outside gave no usable values for a metric; scoring stops rather than leave a study out.

    Attributes:
        code: `missing-interpreter`, `missing-package`, `missing-checkpoint`, `missing-vocabulary`, `missing-weights`,
            `not-a-checkpoint`, `unknown-metric`, `crash`, `malformed`; about a pair of reports `missing`, `doubled`,
            `foreign`, `not-a-number`; from the judge those of `JudgeReplyError`.
    """

    def __init__(self, code: str, message: str):
        super().__init__(message)
        self.code = code
