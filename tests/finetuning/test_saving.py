"""A fine-tuned classifier on disk."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError

from companion.errors import CheckpointError, DataError, OutputError
from companion.finetuning.estimator import TransformerClassifier
from companion.finetuning.model import METHODS
from companion.finetuning.saving import load_finetuned, save_finetuned
from tests.conftest import news


def fit(pretrained: Path, **options: Any) -> tuple[TransformerClassifier, "pd.Series[str]"]:
    texts = news(6)
    model = TransformerClassifier(pretrained=pretrained, epochs=1, device="cpu", **options)
    return model.fit(texts["text"], texts["label"]), texts["text"]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("fresh", [0, 2])
def test_what_was_saved_gives_the_same_answers(
    method: str, fresh: int, tiny_bert: Path, tmp_path: Path
) -> None:
    model, texts = fit(tiny_bert, method=method, reinitialise_layers=fresh)
    folder = save_finetuned(model, tmp_path / "model")
    loaded = load_finetuned(folder, pretrained=tiny_bert)
    assert loaded.classes_.tolist() == model.classes_.tolist()
    np.testing.assert_array_equal(loaded.predict_proba(texts), model.predict_proba(texts))


def test_only_what_was_trained_is_written(tiny_bert: Path, tmp_path: Path) -> None:
    sizes = {}
    for method in ("frozen", "lora", "full"):
        model, _ = fit(tiny_bert, method=method)
        folder = save_finetuned(model, tmp_path / method)
        (weights,) = folder.glob("*.safetensors")
        sizes[method] = weights.stat().st_size
        assert 4 * model.trained_parameters_ <= sizes[method] < 4 * model.trained_parameters_ + 8192
    assert sizes["frozen"] < sizes["lora"] < sizes["full"]


def test_a_second_save_takes_the_place_of_the_first(tiny_bert: Path, tmp_path: Path) -> None:
    save_finetuned(fit(tiny_bert, method="head")[0], tmp_path)
    model, texts = fit(tiny_bert, method="head", random_state=1)
    save_finetuned(model, tmp_path)
    assert len(list(tmp_path.iterdir())) == 2
    loaded = load_finetuned(tmp_path, pretrained=tiny_bert)
    np.testing.assert_array_equal(loaded.predict_proba(texts), model.predict_proba(texts))


@pytest.mark.parametrize("labels", [[3, 1], [True, False], [0.5 * 2, 2.0]])
def test_labels_keep_their_type(labels: list[Any], tiny_bert: Path, tmp_path: Path) -> None:
    model = TransformerClassifier(pretrained=tiny_bert, device="cpu").fit(["goal", "bank"], labels)
    loaded = load_finetuned(save_finetuned(model, tmp_path), pretrained=tiny_bert)
    assert loaded.classes_.dtype == model.classes_.dtype
    assert loaded.classes_.tolist() == sorted(labels)


def test_another_pretrained_model_is_refused(
    tiny_bert: Path, other_bert: Path, tmp_path: Path
) -> None:
    save_finetuned(fit(tiny_bert)[0], tmp_path)
    with pytest.raises(CheckpointError, match="from another pretrained model"):
        load_finetuned(tmp_path, pretrained=other_bert)


def _truncate(folder: Path) -> None:
    (path,) = folder.glob("*.safetensors")
    path.write_bytes(path.read_bytes()[:-1])


def _remove(folder: Path) -> None:
    next(folder.glob("*.safetensors")).unlink()


def _edit(**values: Any) -> Any:
    def edit(folder: Path) -> None:
        path = folder / "finetuned.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | values))

    return edit


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_truncate, "truncated or changed"),
        (_remove, "cannot be read"),
        (_edit(format="other"), "not written by this package"),
        (_edit(format_version=9), "format version 9"),
        (_edit(weights="../../etc/passwd"), "damaged at weights"),
        (_edit(labels="ab"), "damaged at labels"),
        (_edit(label_type="list"), "damaged"),
        (_edit(parameters={"method": "evil"}), "damaged"),
        (_edit(parameters={"unknown": 1}), "damaged"),
        (_edit(parameters={"method": "lora", "rank": 10**9}), "damaged"),
        (_edit(labels=["a", "b", "c", "d"]), "do not fit"),
        (lambda folder: (folder / "finetuned.json").write_text("{"), "damaged"),
        (lambda folder: (folder / "finetuned.json").unlink(), "no fine-tuned classifier"),
    ],
)
def test_what_is_damaged_is_refused(
    damage: Any, message: str, tiny_bert: Path, tmp_path: Path
) -> None:
    save_finetuned(fit(tiny_bert)[0], tmp_path)
    damage(tmp_path)
    with pytest.raises(CheckpointError, match=message):
        load_finetuned(tmp_path, pretrained=tiny_bert)


def test_what_cannot_be_saved_is_refused(tiny_bert: Path, tmp_path: Path) -> None:
    with pytest.raises(NotFittedError):
        save_finetuned(TransformerClassifier(), tmp_path)
    model, _ = fit(tiny_bert)
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot be a folder"):
        save_finetuned(model, tmp_path / "file")
    model.classes_ = np.array([b"a", b"b", b"c"], dtype=object)
    with pytest.raises(DataError, match="labels of type bytes"):
        save_finetuned(model, tmp_path / "new")
