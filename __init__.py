"""lrrg: find low-quality chest radiographs, benchmark report models on them, and train models that withstand them."""

__version__ = "0.1.0"
