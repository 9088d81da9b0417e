"""The numbers of the privacy section: masking, federated averaging, differential privacy.

    python -m benchmarks.privacy            # print them
    python -m benchmarks.privacy --record   # and write them into book/results/privacy.json

The notebook of the section measures all of them again.
"""

import numpy as np
import torch

from benchmarks.command import Measured, run
from companion.classifier.corpus import load_corpus, remove_duplicates, split_corpus
from companion.questions.privacy.differential import compare_privacy
from companion.questions.privacy.federated import compare_divisions, hashed_news
from companion.questions.privacy.masking import generate_messages, score_masking

__all__ = ["results"]

COMMAND = "python -m benchmarks.privacy --record"


def results() -> Measured:
    """Measure each number; give it with its tolerance."""
    torch.set_num_threads(1)
    found: Measured = {}
    masking = score_masking(generate_messages(400, seed=0))
    for kind, recall in masking["recall"].items():
        found[f"privacy.masking.{kind}"] = (float(recall), 0.0005)
    found["privacy.masking.precision"] = (float(masking.attrs["precision"]), 0.0005)
    splits = split_corpus(remove_duplicates(load_corpus("bbc")))
    labels = sorted(splits.train["label"].unique())
    news, test = hashed_news(splits.train, labels), hashed_news(splits.test, labels)
    for name, runs in compare_divisions(news, test).items():
        key = f"privacy.federated.{name.split()[0]}"
        found[f"{key}.first"] = (float(runs[:, 0].mean()), 0.05)
        found[f"{key}.last"] = (float(runs[:, -1].mean()), 0.03)
        found[f"{key}.spread"] = (float(np.ptp(runs[:, -1])), 0.06)
    small = news[np.random.default_rng(0).permutation(len(news))[:600]]
    for name, members, noises, seeds in (
        ("small", small, (0.0, 1.0, 2.0), (0, 1)),
        ("all", news, (0.0, 1.0), (0,)),
    ):
        for noise, rows in compare_privacy(members, test, noises=noises, seeds=seeds).groupby(
            "noise"
        ):
            key = f"privacy.dp.{name}_{noise:g}"
            found[f"{key}.accuracy"] = (float(rows["accuracy"].mean()), 0.03)
            found[f"{key}.attack"] = (float(rows["attack"].mean()), 0.02)
            if noise:
                found[f"{key}.epsilon"] = (float(rows["epsilon"].mean()), 0.05)
    return found


if __name__ == "__main__":
    run(__doc__, COMMAND, {"all": results}, seed=0)
