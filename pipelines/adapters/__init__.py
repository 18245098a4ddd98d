"""Data sets that the catalog knows: one adapter each, recognised by the names of its files.

A new data set is one module with an `Adapter`, and one entry in `ADAPTERS` before `FOLDER`, which takes any folder.
"""

from .base import Adapter, Dataset, DatasetError, DuplicateIdError
from .chexpert_plus import CHEXPERT_PLUS
from .folder import FOLDER
from .iu_xray import IU_XRAY
from .mimic import MIMIC
from .own_table import OWN_TABLE
from .padchest import PADCHEST
from .rexgradient import REXGRADIENT

__all__ = ["ADAPTERS", "Adapter", "Dataset", "DatasetError", "DuplicateIdError"]

ADAPTERS: tuple[Adapter, ...] = (MIMIC, IU_XRAY, CHEXPERT_PLUS, PADCHEST, REXGRADIENT, OWN_TABLE, FOLDER)
"""In the order in which they are asked."""
