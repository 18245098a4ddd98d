"""Data sets that the catalog knows: one adapter each, recognised by the names of its files.

A new data set is one module with an `Adapter`, and one entry in `ADAPTERS` before `FOLDER`, which takes any folder.
"""

from .base import Adapter, Dataset, DatasetError, DuplicateIdError
from .folder import FOLDER
from .mimic import MIMIC

__all__ = ["ADAPTERS", "Adapter", "Dataset", "DatasetError", "DuplicateIdError"]

ADAPTERS: tuple[Adapter, ...] = (MIMIC, FOLDER)
"""In the order in which they are asked."""
