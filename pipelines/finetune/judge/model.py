"""The judge's conversation and the judge: looks in, the probability of each grade of each aspect out."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import AutoTokenizer, PreTrainedTokenizerFast, Qwen2_5_VLForConditionalGeneration
from transformers.utils.logging import disable_progress_bar

from ....agent.state import ASPECTS
from ....prompts import Prompt, load
from ...errors import SettingsError
from ..qwen import MERGE, PATCH, Sizes, build, save_folder
from ..tokenizer import END_OF_TURN, IMAGE, train_tokenizer
from .language import Language
from .tower import GreyPatches, Tower, patches
from .views import CROP, OVERVIEW, Views

PROMPT = "quality_judge_compact.v1"
SIZES = Sizes(
    vision_hidden=128, vision_depth=3, vision_intermediate=320, hidden=128, layers=2, intermediate=384, max_tokens=512
)
GRADES = 4
SIDES = (OVERVIEW, CROP, CROP)
MIN_PIXELS, MAX_PIXELS = 112 * 112, 224 * 224
"""Areas that preprocessing leaves as they are; the looks lie between."""
VOCABULARY = 512


def answer(grades: Sequence[int]) -> str:
    """The one form of a reply."""
    return json.dumps(dict(zip(ASPECTS, map(int, grades), strict=True)), separators=(",", ":"))


def messages(prompt: Prompt) -> list[dict[str, Any]]:
    """The conversation as serving sends it: text before the pictures, so that servers can cache it."""
    pictures = [{"type": "image"} for _ in SIDES]
    return [
        {"role": "system", "content": prompt.system},
        {"role": "user", "content": [{"type": "text", "text": prompt.user}, *pictures]},
    ]


def tokenizer(prompt: Prompt) -> PreTrainedTokenizerFast:
    """A tokenizer whose tokens are the phrases of this conversation: a reply takes 13 of them."""
    replies = [answer([grade] * len(ASPECTS)) for grade in range(GRADES)]
    talk = [f"system\n{prompt.system}", f"\nuser\n{prompt.user}", "\n", "assistant\n"]
    return train_tokenizer([*replies, *talk] * 4, VOCABULARY, max_tokens=SIZES.max_tokens, span="text")


@dataclass(frozen=True, eq=False)
class Layout:
    """Where everything stands in a conversation's tokens.

    Attributes:
        tokens: int64, (T,): prompt, then the reply with every grade 0.
        prompt: number of tokens of the prompt.
        pictures: positions of the picture tokens.
        grades: positions of the six grades.
        digits: token of each grade.
        turns: rotary positions, (3, 1, T).
    """

    tokens: Tensor
    prompt: int
    pictures: Tensor
    grades: list[int]
    digits: Tensor
    turns: Tensor


def layout(words: PreTrainedTokenizerFast, model: Qwen2_5_VLForConditionalGeneration, prompt: Prompt) -> Layout:
    """Lay out the conversation for one tokenizer."""
    text = str(words.apply_chat_template(messages(prompt), tokenize=False, add_generation_prompt=True))
    parts = text.split(IMAGE)
    text = parts[0] + "".join(
        IMAGE * (side // PATCH // MERGE) ** 2 + part for side, part in zip(SIDES, parts[1:], strict=True)
    )
    asked: list[int] = words(text, add_special_tokens=False)["input_ids"]
    reply: list[int] = words(answer([0] * len(ASPECTS)) + END_OF_TURN, add_special_tokens=False)["input_ids"]
    vocabulary = words.get_vocab()
    tokens = torch.tensor(asked + reply)
    seen = tokens == vocabulary[IMAGE]
    grids = torch.tensor([[1, side // PATCH, side // PATCH] for side in SIDES])
    turns, _ = model.model.get_rope_index(tokens[None], mm_token_type_ids=seen[None].int(), image_grid_thw=grids)  # pyright: ignore[reportArgumentType]
    zero = vocabulary["0"]
    where = [len(asked) + place for place, token in enumerate(reply) if token == zero]
    digits = torch.tensor([vocabulary[str(grade)] for grade in range(GRADES)])
    return Layout(tokens, len(asked), seen.nonzero()[:, 0], where, digits, turns)


def model_in(folder: Path) -> Qwen2_5_VLForConditionalGeneration:
    """The weights of a judge's folder.

    Raises:
        SettingsError: no model is there.
    """
    if not (folder / "config.json").is_file():
        raise SettingsError(f"{folder}: no model; name the folder `model` of what lrrg finetune judge wrote")
    disable_progress_bar()
    return Qwen2_5_VLForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)


class Judge(nn.Module):
    """A Qwen2.5-VL that grades, and the parts that only training needs: grey patches and a plain head."""

    def __init__(
        self, qwen: Qwen2_5_VLForConditionalGeneration, words: PreTrainedTokenizerFast, embedding: GreyPatches
    ) -> None:
        super().__init__()
        self.qwen = qwen
        self.words = words
        self.layout = layout(words, qwen, load(PROMPT))
        self.tower = Tower(qwen, embedding, {side // PATCH for side in SIDES})
        self.language = Language(qwen.model.language_model, self.layout.turns)
        self.head = nn.Linear(4 * self.embeddings.embedding_dim, len(ASPECTS) * GRADES)

    @classmethod
    def fresh(cls, sample: Tensor, *, seed: int, sizes: Sizes = SIZES) -> "Judge":
        """An untrained judge; the grey patches of `sample`, (M, 196), set the scales of its patch embedding."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            words = tokenizer(load(PROMPT))
            return cls(build(words, sizes, seed=seed), words, GreyPatches(sizes.vision_hidden, sample))

    @classmethod
    def load(cls, folder: Path) -> "Judge":
        """A judge from its folder, ready to grade; its plain head is not saved and starts anew.

        Raises:
            SettingsError: no model is there.
        """
        qwen = model_in(folder)
        convolution = qwen.model.visual.patch_embed.proj
        embedding = GreyPatches(convolution.out_channels)
        embedding.read(convolution)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return cls(qwen, AutoTokenizer.from_pretrained(folder), embedding).eval()

    @property
    def embeddings(self) -> nn.Embedding:
        """Of the tokens; the same weights turn hidden states into tokens."""
        found = self.qwen.get_input_embeddings()
        assert isinstance(found, nn.Embedding)
        return found

    def see(self, overview: Tensor, details: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens of the pictures: (B, 36, hidden) of patches (B, 144, 196), (B, K, 25, hidden) of (B, K, 100, 196)."""
        batch, number = details.shape[:2]
        return self.tower(overview), self.tower(details.flatten(0, 1)).unflatten(0, (batch, number))

    def glance(self, whole: Tensor, parts: Tensor) -> Tensor:
        """Logits (B, 6, 4) of the plain head, which teaches the tower before the language model understands it."""
        pooled = (whole.mean(1), whole.amax(1), parts.mean((1, 2)), parts.amax(2).mean(1))
        return self.head(torch.cat(pooled, -1).float()).unflatten(-1, (len(ASPECTS), GRADES))

    def read(self, whole: Tensor, parts: Tensor, tokens: Tensor, first: int) -> Tensor:
        """Hidden states (B, T - first, hidden) of conversations (B, T) about pictures; T may stop before the end."""
        words = self.embeddings(tokens)
        pictures = torch.cat([whole, parts.flatten(1, 2)], 1).to(words.dtype)
        return self.language(words.index_copy(1, self.layout.pictures, pictures), first)

    def speak(self, hidden: Tensor) -> Tensor:
        """Logits of the next token."""
        return hidden @ self.embeddings.weight.T

    @torch.no_grad()
    def probabilities(self, overview: Tensor, details: Tensor) -> Tensor:
        """Probability of each grade, (B, 6, 4), by the digits' tokens; each digit follows the likeliest ones."""
        whole, parts = self.see(overview, details)
        tokens = self.layout.tokens.repeat(len(overview), 1)
        found = []
        for place in self.layout.grades:
            logits = self.speak(self.read(whole, parts, tokens[:, :place], place - 1)[:, -1])[:, self.layout.digits]
            found.append(logits.softmax(-1))
            tokens[:, place] = self.layout.digits[found[-1].argmax(-1)]
        return torch.stack(found, 1)

    def save(self, folder: Path) -> None:
        """Write the folder that serving loads."""
        self.tower.embedding.write(self.qwen.model.visual.patch_embed.proj)
        save_folder(self.qwen, self.words, folder, min_pixels=MIN_PIXELS, max_pixels=MAX_PIXELS)

    def grade(self, views: Views, *, batch: int = 50) -> NDArray[np.float64]:
        """Probability of each grade, (N, 6, 4), for views cut as in serving (details A and B, of side `CROP`)."""
        found = []
        for start in range(0, len(views), batch):
            details = views.details[start : start + batch]
            seen = patches(details.reshape(-1, CROP, CROP)).unflatten(0, details.shape[:2])
            found.append(self.probabilities(patches(views.overview[start : start + batch]), seen))
        return torch.cat(found).double().numpy()
