"""From a folder to a service: what the card shows, and where the reference comes from."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from companion.classifier.checkpoint import save_classifier
from companion.classifier.configuration import Configuration
from companion.classifier.corpus import Splits
from companion.classifier.training import train
from companion.cli import main
from companion.errors import CheckpointError
from companion.service import opening
from companion.service.drift import Reference


@pytest.fixture
def folder(tmp_path: Path, splits: Splits, small: Configuration) -> Path:
    run = train(splits.train, splits.validation, small, device="cpu")
    provenance = {"source": {"data": "/home/somebody/news.csv"}, "seed": 3, "secret": "x"}
    return save_classifier(run.classifier, tmp_path / "model", provenance=provenance)


def test_the_card_has_the_measurements_and_no_path(folder: Path) -> None:
    classifier, facts = opening.open_model(folder)
    assert facts["seed"] == 3
    assert "somebody" not in json.dumps(facts)
    assert "secret" not in facts
    assert len(classifier.labels) == 3


def test_a_corpus_is_named(folder: Path, splits: Splits, small: Configuration) -> None:
    classifier = train(splits.train, splits.validation, small, device="cpu").classifier
    save_classifier(classifier, folder, provenance={"source": {"corpus": "bbc"}})
    assert opening.open_model(folder)[1]["corpus"] == "bbc"


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError):
        opening.open_model(tmp_path)
    with pytest.raises(CheckpointError):
        opening.open_model(tmp_path / "missing.onnx")


def test_the_reference_is_made_once_and_then_read(folder: Path, splits: Splits) -> None:
    classifier, _ = opening.open_model(folder)
    path = folder / opening.REFERENCE
    assert opening.drift_reference(path, classifier, None) is None
    made = opening.drift_reference(path, classifier, splits.validation["text"].tolist())
    assert made is not None
    assert opening.drift_reference(path, classifier, None) == made
    assert sum(made.counts["classes"]) == len(splits.validation)


def test_a_folder_that_cannot_be_written_still_serves(folder: Path, splits: Splits) -> None:
    classifier, _ = opening.open_model(folder)
    missing = folder / "not there" / opening.REFERENCE
    texts = splits.validation["text"].tolist()
    assert opening.drift_reference(missing, classifier, texts) is not None


def test_the_command_builds_the_service_and_runs_it(
    folder: Path, splits: Splits, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = []
    monkeypatch.setattr(opening, "run", lambda app, host, port: ran.append((app, host, port)))
    outcome = CliRunner().invoke(main, ["serve", str(folder), "--port", "9"])
    assert outcome.exit_code == 0, outcome.output
    assert "Drift is not watched" in outcome.output
    assert ran[0][1:] == ("127.0.0.1", 9)
    classifier, _ = opening.open_model(folder)
    texts = splits.validation["text"].tolist()
    Reference.of(
        texts, classifier.predict_proba(texts), classifier.vocabulary, classifier.labels
    ).save(folder / opening.REFERENCE)
    outcome = CliRunner().invoke(main, ["serve", str(folder)])
    assert "Drift is not watched" not in outcome.output
    assert len(ran) == 2


def test_the_command_says_what_is_wrong(tmp_path: Path) -> None:
    outcome = CliRunner().invoke(main, ["serve", str(tmp_path / "missing")])
    assert outcome.exit_code == 2
    assert "no such folder" in outcome.output


def test_a_file_of_onnx_answers_as_the_folder_does(folder: Path, splits: Splits) -> None:
    export = pytest.importorskip("companion.classifier.export")
    classifier, _ = opening.open_model(folder)
    path = export.export_onnx(classifier, folder.parent / "model.onnx")
    other, facts = opening.open_model(path)
    texts = splits.test["text"].tolist()
    np.testing.assert_allclose(
        other.predict_proba(texts), classifier.predict_proba(texts), atol=1e-5
    )
    assert other.vocabulary.tokens == classifier.vocabulary.tokens
    assert facts == {"file": "model.onnx"}


def test_the_classifier_room_does_not_know_the_service() -> None:
    for path in (Path(sys.modules["companion"].__file__ or "").parent / "classifier").glob("*.py"):
        assert "companion.service" not in path.read_text("utf-8"), path
