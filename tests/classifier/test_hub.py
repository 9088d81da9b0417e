"""Sharing a model: the folder, the card, the upload, and what is never read."""

import dataclasses
import json
import pickle
import runpy
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from huggingface_hub import ModelCard
from huggingface_hub.errors import RepositoryNotFoundError

from companion.classifier import hub
from companion.classifier.checkpoint import read_description
from companion.classifier.configuration import Configuration
from companion.classifier.evaluation import Evaluation, baselines, evaluate
from companion.classifier.hub import HubClassifier, ModelFacts
from companion.classifier.inference import TextClassifier
from companion.classifier.model import parameter_count
from companion.classifier.training import train
from companion.errors import CheckpointError, DeviceError, MissingPackageError, OutputError
from tests.conftest import news

TRAINING, TEST = news(20), news(20, seed=1)
LIMIT = "A limit | of <b>this</b> model"


@pytest.fixture(scope="module")
def classifier() -> TextClassifier:
    configuration = Configuration(
        embedding_size=8, hidden_size=8, epochs=4, batch_size=8, window=0, learning_rate=2e-2
    )
    return train(TRAINING, TEST, configuration, device="cpu", progress=False).classifier


@pytest.fixture(scope="module")
def facts(classifier: TextClassifier) -> ModelFacts:
    return ModelFacts(
        data="Drawn words.\nIn `two` lines.",
        licence="for tests <only>",
        evaluation=evaluate(classifier, TEST),
        baselines=baselines(TRAINING, TEST),
        limits=(LIMIT,),
    )


@pytest.fixture
def folder(classifier: TextClassifier, facts: ModelFacts, tmp_path: Path) -> Path:
    HubClassifier.of(classifier, facts).save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def test_what_is_loaded_answers_as_what_was_saved(classifier: TextClassifier, folder: Path) -> None:
    loaded = HubClassifier.from_pretrained(folder)
    given = TEST["text"].tolist()
    assert np.array_equal(loaded.predict_proba(given), classifier.predict_proba(given))
    assert loaded.labels == classifier.labels
    assert loaded.configuration == classifier.configuration
    assert loaded.facts is None
    assert HubClassifier.from_pretrained(str(folder)).predict(given) == loaded.predict(given)


def test_the_folder_holds_what_it_should(folder: Path, classifier: TextClassifier) -> None:
    weights = read_description(folder)["weights"]
    assert {path.name for path in folder.iterdir()} == {
        "README.md",
        "classifier.json",
        "config.json",
        weights,
    }
    config = json.loads((folder / "config.json").read_text())
    assert config == {
        "architectures": ["LSTMClassifier"],
        "model_type": "companion-text-classifier",
        "id2label": {"0": "film", "1": "money", "2": "sport"},
        "label2id": {"film": 0, "money": 1, "sport": 2},
        "vocab_size": len(classifier.vocabulary),
        "configuration": dataclasses.asdict(classifier.configuration),
    }


def test_the_provenance_is_kept(folder: Path, facts: ModelFacts) -> None:
    provenance = read_description(folder)["provenance"]
    assert provenance["data"] == facts.data
    assert provenance["licence"] == facts.licence
    assert provenance["metrics"] == facts.evaluation.metrics.to_dict()


def test_the_card_is_written_from_the_results(folder: Path, facts: ModelFacts) -> None:
    card = ModelCard.load(folder / "README.md")
    assert card.data.pipeline_tag == "text-classification"
    assert card.data.library_name == "large-models-at-work"
    assert card.data.license == "other"
    text = card.text
    metrics, intervals = facts.evaluation.metrics, facts.evaluation.intervals
    rows = [line for line in text.splitlines() if line.startswith("| this model")]
    assert rows == [
        f"| this model | {metrics['accuracy']:.1%} ({intervals.loc['accuracy', 'low']:.1%} to "
        f"{intervals.loc['accuracy', 'high']:.1%}) | {metrics['macro_f1']:.1%} "
        f"({intervals.loc['macro_f1', 'low']:.1%} to {intervals.loc['macro_f1', 'high']:.1%}) | "
        f"{metrics['log_loss']:.3f} |"
    ]
    assert facts.baselines is not None
    for name, row in facts.baselines.iterrows():
        assert f"| {name} | {row['accuracy']:.1%} | {row['macro_f1']:.1%} |" in text
    for label, row in facts.evaluation.per_class.iterrows():
        assert f"| {label} | {row['precision']:.1%} | {row['recall']:.1%} |" in text
    assert "On 60 documents that took no part" in text
    assert "gives a text one of 3 classes: `film`, `money`, `sport`." in text
    assert "Drawn words. In &#96;two&#96; lines." in text
    assert "**Licence:** for tests &lt;only&gt;" in text
    assert "- A limit &#124; of &lt;b&gt;this&lt;/b&gt; model" in text
    assert "every text gets one of its 3 classes" in text
    assert "the first 10,000 words" in text


def test_the_card_says_which_baseline_could_not_be_fitted(
    classifier: TextClassifier, facts: ModelFacts
) -> None:
    assert facts.baselines is not None
    table = facts.baselines.copy()
    table.loc["TF-IDF + logistic regression"] = np.nan
    model = HubClassifier.of(classifier, dataclasses.replace(facts, baselines=table))
    text = str(model.generate_model_card())
    assert "| TF-IDF + logistic regression | could not be fitted | | |" in text
    assert "nan" not in text


def test_the_program_on_the_card_runs(folder: Path) -> None:
    text = (folder / "README.md").read_text()
    program = text.split("```python\n")[1].split("```")[0]
    assert 'from_pretrained("owner/name")' in program
    names: dict[str, Any] = {}
    exec(program.replace("owner/name", str(folder)), names)
    assert names["classifier"].labels == ["film", "money", "sport"]


def test_without_facts_the_card_claims_nothing(classifier: TextClassifier, tmp_path: Path) -> None:
    HubClassifier.of(classifier).save_pretrained(tmp_path / "model")
    text = (tmp_path / "model" / "README.md").read_text()
    assert "Nothing was measured" in text
    assert "%" not in text.replace("95 %", "")
    assert "license" not in yaml.safe_load(text.split("---")[1])
    assert read_description(tmp_path / "model")["provenance"] == {}


def test_new_measurements_replace_the_card_and_nothing_else_does(
    folder: Path, classifier: TextClassifier, facts: ModelFacts
) -> None:
    card = folder / "README.md"
    card.write_text("my own words")
    HubClassifier.of(classifier).save_pretrained(folder)
    assert card.read_text() == "my own words"
    HubClassifier.of(classifier, facts).save_pretrained(folder)
    assert "| this model |" in card.read_text()


def test_a_label_cannot_break_the_card(classifier: TextClassifier, facts: ModelFacts) -> None:
    odd = HubClassifier(
        classifier.model,
        classifier.vocabulary,
        ["a|b", "`c`\n## d", "<e>"],
        classifier.configuration,
    )
    text = odd.generate_model_card().text
    assert "`a&#124;b`, `&#96;c&#96; ## d`, `&lt;e&gt;`" in text
    table = dataclasses.replace(
        facts.evaluation,
        per_class=facts.evaluation.per_class.set_axis(pd.Index(["a|b", "c\nd", "<e>"])),
    )
    odd.facts = dataclasses.replace(facts, evaluation=table, baselines=None)
    text = odd.generate_model_card().text
    assert "| a&#124;b |" in text
    assert "| c d |" in text
    assert "majority class" not in text


def test_a_folder_of_something_else_is_left_alone(
    classifier: TextClassifier, tmp_path: Path
) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(OutputError, match="other files"):
        HubClassifier.of(classifier).save_pretrained(tmp_path)
    assert (tmp_path / "config.json").read_text() == "{}"


class Bomb:
    """What writes a file as soon as it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.write_text, (self.path, "boom"))


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "model.safetensors"])
def test_no_pickle_is_read(name: str, folder: Path, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    bomb = pickle.dumps(Bomb(trace))
    (folder / name).write_bytes(bomb)
    HubClassifier.from_pretrained(folder)
    for path in [*folder.glob("weights-*"), folder / "classifier.json"]:
        path.unlink()
    with pytest.raises(CheckpointError):
        HubClassifier.from_pretrained(folder)
    assert not trace.exists()
    pickle.loads(bomb)  # noqa: S301
    assert trace.exists(), "the bomb itself works"


def test_pickled_weights_are_refused(folder: Path, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    next(folder.glob("weights-*")).write_bytes(pickle.dumps(Bomb(trace)))
    with pytest.raises(CheckpointError, match="changed"):
        HubClassifier.from_pretrained(folder)
    assert not trace.exists()


@pytest.mark.parametrize("content", ["[]", "nonsense", '{"configuration": {"layers": 9}}'])
def test_the_config_is_not_read(content: str, folder: Path) -> None:
    (folder / "config.json").write_text(content)
    assert HubClassifier.from_pretrained(folder).predict(["goal match team"]) == ["sport"]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, folder: Path) -> list[tuple[str, str, dict[str, Any]]]:
    """Put the folder in the place of the hub; the files come as links into a cache, as there."""
    calls: list[tuple[str, str, dict[str, Any]]] = []
    cache = folder.parent / "cache"
    cache.mkdir()

    def download(repo_id: str, filename: str, **options: Any) -> str:
        calls.append((repo_id, filename, options))
        if repo_id != "owner/name":
            response = type("Response", (), {"headers": {}, "request": None})()
            raise RepositoryNotFoundError("no such repository\nmore", response=response)
        link = cache / filename
        if not link.exists():
            link.symlink_to(folder / filename)
        return str(link)

    monkeypatch.setattr(hub, "hf_hub_download", download)
    return calls


def test_from_the_hub_two_files_are_asked_for(
    asked: list[tuple[str, str, dict[str, Any]]], folder: Path
) -> None:
    (folder / "pytorch_model.bin").write_bytes(b"never")
    loaded = HubClassifier.from_pretrained("owner/name", revision="abc", token="t", cache_dir="c")
    assert loaded.predict(["goal match team"]) == ["sport"]
    options = {
        "revision": "abc",
        "token": "t",
        "cache_dir": "c",
        "force_download": False,
        "local_files_only": False,
    }
    weights = read_description(folder)["weights"]
    assert asked == [
        ("owner/name", "classifier.json", options),
        ("owner/name", weights, options),
    ]


def test_a_repository_cannot_ask_for_another_file(
    asked: list[tuple[str, str, dict[str, Any]]], folder: Path
) -> None:
    description = json.loads((folder / "classifier.json").read_text())
    description["weights"] = "../../etc/passwd"
    (folder / "classifier.json").write_text(json.dumps(description))
    with pytest.raises(CheckpointError):
        HubClassifier.from_pretrained("owner/name")
    assert len(asked) == 1


def test_a_missing_repository_is_one_line(
    asked: list[tuple[str, str, dict[str, Any]]],
) -> None:
    with pytest.raises(CheckpointError, match="no such repository") as caught:
        HubClassifier.from_pretrained("owner/other")
    assert "\n" not in str(caught.value)
    assert len(asked) == 1


def test_a_name_that_is_none_is_refused() -> None:
    with pytest.raises(CheckpointError, match=r"\./no/such/folder: neither a folder here nor"):
        HubClassifier.from_pretrained("./no/such/folder")


def test_a_push_uploads_one_whole_folder(
    monkeypatch: pytest.MonkeyPatch,
    classifier: TextClassifier,
    facts: ModelFacts,
    tmp_path: Path,
) -> None:
    calls: list[tuple[str, Any]] = []

    class Api:
        def __init__(self, token: str | None = None) -> None:
            calls.append(("token", token))

        def create_repo(self, repo_id: str, **options: Any) -> Any:
            calls.append(("create", (repo_id, options["private"])))
            return type("Url", (), {"repo_id": repo_id})()

        def upload_folder(self, *, folder_path: Path, **options: Any) -> str:
            shutil.copytree(folder_path, tmp_path / "uploaded")
            calls.append(("upload", options["repo_id"]))
            return "https://hub.example/commit"

    monkeypatch.setattr("huggingface_hub.hub_mixin.HfApi", Api)
    shared = HubClassifier.of(classifier, facts)
    assert shared.push_to_hub("me/news", private=True, token="t") == "https://hub.example/commit"
    assert calls == [("token", "t"), ("create", ("me/news", True)), ("upload", "me/news")]
    uploaded = tmp_path / "uploaded"
    assert 'from_pretrained("me/news")' in (uploaded / "README.md").read_text()
    assert HubClassifier.from_pretrained(uploaded).predict(["goal match team"]) == ["sport"]
    assert {path.suffix for path in uploaded.iterdir()} == {".md", ".json", ".safetensors"}
    assert (uploaded / "config.json").exists()


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    monkeypatch.delitem(sys.modules, "companion.classifier.hub")
    with pytest.raises(MissingPackageError, match=r"pip install 'large-models-at-work\[hub\]'"):
        runpy.run_module("companion.classifier.hub")


def test_the_weights_are_shared_with_the_trained_classifier(classifier: TextClassifier) -> None:
    shared = HubClassifier.of(classifier)
    assert shared.model is classifier.model
    assert next(shared.model.parameters()).device == torch.device("cpu")


CARD = """---
library_name: large-models-at-work
license: other
license_name: as-its-training-data
pipeline_tag: text-classification
tags:
- text-classification
- lstm
---

# A text classifier

An LSTM with {parameters:,} parameters and a vocabulary of {tokens} tokens that gives a text \
one of 3 classes: `film`, `money`, `sport`. It was made with *Large Models at Work*.

## How to use it

```python
from companion.classifier.hub import HubClassifier

classifier = HubClassifier.from_pretrained("owner/name")
classifier.predict(["The striker scored twice"])
```

The weights are safetensors and the rest is JSON: loading them runs no program.

## What it was trained on

Six "reports".

**Licence:** ours

## How good it is

On 6 documents that took no part in the training; in brackets the 95 % interval for \
another such set of documents.

| | accuracy | macro F1 | log loss |
|---|---|---|---|
| this model | 83.3% (50.0% to 100.0%) | 82.2% (44.4% to 100.0%) | 0.451 |
| majority class | 33.3% | 16.7% | 1.099 |

| class | precision | recall | F1 | documents |
|---|---|---|---|---|
| film | 66.7% | 100.0% | 80.0% | 2 |

## Where not to trust it

- It has no answer "none of these": every text gets one of its 3 classes. Watch the share of \
words that it does not know.
- It knows the language, the topics and the time of its training documents, and no others.
- It reads the first 10,000 words of a text.
- Short texts.
"""


def test_the_whole_card(classifier: TextClassifier) -> None:
    measured = Evaluation(
        metrics=pd.Series(
            {"accuracy": 5 / 6, "macro_f1": 0.8222, "log_loss": 0.4512, "documents": 6.0}
        ),
        intervals=pd.DataFrame(
            {"low": [0.5, 0.4444], "high": [1.0, 1.0]}, index=["accuracy", "macro_f1"]
        ),
        per_class=pd.DataFrame(
            {"precision": [2 / 3], "recall": [1.0], "f1": [0.8], "documents": [2]}, index=["film"]
        ),
        confusion=pd.DataFrame(),
        calibration=pd.DataFrame(),
        predictions=pd.DataFrame(),
    )
    majority = pd.DataFrame(
        {"accuracy": [1 / 3], "macro_f1": [1 / 6], "log_loss": [1.0986]}, index=["majority class"]
    )
    facts = ModelFacts(
        data='Six "reports".',
        licence="ours",
        evaluation=measured,
        baselines=majority,
        limits=("Short texts.",),
    )
    card = HubClassifier.of(classifier, facts).generate_model_card()
    assert str(card) == CARD.format(
        parameters=parameter_count(classifier.model), tokens=len(classifier.vocabulary)
    )


def test_a_card_of_the_callers_own(
    classifier: TextClassifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    HubClassifier.of(classifier).save_pretrained(tmp_path / "own", config={"mine": 1})
    assert json.loads((tmp_path / "own" / "config.json").read_text()) == {"mine": 1}
    seen: dict[str, Any] = {}
    monkeypatch.setattr(
        "huggingface_hub.ModelHubMixin.push_to_hub", lambda self, name, **given: seen.update(given)
    )
    HubClassifier.of(classifier).push_to_hub("me/news", model_card_kwargs={"repo_id": "my/other"})
    assert seen["model_card_kwargs"] == {"repo_id": "my/other"}


def test_the_device_is_the_one_asked_for(folder: Path) -> None:
    with pytest.raises(DeviceError, match="tpu"):
        HubClassifier.from_pretrained(folder, device="tpu")
