"""Errors that a verb must know without loading the database or the tools."""

from .settings import SettingsError


class StoreError(RuntimeError):
    """The database cannot be used; raised before or instead of work, never half-way through a transaction.

    Attributes:
        code: `missing`, `locked`, `newer-schema`, `older-schema`, `read-only-folder`, `disk-full`, `disk` (any other
            trouble with the file), `not-a-database`, or `shard` (a broken file of `annotate --shard`).
    """

    def __init__(self, code: str, message: str):
        super().__init__(message)
        self.code = code


class PoolError(RuntimeError):
    """Worker processes do not start on this machine; raised before any image is blamed for it."""

    code = "worker-start"


class QueryError(SettingsError):
    """The caller's SQL is wrong or asks for more than reading."""

    code = "query"
