"""The silent bugs S1 to S23 of the article's listing: a check for each, and proof it can fail.

Every ``check`` runs twice: on the package as it is, where it has to pass, and with the bug put
back, where it has to fail. The bugs are described, with their effect, in the book's section on the
listing.
"""

import dataclasses
import inspect
import os
import string
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from companion.classifier import (
    batches,
    checkpoint,
    corpus,
    encoding,
    evaluation,
    inference,
    model,
    state,
    text,
    training,
)
from companion.classifier.configuration import CONFIGURATIONS, Configuration
from companion.classifier.encoding import build_vocabulary
from companion.classifier.inference import TextClassifier
from companion.classifier.model import LSTMClassifier
from companion.classifier.text import PADDING_ID, UNKNOWN_ID, Vocabulary, tokenize
from companion.classifier.training import train
from tests.conftest import news

SENTENCE = "Today the therapist said: a state-of-the-art plan, worth 3.14 million!"
FULL_WIDTH = "，。！？；：（）【】《》“”‘’、…—"


def fails(check: Callable[..., None], *arguments: Any) -> None:
    """Hold that a check notices a bug."""
    with pytest.raises((AssertionError, RuntimeError)):
        check(*arguments)


def words_of(sentence: str) -> set[str]:
    for mark in string.punctuation:
        sentence = sentence.replace(mark, " ")
    return set(sentence.lower().split())


def test_s1_words_survive_cleaning() -> None:
    def check(tokenizer: Callable[[str], list[str]]) -> None:
        assert set(tokenizer(SENTENCE)) <= words_of(SENTENCE)
        assert tokenizer("therapist") != tokenizer("the rapist")

    check(tokenize)
    fails(check, lambda sentence: " ".join(sentence.lower()).split())


def test_s2_punctuation_separates() -> None:
    def check(tokenizer: Callable[[str], list[str]]) -> None:
        assert tokenizer("a-b") == ["a", "b"]
        assert tokenizer("3.14") == ["3", "14"]

    check(tokenize)
    fails(
        check,
        lambda sentence: "".join(
            mark for mark in sentence if mark not in string.punctuation
        ).split(),
    )


def test_s3_each_text_is_tokenized_once(
    monkeypatch: pytest.MonkeyPatch, small: Configuration
) -> None:
    calls: list[str] = []

    def count(name: str, times: int) -> None:
        function = getattr(text, name)

        def counting(given: str | list[str]) -> object:
            calls.extend(([given] if isinstance(given, str) else given) * times)
            return function(given)

        monkeypatch.setattr(encoding, name, counting)

    def check(times: int) -> None:
        splits = corpus.split_corpus(news(6))
        calls.clear()
        count("clean_together", times)  # of the training texts
        count("tokenize", times)  # of the validation texts
        train(splits.train, splits.validation, dataclasses.replace(small, epochs=1), progress=False)
        assert sorted(calls) == sorted([*splits.train["text"], *splits.validation["text"]])
        assert tokenize(" ".join(tokenize(SENTENCE))) == tokenize(SENTENCE)

    check(1)
    fails(check, 2)


def test_s4_the_argument_is_not_changed() -> None:
    def check(function: Callable[[pd.DataFrame], object]) -> None:
        frame = news(5)
        before = frame.copy(deep=True)
        function(frame)
        pd.testing.assert_frame_equal(frame, before)

    def mutating(frame: pd.DataFrame) -> pd.DataFrame:
        frame["text"] = frame["text"].str.upper()
        return frame

    for function in (corpus.validate_corpus, corpus.remove_duplicates, corpus.split_corpus):
        check(function)
    fails(check, mutating)


def test_s5_unknown_words_and_padding_have_ids() -> None:
    def check(vocabulary: Any) -> None:
        ids = vocabulary.encode(["known", "never-seen"])
        assert ids[1] == UNKNOWN_ID
        assert max(ids) < len(vocabulary)
        assert PADDING_ID not in ids

    class OnlyTheWords(dict[str, int]):
        def encode(self, tokens: list[str]) -> list[int]:
            return [self.get(token, len(self)) for token in tokens]

    check(Vocabulary.build([["known", "word"]], minimum_count=1))
    fails(check, OnlyTheWords({"known": 0, "word": 1}))


def test_s6_ids_are_the_same_in_every_process() -> None:
    build = {
        "sorted": "from companion.classifier.text import Vocabulary; "
        "ids = Vocabulary.build([words], minimum_count=1).encode(words)",
        "set": "order = list(set(words)); ids = [order.index(word) for word in words]",
    }

    def check(how: str) -> None:
        program = f"words = 'one two three four five six seven'.split(); {build[how]}; print(ids)"
        outputs = {
            subprocess.run(
                [sys.executable, "-c", program],
                env=os.environ | {"PYTHONHASHSEED": seed},
                capture_output=True,
                text=True,
                check=True,
            ).stdout
            for seed in ("1", "2", "3")
        }
        assert len(outputs) == 1

    check("sorted")
    fails(check, "set")


def test_s6_the_vocabulary_is_saved_with_the_model(tmp_path: Path, small: Configuration) -> None:
    splits = corpus.split_corpus(news(8))
    classifier = train(splits.train, splits.validation, small, progress=False).classifier
    texts = splits.test["text"].tolist()

    def check(loaded: TextClassifier) -> None:
        assert loaded.vocabulary.tokens == classifier.vocabulary.tokens
        np.testing.assert_array_equal(loaded.predict_proba(texts), classifier.predict_proba(texts))

    loaded = checkpoint.load_classifier(
        checkpoint.save_classifier(classifier, tmp_path / "model"), device="cpu"
    )
    check(loaded)
    shuffled = [*classifier.vocabulary.tokens[:2], *classifier.vocabulary.tokens[:1:-1]]
    fails(
        check,
        TextClassifier(loaded.model, Vocabulary(shuffled), loaded.labels, loaded.configuration),
    )


CONFIGURATIONS_OF_EVERY_KIND = [
    CONFIGURATIONS["article"],
    CONFIGURATIONS["recommended"],
    Configuration(pooling="mean", bidirectional=False, window=5),
    Configuration(pooling="max", layers=2, window=0),
]


@pytest.mark.parametrize("configuration", CONFIGURATIONS_OF_EVERY_KIND)
def test_s7_logits_do_not_depend_on_the_batch(
    configuration: Configuration, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    network = LSTMClassifier(50, 3, configuration).eval()
    generator = np.random.default_rng(0)
    documents = [generator.integers(2, 50, length).tolist() for length in (1, 3, 12, 70, 300)]

    def check() -> None:
        together = network(*batches.pad(documents))
        alone = torch.cat([network(*batches.pad([document])) for document in documents])
        torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)

    def reads_padding(hidden: torch.Tensor, lengths: torch.Tensor, how: str) -> torch.Tensor:
        return torch.cat([hidden[:, -1]] * len(how.split("+")), dim=1)

    with torch.inference_mode():
        check()
        monkeypatch.setattr(model, "pool", reads_padding)
        fails(check)


@pytest.mark.parametrize("name", ["article", "recommended"])
def test_s8_the_padding_row_stays_zero(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    configuration = dataclasses.replace(
        CONFIGURATIONS[name], embedding_size=6, hidden_size=6, epochs=1
    )
    splits = corpus.split_corpus(news(6))

    def check() -> None:
        classifier = train(
            splits.train, splits.validation, configuration, progress=False
        ).classifier
        assert not classifier.model.embedding.weight[PADDING_ID].any()

    check()
    embedding = nn.Embedding
    monkeypatch.setattr(model.nn, "Embedding", lambda *sizes, padding_idx: embedding(*sizes))
    # A bug in the order of ids as well: the vocabulary's first word and the padding share id 0.
    monkeypatch.setattr(
        Vocabulary, "encode", lambda self, tokens: [max(0, self._ids.get(t, 1) - 2) for t in tokens]
    )
    fails(check)


def test_s9_the_vocabulary_is_of_the_training_text(
    monkeypatch: pytest.MonkeyPatch, small: Configuration
) -> None:
    splits = corpus.split_corpus(news(8))
    validation = splits.validation.assign(text=splits.validation["text"] + " embargo embargo")

    def check() -> None:
        vocabulary = train(splits.train, validation, small, progress=False).classifier.vocabulary
        assert set(vocabulary.tokens[2:]) <= {
            token for words in splits.train["text"] for token in tokenize(words)
        }

    check()
    leaked = validation["text"].tolist()

    def leaking(texts: list[str], **options: int) -> tuple[Any, ...]:
        vocabulary, token_ids, lengths = build_vocabulary([*texts, *leaked], **options)
        return vocabulary, token_ids, lengths[: len(texts)]

    monkeypatch.setattr(training, "build_vocabulary", leaking)
    fails(check)


def test_s10_one_seed_fixes_the_whole_run(
    monkeypatch: pytest.MonkeyPatch, small: Configuration
) -> None:
    splits = corpus.split_corpus(news(8))

    def check() -> None:
        states = [
            train(
                splits.train, splits.validation, small, progress=False
            ).classifier.model.state_dict()
            for _ in range(2)
        ]
        assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])

    check()
    monkeypatch.setattr(torch, "manual_seed", lambda seed: torch.seed())
    fails(check)


def test_s11_the_best_epoch_is_restored(
    monkeypatch: pytest.MonkeyPatch, small: Configuration
) -> None:
    splits = corpus.split_corpus(news(12))
    configuration = dataclasses.replace(
        small, epochs=6, learning_rate=0.5, schedule="constant", clip_norm=100.0
    )

    def check() -> None:
        run = train(splits.train, splits.validation, configuration, progress=False)
        measured = evaluation.evaluate(run.classifier, splits.validation).metrics["log_loss"]
        assert run.history["validation_loss"].idxmin() == run.best_epoch < len(run.history)
        assert measured == pytest.approx(run.history["validation_loss"].min(), abs=1e-6)

    check()
    monkeypatch.setattr(
        state.copy, "deepcopy", lambda weights: weights
    )  # the live weights, not a copy of them
    fails(check)


def test_s12_the_report_shows_a_useless_model_as_useless() -> None:
    def check(metrics: "pd.Series[float]") -> None:
        assert metrics["accuracy"] == pytest.approx(0.9)
        assert metrics["macro_f1"] == pytest.approx((18 / 19) / 2)
        assert metrics["mcc"] == 0

    labels = ["common"] * 90 + ["rare"] * 10
    always_common = np.tile([0.9, 0.1], (100, 1))
    check(evaluation.evaluate_probabilities(labels, always_common, ["common", "rare"]).metrics)
    fails(check, pd.Series({"accuracy": 0.9, "macro_f1": 0.9, "mcc": 0.9}))


def test_s13_every_class_is_in_every_part() -> None:
    frame = pd.concat(
        [news(95, topics=("sport",)), news(5, topics=("film",), seed=1)], ignore_index=True
    )

    def check(split: Callable[[int], corpus.Splits]) -> None:
        for seed in range(30):
            parts = split(seed)
            counts = [
                part["label"].value_counts() for part in (parts.train, parts.validation, parts.test)
            ]
            assert all(count.get("film", 0) >= 1 for count in counts)

    def unstratified(seed: int) -> corpus.Splits:
        mixed = frame.sample(frac=1, random_state=seed, ignore_index=True)
        return corpus.Splits(mixed[:72], mixed[72:80], mixed[80:])

    check(lambda seed: corpus.split_corpus(frame, seed=seed))
    fails(check, unstratified)


def test_s14_no_document_is_in_two_parts() -> None:
    frame = corpus.validate_corpus(news(40))
    copies = pd.concat(
        [frame, frame.assign(text=frame["text"].str.upper() + "!")], ignore_index=True
    )

    def check(prepare: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
        parts = corpus.split_corpus(prepare(copies))
        keys = [
            {tuple(tokenize(words)) for words in part["text"]}
            for part in (parts.train, parts.validation, parts.test)
        ]
        assert sum(map(len, keys)) == len(set.union(*keys))

    check(corpus.remove_duplicates)
    fails(check, lambda table: table)


def test_s14_the_bbc_news_have_no_duplicates() -> None:
    frame = corpus.load_corpus("bbc")
    assert len(frame) == 2122
    assert not frame["text"].map(lambda words: tuple(tokenize(words))).duplicated().any()


def test_s15_all_punctuation_separates() -> None:
    def check(tokenizer: Callable[[str], list[str]]) -> None:
        for mark in string.punctuation + FULL_WIDTH:
            assert tokenizer(f"left{mark}right") == ["left", "right"], mark

    check(tokenize)
    listed = set(string.punctuation) - {'"', "\\"}
    fails(check, lambda words: "".join(" " if mark in listed else mark for mark in words).split())


def test_s16_chinese_is_cut_into_characters() -> None:
    def check(tokenizer: Callable[[str], list[str]]) -> None:
        assert len(tokenizer("大模型在创业中的应用")) == 10

    check(tokenize)
    fails(check, str.split)


def test_s17_prediction_is_in_evaluation_mode(
    monkeypatch: pytest.MonkeyPatch, small: Configuration
) -> None:
    splits = corpus.split_corpus(news(8))
    classifier = train(splits.train, splits.validation, small, progress=False).classifier
    texts = splits.test["text"].tolist()

    def check() -> None:
        classifier.model.train()
        np.testing.assert_array_equal(
            classifier.predict_proba(texts), classifier.predict_proba(texts)
        )

    check()
    monkeypatch.setattr(classifier.model, "eval", lambda: classifier.model)
    fails(check)


def test_s18_dropout_works_with_one_layer() -> None:
    token_ids, lengths = batches.pad([[2, 3, 4, 5, 6]])

    def check(network: nn.Module) -> None:
        network.train()
        with torch.no_grad():
            assert not torch.equal(network(token_ids, lengths), network(token_ids, lengths))

    class DropoutBetweenLayersOnly(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(9, 4)
            with pytest.warns(UserWarning, match="dropout"):
                self.lstm = nn.LSTM(4, 4, num_layers=1, dropout=0.5, batch_first=True)

        def forward(self, token_ids: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
            return self.lstm(self.embedding(token_ids))[0][:, -1]

    check(LSTMClassifier(9, 2, dataclasses.replace(CONFIGURATIONS["article"], layers=1)))
    check(LSTMClassifier(9, 2, CONFIGURATIONS["recommended"]))
    fails(check, DropoutBetweenLayersOnly())


def test_s19_the_backward_half_has_read_the_whole_document() -> None:
    """Our two directions, pooled or not, equal packed ``nn.LSTM(bidirectional=True)``."""
    torch.manual_seed(0)
    layer = model._Layer(5, 4, directions=2)
    trusted = nn.LSTM(5, 4, bidirectional=True, batch_first=True)
    for suffix, direction in [("", layer.directions[0]), ("_reverse", layer.directions[1])]:
        for name, value in direction.named_parameters():
            trusted.get_parameter(name + suffix).data.copy_(value)
    inputs, lengths = torch.randn(3, 7, 5), torch.tensor([7, 4, 1])
    packed = nn.utils.rnn.pack_padded_sequence(inputs, lengths, batch_first=True)
    theirs, _ = nn.utils.rnn.pad_packed_sequence(trusted(packed)[0], batch_first=True)

    def check(ours: torch.Tensor) -> None:
        for row, length in enumerate(lengths.tolist()):
            torch.testing.assert_close(ours[row, :length], theirs[row, :length])

    with torch.no_grad():
        check(layer(inputs, lengths))
        fails(check, trusted(inputs)[0])  # not packed: the backward half has read the padding first
    with pytest.raises(ValueError, match="pooling 'last'"):
        Configuration(pooling="last", bidirectional=True, window=0)


def test_s20_gradients_are_clipped(monkeypatch: pytest.MonkeyPatch, small: Configuration) -> None:
    splits = corpus.split_corpus(news(8))
    configuration = dataclasses.replace(small, clip_norm=0.01)
    norms: list[float] = []
    step = torch.optim.AdamW.step

    def recording(optimizer: torch.optim.AdamW, *arguments: Any) -> Any:
        gradients = [
            p.grad
            for group in optimizer.param_groups
            for p in group["params"]
            if p.grad is not None
        ]
        norms.append(torch.cat([gradient.flatten() for gradient in gradients]).norm().item())
        return step(optimizer, *arguments)

    def check() -> None:
        norms.clear()
        train(splits.train, splits.validation, configuration, progress=False)
        assert norms
        assert max(norms) <= configuration.clip_norm * 1.001

    monkeypatch.setattr(torch.optim.AdamW, "step", recording)
    check()
    monkeypatch.setattr(nn.utils, "clip_grad_norm_", lambda parameters, bound: torch.tensor(0.0))
    fails(check)


def test_s21_the_labels_say_how_many_classes(small: Configuration) -> None:
    splits = corpus.split_corpus(news(8))
    classifier = train(splits.train, splits.validation, small, progress=False).classifier

    def check(labels: list[str], outputs: int) -> None:
        assert labels == sorted(splits.train["label"].unique())
        assert outputs == len(labels) == 3

    check(classifier.labels, classifier.model.head.out_features)
    fails(check, classifier.labels, 2)


def test_s22_the_inputs_go_to_the_device_of_the_model(
    monkeypatch: pytest.MonkeyPatch, small: Configuration
) -> None:
    """torch's ``meta`` device stands in for a GPU: mixing it with the CPU fails as CUDA would."""
    splits = corpus.split_corpus(news(8))
    classifier = train(splits.train, splits.validation, small, progress=False).classifier
    network = classifier.model.to("meta")
    devices: list[str] = []

    class SeenEnough(Exception):  # noqa: N818  # no error: it ends the run once the inputs were seen
        pass

    def look(module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        devices.extend(tensor.device.type for tensor in inputs)
        raise SeenEnough

    def check() -> None:
        devices.clear()
        with pytest.raises(SeenEnough):
            classifier.predict_proba(["the goal"])
        with pytest.raises(SeenEnough):
            train(splits.train, splits.validation, small, progress=False)
        assert devices == ["meta"] * 4

    network.register_forward_pre_hook(look)
    monkeypatch.setattr(training, "choose_device", lambda name: torch.device("meta"))
    monkeypatch.setattr(training, "LSTMClassifier", lambda *sizes: network)
    monkeypatch.setattr(
        training, "ppmi_vectors", lambda *arguments, **options: np.zeros((1, 1), dtype=np.float32)
    )
    monkeypatch.setattr(network.embedding, "weight", nn.Parameter(torch.zeros(1, 1, device="meta")))
    check()
    to = torch.Tensor.to
    monkeypatch.setattr(
        torch.Tensor,
        "to",
        lambda tensor, *a, **k: tensor if "meta" in str(a) else to(tensor, *a, **k),
    )
    fails(check)


def test_s23_nothing_is_imported_for_nothing(tmp_path: Path) -> None:
    def check(path: Path) -> None:
        rules = [
            "check",
            "--isolated",
            "--select",
            "F401,F841,UP008",
            "--target-version",
            "py311",
            str(path),
        ]
        outcome = subprocess.run(
            [sys.executable, "-m", "ruff", *rules], capture_output=True, text=True, check=False
        )
        assert outcome.returncode == 0, outcome.stdout

    check(Path(inspect.getfile(model)).parent)
    bad = tmp_path / "bad.py"
    bad.write_text(
        textwrap.dedent("""
            import json
            class Network(object):
                def __init__(self):
                    super(Network, self).__init__()
        """)
    )
    fails(check, bad)


def test_s23_no_tensor_is_read_around_autograd() -> None:
    def check(source: str) -> None:
        assert ".data" not in source

    for module in (batches, model, training, inference, text):
        check(inspect.getsource(module))
    fails(check, "predicted = outputs.data.argmax(1)")
