"""The numbers of the section on explanations: ``python -m benchmarks.explain``.

With ``--record`` they go into the ledger. The section's notebook measures all of them again.
"""

import torch

from benchmarks.command import Measured, run
from companion.applications.image_recognition import (
    photographs,
    prepare_photograph,
    pretrained_network,
)
from companion.classifier.corpus import load_corpus, split_corpus
from companion.classifier.text import tokenize
from companion.classifier.training import train
from companion.questions.explain import explain_words
from companion.questions.faithfulness import agreements, deletion, randomised
from companion.questions.pictures import grad_cam, share_inside

COMMAND = "python -m benchmarks.explain --record"
HEADLINE = "Shares rose after the bank raised its profit forecast"


def words() -> Measured:
    """Measure agreement and deletion over the beginnings of 40 test documents."""
    splits = split_corpus(load_corpus("bbc"), seed=0)
    classifier = train(splits.train, splits.validation, device="cpu").classifier
    texts = [" ".join(tokenize(text)[:20]) for text in splits.test["text"].head(40)]
    compared = agreements(classifier, randomised(classifier), texts)
    found = {}
    for column in compared:
        found[f"{column}.agreement"] = (float(compared[column].mean()), 0.1)
        found[f"{column}.lowest"] = (float(compared[column].min()), 0.4)
    curves = deletion(classifier, texts, words=5)
    for column in curves:
        found[f"deletion.{column}"] = (float(curves[column].iloc[3]), 0.1)
    return found


def parts() -> Measured:
    """Measure whether the scores of a headline's words add up."""
    splits = split_corpus(load_corpus("bbc"), seed=0)
    classifier = train(splits.train, splits.validation, device="cpu").classifier
    found = explain_words(classifier, HEADLINE)
    return {
        "parts.sum": (float(found.scores.sum()), 0.5),
        "parts.difference": (found.difference, 0.5),
    }


def pictures() -> Measured:
    """Measure how much of Grad-CAM's heat lies on the right half of a picture made of two."""
    cat, coffee = map(prepare_photograph, photographs(["chelsea", "coffee"]).values())
    halves = torch.cat([cat[:, :, 56:168], coffee[:, :, 56:168]], dim=2)
    heats = grad_cam(pretrained_network(), torch.stack([halves, halves]), torch.tensor([285, 967]))
    return {
        "cam.cat": (share_inside(heats[0], (0, 224, 0, 112)), 0.01),
        "cam.coffee": (share_inside(heats[1], (0, 224, 112, 224)), 0.01),
    }


def main() -> None:
    """Measure all or some, print, and record if asked to."""
    run(
        __doc__,
        COMMAND,
        {"words": words, "parts": parts, "pictures": pictures},
        prefix="explain.",
        seed=0,
    )


if __name__ == "__main__":
    main()
