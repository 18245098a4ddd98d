import pytest
from lrrg import prompts


@pytest.mark.parametrize("name", prompts.names())
def test_a_released_prompt_never_changes(name: str):
    assert prompts.load(name).sha256 == prompts.locked()[name], "edit a copy with the next version number instead"


def test_every_locked_prompt_exists():
    assert sorted(prompts.locked()) == prompts.names()


@pytest.mark.parametrize("name", prompts.names())
def test_filling_leaves_no_variable_and_says_what_is_absent(name: str):
    prompt = prompts.load(name)
    text = prompt.fill(dict.fromkeys(prompt.variables))
    assert "$" not in text
    assert text.count(prompts.ABSENT) == len(prompt.variables)
    with pytest.raises(prompts.PromptError, match="needs"):
        prompt.fill({"unknown": "x"})


def test_an_unknown_prompt_names_those_there_are():
    with pytest.raises(prompts.PromptError, match=r"report\.v1"):
        prompts.load("nothing.v9")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("no front matter", "expected"),
        ("# system\nRead.\n# user\n$view\n", "differ"),
        ("# system\nRead.\n# user\nIt costs $5.\n", "not doubled"),
        ("# system\nRead.\n", "missing"),
    ],
)
def test_a_malformed_prompt_is_refused_before_it_is_filled(tmp_path, monkeypatch, text: str, complaint: str):
    head = "" if complaint == "expected" else "+++\nvariables = []\n+++\n"
    (tmp_path / "mine.v1.md").write_text(head + text)
    monkeypatch.setattr(prompts, "FOLDER", tmp_path)
    with pytest.raises(prompts.PromptError, match=complaint):
        prompts.load("mine.v1")
