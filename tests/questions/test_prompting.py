"""Asking a model for a class, on a tiny model with random weights."""

import numpy as np
import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from companion.errors import DataError
from companion.questions.prompting import NO_CONTENT, PromptedClassifier, prompt


class Letters:
    """A tokenizer with a token a word."""

    def __init__(self) -> None:
        self.ids: dict[str, int] = {}

    def __call__(self, text: str, *, add_special_tokens: bool) -> dict[str, list[int]]:
        assert not add_special_tokens
        return {"input_ids": [self.ids.setdefault(word, len(self.ids)) for word in text.split()]}


@pytest.fixture
def model() -> LlamaForCausalLM:
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 1, "vocab_size": 100}
    return LlamaForCausalLM(LlamaConfig(**sizes, **heads)).eval()


def asked_at_once(model: LlamaForCausalLM, tokenizer: Letters, text: str) -> np.ndarray:
    """The same, with the whole prompt read anew."""
    whole = prompt(["a", "b"], [("x", "a")]) + f"Headline: {text}\nSection:"
    ids = tokenizer(whole, add_special_tokens=False)["input_ids"]
    with torch.inference_mode():
        logits = model(torch.tensor([ids])).logits[0, -1].double()
    answers = [tokenizer(label, add_special_tokens=False)["input_ids"][0] for label in "ab"]
    return np.asarray(logits[answers].softmax(dim=0))


def test_the_kept_prefix_gives_the_answers_of_the_whole_prompt(model: LlamaForCausalLM) -> None:
    tokenizer = Letters()
    classifier = PromptedClassifier(tokenizer, model, ["a", "b"], [("x", "a")], calibrate=False)
    texts = ["one two", "three", "one two"]
    right = [asked_at_once(model, tokenizer, text) for text in texts]
    np.testing.assert_allclose(classifier.predict_proba(texts), right, atol=1e-5)


def test_calibration_makes_a_question_without_content_a_tie(model: LlamaForCausalLM) -> None:
    classifier = PromptedClassifier(Letters(), model, ["a", "b", "c"])
    np.testing.assert_allclose(classifier.predict_proba([NO_CONTENT]), [[1 / 3] * 3], atol=1e-6)
    rows = classifier.predict_proba(["one", "two"])
    np.testing.assert_allclose(rows.sum(axis=1), 1)
    assert classifier.predict(["one"]) == [classifier.labels[rows[0].argmax()]]


def test_tokens_of_a_request_are_those_of_the_whole_prompt(model: LlamaForCausalLM) -> None:
    classifier = PromptedClassifier(Letters(), model, ["a", "b"], [("x", "a")])
    whole = prompt(["a", "b"], [("x", "a")]) + "Headline: one two\nSection:"
    assert classifier.tokens("one two") == len(whole.split())


def test_classes_that_begin_alike_are_refused(model: LlamaForCausalLM) -> None:
    with pytest.raises(DataError, match="same token"):
        PromptedClassifier(Letters(), model, ["new york", "new delhi"])
