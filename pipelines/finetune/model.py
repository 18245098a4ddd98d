"""The report model: a published Qwen2.5-VL or a tiny one of our own, and which of its weights learn."""

import re
from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoConfig, AutoTokenizer, PreTrainedModel, Qwen2_5_VLForConditionalGeneration

from .config import TINY, AdaptSection, Config, Part
from .data import Corpus, Example
from .errors import ModelError
from .flat import flatten_patch_embedding
from .processor import Processor
from .qwen import Sizes, build
from .tokenizer import train_tokenizer

KIND = "qwen2_5_vl"
ROLES = "system user assistant"
ADAPTED: dict[Part, str] = {
    "language": r"model\.language_model\.layers\.\d+\.(self_attn\.[qkvo]_proj|mlp\.(gate|up|down)_proj)",
    "vision": r"model\.visual\.blocks\.\d+\.(attn\.(qkv|proj)|mlp\.(gate|up|down)_proj)",
    "projector": r"model\.visual\.merger\.mlp\.[02]",
}
"""Linear layers of each part, by name."""
OWNED: dict[Part, str] = {
    "language": r"model\.language_model\.|lm_head\.",
    "vision": r"model\.visual\.(?!merger\.)",
    "projector": r"model\.visual\.merger\.",
}
"""All weights of each part, by name."""


class Loaded(NamedTuple):
    """A model ready to learn, and what turns films and reports into its input."""

    model: PreTrainedModel | PeftModel
    processor: Processor


def load(config: Config, corpus: Corpus) -> Loaded:
    """Load or make the model of a run and mark what learns.

    Raises:
        ModelError: there is no such model, or it is no Qwen2.5-VL.
    """
    images = config.images
    if config.model.path == TINY:
        base, tokenizer = _tiny(config, corpus.train)
    else:
        base, tokenizer = _published(config)
    processor = Processor(
        tokenizer,
        min_pixels=images.min_pixels,
        max_pixels=images.max_pixels,
        target_tokens=config.data.target_tokens,
    )
    return Loaded(adapt(flatten_patch_embedding(base), config.adapt, config.train.seed), processor)


def _tiny(config: Config, examples: Sequence[Example]) -> tuple[Qwen2_5_VLForConditionalGeneration, Any]:
    size = config.tiny
    texts = [text for each in examples for text in (*each.question, each.target)]
    tokenizer = train_tokenizer([ROLES, *texts], size.vocabulary, span="sentence")
    sizes = Sizes(
        vision_hidden=size.vision_hidden,
        vision_depth=size.vision_layers,
        vision_intermediate=3 * size.vision_hidden,
        hidden=size.hidden,
        layers=size.layers,
        intermediate=3 * size.hidden,
    )
    model = build(tokenizer, sizes, seed=config.train.seed, fan_in=True)
    model.set_attn_implementation(config.model.attention)
    return model.to(getattr(torch, config.model.dtype)), tokenizer


def _published(config: Config) -> tuple[Qwen2_5_VLForConditionalGeneration, Any]:
    path = config.model.path
    try:
        kind = AutoConfig.from_pretrained(path).model_type
        if kind != KIND:
            raise ModelError("wrong-model", f"model.path {path}: a {kind}; this stage trains Qwen2.5-VL ({KIND})")
        tokenizer = AutoTokenizer.from_pretrained(path)
        model = Qwen2_5_VLForConditionalGeneration.from_pretrained(
            path, dtype=getattr(torch, config.model.dtype), attn_implementation=config.model.attention
        )
    except ModelError:
        raise
    except (OSError, ValueError, ImportError) as error:
        raise ModelError("no-model", f"model.path {path}: {' '.join(str(error).split())[:400]}") from error
    return model, tokenizer


def adapt(
    model: Qwen2_5_VLForConditionalGeneration, section: AdaptSection, seed: int
) -> Qwen2_5_VLForConditionalGeneration | PeftModel:
    """Freeze what shall not learn; put adapters where the method asks for them, drawn by the seed."""
    if section.method == "lora":
        chosen = "|".join(ADAPTED[part] for part in section.parts)
        lora = LoraConfig(r=section.rank, lora_alpha=section.alpha, lora_dropout=section.dropout, target_modules=chosen)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return cast(PeftModel, get_peft_model(model, lora))
    learns = re.compile("|".join(OWNED[part] for part in section.parts))
    for name, weights in model.named_parameters():
        weights.requires_grad_(learns.match(name) is not None)
    return model
