"""Measure what the outlook chapter prints: ``python -m benchmarks.outlook [part] [--record]``.

The parts are ``trends``, ``limits`` and ``responsibility``, a minute or less each; the notebooks of
the same names measure them again. ``misspellings`` trains five LSTMs, in about three minutes.
"""

from collections.abc import Callable
from typing import Any

import pandas as pd

from benchmarks.command import Measured, mean_with_tolerance, run
from companion.applications.finance import load_default
from companion.applications.image_recognition import load_mnist
from companion.classifier.corpus import Splits, load_corpus, split_corpus
from companion.classifier.estimator import NewsClassifier
from companion.concepts.experiments import tfidf
from companion.concepts.ngram import character_ids, plain_characters
from companion.outlook import (
    adaptation,
    attacks,
    contrastive,
    data,
    efficiency,
    explanation,
    fairness,
    scaling,
)

COMMAND = "python -m benchmarks.outlook --record"
MISSPELT_TEXTS = 150
LSTM_SEEDS = range(5)


def _means(table: pd.DataFrame, prefix: str, tolerances: dict[str, float]) -> Measured:
    """Name the mean of each column, with its tolerance."""
    return {
        f"{prefix}.{column.replace(' ', '_')}": (float(table[column].mean()), tolerance)
        for column, tolerance in tolerances.items()
    }


def _key(name: str) -> str:
    """Make a part of a record's name of a label."""
    return "".join(letter if letter.isalnum() else "_" for letter in name.lower()).replace(
        "__", "_"
    )


def _rows(means: Any) -> Any:
    return means.items()


def trends() -> Measured:
    """Measure the budget of computing, the toy CLIP, the optimisers, and learning in context."""
    splits = split_corpus(load_corpus("bbc"))
    train = character_ids(plain_characters(splits.train["text"])[:1_000_000])
    test = character_ids(plain_characters(splits.test["text"])[:40_000])
    measured: Measured = {}
    budget = scaling.equal_compute_runs(train, test, flop=1e10)
    for width, loss in budget.groupby("width")["loss"].mean().items():
        measured[f"outlook.compute.loss_{width}"] = (float(loss), 0.06)
    clip = contrastive.clip_runs(steps=400)
    measured |= _means(
        clip, "outlook.clip", {"seen": 0.04, "held_out": 0.12, "held_out_of_5": 0.08}
    )
    measured["outlook.clip.spread"] = (float(clip["held_out"].std()), 0.08)
    optimizers = adaptation.optimizer_runs()
    groups = optimizers.groupby(["optimizer", "schedule", "rate"])["accuracy"].mean()
    for (optimizer, schedule, rate), accuracy in _rows(groups):
        name = f"outlook.adaptive.{_key(optimizer)}.{_key(schedule)}.{rate:g}".replace("0.", "")
        measured[name] = (float(accuracy), 0.05)
    model = adaptation.train_in_context(steps=1500)
    for kind, scale in (("same", 1.0), ("shifted", 3.0)):
        errors = adaptation.in_context_errors(model, scale=scale)
        for name in ("transformer", "ridge"):
            for seen in (1, 3, 9):
                error = float(errors[name][seen])
                wide = 0.3 * error if name == "transformer" else 0.001
                measured[f"outlook.context.{kind}.{name}_{seen}"] = (error, wide)
    return measured


def limits() -> Measured:
    """Measure the attacks, the small forms of the news classifier, and bad data."""
    measured: Measured = {}
    robust, _ = attacks.robustness_runs(*load_mnist())
    groups = robust.groupby(["training", "attack", "epsilon"])["accuracy"]
    for (training, attack, epsilon), accuracy in _rows(groups.mean()):
        if epsilon not in (0.0, 0.05, 0.1):
            continue
        name = f"outlook.robust.{_key(training)}.{_key(attack)}.{round(100 * epsilon)}"
        measured[name] = (float(accuracy), 0.06)
    measured["outlook.robust.spread"] = (float(groups.std().max()), 0.03)
    splits = split_corpus(load_corpus("bbc"), seed=0)
    model = NewsClassifier(device="cpu").fit(splits.train["text"], splits.train["label"])
    teacher = model.text_classifier_
    measured |= misspellings(splits) | sizes(teacher, splits)
    noise = data.noise_by_model(splits)
    for (name, share), accuracy in _rows(noise.groupby(["model", "share"])["accuracy"].mean()):
        measured[f"outlook.noise.{_key(name)}.{round(100 * share)}"] = (float(accuracy), 0.02)
    cleaning = data.cleaning_runs(splits)
    measured |= _means(
        cleaning, "outlook.cleaning", dict.fromkeys(["found", "spoilt", "cleaned"], 0.02)
    )
    leaks = data.leak_runs(splits).groupby("share")[["reported", "true"]].mean()
    for share, row in leaks.iterrows():
        for kind in ("reported", "true"):
            measured[f"outlook.leak.{kind}.{round(100 * float(str(share)))}"] = (
                float(row[kind]),
                0.02,
            )
    return measured


def misspellings(splits: Splits) -> Measured:
    """Measure the misspelt words against the two linear models, which train to the same weights."""
    words = tfidf().fit(splits.train["text"], splits.train["label"])
    letters = attacks.letter_classifier().fit(splits.train["text"], splits.train["label"])
    return {
        name: (values[0], 0.01)
        for name, values in _misspelt({"words": words, "letters": letters}, words, splits).items()
    }


def lstm_misspellings() -> Measured:
    """Measure the misspelt words against five LSTMs; one alone depends on the processor."""
    splits = split_corpus(load_corpus("bbc"), seed=0)
    words = tfidf().fit(splits.train["text"], splits.train["label"])
    accuracies: dict[str, list[float]] = {}
    for seed in LSTM_SEEDS:
        model = NewsClassifier(device="cpu", random_state=seed)
        model.fit(splits.train["text"], splits.train["label"])
        for name, values in _misspelt({"LSTM": model}, words, splits).items():
            accuracies.setdefault(name, []).extend(values)
    texts = MISSPELT_TEXTS
    return {
        name: mean_with_tolerance(values, resolution=1 / texts)
        for name, values in accuracies.items()
    }


def _misspelt(victims: dict[str, Any], guide: Any, splits: Splits) -> dict[str, list[float]]:
    runs = attacks.misspelling_runs(victims, guide, splits.test.iloc[:MISSPELT_TEXTS])
    groups = runs.groupby(["victim", "words", "count"])["accuracy"].mean()
    return {
        f"outlook.misspelt.{_key(victim)}.{kind}.{count}": [float(accuracy)]
        for (victim, kind, count), accuracy in _rows(groups)
        if count in (0, 10, 30)
    }


def sizes(teacher, splits) -> Measured:  # type: ignore[no-untyped-def]
    """Measure the students and the exported forms."""
    measured: Measured = {}
    students = efficiency.student_runs(teacher, splits.train, splits.test)
    for source, group in students.groupby("learns from"):
        key = f"outlook.student.{_key(str(source))}"
        measured |= _means(group, key, {"accuracy": 0.015, "agreement": 0.02})
        measured[f"{key}.spread"] = (float(group["accuracy"].std()), 0.01)
    texts = splits.train["text"].tolist()
    student = efficiency.Student(teacher.labels).fit(texts, teacher.predict_proba(texts))
    for form, row in efficiency.size_runs(teacher, student, splits.test).iterrows():
        key = f"outlook.size.{_key(str(form))}"
        measured[f"{key}.megabytes"] = (float(row["bytes"]) / 1e6, 0.05)
        measured[f"{key}.accuracy"] = (float(row["accuracy"]), 0.015)
        if form != "torch":
            measured[f"{key}.speed"] = (float(row["speed"]), 0.7 * float(row["speed"]))
    return measured


def responsibility() -> Measured:
    """Measure how far reasons agree, and what fairness costs."""
    splits = split_corpus(load_corpus("bbc"), seed=0)
    reasons = explanation.reason_runs(splits)
    measured = _means(
        reasons, "outlook.reasons", {"accuracy": 0.01, "same answer": 0.01, "same words": 0.02}
    )
    runs = fairness.mitigation_runs(load_default())
    for way, group in runs.groupby("way"):
        columns = dict.fromkeys(["refusals", "false alarms", "missed"], 0.02) | {"cost": 0.015}
        measured |= _means(group, f"outlook.fair.{_key(str(way))}", columns)
        measured[f"outlook.fair.{_key(str(way))}.spread"] = (float(group["missed"].std()), 0.02)
    return measured


PARTS: dict[str, Callable[[], Measured]] = {
    "trends": trends,
    "limits": limits,
    "responsibility": responsibility,
}
# What no notebook measures again, because it takes minutes: tests/test_recorded.py does.
SLOW_PARTS: dict[str, Callable[[], Measured]] = {"misspellings": lstm_misspellings}


def main() -> None:
    """Measure all or some, print, and record if asked to."""
    run(__doc__, COMMAND, PARTS | SLOW_PARTS, seed=0)


if __name__ == "__main__":
    main()
