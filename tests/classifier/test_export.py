"""ONNX: the same answers as torch for every shape, and clear errors for everything else."""

import base64
import dataclasses
import json
import logging
import subprocess
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pandas as pd
import pytest
import torch

from companion.classifier.configuration import Configuration
from companion.classifier.export import (
    compare_exports,
    export_onnx,
    export_web,
    quantize_onnx,
    quantize_rows,
    shrink_vectors,
)
from companion.classifier.inference import TextClassifier
from companion.classifier.model import LSTMClassifier
from companion.classifier.serving import METADATA_KEY, OnnxClassifier, read_metadata
from companion.classifier.text import Vocabulary
from companion.errors import (
    CheckpointError,
    DataError,
    EmptyDocumentError,
    MissingPackageError,
    OutputError,
)
from tests.conftest import COMMON, TOPICS

WORDS = ["<pad>", "<unk>", *COMMON, *(word for words in TOPICS.values() for word in words)]
TINY = Configuration(embedding_size=6, hidden_size=5, window=8, embedding_scale=1.0)
SHAPES = {
    "windows": TINY,
    "whole": dataclasses.replace(TINY, window=0, maximum_words=4),
    "one direction, last": dataclasses.replace(TINY, window=0, bidirectional=False, pooling="last"),
    "two layers, max": dataclasses.replace(TINY, window=3, layers=2, pooling="max"),
    "mean, one word a window": dataclasses.replace(TINY, window=1, pooling="mean"),
}


def untrained(configuration: Configuration, labels: tuple[str, ...] = ("a", "b", "c")) -> Any:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = LSTMClassifier(len(WORDS), len(labels), configuration)
        with torch.no_grad():  # so that the answers differ widely
            for parameter in model.parameters():
                parameter.mul_(3)
    return TextClassifier(model.eval(), Vocabulary(WORDS), labels, configuration)


@pytest.fixture(scope="module")
def classifier() -> TextClassifier:
    return untrained(TINY)


@pytest.fixture(scope="module")
def path(classifier: TextClassifier, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_onnx(classifier, tmp_path_factory.mktemp("onnx") / "model.onnx")


def texts(count: int = 40, longest: int = 60) -> list[str]:
    generator = np.random.default_rng(0)
    lengths = generator.integers(1, longest + 1, count)
    return [" ".join(generator.choice([*WORDS[2:], "strange"], length)) for length in lengths]


@pytest.mark.parametrize("name", SHAPES)
def test_the_graph_gives_what_torch_gives_for_every_shape(
    name: str, path: Path, tmp_path: Path
) -> None:
    classifier = untrained(SHAPES[name])
    if SHAPES[name] != TINY:
        path = export_onnx(classifier, tmp_path / "model.onnx")
    assert read_metadata(path)["maximum_words"] == SHAPES[name].maximum_words
    session = onnxruntime.InferenceSession(path)
    generator = np.random.default_rng(0)
    spread = []
    for batch in (1, 2, 3, 7):
        for time in (1, 2, 3, 7, 8, 9, 16, 17, 50):
            lengths = generator.integers(1, time + 1, batch)
            lengths[0] = time
            token_ids = generator.integers(1, len(WORDS), (batch, time))
            token_ids[np.arange(time) >= lengths[:, None]] = 0
            inputs = {"token_ids": token_ids, "lengths": lengths}
            (found,) = session.run(None, inputs)
            with torch.inference_mode():
                logits = classifier.model(torch.from_numpy(token_ids), torch.from_numpy(lengths))
            expected = logits.softmax(dim=1).numpy()
            np.testing.assert_allclose(found, expected, atol=1e-5, err_msg=f"{batch} × {time}")
            assert found.dtype == np.float32
            spread.append(expected.std(axis=0).max())
    assert max(spread) > 0.05, "if all answers were alike, nothing would be compared"


def test_padding_changes_nothing(path: Path) -> None:
    session = onnxruntime.InferenceSession(path)
    ids = np.array([[5, 6, 7]])
    padded = np.pad(ids, ((0, 0), (0, 30)))
    other = np.pad(ids, ((0, 0), (0, 30)), constant_values=9)
    lengths = np.array([3])
    answers = [
        session.run(None, {"token_ids": each, "lengths": lengths})[0]
        for each in (ids, padded, other)
    ]
    np.testing.assert_allclose(answers[0], answers[1], atol=1e-6)
    np.testing.assert_allclose(answers[0], answers[2], atol=1e-6)


def test_the_file_says_its_shapes(path: Path, classifier: TextClassifier) -> None:
    session = onnxruntime.InferenceSession(path)
    assert [(each.name, each.shape, each.type) for each in session.get_inputs()] == [
        ("token_ids", ["batch", "time"], "tensor(int64)"),
        ("lengths", ["batch"], "tensor(int64)"),
    ]
    assert [(each.name, each.shape) for each in session.get_outputs()] == [
        ("probabilities", ["batch", 3])
    ]
    assert read_metadata(path) == {
        "labels": ["a", "b", "c"],
        "maximum_words": 10_000,
        "vocabulary": WORDS,
    }


def test_the_file_tells_nothing_of_this_machine(path: Path) -> None:
    assert str(Path(__file__).parent.parent).encode() not in path.read_bytes()
    assert b"site-packages" not in path.read_bytes()
    assert not any(node.metadata_props or node.doc_string for node in onnx.load(path).graph.node)


def test_an_export_is_silent_and_repeatable_and_changes_nothing(
    tmp_path: Path, path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    classifier = untrained(TINY)
    classifier.model.train()
    before = {name: value.clone() for name, value in classifier.model.state_dict().items()}
    logging.disable(logging.DEBUG)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            model = export_onnx(classifier, tmp_path / "model.onnx")
            quantize_onnx(model, tmp_path / "int8.onnx")
        assert logging.root.manager.disable == logging.DEBUG
    finally:
        logging.disable(logging.NOTSET)
    assert capfd.readouterr() == ("", "")
    assert model.read_bytes() == path.read_bytes()
    assert classifier.model.training
    after = classifier.model.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[name], before[name]) for name in before)


@pytest.mark.parametrize("batch_size", [1, 7, 64])
def test_texts_get_the_answers_of_torch(
    batch_size: int, path: Path, classifier: TextClassifier
) -> None:
    served = OnnxClassifier(path, threads=1)
    given = texts()
    found = served.predict_proba(given, batch_size=batch_size)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, classifier.predict_proba(given), atol=1e-5)
    assert served.predict(given) == classifier.predict(given)
    assert len(set(served.predict(given))) > 1
    assert served.labels == ["a", "b", "c"]


def test_a_text_is_cut_as_torch_cuts_it(path: Path, tmp_path: Path) -> None:
    classifier = untrained(dataclasses.replace(TINY, maximum_words=4))
    served = OnnxClassifier(changed(path, tmp_path / "model.onnx", maximum_words=4))
    given = ["goal match team coach bank bank bank", "goal match team coach"]
    rows = served.predict_proba(given)
    np.testing.assert_allclose(rows, classifier.predict_proba(given), atol=1e-5)
    np.testing.assert_allclose(rows[0], rows[1], atol=1e-6)


def test_no_texts_have_no_answers(path: Path) -> None:
    assert OnnxClassifier(path).predict_proba([]).shape == (0, 3)
    assert OnnxClassifier(path).predict([]) == []


def test_what_is_no_text_is_refused(path: Path) -> None:
    served = OnnxClassifier(path)
    with pytest.raises(DataError, match="a single string"):
        served.predict("text")  # type: ignore[arg-type]
    with pytest.raises(EmptyDocumentError, match="row 2"):
        served.predict(["text", "?"])


def test_small_integers_are_smaller_and_close(tmp_path: Path) -> None:
    classifier = untrained(
        dataclasses.replace(TINY, embedding_size=64, hidden_size=48), labels=("a", "b", "c", "d")
    )
    model = export_onnx(classifier, tmp_path / "model.onnx")
    small = quantize_onnx(model, tmp_path / "int8.onnx")
    assert small == tmp_path / "int8.onnx"
    assert small.stat().st_size < 0.5 * model.stat().st_size
    assert read_metadata(small) == read_metadata(model)
    operators = {node.op_type for node in onnx.load(small).graph.node}
    assert "DynamicQuantizeLSTM" in operators
    assert "LSTM" not in operators
    given = texts()
    exact = OnnxClassifier(model).predict_proba(given)
    close = OnnxClassifier(small).predict_proba(given)
    difference = np.abs(close - exact).max()
    assert 1e-6 < difference < 0.1
    weights = [
        onnx.numpy_helper.to_array(each)
        for each in onnx.load(small).graph.initializer
        if each.data_type == onnx.TensorProto.INT8
    ]
    assert weights
    assert max(np.abs(each.astype(int)).max() for each in weights) <= 64, "seven bits"


@pytest.mark.slow
def test_the_comparison_counts_what_the_files_answer(tmp_path: Path) -> None:
    classifier = untrained(TINY)
    with torch.no_grad():  # so that its answers are close calls
        classifier.model.head.weight.mul_(0.01)
        classifier.model.head.bias.zero_()
        centre = torch.from_numpy(classifier.predict_proba(texts(200))).log().mean(dim=0)
        classifier.model.head.bias.sub_(centre)
    given = texts(200)
    labels = np.random.default_rng(1).choice(["a", "b", "c"], len(given))
    found = compare_exports(classifier, pd.DataFrame({"text": given, "label": labels}))
    whole = export_onnx(classifier, tmp_path / "whole.onnx")
    small = quantize_onnx(whole, tmp_path / "small.onnx")
    torchs, onnxs, smalls = (
        each.predict_proba(given)
        for each in (
            classifier,
            OnnxClassifier(whole, threads=1),
            OnnxClassifier(small, threads=1),
        )
    )
    right = [
        sum("abc"[row.argmax()] == label for row, label in zip(rows, labels, strict=True))
        for rows in (torchs, smalls)
    ]
    changed = sum(one.argmax() != other.argmax() for one, other in zip(torchs, smalls, strict=True))
    assert found == {
        "onnx_difference": np.abs(onnxs - torchs).max(),
        "int8_difference": np.abs(smalls - torchs).max(),
        "int8_accuracy_loss": pytest.approx((right[0] - right[1]) / 200),
        "int8_changed_answers": pytest.approx(changed / 200),
        "int8_size": small.stat().st_size / whole.stat().st_size,
    }
    assert changed


def test_a_file_that_cannot_be_written_leaves_the_old_one(
    tmp_path: Path, classifier: TextClassifier, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = SimpleNamespace(model_proto=onnx.load(path))
    monkeypatch.setattr(torch.onnx, "export", lambda *graph, **options: program)
    with pytest.raises(OutputError):
        export_onnx(classifier, tmp_path / "missing" / "model.onnx")
    with pytest.raises(OutputError):
        quantize_onnx(path, tmp_path / "missing" / "model.onnx")


@pytest.mark.parametrize(
    ("package", "action"),
    [
        ("onnx", "export"),
        ("onnxscript", "export"),
        ("onnxruntime.quantization", "quantize"),
        ("onnxruntime", "serve"),
    ],
)
def test_without_the_extra_it_says_what_to_install(
    package: str,
    action: str,
    monkeypatch: pytest.MonkeyPatch,
    path: Path,
    classifier: TextClassifier,
    tmp_path: Path,
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingPackageError, match=r"pip install 'large-models-at-work\[export\]'"):
        {
            "export": lambda: export_onnx(classifier, tmp_path / "model.onnx"),
            "quantize": lambda: quantize_onnx(path, tmp_path / "int8.onnx"),
            "serve": lambda: OnnxClassifier(path),
        }[action]()
    assert not list(tmp_path.iterdir())


def test_serving_needs_neither_torch_nor_pandas(path: Path) -> None:
    program = (
        "import sys; sys.modules['torch'] = sys.modules['pandas'] = None\n"
        "from companion.classifier.serving import OnnxClassifier\n"
        f"print(OnnxClassifier({str(path)!r}).predict_proba(['goal match']).shape)"
    )
    outcome = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert outcome.stdout.strip() == "(1, 3)"


def changed(path: Path, target: Path, **changes: Any) -> Path:
    """Copy an exported file with other metadata."""
    model = onnx.load(path)
    metadata = json.loads({each.key: each.value for each in model.metadata_props}[METADATA_KEY])
    onnx.helper.set_model_props(model, {METADATA_KEY: json.dumps(metadata | changes)})
    onnx.save(model, target)
    return target


@pytest.mark.parametrize(
    "changes",
    [
        {"labels": ["a", "b"]},
        {"labels": ["a", "b", 3]},
        {"labels": 3},
        {"labels": "abc"},
        {"vocabulary": ["a"]},
        {"vocabulary": WORDS[2:]},
        {"vocabulary": [*WORDS, "goal"]},
        {"vocabulary": [*WORDS, "one too many"]},
        {"vocabulary": [*WORDS[:-1], 7]},
        {"vocabulary": None},
        {"maximum_words": 0},
        {"maximum_words": "9"},
        {"maximum_words": True},
    ],
    ids=lambda changes: str(changes)[:30],
)
def test_metadata_that_does_not_fit_is_refused(
    changes: dict[str, Any], path: Path, tmp_path: Path
) -> None:
    assert read_metadata(changed(path, tmp_path / "same.onnx")) == read_metadata(path)
    with pytest.raises(CheckpointError, match="export the classifier again"):
        OnnxClassifier(changed(path, tmp_path / "model.onnx", **changes))


def test_a_file_that_is_not_ours_is_refused(path: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="cannot be read"):
        OnnxClassifier(tmp_path / "missing.onnx")
    with pytest.raises(CheckpointError, match="cannot be read"):
        OnnxClassifier(tmp_path)
    broken = tmp_path / "broken.onnx"
    for content in (b"", b"pickle", path.read_bytes()[:200], path.read_bytes()[:-100]):
        broken.write_bytes(content)
        with pytest.raises(CheckpointError, match="broken"):
            OnnxClassifier(broken)
    model = onnx.load(path)
    del model.metadata_props[:]
    onnx.save(model, tmp_path / "bare.onnx")
    with pytest.raises(CheckpointError, match="not a classifier of this package"):
        OnnxClassifier(tmp_path / "bare.onnx")
    with pytest.raises(CheckpointError, match="not a classifier of this package"):
        quantize_onnx(tmp_path / "bare.onnx", tmp_path / "small.onnx")


def test_a_graph_that_reaches_for_another_file_is_refused(path: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    onnx.save(
        onnx.load(path),
        tmp_path / "model.onnx",
        save_as_external_data=True,
        location="secret",
        size_threshold=0,
    )
    assert secret.stat().st_size > 0
    with pytest.raises(CheckpointError):
        OnnxClassifier(tmp_path / "model.onnx")


def test_the_table_of_shapes_holds_both_ways_to_read() -> None:
    assert {bool(each.window) for each in SHAPES.values()} == {True, False}
    assert pd.Series([each.pooling for each in SHAPES.values()]).nunique() == 4


def web_content(path: Path) -> Any:
    text = path.read_text(encoding="utf-8")
    return json.loads(text.removeprefix("window.CompanionModel = ").removesuffix(";\n"))


def test_the_script_holds_all_that_answers_need(tmp_path: Path, classifier: TextClassifier) -> None:
    content = web_content(export_web(classifier, tmp_path / "model.js"))
    assert content["vocabulary"] == WORDS
    assert content["labels"] == ["a", "b", "c"]
    assert Configuration(**content["settings"]) == TINY
    assert content["tensors"].keys() == classifier.model.state_dict().keys()


def test_the_integers_of_the_script_are_those_of_quantize_rows(
    tmp_path: Path, classifier: TextClassifier
) -> None:
    tensors = web_content(export_web(classifier, tmp_path / "model.js"))["tensors"]
    for name, expected in quantize_rows(classifier).model.state_dict().items():
        data = base64.b64decode(tensors[name]["data"])
        if expected.dim() == 1:
            assert "scales" not in tensors[name]
            found = np.frombuffer(data, "<f4")
        else:
            scales = np.frombuffer(base64.b64decode(tensors[name]["scales"]), "<f4")
            found = np.frombuffer(data, np.int8).reshape(expected.shape) * scales[:, None]
        np.testing.assert_array_equal(found, expected.numpy())


def test_no_weight_moves_by_more_than_half_a_step(classifier: TextClassifier) -> None:
    before = {name: value.clone() for name, value in classifier.model.state_dict().items()}
    after = quantize_rows(classifier).model.state_dict()
    for name, weights in before.items():
        assert torch.equal(weights, classifier.model.state_dict()[name]), "the original changed"
        if weights.dim() == 1:
            assert torch.equal(after[name], weights)
            continue
        largest = weights.abs().amax(dim=1, keepdim=True)
        assert ((after[name] - weights).abs() <= largest / 254 * 1.001).all()
        torch.testing.assert_close(after[name].abs().amax(dim=1, keepdim=True), largest)
    assert not after["embedding.weight"][0].any(), "the padding stays zero"


def test_a_script_that_cannot_be_written_leaves_the_old_one(
    tmp_path: Path, classifier: TextClassifier
) -> None:
    with pytest.raises(OutputError):
        export_web(classifier, tmp_path / "nowhere" / "model.js")


@pytest.mark.parametrize("name", SHAPES)
def test_vectors_as_long_as_before_answer_as_before(name: str) -> None:
    classifier = untrained(SHAPES[name])
    same = shrink_vectors(classifier, words=len(WORDS), size=6)
    np.testing.assert_allclose(
        same.predict_proba(texts()), classifier.predict_proba(texts()), atol=1e-5
    )
    assert not same.model.embedding.weight[0].any(), "the padding stays zero"


def test_fewer_words_are_unknown_and_shorter_vectors_are_the_best(
    classifier: TextClassifier,
) -> None:
    small = shrink_vectors(classifier, words=10, size=2)
    assert small.vocabulary.tokens == WORDS[:10]
    kept, unknown = " ".join(WORDS[2:10]), f"{WORDS[2]} {WORDS[20]}"
    same = shrink_vectors(classifier, words=10, size=6)
    np.testing.assert_allclose(
        same.predict_proba([kept, unknown]),
        classifier.predict_proba([kept, f"{WORDS[2]} strange"]),
        atol=1e-5,
    )
    products = [
        each.model.embedding.weight @ each.model.layers[0].directions[0].weight_ih_l0.T
        for each in (same, small)
    ]
    assert torch.linalg.matrix_rank(products[1]) == 2
    assert (products[0] - products[1]).norm() < products[0].norm()


@pytest.mark.parametrize(("words", "size"), [(2, 2), (1000, 2), (10, 0), (10, 7)])
def test_vectors_do_not_grow(classifier: TextClassifier, words: int, size: int) -> None:
    with pytest.raises(DataError, match="choose fewer"):
        shrink_vectors(classifier, words=words, size=size)
