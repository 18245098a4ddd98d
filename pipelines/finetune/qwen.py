"""Qwen2.5-VL at any size: a fresh model of a few million parameters, and the folder that serving loads."""

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn
from transformers import PreTrainedTokenizerFast, Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from ..pixels import FRAMES, MERGE, PATCH
from .tokenizer import END_OF_TEXT, END_OF_TURN, IMAGE, VIDEO, VISION_END, VISION_START

HEAD = 32
"""Width of an attention head."""


@dataclass(frozen=True)
class Sizes:
    """Sizes of a model; hidden sizes are multiples of the head's width, 32."""

    vision_hidden: int
    vision_depth: int
    vision_intermediate: int
    hidden: int
    layers: int
    intermediate: int
    key_value_heads: int = 2
    max_tokens: int = 2048


def build(
    tokenizer: PreTrainedTokenizerFast, sizes: Sizes, *, seed: int, fan_in: bool = False
) -> Qwen2_5_VLForConditionalGeneration:
    """A Qwen2.5-VL with random weights: every vision block sees the whole picture, embeddings are tied.

    Args:
        tokenizer: with Qwen's special tokens.
        sizes: of the model.
        seed: of the weights.
        fan_in: start every matrix at a deviation of 1 / sqrt(its inputs). The usual .02 is meant for layers thousands
            wide; in narrow ones it leaves all attention even for the first hundreds of steps.
    """
    config = Qwen2_5_VLConfig(
        text_config=_text(tokenizer, sizes),  # pyright: ignore[reportCallIssue]
        vision_config=_vision(sizes),  # pyright: ignore[reportCallIssue]
        **_tokens(tokenizer),  # pyright: ignore[reportArgumentType]
        tie_word_embeddings=True,  # pyright: ignore[reportCallIssue]
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Qwen2_5_VLForConditionalGeneration(config)
        if fan_in:
            _spread(model)
    end, nothing = (tokenizer.convert_tokens_to_ids(token) for token in (END_OF_TURN, END_OF_TEXT))
    assert model.generation_config is not None
    model.generation_config.eos_token_id = [end, nothing]
    model.generation_config.pad_token_id = nothing
    return model


def _spread(model: Qwen2_5_VLForConditionalGeneration) -> None:
    embeddings = model.get_input_embeddings().weight
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Conv3d) and module.weight is not embeddings:
            nn.init.normal_(module.weight, 0.0, module.weight[0].numel() ** -0.5)


def save_folder(
    model: Qwen2_5_VLForConditionalGeneration,
    tokenizer: PreTrainedTokenizerFast,
    folder: Path,
    *,
    min_pixels: int,
    max_pixels: int,
) -> None:
    """Write weights (safetensors), configuration, tokenizer, chat template and image preprocessing.

    Args:
        model: its weights are saved in the type they have.
        tokenizer: with its chat template.
        folder: made where it is missing.
        min_pixels: smaller pictures are enlarged to this area.
        max_pixels: larger pictures are reduced to this area.
    """
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    image_processor(min_pixels, max_pixels).save_pretrained(folder)
    path = folder / "preprocessor_config.json"
    found = json.loads(path.read_text(encoding="utf-8"))
    # The names of the published models: with them, any release of transformers picks its own implementation.
    found |= {"image_processor_type": "Qwen2VLImageProcessor", "processor_class": "Qwen2_5_VLProcessor"}
    path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def image_processor(min_pixels: int, max_pixels: int) -> Qwen2VLImageProcessorPil:
    """Qwen's preprocessing on PIL and numpy: equal to the torchvision one, and needs no torchvision."""
    return Qwen2VLImageProcessorPil(
        min_pixels=min_pixels, max_pixels=max_pixels, patch_size=PATCH, temporal_patch_size=FRAMES, merge_size=MERGE
    )


def _text(tokenizer: PreTrainedTokenizerFast, sizes: Sizes) -> dict[str, object]:
    time = HEAD // 8
    space = (HEAD // 2 - time) // 2
    return {
        "vocab_size": len(tokenizer),
        "hidden_size": sizes.hidden,
        "intermediate_size": sizes.intermediate,
        "num_hidden_layers": sizes.layers,
        "num_attention_heads": sizes.hidden // HEAD,
        "num_key_value_heads": sizes.key_value_heads,
        "max_position_embeddings": sizes.max_tokens,
        "rms_norm_eps": 1e-6,
        "tie_word_embeddings": True,
        "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [time, space, space]},
        "bos_token_id": tokenizer.convert_tokens_to_ids(END_OF_TEXT),
        "eos_token_id": tokenizer.convert_tokens_to_ids(END_OF_TURN),
        "pad_token_id": tokenizer.convert_tokens_to_ids(END_OF_TEXT),
    }


def _vision(sizes: Sizes) -> dict[str, object]:
    return {
        "depth": sizes.vision_depth,
        "hidden_size": sizes.vision_hidden,
        "intermediate_size": sizes.vision_intermediate,
        "num_heads": sizes.vision_hidden // HEAD,
        "patch_size": PATCH,
        "spatial_merge_size": MERGE,
        "temporal_patch_size": FRAMES,
        "in_channels": 3,
        "out_hidden_size": sizes.hidden,
        "fullatt_block_indexes": list(range(sizes.vision_depth)),
    }


def _tokens(tokenizer: PreTrainedTokenizerFast) -> dict[str, int]:
    named = {
        "image_token_id": IMAGE,
        "video_token_id": VIDEO,
        "vision_start_token_id": VISION_START,
        "vision_end_token_id": VISION_END,
    }
    vocabulary = tokenizer.get_vocab()
    return {key: vocabulary[token] for key, token in named.items()}
