"""The compact judge: a Qwen2.5-VL of a few million parameters that grades the technique of a film from three looks."""
