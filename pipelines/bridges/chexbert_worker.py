"""CheXbert labels of report pairs, from a checkpoint on disk; runs where torch and transformers are installed.

The published checkpoint (Smit et al., EMNLP 2020) is a state dict: a BERT encoder and 14 linear heads on its first
token, 13 with the classes blank, positive, negative, uncertain and the last, No Finding, with blank and positive. The
encoder's sizes are read off the weights; the word list is not in it and lies beside it as `vocab.txt`.
"""

import argparse
import pickle
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch  # pyright: ignore[reportMissingImports]
from exchange import Answer, CannotWork, Texts, run, sha256, versions
from tokenizers import BertWordPieceTokenizer  # pyright: ignore[reportMissingImports]
from transformers import BertConfig, BertModel  # pyright: ignore[reportMissingImports]

FINDINGS = (
    "Enlarged Cardiomediastinum",
    "Cardiomegaly",
    "Lung Opacity",
    "Lung Lesion",
    "Edema",
    "Consolidation",
    "Pneumonia",
    "Atelectasis",
    "Pneumothorax",
    "Pleural Effusion",
    "Pleural Other",
    "Fracture",
    "Support Devices",
    "No Finding",
)
"""In the order of the heads."""
VALUES = (-2, 1, 0, -1)
"""Of the classes blank, positive, negative, uncertain: unmentioned, positive, negative, uncertain."""
HEAD_WIDTH = 64
"""Of one attention head in every published BERT; the weights do not show how many heads share them."""
BATCH = 16
UNREADABLE = (OSError, EOFError, pickle.UnpicklingError, RuntimeError, KeyError, TypeError, ValueError, AttributeError)
"""What torch.load, and asking its result for a state dict, raise on a file of another kind."""


def state(checkpoint: Path) -> dict[str, Any]:
    """The weights by name, without what data-parallel training and old releases of transformers left in them."""
    if not checkpoint.is_file():
        raise CannotWork("missing-checkpoint", f"{checkpoint}: no such checkpoint; download chexbert.pth and name it")
    try:
        found = torch.load(checkpoint, map_location="cpu", weights_only=True)["model_state_dict"]
        return {
            name.removeprefix("module."): weight
            for name, weight in found.items()
            if not name.endswith("embeddings.position_ids")
        }
    except UNREADABLE as error:
        raise CannotWork("not-a-checkpoint", f"{checkpoint}: not a CheXbert checkpoint: {error}") from error


def encoder(weights: dict[str, Any]) -> Any:
    """An empty BERT of the weights' sizes."""
    words, width = weights["bert.embeddings.word_embeddings.weight"].shape
    layers = {name.split(".")[3] for name in weights if name.startswith("bert.encoder.layer.")}
    return BertModel(
        BertConfig(
            vocab_size=words,
            hidden_size=width,
            num_hidden_layers=len(layers),
            num_attention_heads=max(1, width // HEAD_WIDTH),
            intermediate_size=len(weights["bert.encoder.layer.0.intermediate.dense.bias"]),
            max_position_embeddings=len(weights["bert.embeddings.position_embeddings.weight"]),
            type_vocab_size=len(weights["bert.embeddings.token_type_embeddings.weight"]),
        )
    )


def labeler(checkpoint: Path) -> tuple[Any, Any]:
    """Encoder and heads with the checkpoint's weights, every one of them used."""
    weights = state(checkpoint)
    try:
        sizes = [len(weights[f"linear_heads.{head}.bias"]) for head in range(len(FINDINGS))]
        bert = encoder(weights)
        heads = torch.nn.ModuleList(torch.nn.Linear(bert.config.hidden_size, size) for size in sizes)
        model = torch.nn.ModuleDict({"bert": bert, "linear_heads": heads})
        model.load_state_dict(weights)
    except (KeyError, RuntimeError) as error:
        raise CannotWork("not-a-checkpoint", f"{checkpoint}: not the weights of CheXbert: {error}") from error
    if sizes != [4] * 13 + [2]:
        raise CannotWork(
            "not-a-checkpoint", f"{checkpoint}: heads of {sizes} classes; CheXbert has 13 of 4 and one of 2"
        )
    model.to("cuda" if torch.cuda.is_available() else "cpu").eval()
    return bert, heads


def tokenizer(checkpoint: Path, words: int, longest: int) -> Any:
    """The uncased word-piece tokenizer whose word list lies beside the checkpoint."""
    path = checkpoint.with_name("vocab.txt")
    if not path.is_file():
        raise CannotWork("missing-vocabulary", f"{path}: missing; put bert-base-uncased's vocab.txt there")
    found = BertWordPieceTokenizer(str(path), lowercase=True)
    if found.get_vocab_size() != words:
        raise CannotWork("missing-vocabulary", f"{path}: {found.get_vocab_size()} words; the checkpoint knows {words}")
    found.enable_truncation(longest)
    return found


def label(texts: Sequence[str], checkpoint: Path) -> Iterator[tuple[str, list[int]]]:
    """Each text with its values in the order of `FINDINGS`."""
    bert, heads = labeler(checkpoint)
    words = tokenizer(checkpoint, bert.config.vocab_size, bert.config.max_position_embeddings)
    # Texts of like length share a batch: padding is what costs time.
    ordered = sorted(texts, key=len)
    for start in range(0, len(ordered), BATCH):
        part = ordered[start : start + BATCH]
        coded = [torch.tensor(words.encode(" ".join(text.split())).ids) for text in part]
        ids = torch.nn.utils.rnn.pad_sequence(coded, batch_first=True)
        mask = torch.nn.utils.rnn.pad_sequence([torch.ones_like(each) for each in coded], batch_first=True)
        with torch.inference_mode():
            first = bert(input_ids=ids.to(bert.device), attention_mask=mask.to(bert.device)).last_hidden_state[:, 0]
            classes = torch.stack([head(first).argmax(1) for head in heads], 1).tolist()
        yield from ((text, [VALUES[each] for each in row]) for text, row in zip(part, classes))  # noqa: B905 - equal


def compute(pairs: Texts, options: argparse.Namespace) -> Answer:
    """Labels of both sides of every pair."""
    checkpoint: Path = options.checkpoint
    found = dict(label(sorted({text for pair in pairs for text in pair}), checkpoint))
    return Answer(
        [f"{side}:{name}" for side in ("hypothesis", "reference") for name in FINDINGS],
        [found[hypothesis] + found[reference] for hypothesis, reference in pairs],
        versions("torch", "transformers", "tokenizers"),
        {"chexbert": sha256(checkpoint), "vocab": sha256(checkpoint.with_name("vocab.txt"))},
    )


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--checkpoint", type=Path, required=True)
    run(compute, options)
