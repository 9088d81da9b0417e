"""Measure what the section on other fields prints: ``python -m benchmarks.fields [--record]``.

It takes a minute. The notebook ``book/applications/fields`` measures all of it again.
"""

from typing import Any

from benchmarks.command import Measured, run
from companion.applications import games, medicine, speech
from companion.classifier.model import parameter_count

COMMAND = "python -m benchmarks.fields --record"
MODELS = {
    "nobody is ill": "majority",
    "one measurement": "rule",
    "logistic regression": "logistic",
    "neural network": "network",
}


def diagnoses() -> Measured:
    """Measure the classifiers over five splits, and what a base rate makes of the best."""
    table = medicine.compare_diagnoses(*medicine.load_tumours())
    groups = table.groupby("model")
    means: Any = groups.mean()
    spreads: Any = groups["balanced"].std()
    measured: Measured = {}
    for model, key in MODELS.items():
        for column in ["sensitivity", "specificity", "balanced"]:
            measured[f"fields.medicine.{key}.{column}"] = (float(means[column][model]), 0.01)
        measured[f"fields.medicine.{key}.spread"] = (float(spreads[model]), 0.01)
    best = means.loc["logistic regression"]
    shares = float(best["sensitivity"]), float(best["specificity"])
    seconds = float(best["seconds"])
    return measured | {
        "fields.medicine.value_in_data": (medicine.predictive_value(*shares, 212 / 569), 0.01),
        "fields.medicine.value_in_screening": (medicine.predictive_value(*shares, 0.01), 0.08),
        "fields.medicine.score": (float(best["balanced"]), 0.01),
        "fields.medicine.baseline": (float(means["balanced"]["one measurement"]), 0.01),
        "fields.medicine.spread": (float(spreads["logistic regression"]), 0.01),
        "fields.medicine.parameters": (31, 0),
        "fields.medicine.examples": (398, 0),
        "fields.medicine.seconds": (seconds, 4 * seconds),
    }


def recognition() -> Measured:
    """Measure the word error rates on synthesised digits."""
    training, testing = speech.digit_utterances(400, 0), speech.digit_utterances(150, 1)
    study = speech.speech_study(training, testing)
    templates = speech.recognise_by_templates(training, testing)
    sphinx = speech.recognise_with_sphinx(testing[:50])
    seconds = float(study["seconds"].mean())
    return {
        "fields.speech.score": (float(study["error"].mean()), 0.04),
        "fields.speech.spread": (float(study["error"].std()), 0.04),
        "fields.speech.baseline": (speech.word_error_rate(templates, testing), 0.01),
        "fields.speech.sphinx": (speech.word_error_rate(sphinx, testing[:50]), 0.04),
        "fields.speech.parameters": (parameter_count(study["network"][0]), 0),
        "fields.speech.examples": (400, 0),
        "fields.speech.seconds": (seconds, 4 * seconds),
    }


def playing() -> Measured:
    """Measure the level generators and the agent."""
    known = games.carve_levels(1000, 0)
    groups = games.level_study(known).groupby("generator")
    means, spreads = groups.mean(), groups["solvable"].std()
    lake, learned = games.frozen_lake(), games.agent_study()
    seconds = float(means["seconds"]["network"])
    measured: Measured = {}
    for generator in ["rule", "counting", "network"]:
        for column in ["solvable", "new"]:
            measured[f"fields.games.{generator}.{column}"] = (
                float(means[column][generator]),
                0.03,
            )
        measured[f"fields.games.{generator}.spread"] = (float(spreads[generator]), 0.03)
    for number in learned:
        measured[f"fields.agent.success_{number}"] = (float(learned[number].mean()), 0.02)
        measured[f"fields.agent.spread_{number}"] = (float(learned[number].std()), 0.02)
    return measured | {
        "fields.agent.random": (games.success(lake, games.random_policy(lake)), 1e-6),
        "fields.agent.plan": (games.success(lake, games.plan(lake)), 1e-6),
        "fields.games.score": (float(means["solvable"]["network"]), 0.03),
        "fields.games.baseline": (float(means["solvable"]["counting"]), 0.03),
        "fields.games.spread": (float(spreads["network"]), 0.03),
        "fields.games.parameters": (parameter_count(games.NetworkLevels()), 0),
        "fields.games.examples": (1000, 0),
        "fields.games.seconds": (seconds, 4 * seconds),
    }


def main() -> None:
    """Measure all or some, print, and record if asked to."""
    groups = {"diagnoses": diagnoses, "recognition": recognition, "playing": playing}
    run(__doc__, COMMAND, groups)


if __name__ == "__main__":
    main()
