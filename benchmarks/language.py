"""Measure what the section on language prints: ``python -m benchmarks.language [small] [llm]``.

With ``--record`` the values go into the ledger. ``small`` takes about a minute, and the notebook
``book/applications/language`` measures it again; ``llm`` loads SmolLM2, which takes another.
"""

import argparse
from statistics import mean

import torch

from companion import ledger
from companion.applications.language import (
    SETTINGS,
    compare_sampling,
    compare_topics,
    load_small_llm,
    real_and_shuffled,
    train_writers,
)
from companion.applications.translation import compare_translators
from companion.classifier.corpus import load_corpus, split_corpus
from companion.classifier.model import parameter_count
from companion.concepts.ngram import CharacterCounts, perplexity, plain_characters

COMMAND = "python -m benchmarks.language small --record"
LLM_COMMAND = "python -m benchmarks.language llm --record"
Values = dict[str, tuple[float, float]]


def translation() -> Values:
    """Dates by words, by rule and by networks."""
    table = compare_translators()
    groups = table.groupby(["system", "test"])
    exact, bleu = groups["exact"].mean(), groups["bleu"].mean()
    values: Values = {}
    for system in ("words", "rule", "network"):
        loose = system == "network"
        for test in ("held out", "typos", "later years"):
            name = f"language.translation.{system}.{test.replace(' ', '_')}"
            tolerance = {"held out": 0.02, "typos": 0.1, "later years": 0.15}[test] if loose else 0
            values[f"{name}.exact"] = (exact[system, test], tolerance)
            values[f"{name}.bleu"] = (bleu[system, test], 100 * tolerance / 2 if loose else 0.01)
    network = table[table["system"] == "network"]
    held_out = network[network["test"] == "held out"]
    return values | {
        "language.translation.score": (held_out["exact"].mean(), 0.02),
        "language.translation.baseline": (exact["rule", "held out"], 0),
        "language.translation.spread": (held_out["exact"].std(), 0.02),
        "language.translation.typos_spread": (
            network.loc[network["test"] == "typos", "exact"].std(),
            0.06,
        ),
        "language.translation.parameters": (network["parameters"].iloc[0], 0),
        "language.translation.examples": (4000, 0),
        **_seconds("language.translation", held_out["seconds"].mean()),
    }


def generation() -> Values:
    """A decoder against counts, and how it draws."""
    splits = split_corpus(load_corpus())
    train = plain_characters(splits.train["text"])[:1_000_000]
    test = plain_characters(splits.test["text"])[:40_000]
    models, table = train_writers(train, test)
    values = {
        "language.generation.score": (table["perplexity"].mean(), 0.2),
        "language.generation.baseline": (perplexity(CharacterCounts(train, 6).loss(test)), 0.001),
        "language.generation.spread": (table["perplexity"].std(), 0.15),
        "language.generation.parameters": (table["parameters"].iloc[0], 0),
        "language.generation.examples": (len(train), 0),
        **_seconds("language.generation", table["seconds"].mean()),
    }
    sampled = compare_sampling(models[0], train, test)
    for number, setting in enumerate(SETTINGS):
        for column, tolerance in [("entropy", 0.1), ("known", 0.05), ("distinct", 0.05)]:
            value = float(sampled[column][setting])
            values[f"language.sampling.{number}.{column}"] = (value, tolerance)
    return values


def classification() -> Values:
    """Rules and naive Bayes on topics."""
    table = compare_topics(load_corpus())
    return {
        "language.classification.score": (table["naive Bayes"].mean(), 0.002),
        "language.classification.baseline": (table["rules"].mean(), 0.001),
        "language.classification.spread": (table["naive Bayes"].std(), 0.002),
        "language.classification.parameters": (table["parameters"].iloc[0], 0),
        "language.classification.examples": (table["examples"].iloc[0], 0),
        **_seconds("language.classification", mean(table["seconds"])),
    }


def llm() -> Values:
    """SmolLM2 on twenty real texts, and on their words in a random order."""
    texts = split_corpus(load_corpus()).test["text"].head(20).tolist()
    tokenizer, model = load_small_llm()
    measured = real_and_shuffled(tokenizer, model, texts)
    return {
        "language.llm.real": (measured["real"], 1.0),
        "language.llm.shuffled": (measured["shuffled"], 40.0),
        "language.llm.per_character": (measured["per_character"], 0.05),
        "language.llm.parameters": (parameter_count(model), 0),
    }


def _seconds(scenario: str, value: float) -> Values:
    return {f"{scenario}.seconds": (value, 4 * value)}


def small() -> Values:
    """All that the notebook measures again."""
    return translation() | generation() | classification()


def main() -> None:
    """Measure, print, and record if asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=["small", "llm"], help="small, llm")
    parser.add_argument(
        "--record", action="store_true", help="write the values into book/results/language.json"
    )
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    groups = {"small": (small, COMMAND), "llm": (llm, LLM_COMMAND)}
    for group in arguments.names:
        measure, command = groups[group]
        for name, (value, tolerance) in measure().items():
            print(f"{name} = {value:.4f}")
            if arguments.record:
                unit = "s" if name.endswith(".seconds") else ""
                ledger.record(name, value, tolerance=tolerance, command=command, unit=unit)


if __name__ == "__main__":
    main()
