"""The LRRG (Low-quality Radiology Report Generation) benchmark: degradations, metrics, statistics."""
