"""Ways to sort headlines, on the same test set: ``python -m benchmarks.ways [GROUP ...]``.

With ``--record`` the values go into the ledger. ``words`` (rules, TF-IDF, LSTM) takes half a minute
on one core, ``minilm`` two, ``llm`` one, for a sample of a hundred.

The seconds an answer are processor time, one headline at a time on one core. Between machines only
their ratio to those of TF-IDF means something, so that is what is recorded.
"""

import time
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.command import Measured, run
from companion.applications.language import load_small_llm
from companion.classifier.corpus import Splits, load_corpus, split_corpus
from companion.classifier.estimator import NewsClassifier
from companion.concepts.experiments import headlines_of, tfidf
from companion.concepts.rules import NEWS_WORDS, KeywordRules
from companion.concepts.scale import draw_per_class
from companion.finetuning.estimator import TransformerClassifier
from companion.questions.prompting import PromptedClassifier

COMMAND = "python -m benchmarks.ways --record"
SAMPLE, SHOTS, SEEDS = 100, 4, (0, 1, 2)
TIMED = 100
Predict = Callable[[list[str]], Any]


@cache
def headlines() -> Splits:
    """Give the headlines of the split that the whole book uses."""
    splits = split_corpus(load_corpus("bbc"), seed=0)
    return Splits(
        *(headlines_of(getattr(splits, name)) for name in ("train", "validation", "test"))
    )


def words() -> Measured:
    """Rules, TF-IDF and the LSTM, the last over seeds."""
    splits, train = headlines(), headlines().train
    counting = tfidf().fit(train["text"], train["label"])
    rules = KeywordRules(NEWS_WORDS, otherwise="sports")
    values = {
        **_accuracy("rules", [rules.predict(splits.test["text"].tolist())]),
        **_accuracy("tfidf", [counting.predict(splits.test["text"])]),
        **_time("rules", rules.predict),
        **_time("tfidf", counting.predict),
    }
    models = [
        NewsClassifier(device="cpu", random_state=seed).fit(
            splits.train["text"], splits.train["label"]
        )
        for seed in SEEDS
    ]
    return (
        values
        | _accuracy("lstm", [model.predict(splits.test["text"].tolist()) for model in models])
        | _time("lstm", models[0].predict)
    )


def minilm() -> Measured:
    """Fine-tune MiniLM once."""
    splits = headlines()
    model = TransformerClassifier(method="full", maximum_length=32, device="cpu", random_state=0)
    model.fit(splits.train["text"].tolist(), splits.train["label"])
    answers = model.predict(splits.test["text"].tolist())
    return _accuracy("minilm", [answers]) | _time("minilm", model.predict)


def llm() -> Measured:
    """Ask SmolLM2 about a sample: with no example, and with four a class."""
    splits = headlines()
    test = splits.test.sample(SAMPLE, random_state=0)
    tokenizer, model = load_small_llm()
    labels = sorted(set(splits.train["label"]))
    shown = draw_per_class(splits.train, SHOTS, 0)[["text", "label"]]
    examples = [(str(text), str(label)) for text, label in shown.to_numpy().tolist()]
    values: Measured = {}
    for name, given, calibrate in [
        ("llm_uncalibrated", [], False),
        ("llm_zero", [], True),
        ("llm", examples, True),
    ]:
        asked = PromptedClassifier(tokenizer, model, labels, given, calibrate=calibrate)
        values |= _accuracy(name, [asked.predict(test["text"].tolist())], test)
        values[f"ways.{name}.tokens"] = (
            float(np.mean([asked.tokens(text) for text in test["text"]])),
            0.5,
        )
    return values | _time("llm", asked.predict, count=20)


def _accuracy(name: str, runs: Sequence[Any], test: pd.DataFrame | None = None) -> Measured:
    """Give the mean accuracy, its standard error from the documents, and the spread of the runs."""
    test = headlines().test if test is None else test
    right = [float((np.asarray(run) == test["label"].to_numpy()).mean()) for run in runs]
    mean = float(np.mean(right))
    error = float(np.sqrt(mean * (1 - mean) / len(test)))
    loose = {"rules": 0.0, "tfidf": 0.003}.get(name, 0.03)
    values = {
        f"ways.{name}.accuracy": (mean, loose),
        f"ways.{name}.standard_error": (error, 0.003),
    }
    if len(runs) > 1:
        values[f"ways.{name}.spread"] = (float(np.std(right, ddof=1)), 0.02)
    return values


def _time(name: str, predict: Predict, count: int = TIMED) -> Measured:
    """Give the processor time of an answer, as a multiple of TF-IDF's and in milliseconds."""
    seconds, unit = _seconds(predict, count), _seconds(_counting().predict, TIMED)
    ratio = seconds / unit
    return {
        f"ways.{name}.time_ratio": (ratio, 0.8 * ratio),
        f"ways.{name}.milliseconds": (1000 * seconds, 4000 * seconds),
    }


@cache
def _counting() -> Any:
    splits = headlines()
    return tfidf().fit(splits.train["text"], splits.train["label"])


def _seconds(predict: Predict, count: int) -> float:
    """Give the median processor seconds of an answer to one headline."""
    texts = headlines().test["text"].tolist()[:count]
    predict(texts[:1])
    times = []
    for text in texts:
        start = time.process_time()
        predict([text])
        times.append(time.process_time() - start)
    return float(np.median(times))


GROUPS: dict[str, Callable[[], Measured]] = {"words": words, "llm": llm, "minilm": minilm}


def main() -> None:
    """Measure all or some, print, and record if asked to."""
    run(__doc__, COMMAND, GROUPS, seed=0)


if __name__ == "__main__":
    main()
