"""Questions, films and reports as tensors: what transformers' Qwen processor makes, without torchvision."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from ..errors import SettingsError
from ..pixels import Grey, patches, resized
from ..question import Question
from .objective import IGNORED
from .tokenizer import END_OF_TURN, IMAGE

Batch = dict[str, torch.Tensor]


class Asked(NamedTuple):
    """One row before it is padded."""

    tokens: list[int]
    prompt: int
    """Of the tokens, how many are given and not learned."""
    pixel_values: torch.Tensor
    grid: tuple[int, int, int]


class Processor:
    """Tokenizer and picture sizes of one model."""

    def __init__(
        self, tokenizer: PreTrainedTokenizerBase, *, min_pixels: int, max_pixels: int, target_tokens: int = 512
    ) -> None:
        """Take over a tokenizer with a chat template.

        Args:
            tokenizer: with Qwen's special tokens.
            min_pixels: smaller films are enlarged to so many pixels.
            max_pixels: larger films are reduced to so many pixels.
            target_tokens: of a report at most, its end not counted.

        Raises:
            SettingsError: the tokenizer has no chat template or no picture token.
        """
        self.tokenizer, self.min_pixels, self.max_pixels = tokenizer, min_pixels, max_pixels
        self._target_tokens = target_tokens
        vocabulary = tokenizer.get_vocab()
        if not tokenizer.chat_template or IMAGE not in vocabulary or END_OF_TURN not in vocabulary:
            raise SettingsError(f"{tokenizer.name_or_path}: no chat template or no {IMAGE}; not a Qwen2.5-VL tokenizer")
        self.image, self.end = vocabulary[IMAGE], vocabulary[END_OF_TURN]
        self.padding = tokenizer.pad_token_id if isinstance(tokenizer.pad_token_id, int) else self.end

    @classmethod
    def of_folder(cls, folder: Path, max_pixels: int | None = None) -> "Processor":
        """The processor of a model's folder: its tokenizer, its picture sizes, or fewer pixels than it says."""
        said = json.loads((folder / "preprocessor_config.json").read_text(encoding="utf-8"))
        # Published models have the older names.
        size = said.get("size") or {"shortest_edge": said["min_pixels"], "longest_edge": said["max_pixels"]}
        most = min(size["longest_edge"], max_pixels or size["longest_edge"])
        return cls(AutoTokenizer.from_pretrained(folder), min_pixels=size["shortest_edge"], max_pixels=most)

    def prompt(self, question: Question) -> str:
        """The conversation up to where the report begins; one picture token stands for the film."""
        messages = [
            {"role": "system", "content": question.system},
            {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": question.user}]},
        ]
        text = self.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        assert isinstance(text, str)
        return text

    def row(self, question: Question, film: Grey, target: str | None = None) -> Asked:
        """One question about a film, uint8 (H, W) of any size, and its answer where it is known."""
        cut = patches(resized(film, self.min_pixels, self.max_pixels))
        text = self.prompt(question).replace(IMAGE, IMAGE * cut.tokens)
        given = self._tokens(text)
        answer = [] if target is None else self._answer(target)
        return Asked([*given, *answer], len(given), torch.from_numpy(cut.values), cut.grid)

    def _answer(self, target: str) -> list[int]:
        tokens = self._tokens(target.replace("<|", "< |"))
        return [*tokens, self.end] if len(tokens) <= self._target_tokens else tokens[: self._target_tokens]

    def _tokens(self, text: str) -> list[int]:
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def batch(self, rows: Sequence[Asked], *, left: bool = False) -> Batch:
        """Pad rows to one length.

        Args:
            rows: at least one.
            left: pad before the prompt, as generation needs it.

        Returns:
            `input_ids`, `attention_mask`, `mm_token_type_ids` (1 at picture tokens) and `labels` (`IGNORED` where
            nothing is learned), int64 (rows, tokens); `pixel_values`, float32 (patches of all films, values of a
            patch); `image_grid_thw`, int64 (rows, 3).
        """
        longest = max(len(row.tokens) for row in rows)
        tokens = torch.full((len(rows), longest), self.padding)
        mask = torch.zeros_like(tokens)
        labels = torch.full_like(tokens, IGNORED)
        for number, row in enumerate(rows):
            start = longest - len(row.tokens) if left else 0
            end = start + len(row.tokens)
            tokens[number, start:end] = torch.tensor(row.tokens)
            mask[number, start:end] = 1
            labels[number, start + row.prompt : end] = torch.tensor(row.tokens[row.prompt :], dtype=torch.int64)
        return {
            "input_ids": tokens,
            "attention_mask": mask,
            "mm_token_type_ids": (tokens == self.image).long(),
            "labels": labels,
            "pixel_values": torch.cat([row.pixel_values for row in rows]),
            "image_grid_thw": torch.tensor([row.grid for row in rows]),
        }
