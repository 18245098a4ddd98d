"""The judge's folder through plain transformers, as anybody would run it: what serving has to agree with."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import AutoTokenizer

from ....agent.state import ASPECTS
from ....prompts import load
from ....tools.film import Grey
from ..qwen import image_processor
from ..tokenizer import IMAGE
from .model import GRADES, MAX_PIXELS, MIN_PIXELS, PROMPT, layout, model_in

MORE_TOKENS = 40
"""A free reply may have; the form takes 13."""


class Said(NamedTuple):
    """What plain transformers make of one film."""

    text: str
    """The reply that greedy decoding gives when nothing holds it to a form."""
    grades: NDArray[np.float64]
    """Probability of each grade, (6, 4), each digit after the likeliest ones before it."""


class Plain:
    """Reads a folder; grades films with the general code for any Qwen2.5-VL."""

    def __init__(self, folder: Path) -> None:
        """Read the folder.

        Raises:
            SettingsError: no model is there.
        """
        self._model: Any = model_in(folder).eval()
        self._words = AutoTokenizer.from_pretrained(folder)
        self._plan = layout(self._words, self._model, load(PROMPT))
        self._pixels = image_processor(MIN_PIXELS, MAX_PIXELS)

    @torch.no_grad()
    def say(self, films: Sequence[Sequence[Grey]]) -> list[Said]:
        """Answer some films at once; each is three pictures, the same sides for all."""
        plan = self._plan
        asked = plan.tokens[None, : plan.prompt].expand(len(films), -1)
        written = self._model.generate(
            input_ids=asked, attention_mask=torch.ones_like(asked), mm_token_type_ids=self._kinds(asked),
            **self._seen(films), max_new_tokens=MORE_TOKENS, do_sample=False,
            return_dict_in_generate=True, output_logits=True,
        )  # fmt: skip
        replies, logits = written.sequences[:, plan.prompt :], torch.stack(written.logits, 1)
        found = []
        for film, reply, each in zip(films, replies, logits, strict=True):
            text = str(self._words.decode(reply, skip_special_tokens=True))
            if self._is_canonical(reply):
                places = torch.tensor(plan.grades) - plan.prompt
                grades = _probabilities(each[places][:, plan.digits])
            else:
                grades = self._forced(film)
            found.append(Said(text, grades))
        return found

    def _is_canonical(self, reply: Tensor) -> bool:
        """Whether a free reply is spelt as training spelt it: then its digits are those that the form asks for."""
        plan = self._plan
        form, places = plan.tokens[plan.prompt :].clone(), torch.tensor(plan.grades) - plan.prompt
        if len(reply) < len(form) or not torch.isin(reply[places], plan.digits).all():
            return False
        form[places] = reply[places]
        return torch.equal(reply[: len(form)], form)

    def _forced(self, film: Sequence[Grey]) -> NDArray[np.float64]:
        """The grades where the free reply breaks the form: one forward pass a digit, the rest of the form given."""
        plan, seen = self._plan, self._seen([film])
        tokens, found = plan.tokens[None].clone(), []
        for place in plan.grades:
            said = tokens[:, :place]
            logits = self._model(input_ids=said, mm_token_type_ids=self._kinds(said), **seen).logits[0, -1]
            found.append(logits[plan.digits])
            tokens[0, place] = plan.digits[found[-1].argmax()]
        return _probabilities(torch.stack(found))

    def _kinds(self, tokens: Tensor) -> Tensor:
        return (tokens == self._words.get_vocab()[IMAGE]).int()

    def _seen(self, films: Sequence[Sequence[Grey]]) -> Any:
        colour = [np.repeat(picture[:, :, None], 3, axis=2) for film in films for picture in film]
        return self._pixels(colour, return_tensors="pt")


def _probabilities(logits: Tensor) -> NDArray[np.float64]:
    return logits.softmax(-1).double().numpy().reshape(len(ASPECTS), GRADES)
