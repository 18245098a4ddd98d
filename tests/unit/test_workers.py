"""The bridge's workers for real, in another environment: a tiny BERT in CheXbert's published form, and RadEval."""

import hashlib
import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from lrrg.benchmark.corpus import Corpus
from lrrg.pipelines.errors import ModelMetricError
from lrrg.pipelines.score.bridge import WORKERS, ask
from lrrg.pipelines.score.model_metrics import Chexbert, RadEval

TEXTS = [
    "No pneumothorax.",
    "NO  PNEUMOTHORAX.\n",
    "Large left effusion with edema; heart enlarged.",
    "Edema.",
    "Right effusion. " * 300,
    "héart zzz",
    "clear",
]
MAKE = """
import json, sys, torch
from transformers import BertConfig, BertModel, BertTokenizer
folder, texts = sys.argv[1], json.loads(sys.argv[2])
words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "no", "pneumo", "##thorax", "left", "right", "effusion", "large"]
words += ["edema", "heart", "en", "##large", "##d", "with", "clear", ".", ";"]
open(folder + "/vocab.txt", "w").write("\\n".join(words) + "\\n")
torch.manual_seed(0)
sizes = dict(hidden_size=128, num_hidden_layers=2, num_attention_heads=2, intermediate_size=256)
bert = BertModel(BertConfig(vocab_size=len(words), initializer_range=0.3, **sizes)).eval()
heads = torch.nn.ModuleList(torch.nn.Linear(128, 2 if head == 13 else 4) for head in range(14))
state = {f"module.bert.{name}": value for name, value in bert.state_dict().items()}
state |= {f"module.linear_heads.{name}": value for name, value in heads.state_dict().items()}
state["module.bert.embeddings.position_ids"] = torch.arange(512)[None]
torch.save({"epoch": 3, "model_state_dict": state}, folder + "/chexbert.pth")
torch.save({"model_state_dict": {k: v for k, v in state.items() if "heads.13" not in k}}, folder + "/headless.pth")
tokenizer = BertTokenizer(folder + "/vocab.txt", do_lower_case=True)
expected = []
for text in texts:
    ids = tokenizer.encode(text)
    ids = torch.tensor([ids if len(ids) <= 512 else ids[:511] + [tokenizer.sep_token_id]])
    with torch.no_grad():
        first = bert(ids)[0][:, 0]
        expected.append([{0: -2, 1: 1, 2: 0, 3: -1}[int(head(first).argmax())] for head in heads])
print(json.dumps(expected))
"""


@pytest.fixture(scope="module")
def python() -> str:
    """An interpreter with torch and transformers: the one that is named, or this one."""
    found = os.environ.get("LRRG_BRIDGE_PYTHON")
    if found is None and not (find_spec("torch") and find_spec("transformers")):
        pytest.skip("set LRRG_BRIDGE_PYTHON to an interpreter that has torch and transformers")
    return found or sys.executable


@pytest.fixture(scope="module")
def made(python: str, tmp_path_factory) -> tuple[Path, list[list[int]]]:
    """A checkpoint, and the labels of TEXTS computed one by one as the publication's own code does."""
    folder = tmp_path_factory.mktemp("chexbert")
    command = [python, "-c", MAKE, str(folder), json.dumps(TEXTS)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return folder / "chexbert.pth", json.loads(done.stdout)


def test_labels_equal_those_computed_one_by_one(python: str, made):
    checkpoint, expected = made
    pairs = [(text, TEXTS[0]) for text in TEXTS]
    answer = ask(WORKERS / "chexbert_worker.py", python, ["--checkpoint", str(checkpoint)], pairs)
    assert [list(answer.values[pair][:14]) for pair in pairs] == expected
    assert {tuple(values[14:]) for values in answer.values.values()} == {tuple(expected[0])}
    assert expected[0] == expected[1], "case and white space make no difference"
    assert len({tuple(row) for row in expected}) > 3, "a test on labels that never differ could not fail"
    assert answer.sha256["chexbert"] == hashlib.sha256(checkpoint.read_bytes()).hexdigest()
    assert answer.versions.keys() == {"python", "torch", "transformers", "tokenizers"}


def test_it_scores(python: str, made):
    found = Chexbert(made[0], python)({(text, text) for text in TEXTS})
    corpus = Corpus(TEXTS, TEXTS, lambda _: pytest.fail("rule14 was asked"))
    micro = next(metric for metric in found.metrics if metric.name == "chexbert_micro_f1_14_uncertain_positive")
    assert float(micro.value(corpus.statistics(micro.statistics).sum(0))) == 1


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("no.pth", None, "missing-checkpoint"),
        ("text.pth", b"not a checkpoint", "not-a-checkpoint"),
        ("empty.pth", b"", "not-a-checkpoint"),
        ("headless.pth", None, "not-a-checkpoint"),
    ],
)
def test_a_wrong_checkpoint_is_named(python: str, made, name: str, content: bytes | None, code: str):
    path = made[0].with_name(name)
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ModelMetricError, match=name) as caught:
        Chexbert(path, python)([("a", "b")])
    assert caught.value.code == code


def test_a_missing_or_foreign_word_list_is_named(python: str, made, tmp_path: Path):
    checkpoint = tmp_path / "chexbert.pth"
    checkpoint.write_bytes(made[0].read_bytes())
    for words in (None, "[PAD]\n[UNK]\n[CLS]\n[SEP]\n"):
        if words:
            (tmp_path / "vocab.txt").write_text(words)
        with pytest.raises(ModelMetricError, match=r"vocab\.txt") as caught:
            Chexbert(checkpoint, python)([("a", "b")])
        assert caught.value.code == "missing-vocabulary"


@pytest.fixture(scope="module")
def radeval_python(python: str) -> str:
    """An interpreter with RadEval; no models needed."""
    if subprocess.run([python, "-c", "import radeval"], capture_output=True, check=False).returncode:
        pytest.skip(f"{python} has no radeval: pip install radeval==2.2.1 there")
    return python


def test_radeval_answers_per_pair(radeval_python: str):
    pair = ("No pneumothorax. Left effusion.", "Left pleural effusion is present.")
    same = ("Clear lungs.", "Clear lungs.")
    found = RadEval(["rouge"], radeval_python)([pair, same])
    corpus = Corpus([pair[0], same[0], ""], [pair[1], same[1], "x"], lambda _: pytest.fail("rule14 was asked"))
    (metric,) = found.metrics
    # Two words in common of four and five; identical; empty.
    expected = [2 * (2 / 4) * (2 / 5) / (2 / 4 + 2 / 5), 1, 0]
    assert corpus.statistics(metric.statistics)[:, 0] == pytest.approx(expected)
    assert "radeval-2.2.1" in found.signature["radeval"]


@pytest.mark.parametrize("name", ["radgraph", "radcliq", "ratescore", "srrbert", "green"])
def test_a_metric_without_its_weights_says_where_they_belong(
    radeval_python: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for variable in ("HF_HOME", "HF_HUB_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.setenv(variable, str(tmp_path))
    with pytest.raises(ModelMetricError, match=f"{tmp_path}.*: no weights for {name}") as caught:
        RadEval([name], radeval_python)([("a", "b")])
    assert caught.value.code == "missing-weights"


def test_an_unknown_metric_of_radeval_is_refused(radeval_python: str):
    with pytest.raises(ModelMetricError, match="bertscore: choose from radgraph") as caught:
        RadEval(["rouge", "bertscore"], radeval_python)([("a", "b")])
    assert caught.value.code == "unknown-metric"
