"""Measure how fast the pipeline is beside its peers: ``python -m benchmarks.speed``.

All are ratios of CPU-seconds (and one share of the product peak), measured in turns in one run on
one thread; the median over the rounds counts. With ``--record`` they go into the ledger. It takes
about three minutes on one core.

The corpus is :func:`~companion.classifier.speed.generate_news`: the lengths of short news. The
network is the article's, an embedding of 100 and two LSTM layers of 256.
"""

import argparse
import dataclasses
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import pandas as pd
import torch

from benchmarks.rivals import (
    Keras,
    Network,
    PackedLSTM,
    glued_words,
    listing_epoch,
    listing_network,
)
from companion import ledger
from companion.classifier.configuration import CONFIGURATIONS
from companion.classifier.corpus import load_corpus
from companion.classifier.device import multiplies_bfloat16
from companion.classifier.encoding import build_vocabulary
from companion.classifier.export import export_onnx, quantize_onnx
from companion.classifier.inference import TextClassifier
from companion.classifier.listing import LISTED_PUNCTUATION, LISTED_STOP_WORDS
from companion.classifier.model import LSTMClassifier
from companion.classifier.serving import OnnxClassifier
from companion.classifier.speed import (
    generate_news,
    operations_per_token,
    product_peak,
    profile_training,
)
from companion.classifier.training import train

COMMAND = "python -m benchmarks.speed --record"
ARTICLE = dataclasses.replace(
    CONFIGURATIONS["article"], epochs=1, minimum_count=1, maximum_words=1000, training_words=1000
)
# The ends of the names of what depends on the instructions of the processor: shown, not compared.
OF_THE_PROCESSOR = ("listing_limit", "peak_share")
# How far a ratio may lie from the recorded one on another processor.
TOLERANCES = {
    "speed.loop.listing": 0.7,
    "speed.loop.listing_limit": 1.0,
    "speed.loop.peak_share": 0.3,
    "speed.avx2.listing": 0.7,
    "speed.avx2.listing_limit": 1.0,
    "speed.avx2.peak_share": 0.25,
    "speed.bfloat16.listing": 1.0,
    "speed.bfloat16.peak_share": 0.4,
    "speed.bfloat16.own_peak_share": 0.2,
    "speed.kept_loop.tutorial_512": 2.0,
    "speed.kept_loop.keras_512": 2.0,
    "speed.loop.tutorial_512": 4.0,
    "speed.loop.keras_512": 2.0,
    "speed.reading.listing": 16.0,
    "speed.answers.single": 2.0,
    "speed.answers.bulk": 0.8,
}


def measure_loop(
    rounds: int, precisions: Sequence[str] = ("float32",), documents: int = 1600
) -> dict[str, float]:
    """Train an epoch at batch 32 in turns with the listing; also against the product peak.

    The peak is that of float32 for each precision; bfloat16 is also held against its own.
    """
    news = generate_news(documents)
    tokens = sum(len(text.split()) for text in news["text"])
    found: dict[str, list[float]] = defaultdict(list)
    _listing(news.head(64))  # for nothing: warms up
    for precision in precisions:
        _ours(news.head(64), precision=precision)
    for _ in range(rounds):
        listing = _seconds(lambda: _listing(news))
        at_the_limit = tokens * operations_per_token(ARTICLE) / product_peak()
        found["loop.listing_limit"].append(listing / at_the_limit)
        for precision in precisions:
            ours = _seconds(partial(_ours, news, precision=precision))
            name = _group(precision)
            found[f"{name}.listing"].append(listing / ours)
            found[f"{name}.peak_share"].append(at_the_limit / ours)
            if precision == "bfloat16":
                slower = product_peak() / product_peak(kind=torch.bfloat16)
                found[f"{name}.own_peak_share"].append(at_the_limit * slower / ours)
    return {f"speed.{name}": median(values) for name, values in found.items()}


def _group(precision: str) -> str:
    """Give the part of the names of what is measured in a precision."""
    return "loop" if precision == "float32" else precision


def _precisions() -> list[str]:
    """Give the precisions that this processor computes in."""
    has_bfloat16 = multiplies_bfloat16(torch.device("cpu"))
    return ["float32", "bfloat16"] if has_bfloat16 else ["float32"]


def measure_loop_on_avx2(rounds: int) -> dict[str, float]:
    """Do as :func:`measure_loop` in a process that may use no wider vectors than AVX2."""
    limited = {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"}
    found = _apart(limited, "--loop", str(rounds))
    return {name.replace("loop", "avx2"): value for name, value in found.items()}


def _apart(environment: dict[str, str], option: str, value: str) -> Any:
    """Measure in a process of its own; give what it printed."""
    run = subprocess.run(
        [sys.executable, "-m", "benchmarks.speed", option, value],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(run.stdout.splitlines()[-1])


def measure_large_batches(rounds: int, *, keep_all: bool = False) -> dict[str, float]:
    """Train at batch 512 in turns with packed tutorial code and with Keras on torch.

    Each training has a process of its own, since what one leaves in the allocator speeds up the
    next. ``keep_all`` sets the allocator of all of them to keep its memory, as our training does
    for itself.
    """
    kept = {"MALLOC_MMAP_THRESHOLD_": str(2**30), "MALLOC_TRIM_THRESHOLD_": str(2**31)}
    environment = kept if keep_all else {}
    found: dict[str, list[float]] = defaultdict(list)
    for _ in range(rounds):
        ours = _apart(environment, "--large", "ours")
        for name in ("tutorial", "keras"):
            found[name].append(_apart(environment, "--large", name) / ours)
    group = "kept_loop" if keep_all else "loop"
    return {f"speed.{group}.{name}_512": median(values) for name, values in found.items()}


def _large_batches(contender: str) -> float:
    """Give the CPU-seconds a word of an epoch at batch 512 of the tutorial, Keras, or ours.

    The rivals take their batches as they come, so a few show what many cost. Ours sorts by length,
    which needs many batches to be worth it.
    """
    news = generate_news(8192 if contender == "ours" else 1024)
    rivals: dict[str, Network | Keras] = {
        "tutorial": Network(build=_packed, epochs=1, batch_size=512),
        "keras": Keras(hidden=(256, 256), epochs=1, batch_size=512),
    }
    training: Callable[[], object] = partial(_ours, news, batch_size=512)
    if contender in rivals:
        training = partial(rivals[contender].fit, *_texts_and_labels(news))
    return _seconds(training) / sum(len(text.split()) for text in news["text"])


def _packed(words: int, classes: int) -> PackedLSTM:
    return PackedLSTM(words, classes, hidden=256, layers=2)


def _texts_and_labels(news: pd.DataFrame) -> tuple[list[str], list[str]]:
    return news["text"].tolist(), news["label"].tolist()


def measure_reading(rounds: int = 5, documents: int = 20_000) -> dict[str, float]:
    """Clean, split, build the vocabulary and give the ids, in turns with the listing's way.

    The texts are the BBC news in pieces of 38 words.
    """
    words = " ".join(load_corpus("bbc")["text"]).split()
    texts = [" ".join(words[38 * row : 38 * row + 38]) for row in range(documents)]
    few = texts[: documents // 20]
    ratios = []
    for _ in range(rounds):
        listing = _seconds(lambda: _read_like_the_listing(few)) / len(few)
        ratios.append(listing * len(texts) / _seconds(lambda: build_vocabulary(texts)))
    return {"speed.reading.listing": median(ratios)}


def measure_answers(rounds: int = 5) -> dict[str, float]:
    """Answer one by one and in bulk by ONNX Runtime with 8-bit weights, in turns with torch."""
    news = generate_news(2000)
    texts = news["text"].tolist()
    vocabulary = build_vocabulary(texts)[0]
    configuration = CONFIGURATIONS["recommended"]
    labels = sorted(set(news["label"]))
    model = LSTMClassifier(len(vocabulary), len(labels), configuration)
    eager = TextClassifier(model, vocabulary, labels, configuration)
    with tempfile.TemporaryDirectory() as folder:
        whole = export_onnx(eager, Path(folder) / "whole.onnx")
        small = OnnxClassifier(quantize_onnx(whole, Path(folder) / "small.onnx"), threads=1)
    single, bulk = [], []
    readers: tuple[TextClassifier | OnnxClassifier, ...] = (eager, small)
    for each in readers:
        each.predict(texts[:10])  # for nothing: warms up
    for _ in range(rounds):
        slow, quick = (
            _seconds(lambda each=each: [each.predict_proba([text]) for text in texts[:100]])  # type: ignore[misc]
            for each in readers
        )
        single.append(slow / quick)
        slow, quick = (
            _seconds(lambda each=each: each.predict_proba(texts[:640]))  # type: ignore[misc]
            for each in readers
        )
        bulk.append(slow / quick)
    return {"speed.answers.single": median(single), "speed.answers.bulk": median(bulk)}


def results(rounds: int = 1) -> dict[str, float]:
    """Measure all ratios: the value of each name of the ledger.

    What is in bfloat16 is left out where the processor has no instructions for it.

    Args:
        rounds: How often the trainings take turns; the tests are content with one.
    """
    return (
        measure_loop(rounds, _precisions())
        | measure_loop_on_avx2(rounds)
        | measure_large_batches(rounds)
        | measure_reading()
        | measure_answers()
    )


def shares() -> dict[str, float]:
    """Measure where the time of an epoch goes, as the notebook of the page does."""
    news = generate_news(1600)
    found = {}
    for name in ("recommended", "article"):
        seconds = profile_training(news, CONFIGURATIONS[name])
        parts = seconds / seconds.sum()
        found[f"speed.share.{name}.lstm"] = float(parts["LSTM forward"] + parts["LSTM backward"])
        found[f"speed.share.{name}.optimiser"] = float(parts["optimiser"])
        found[f"speed.share.{name}.texts"] = float(
            parts["cleaning"] + parts["tokens and vocabulary"] + parts["batches"]
        )
    return found


def _seconds(action: Callable[[], object]) -> float:
    start = time.process_time()
    action()
    return time.process_time() - start


def _ours(news: pd.DataFrame, batch_size: int = 32, precision: str = "float32") -> None:
    configuration = dataclasses.replace(ARTICLE, batch_size=batch_size)
    validation = news.drop_duplicates("label")
    train(news, validation, configuration, device="cpu", progress=False, precision=precision)


def _listing(news: pd.DataFrame) -> None:
    network = Network(glued_words, listing_network, listing_epoch, epochs=1, words=1000)
    network.fit(*_texts_and_labels(news))


def _read_like_the_listing(texts: list[str]) -> list[list[int]]:
    """Clean by character and drop stop words, twice; take the set of the words; give the ids.

    The article's listing runs its cleaning twice over each text. It joins with a space; here with
    nothing, so that both ways read words.
    """
    characters, words = sorted(LISTED_PUNCTUATION), sorted(LISTED_STOP_WORDS)
    for _ in range(2):
        texts = ["".join([each for each in text if each not in characters]) for text in texts]
        texts = [
            " ".join([word for word in text.split() if word.lower() not in words]) for text in texts
        ]
    ids = {word: number for number, word in enumerate(set(" ".join(texts).split()))}
    return [[ids[word] for word in text.split()] for text in texts]


def main() -> None:
    """Measure all, print, and record if asked to."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--record", action="store_true", help="write book/results/speed.json")
    parser.add_argument("--loop", type=int, metavar="ROUNDS", help="the training loop alone")
    parser.add_argument("--large", metavar="CONTENDER", help="one training at batch 512")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.loop:
        print(json.dumps(measure_loop(arguments.loop)))
        return
    if arguments.large:
        print(json.dumps(_large_batches(arguments.large)))
        return
    kept = measure_large_batches(3, keep_all=True)  # no test repeats it
    for name, value in (results(rounds=3) | kept | shares()).items():
        print(f"{name} = {value:.3f}", flush=True)
        if arguments.record:
            tolerance = TOLERANCES.get(name, 0.2)
            ledger.record(name, value, tolerance=tolerance, command=COMMAND)


if __name__ == "__main__":
    main()
