"""Export the BBC classifier, and measure what 8-bit weights cost: ``python -m benchmarks.export``.

With ``--record`` the values go into the ledger. It takes about half a minute on one core.
"""

import argparse

import torch

from companion import ledger
from companion.classifier.corpus import load_corpus, split_corpus
from companion.classifier.estimator import NewsClassifier
from companion.classifier.export import compare_exports

COMMAND = "python -m benchmarks.export --record"
# How far each may drift between processors; sizes do not.
TOLERANCES = {
    "onnx_difference": 1e-5,
    # Processors with and without instructions for products of 8 bits round them differently.
    "int8_difference": 0.08,
    "int8_accuracy_loss": 0.01,
    "int8_changed_answers": 0.01,
    "int8_size": 0.01,
}


def main() -> None:
    """Measure, print, and record if asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--record", action="store_true", help="write the values into the ledger")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    splits = split_corpus(load_corpus("bbc"), seed=0)
    model = NewsClassifier(device="cpu").fit(splits.train["text"], splits.train["label"])
    for name, value in compare_exports(model.text_classifier_, splits.test).items():
        print(f"{name:24} {value:.6f}")
        if arguments.record:
            ledger.record(
                f"export.{name}", value, tolerance=TOLERANCES[name], command=COMMAND, seed=0
            )


if __name__ == "__main__":
    main()
