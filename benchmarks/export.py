"""Export the BBC classifier, and measure what 8-bit weights cost: ``python -m benchmarks.export``.

With ``--record`` the values go into the ledger. It takes about half a minute on one core.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from companion import ledger
from companion.classifier.corpus import load_corpus, split_corpus
from companion.classifier.estimator import NewsClassifier
from companion.classifier.export import export_onnx, quantize_onnx
from companion.classifier.inference import TextClassifier
from companion.classifier.serving import OnnxClassifier

COMMAND = "python -m benchmarks.export --record"
# How far each may drift between processors; sizes do not.
TOLERANCES = {
    "onnx_difference": 1e-5,
    "int8_difference": 0.05,
    "int8_accuracy_loss": 0.01,
    "int8_changed_answers": 0.01,
    "int8_size": 0.01,
}


def measure(classifier: TextClassifier, test: pd.DataFrame) -> dict[str, float]:
    """Compare a classifier with its ONNX file, and that with its 8-bit copy.

    Args:
        classifier: The trained classifier.
        test: The columns ``text`` and ``label``.

    Returns:
        ``onnx_difference`` and ``int8_difference``: the largest difference of a probability from
        torch's. ``int8_accuracy_loss``: the accuracy of torch minus that of int8.
        ``int8_changed_answers``: the share of the texts with another answer. ``int8_size``: the
        size of the 8-bit file, as a share of that of the whole one.
    """
    texts, labels = test["text"].tolist(), test["label"].to_numpy()
    with tempfile.TemporaryDirectory() as folder:
        whole = export_onnx(classifier, Path(folder) / "model.onnx")
        small = quantize_onnx(whole, Path(folder) / "int8.onnx")
        size = small.stat().st_size / whole.stat().st_size
        answers = [
            each.predict_proba(texts)
            for each in (
                classifier,
                OnnxClassifier(whole, threads=1),
                OnnxClassifier(small, threads=1),
            )
        ]
    by_torch, by_onnx, by_int8 = answers
    names = np.asarray(classifier.labels, dtype=object)
    predicted = {"torch": names[by_torch.argmax(axis=1)], "int8": names[by_int8.argmax(axis=1)]}
    return {
        "onnx_difference": float(np.abs(by_onnx - by_torch).max()),
        "int8_difference": float(np.abs(by_int8 - by_torch).max()),
        "int8_accuracy_loss": float(
            (predicted["torch"] == labels).mean() - (predicted["int8"] == labels).mean()
        ),
        "int8_changed_answers": float((predicted["torch"] != predicted["int8"]).mean()),
        "int8_size": size,
    }


def main() -> None:
    """Measure, print, and record if asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--record", action="store_true", help="write the values into the ledger")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    splits = split_corpus(load_corpus("bbc"), seed=0)
    model = NewsClassifier(device="cpu").fit(splits.train["text"], splits.train["label"])
    for name, value in measure(model.text_classifier_, splits.test).items():
        print(f"{name:24} {value:.6f}")
        if arguments.record:
            ledger.record(
                f"export.{name}", value, tolerance=TOLERANCES[name], command=COMMAND, seed=0
            )


if __name__ == "__main__":
    main()
