"""Measure what the section on vision prints: ``python -m benchmarks.vision [--record]``.

It takes a minute and a half. The notebook ``book/applications/vision`` measures all of it again.
"""

import pandas as pd

from benchmarks.command import Measured, run
from companion.applications import image_generation, image_recognition, object_detection
from companion.classifier.model import parameter_count

COMMAND = "python -m benchmarks.vision --record"
CLASSIFIERS = {
    "logistic regression": "logistic",
    "3 nearest neighbours": "neighbours",
    "small network": "network",
}
DETECTORS = {
    "components": "components",
    "grid, all boxes": "all_boxes",
    "grid": "grid",
    "grid, inverted": "inverted",
}
GENERATORS = {
    "training images again": "copies",
    "principal Gaussian": "gaussian",
    "GAN": "gan",
    "GAN, collapsed": "collapsed",
    "diffusion": "diffusion",
}


def summary(
    table: pd.DataFrame, by: str, keys: dict[str, str], topic: str, tolerances: dict[str, float]
) -> Measured:
    """Give the mean of each column, and the spread of the first, for each row of ``keys``."""
    groups = table.groupby(by)
    means, spreads = groups.mean(), groups[next(iter(tolerances))].std()
    measured: Measured = {}
    for name, key in keys.items():
        for column, tolerance in tolerances.items():
            measured[f"{topic}.{key}.{column}"] = (float(means[column][name]), tolerance)
        first = next(iter(tolerances.values()))
        measured[f"{topic}.{key}.spread"] = (float(spreads[name]), first)
    return measured


def closing(
    measured: Measured, topic: str, model: str, baseline: str, column: str, facts: tuple[float, ...]
) -> Measured:
    """Give what the closing table of the chapter needs: parameters, examples, seconds last."""
    parameters, examples, seconds = facts
    return {
        f"{topic}.score": measured[f"{topic}.{model}.{column}"],
        f"{topic}.baseline": measured[f"{topic}.{baseline}.{column}"],
        f"{topic}.spread": measured[f"{topic}.{model}.spread"],
        f"{topic}.parameters": (parameters, 0.0),
        f"{topic}.examples": (examples, 0.0),
        f"{topic}.seconds": (seconds, 4 * seconds),
    }


def recognition() -> Measured:
    """Measure the classifiers of digits."""
    topic = "vision.recognition"
    table = image_recognition.compare_classifiers(*image_recognition.load_mnist())
    measured = summary(table, "classifier", CLASSIFIERS, topic, {"accuracy": 0.01, "shifted": 0.03})
    seconds = float(table.groupby("classifier")["seconds"].mean()["small network"])
    parameters = parameter_count(image_recognition.DigitNetwork())
    facts = (parameters, 4000, seconds)
    return measured | closing(measured, topic, "network", "neighbours", "accuracy", facts)


def detection() -> Measured:
    """Measure the detectors."""
    topic = "vision.detection"
    table, model = object_detection.compare_detectors()
    measured = summary(
        table, "detector", DETECTORS, topic, {"map": 0.03, "map_50": 0.03, "map_75": 0.05}
    )
    seconds = float(table.groupby("detector")["seconds"].mean()["grid"])
    facts = (parameter_count(model), 1200, seconds)
    return measured | closing(measured, topic, "grid", "components", "map", facts)


def generation() -> Measured:
    """Measure the generators. A GAN is a game: its end differs from processor to processor."""
    topic = "vision.generation"
    table, _ = image_generation.compare_generators()
    measured: Measured = {}
    for name, key in GENERATORS.items():
        wide = {"gan": 0.6, "collapsed": 15.0, "diffusion": 0.05}.get(key, 0.02)
        tolerances = {"distance": wide, "rarest": 0.03, "nearest": 0.4 if wide > 0.1 else 0.05}
        measured |= summary(table, "generator", {name: key}, topic, tolerances)
    seconds = float(table.groupby("generator")["seconds"].mean()["diffusion"])
    parameters = parameter_count(image_generation.DiffusionModel())
    images, _, others, other_digits = image_generation.digit_images()
    features = image_generation.DigitFeatures.train_on(others, other_digits)
    floor = image_generation.frechet_distance(features, others, images)
    nearest = image_generation.nearest_distance(others, images)
    measured |= {
        f"{topic}.real.distance": (floor, 0.02),
        f"{topic}.real.nearest": (nearest, 0.001),
    }
    facts = (parameters, len(images), seconds)
    return measured | closing(measured, topic, "diffusion", "gaussian", "distance", facts)


def main() -> None:
    """Measure all or some, print, and record if asked to."""
    groups = {"recognition": recognition, "detection": detection, "generation": generation}
    run(__doc__, COMMAND, groups)


if __name__ == "__main__":
    main()
