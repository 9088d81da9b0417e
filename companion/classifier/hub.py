"""Share a classifier on the Hugging Face hub, with a card that says what it can do.

Explained in :doc:`/project/ecosystem`.
"""

import html
import shutil
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import pandas as pd

from companion.classifier.checkpoint import (
    load_classifier,
    prepare_directory,
    read_description,
    save_classifier,
)
from companion.classifier.configuration import Configuration
from companion.classifier.evaluation import Evaluation
from companion.classifier.inference import TextClassifier
from companion.classifier.model import LSTMClassifier, parameter_count
from companion.classifier.text import Vocabulary
from companion.errors import CheckpointError, MissingPackageError

try:
    from huggingface_hub import ModelCard, ModelCardData, ModelHubMixin, hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError
except ImportError as error:
    raise MissingPackageError(
        "sharing a model needs huggingface_hub: pip install 'large-models-at-work[hub]'"
    ) from error

__all__ = ["HubClassifier", "ModelFacts"]

_DESCRIPTION = "classifier.json"


@dataclass(frozen=True)
class ModelFacts:
    """What a reader of the card must know and the weights do not tell.

    Attributes:
        data: What it was trained on, in a sentence or two.
        licence: What may be done with that data, and so with the model.
        evaluation: What was measured on documents that took no part in the training.
        baselines: What simpler methods get on the same documents, as
            :func:`companion.classifier.evaluation.baselines` gives it.
        limits: Where it must not be trusted, beyond what holds for every such model.
    """

    data: str
    licence: str
    evaluation: Evaluation
    baselines: pd.DataFrame | None = None
    limits: tuple[str, ...] = ()


class HubClassifier(
    TextClassifier,
    ModelHubMixin,
    library_name="large-models-at-work",
    pipeline_tag="text-classification",
    tags=["text-classification", "lstm"],
):
    """A classifier with ``save_pretrained``, ``from_pretrained`` and ``push_to_hub``.

    The folder holds what :func:`companion.classifier.checkpoint.save_classifier` writes, with
    ``config.json`` and the card, ``README.md``, beside it for the hub's pages.

    It is built on ``ModelHubMixin`` and not on ``PyTorchModelHubMixin``, which saves the weights
    without vocabulary and labels, and which, where a repository has no safetensors file, downloads
    ``pytorch_model.bin`` and gives it to ``torch.load``. Here nothing is read but our own two
    files, and no pickle.

    Args:
        model: The trained network.
        vocabulary: The vocabulary it was trained with.
        labels: The class of each logit.
        configuration: How it was trained, and how it reads a document.
        facts: What the card says; without them it says that nothing was measured.
    """

    def __init__(
        self,
        model: LSTMClassifier,
        vocabulary: Vocabulary,
        labels: list[str],
        configuration: Configuration,
        *,
        facts: ModelFacts | None = None,
    ) -> None:
        super().__init__(model, vocabulary, labels, configuration)
        self.facts = facts

    @classmethod
    def of(cls, classifier: TextClassifier, facts: ModelFacts | None = None) -> Self:
        """Give a trained classifier the face of the hub; the weights are shared, not copied."""
        return cls(
            classifier.model,
            classifier.vocabulary,
            classifier.labels,
            classifier.configuration,
            facts=facts,
        )

    def save_pretrained(self, save_directory: str | Path, **options: Any) -> str | None:
        """Write weights, description, ``config.json`` and the card into a folder.

        A card that is there already stays, unless there are ``facts``: then the new measurements
        take its place.

        Args:
            save_directory: An empty or new folder, or one that holds a classifier.
            **options: Those of ``ModelHubMixin.save_pretrained``.

        Returns:
            The address of the commit with ``push_to_hub=True``, otherwise None.

        Raises:
            OutputError: If the folder holds something else or cannot be written.
        """
        directory = prepare_directory(save_directory)  # before the mixin removes a config.json
        if self.facts is not None:
            (directory / "README.md").unlink(missing_ok=True)
        options["config"] = options.get("config") or self._config()
        result: str | None = super().save_pretrained(directory, **options)
        return result

    def push_to_hub(self, repo_id: str, **options: Any) -> str:
        """Upload what :meth:`save_pretrained` writes, in one commit.

        Args:
            repo_id: ``"owner/name"`` on the hub.
            **options: Those of ``ModelHubMixin.push_to_hub``, such as ``private`` and ``token``.

        Returns:
            The address of the commit.
        """
        card = {"repo_id": repo_id} | (options.pop("model_card_kwargs", None) or {})
        return str(super().push_to_hub(repo_id, model_card_kwargs=card, **options))

    @classmethod
    def from_pretrained(  # type: ignore[override]
        cls,
        pretrained_model_name_or_path: str | Path,
        *,
        device: str = "cpu",
        revision: str | None = None,
        token: str | bool | None = None,
        cache_dir: str | Path | None = None,
        force_download: bool = False,
        local_files_only: bool = False,
    ) -> Self:
        """Load a classifier from a folder or from the hub.

        ``config.json`` is for the hub's pages and is not read.

        Args:
            pretrained_model_name_or_path: A folder, or ``"owner/name"`` on the hub.
            device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"mps"``.
            revision: A branch, a tag or a commit; a commit is sure to stay the same.
            token: Yours, for a private repository.
            cache_dir: Where downloaded files are kept.
            force_download: Whether to download again what is there.
            local_files_only: Whether to take what is there and use no network.

        Returns:
            The classifier.

        Raises:
            CheckpointError: If there is no whole classifier.
            DeviceError: If the device is not there.
        """
        source = Path(pretrained_model_name_or_path)
        if source.is_dir():
            return cls.of(load_classifier(source, device=device))
        options = {
            "revision": revision,
            "token": token,
            "cache_dir": cache_dir,
            "force_download": force_download,
            "local_files_only": local_files_only,
        }
        with tempfile.TemporaryDirectory() as folder:
            _download(str(pretrained_model_name_or_path), Path(folder), options)
            return cls.of(load_classifier(folder, device=device))

    def generate_model_card(self, *, repo_id: str = "owner/name") -> ModelCard:
        """Write the card from the facts: data, measurements, baselines, limits, licence, use."""
        data = ModelCardData(
            library_name="large-models-at-work",
            pipeline_tag="text-classification",
            tags=["text-classification", "lstm"],
            license="other" if self.facts else None,
            license_name="as-its-training-data" if self.facts else None,
        )
        sections = [
            _introduction(self),
            _use(repo_id),
            *(_measurements(self.facts) if self.facts else [_NOTHING_MEASURED]),
            _limits(self),
        ]
        return ModelCard(f"---\n{data.to_yaml()}\n---\n\n" + "\n\n".join(sections) + "\n")

    def _save_pretrained(self, save_directory: Path) -> None:
        provenance: dict[str, Any] = {}
        if self.facts is not None:
            provenance = {
                "data": self.facts.data,
                "licence": self.facts.licence,
                "metrics": {
                    str(name): float(value) for name, value in self.facts.evaluation.metrics.items()
                },
            }
        save_classifier(self, save_directory, provenance=provenance)

    def _config(self) -> dict[str, Any]:
        """Describe the model as the hub's pages expect it."""
        return {
            "architectures": ["LSTMClassifier"],
            "model_type": "companion-text-classifier",
            "id2label": dict(enumerate(self.labels)),
            "label2id": {label: number for number, label in enumerate(self.labels)},
            "vocab_size": len(self.vocabulary),
            "configuration": asdict(self.configuration),
        }


def _download(repo_id: str, folder: Path, options: dict[str, Any]) -> None:
    """Bring the description and the one weights file that it names into a folder."""
    try:
        description = hf_hub_download(repo_id, _DESCRIPTION, **options)
        shutil.copyfile(description, folder / _DESCRIPTION)
        weights = read_description(folder)["weights"]
        shutil.copyfile(hf_hub_download(repo_id, weights, **options), folder / weights)
    except (HfHubHTTPError, HFValidationError, OSError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise CheckpointError(
            f"{repo_id}: neither a folder here nor a classifier on the hub that can be downloaded "
            f"({reason})"
        ) from error


_NOTHING_MEASURED = (
    "## How good it is\n\nNothing was measured, or nothing is recorded here. "
    "Measure it on your own documents before you use it."
)


def _introduction(classifier: HubClassifier) -> str:
    labels = ", ".join(f"`{_plain(label)}`" for label in classifier.labels)
    return (
        "# A text classifier\n\n"
        f"An LSTM with {parameter_count(classifier.model):,} parameters and a vocabulary of "
        f"{len(classifier.vocabulary):,} tokens that gives a text one of {len(classifier.labels)} "
        f"classes: {labels}. It was made with *Large Models at Work*."
    )


def _use(repo_id: str) -> str:
    return (
        "## How to use it\n\n```python\n"
        "from companion.classifier.hub import HubClassifier\n\n"
        f'classifier = HubClassifier.from_pretrained("{_plain(repo_id)}")\n'
        'classifier.predict(["The striker scored twice"])\n```\n\n'
        "The weights are safetensors and the rest is JSON: loading them runs no program."
    )


def _measurements(facts: ModelFacts) -> list[str]:
    metrics, intervals = facts.evaluation.metrics, facts.evaluation.intervals
    rows = ["| | accuracy | macro F1 | log loss |", "|---|---|---|---|"]
    shown = [
        f"{metrics[name]:.1%} ({float(low):.1%} to {float(high):.1%})"
        for name, low, high in intervals[["low", "high"]].itertuples()
    ]
    rows.append(f"| this model | {shown[0]} | {shown[1]} | {metrics['log_loss']:.3f} |")
    for name, row in facts.baselines.iterrows() if facts.baselines is not None else ():
        if row.isna().all():
            rows.append(f"| {_plain(str(name))} | could not be fitted | | |")
            continue
        rows.append(
            f"| {_plain(str(name))} | {row['accuracy']:.1%} | {row['macro_f1']:.1%} | "
            f"{row['log_loss']:.3f} |"
        )
    classes = ["| class | precision | recall | F1 | documents |", "|---|---|---|---|---|"]
    for name, row in facts.evaluation.per_class.iterrows():
        classes.append(
            f"| {_plain(str(name))} | {row['precision']:.1%} | {row['recall']:.1%} | "
            f"{row['f1']:.1%} | {int(row['documents'])} |"
        )
    return [
        f"## What it was trained on\n\n{_plain(facts.data)}\n\n"
        f"**Licence:** {_plain(facts.licence)}",
        f"## How good it is\n\nOn {int(metrics['documents'])} documents that took no part in the "
        "training; in brackets the 95 % interval for another such set of documents.\n\n"
        + "\n".join(rows),
        "\n".join(classes),
    ]


def _limits(classifier: HubClassifier) -> str:
    limits = [
        f'It has no answer "none of these": every text gets one of its {len(classifier.labels)} '
        "classes. Watch the share of words that it does not know.",
        "It knows the language, the topics and the time of its training documents, and no others.",
        f"It reads the first {classifier.configuration.maximum_words:,} words of a text.",
        *(classifier.facts.limits if classifier.facts else ()),
    ]
    return "## Where not to trust it\n\n" + "\n".join(f"- {_plain(limit)}" for limit in limits)


def _plain(text: str) -> str:
    """Make a text harmless in a Markdown table: one line, no tag, no column, no code mark."""
    one_line = " ".join(text.split())
    return html.escape(one_line, quote=False).replace("|", "&#124;").replace("`", "&#96;")
