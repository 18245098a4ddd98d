"""What a run leaves: the adapter as trained, and a whole model in the hub's layout that any server loads."""

import copy
from pathlib import Path
from typing import cast

from peft import PeftModel
from transformers import PreTrainedTokenizerFast, Qwen2_5_VLForConditionalGeneration

from .model import Loaded
from .qwen import save_folder

ADAPTER, MERGED = "adapter", "merged"


def export(trained: Loaded, out: Path) -> list[Path]:
    """Write `out/adapter` where the model has adapters, and `out/merged`; returns the folders.

    The model is as before afterwards. A merged model repeats the adapter's logits up to rounding of its weights' type.
    """
    model, written = trained.model, []
    if isinstance(model, PeftModel):
        model.save_pretrained(str(out / ADAPTER))
        written.append(out / ADAPTER)
        merged = cast(Qwen2_5_VLForConditionalGeneration, copy.deepcopy(model).merge_and_unload())
    else:
        merged = cast(Qwen2_5_VLForConditionalGeneration, model)
    processor = trained.processor
    save_folder(
        merged,
        cast(PreTrainedTokenizerFast, processor.tokenizer),
        out / MERGED,
        min_pixels=processor.min_pixels,
        max_pixels=processor.max_pixels,
    )
    return [*written, out / MERGED]
