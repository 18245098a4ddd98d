import numpy as np
import pytest
import torch
from lrrg.pipelines.finetune.qwen import Sizes, build, image_processor, save_folder
from lrrg.pipelines.finetune.tokenizer import IMAGE, SPECIAL_TOKENS, train_tokenizer
from transformers import AutoTokenizer, Qwen2_5_VLForConditionalGeneration

SIZES = Sizes(
    vision_hidden=32, vision_depth=1, vision_intermediate=48, hidden=32, layers=1, intermediate=48, key_value_heads=1
)
TEXTS = ['system user assistant Heart size is normal. {"noise":0,"blur":3}'] * 5
MESSAGES = [{"role": "user", "content": [{"type": "text", "text": "Look: é"}, {"type": "image"}]}]


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(TEXTS, 400)


@pytest.fixture(scope="module")
def model(tokenizer):
    return build(tokenizer, SIZES, seed=1).eval()


def test_digits_and_special_tokens_are_one_token_and_nothing_is_unknown(tokenizer):
    assert tokenizer.tokenize("012") == ["0", "1", "2"]
    assert all(len(tokenizer(token).input_ids) == 1 for token in SPECIAL_TOKENS)
    assert tokenizer.decode(tokenizer("naïve 肺 12").input_ids) == "naïve 肺 12"


def test_the_prompt_is_what_the_messages_say_and_nothing_else(tokenizer):
    text = tokenizer.apply_chat_template(MESSAGES, tokenize=False, add_generation_prompt=True)
    assert text == (
        "<|im_start|>user\nLook: é<|vision_start|><|image_pad|><|vision_end|><|im_end|>\n<|im_start|>assistant\n"
    )


def test_equal_seeds_give_equal_models_and_leave_the_generator_alone(tokenizer):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first, second, other = (build(tokenizer, SIZES, seed=seed).state_dict() for seed in (1, 1, 2))
    assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)


def test_a_sentence_may_be_one_token_and_no_token_reaches_across_two():
    said = ["Heart size is normal. No pneumothorax.\nView: PA", "No pneumothorax. Heart size is normal."]
    spanning = train_tokenizer(said * 5, 2000, span="sentence")
    pieces = [spanning.decode([token]) for token in spanning(said[0]).input_ids]
    assert pieces == ["Heart size is normal. ", "No pneumothorax.\n", "View: PA"]
    assert spanning.decode(spanning("Heart 12. é").input_ids) == "Heart 12. é"


def test_weights_may_start_as_wide_as_their_inputs_need(tokenizer):
    model = build(tokenizer, SIZES, seed=1, fan_in=True)
    deviations = {
        name: float(weight.std()) * weight[0].numel() ** 0.5
        for name, weight in model.named_parameters()
        if weight.ndim > 1 and "embed_tokens" not in name
    }
    assert len(deviations) > 10
    assert all(0.8 < deviation < 1.2 for deviation in deviations.values()), deviations
    assert 0.015 < float(model.get_input_embeddings().weight.std()) < 0.025, "tied to what is written"


def test_the_saved_folder_is_the_model(tokenizer, model, tmp_path):
    save_folder(model, tokenizer, tmp_path, min_pixels=56 * 56, max_pixels=112 * 112)
    again = Qwen2_5_VLForConditionalGeneration.from_pretrained(tmp_path).eval()
    words = AutoTokenizer.from_pretrained(tmp_path)
    pixels = image_processor(56 * 56, 112 * 112)(np.full((56, 84, 3), 90, np.uint8), return_tensors="pt")
    prompt = words.apply_chat_template(MESSAGES, tokenize=False).replace(IMAGE, IMAGE * 6)
    ids = words(prompt, return_tensors="pt").input_ids
    seen = (ids == words.convert_tokens_to_ids(IMAGE)).int()
    with torch.no_grad():
        was, now = (m(input_ids=ids, mm_token_type_ids=seen, **pixels).logits for m in (model, again))
    assert torch.equal(was, now)
