"""The table of ways to build, with what has been measured so far.

Explained in :doc:`/business`, "The decision table". A chapter that measures something for a way
records it in the ledger and adds the record's name to :data:`WAYS`; the table then shows it. What
nobody has measured stays open.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pandas as pd

from companion.ledger import Result

__all__ = [
    "HEADLINES",
    "MEASUREMENTS",
    "NOT_MEASURED",
    "QUESTIONS",
    "WAYS",
    "Way",
    "decision_table",
    "headlines_table",
    "measured_table",
]

NOT_MEASURED = "not measured yet"
# What a record of a way may measure; a column appears when any way has such a record.
MEASUREMENTS = {
    "20": "right, 20 labels a class",
    "100": "right, 100 labels a class",
    "all": "right, all labels",
}
# The ways in the order of WAYS, as the records of headlines call them: ways.NAME.accuracy.
HEADLINES = ("rules", "tfidf", "lstm", "minilm", "llm", None)
_LABELS = {"rules": "0", "tfidf": "all", "lstm": "all", "minilm": "all", "llm": "4 a class"}
QUESTIONS = {
    "labels": "labelled examples",
    "leaves": "texts leave your house",
    "cost": "what you pay for",
    "keeper": "who keeps it working",
}


@dataclass(frozen=True)
class Way:
    """One way to answer a question about a text.

    Attributes:
        name: What it is called.
        labels: How many labelled examples it wants.
        leaves: Whether the texts leave the company.
        parameters: The weights that each token meets, or None where a supplier does not say.
        cost: What the money goes to.
        keeper: Who has to look after it, and for what.
        records: The names of the ledger's records for it, by what they measure.
    """

    name: str
    labels: str
    leaves: str
    parameters: int | None
    cost: str
    keeper: str
    records: Mapping[str, str] = field(default_factory=dict)


WAYS: tuple[Way, ...] = (
    Way(
        "rules",
        "none; you write the words",
        "no",
        0,
        "your hours",
        "whoever knows the subject, with each new case",
        {"all": "concepts.rules.test_accuracy"},
    ),
    Way(
        "TF-IDF, linear model",
        "tens to hundreds a class",
        "no",
        5,
        "labels",
        "a developer; trains again in seconds",
        {"20": "concepts.tfidf.20.test_accuracy", "all": "bbc.tfidf.test_accuracy"},
    ),
    Way(
        "LSTM from scratch",
        "hundreds a class and more",
        "no",
        84_000,
        "labels",
        "a developer who can train networks",
        {"20": "finetuning.lstm.20.seed_0.accuracy", "all": "bbc.recommended.test_accuracy"},
    ),
    Way(
        "fine-tuned MiniLM",
        "tens to hundreds a class",
        "no",
        10_600_000,
        "labels, a little compute",
        "a developer who can train networks",
        {
            "20": "finetuning.full.20.seed_0.accuracy",
            "all": "finetuning.full.all.seed_0.accuracy",
        },
    ),
    Way(
        "prompted small LLM, own machine",
        "none to tens, to test on",
        "no",
        135_000_000,
        "a machine that stands ready",
        "a developer and an operator",
    ),
    Way(
        "API of a large LLM",
        "none to tens, to test on",
        "yes",
        None,
        "each request",
        "the supplier, who may change the model",
    ),
)


def decision_table(ways: tuple[Way, ...] = WAYS, tokens: int = 300) -> pd.DataFrame:
    """Compare the ways by what can be said without a measurement.

    Args:
        ways: The rows.
        tokens: How long a request is, for the work it takes.

    Returns:
        A row a way, a column a question.
    """
    return pd.DataFrame(
        {
            QUESTIONS["labels"]: [way.labels for way in ways],
            QUESTIONS["leaves"]: [way.leaves for way in ways],
            f"FLOP for {tokens} tokens": [_work(way, tokens) for way in ways],
            QUESTIONS["cost"]: [way.cost for way in ways],
            QUESTIONS["keeper"]: [way.keeper for way in ways],
        },
        index=pd.Index([way.name for way in ways], name="way"),
    )


def measured_table(results: Mapping[str, Result], ways: tuple[Way, ...] = WAYS) -> pd.DataFrame:
    """Show what the ledger holds for each way, and say so where it holds nothing.

    Args:
        results: The ledger, as :func:`companion.ledger.load` gives it.
        ways: The rows.

    Returns:
        A row a way, a column for each of :data:`MEASUREMENTS` that any way names; texts.
    """
    named = {kind for way in ways for kind in way.records}
    return pd.DataFrame(
        {
            title: [_measured(results, way, kind) for way in ways]
            for kind, title in MEASUREMENTS.items()
            if kind in named
        },
        index=pd.Index([way.name for way in ways], name="way"),
    )


def headlines_table(
    results: Mapping[str, Result],
    *,
    core_price_an_hour: float,
    api_price_a_million_tokens: float,
    ways: tuple[Way, ...] = WAYS,
) -> pd.DataFrame:
    """Set the ways side by side on one task: the section of a headline.

    The time is that of one answer on one core, as a multiple of the time that counting words takes.
    The cost of an own machine is its time at full use; the API's is the tokens of a prompt times a
    price. Both prices are yours: nobody measured them.

    Args:
        results: The ledger, as :func:`companion.ledger.load` gives it.
        core_price_an_hour: What one core costs you an hour.
        api_price_a_million_tokens: What an API asks for a million tokens.
        ways: The rows, in the order of :data:`HEADLINES`.

    Returns:
        A row a way; texts.
    """
    rows = {
        way.name: _headlines_row(results, name, core_price_an_hour)
        for way, name in zip(ways, HEADLINES, strict=True)
    }
    tokens = results.get("ways.llm.tokens")
    if tokens is not None:
        bought = 1000 * tokens.value * api_price_a_million_tokens / 1e6
        rows[ways[-1].name]["1,000 cost"] = f"{bought:.6f}*"
    table = pd.DataFrame(rows).T
    table["texts leave"] = [way.leaves for way in ways]
    return table.rename_axis(index="way")


def _headlines_row(
    results: Mapping[str, Result], name: str | None, core_price_an_hour: float
) -> dict[str, str]:
    """Give the cells of one way; what nobody measured has a dash."""

    def value(kind: str) -> float | None:
        record = results.get(f"ways.{name}.{kind}")
        return None if record is None else record.value

    def shown(number: float | None, form: str) -> str:
        return "–" if number is None else format(number, form)

    milliseconds = value("milliseconds")
    cost = None if milliseconds is None else milliseconds / 3600 * core_price_an_hour
    return {
        "right": shown(value("accuracy"), ".3f"),
        "±": shown(value("standard_error"), ".3f"),
        "spread": shown(value("spread"), ".3f"),
        "time": shown(value("time_ratio"), ".2f"),
        "1,000 cost": shown(cost, ".6f"),
        "labels": _LABELS.get(name or "", "a test set"),
    }


def _measured(results: Mapping[str, Result], way: Way, kind: str) -> str:
    record = results.get(way.records.get(kind, ""))
    return NOT_MEASURED if record is None else f"{record.value:.3f}"


def _work(way: Way, tokens: int) -> str:
    return "not published" if way.parameters is None else f"{2 * way.parameters * tokens:.0e}"
