"""A byte-level BPE tokenizer of our own, small enough to ship, with Qwen's special tokens and chat format."""

from collections.abc import Iterable
from typing import Any, Literal

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

END_OF_TEXT = "<|endoftext|>"
END_OF_TURN = "<|im_end|>"
IMAGE = "<|image_pad|>"
VIDEO = "<|video_pad|>"
VISION_START = "<|vision_start|>"
VISION_END = "<|vision_end|>"
SENTENCE = r"[^.\n]*[.\n]*\s*"
"""Up to a full stop or the end of a line, and the white space behind it."""
Span = Literal["word", "sentence", "text"]
SPECIAL_TOKENS = (
    END_OF_TEXT, "<|im_start|>", END_OF_TURN, "<|object_ref_start|>", "<|object_ref_end|>", "<|box_start|>",
    "<|box_end|>", "<|quad_start|>", "<|quad_end|>", VISION_START, VISION_END, "<|vision_pad|>", IMAGE, VIDEO,
)  # fmt: skip

CHAT_TEMPLATE = """\
{%- for message in messages -%}
{{- '<|im_start|>' + message['role'] + '\\n' -}}
{%- if message['content'] is string -%}{{- message['content'] -}}
{%- else -%}
{%- for part in message['content'] -%}
{%- if part['type'] == 'image' or 'image' in part or 'image_url' in part -%}
{{- '<|vision_start|><|image_pad|><|vision_end|>' -}}
{%- elif 'text' in part -%}{{- part['text'] -}}{%- endif -%}
{%- endfor -%}
{%- endif -%}
{{- '<|im_end|>\\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}
"""
"""Qwen2.5-VL's turns, without its default system text: what is not in the messages is not in the prompt."""


def train_tokenizer(
    texts: Iterable[str],
    vocab_size: int,
    *,
    max_tokens: int = 2048,
    span: Span = "word",
) -> PreTrainedTokenizerFast:
    """Train a tokenizer; equal texts give an equal tokenizer.

    Every byte is a token, so nothing is unknown, and so is every digit: a score is one token.

    Args:
        texts: what the model will read and write, chat role names included.
        vocab_size: tokens at most, special ones and the 256 bytes included.
        max_tokens: longest sequence of the model.
        span: how far one token may reach. `sentence` (or line) is for a model that learns from few texts of few
            sentences: each then is one choice and not twelve; `text` for one that only ever writes one form.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), *_pieces(span)])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=list(SPECIAL_TOKENS),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    made = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=END_OF_TURN,
        pad_token=END_OF_TEXT,
        additional_special_tokens=list(SPECIAL_TOKENS),
        model_max_length=max_tokens,
    )
    made.chat_template = CHAT_TEMPLATE
    return made


def _pieces(span: Span) -> list[Any]:
    """What cuts a text where no token may reach across."""
    cuts = [pre_tokenizers.Split(Regex(SENTENCE), "isolated")] if span == "sentence" else []
    return [*cuts, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=span == "word")]
