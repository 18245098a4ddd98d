"""The judge's folder through plain transformers, as anybody would run it: what serving has to agree with."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoTokenizer, Qwen2_5_VLForConditionalGeneration

from ....agent.state import ASPECTS
from ....prompts import load
from ....tools.film import Grey
from ..qwen import image_processor
from ..tokenizer import IMAGE
from .model import GRADES, MAX_PIXELS, MIN_PIXELS, PROMPT, layout


class Plain:
    """Reads a folder; grades three pictures at a time with the general code for any Qwen2.5-VL."""

    def __init__(self, folder: Path) -> None:
        self._model: Any = Qwen2_5_VLForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()
        self._words = AutoTokenizer.from_pretrained(folder)
        self._plan = layout(self._words, self._model, load(PROMPT))
        self._pixels = image_processor(MIN_PIXELS, MAX_PIXELS)

    @torch.no_grad()
    def grade(self, pictures: Sequence[Grey]) -> NDArray[np.float64]:
        """Probability of each grade, (6, 4), each digit after the likeliest ones before it."""
        plan = self._plan
        colour = [np.repeat(each[:, :, None], 3, axis=2) for each in pictures]
        seen = self._pixels(colour, return_tensors="pt")
        tokens = plan.tokens[None].clone()
        found = []
        for place in plan.grades:
            said = tokens[:, :place]
            kinds = (said == self._words.get_vocab()[IMAGE]).int()
            logits = self._model(input_ids=said, mm_token_type_ids=kinds, **seen).logits[0, -1, plan.digits]
            found.append(logits.softmax(-1))
            tokens[0, place] = plan.digits[found[-1].argmax()]
        return torch.stack(found).double().numpy().reshape(len(ASPECTS), GRADES)

    @torch.no_grad()
    def write(self, pictures: Sequence[Grey]) -> str:
        """The reply that greedy decoding gives when nothing holds it to a form."""
        colour = [np.repeat(each[:, :, None], 3, axis=2) for each in pictures]
        asked = self._plan.tokens[None, : self._plan.prompt]
        kinds = (asked == self._words.get_vocab()[IMAGE]).int()
        seen = self._pixels(colour, return_tensors="pt")
        said = self._model.generate(
            input_ids=asked, attention_mask=torch.ones_like(asked), mm_token_type_ids=kinds, **seen,
            max_new_tokens=40, do_sample=False,
        )  # fmt: skip
        return str(self._words.decode(said[0, asked.shape[1] :], skip_special_tokens=True))
