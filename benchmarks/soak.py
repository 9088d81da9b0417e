"""Kill a training at random moments, half of them as it writes, resume it, compare the weights.

``python -m benchmarks.soak`` kills 50 times and prints the figures; ``--record`` writes them into
the results ledger. The trainings are real, and small enough to be killed often: each saves its
state after every step, in a process of its own that gets SIGKILL.
"""

import argparse
import contextlib
import hashlib
import json
import multiprocessing
import shutil
import tempfile
import threading
import time
from dataclasses import dataclass
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from companion import ledger
from companion.classifier.checkpoint import load_classifier, read_description, save_classifier
from companion.classifier.configuration import Configuration
from companion.classifier.corpus import split_corpus
from companion.classifier.state import STATE_FILE, remove_state
from companion.classifier.training import train
from companion.files import TEMPORARY_SUFFIX

__all__ = ["COMMAND", "MOMENTS", "Figures", "results", "soak"]

COMMAND = "python -m benchmarks.soak --record"
MOMENTS = 50
_KILLS_A_TRAINING = 5
# Loaded once, so that a process trains after some milliseconds; optimizers load the last.
_PRELOADED = [train.__module__, save_classifier.__module__, "torch._dynamo"]
_TOPICS = {
    "sport": ["goal", "match", "team", "coach", "league", "season", "striker", "penalty"],
    "money": ["bank", "shares", "profit", "market", "rates", "debt", "growth", "trade"],
}
_COMMON = ["the", "a", "of", "and", "to", "in", "new", "said", "after", "over", "week", "report"]


@dataclass
class Figures:
    """What happened.

    Attributes:
        kills: SIGKILLs that ended a process.
        kills_amid_a_write: Those that left a temporary file that was still being written.
        resumes: Processes that went on from a saved state.
        damaged: Kills after which no whole state was left although there had been one before.
        mismatches: Trainings whose weights or history differ from those of the uninterrupted one.
        trainings: Trainings that were killed and came to their end.
    """

    kills: int = 0
    kills_amid_a_write: int = 0
    resumes: int = 0
    damaged: int = 0
    mismatches: int = 0
    trainings: int = 0


def documents(seed: int = 0) -> pd.DataFrame:
    """Draw 80 documents of two topics."""
    generator = np.random.default_rng(seed)
    rows = [
        (" ".join(generator.choice([*_COMMON, *words], 20)), label)
        for label, words in _TOPICS.items()
        for _ in range(40)
    ]
    return pd.DataFrame(rows, columns=["text", "label"])


def work(folder: str) -> None:
    """Train into a folder, or go on; save the classifier; drop the state."""
    torch.set_num_threads(1)
    tqdm.set_lock(threading.RLock())  # its own is a semaphore, which a SIGKILL leaves behind
    splits = split_corpus(documents())
    configuration = Configuration(
        embedding_size=64, hidden_size=64, epochs=4, batch_size=4, window=8, training_words=16
    )
    run = train(
        splits.train,
        splits.validation,
        configuration,
        device="cpu",
        progress=False,
        checkpoint=folder,
        checkpoint_every=0,
    )
    history = json.loads(run.history.to_json(double_precision=15))
    save_classifier(run.classifier, folder, provenance={"history": history})
    remove_state(folder)


def soak(moments: int, seed: int = 0, kills_a_training: int = _KILLS_A_TRAINING) -> Figures:
    """Kill trainings at so many moments and finish each of them.

    Args:
        moments: How often to kill.
        seed: Fixes the moments, as far as a clock can.
        kills_a_training: How often one training is killed before it may end.

    Returns:
        The figures.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_PRELOADED)
    generator = np.random.default_rng(seed)
    figures = Figures()
    with tempfile.TemporaryDirectory() as directory:
        folder = Path(directory) / "uninterrupted"
        _run(context, folder).join()  # starts the server, which loads torch
        shutil.rmtree(folder)
        start = time.monotonic()
        _run(context, folder).join()
        seconds = time.monotonic() - start
        expected = _fingerprint(folder)
        while figures.kills < moments:
            folder = Path(directory) / f"training-{figures.trainings}"
            left = min(kills_a_training, moments - figures.kills)
            _kill_and_finish(context, folder, left, seconds, generator, figures)
            figures.trainings += 1
            figures.mismatches += _fingerprint(folder) != expected
    return figures


def _kill_and_finish(
    context: ForkServerContext,
    folder: Path,
    kills: int,
    seconds: float,
    generator: np.random.Generator,
    figures: Figures,
) -> None:
    """Kill a training some times, fewer if it ends before, and let it end."""
    for _ in range(kills):
        had_state = (folder / STATE_FILE).exists()
        figures.resumes += had_state
        process = _run(context, folder)
        if generator.random() < 1 / 2:
            _wait_for_a_write(process, folder, after=int(generator.integers(1, 20)))
        else:
            process.join(generator.uniform(0, seconds))
        process.kill()
        process.join()
        if process.exitcode != -9:
            return
        figures.kills += 1
        figures.kills_amid_a_write += any(folder.glob(f"*{TEMPORARY_SUFFIX}"))
        figures.damaged += had_state and not (
            (folder / STATE_FILE).exists() or (folder / "classifier.json").exists()
        )
    figures.resumes += (folder / STATE_FILE).exists()
    process = _run(context, folder)
    process.join()
    if process.exitcode:
        raise RuntimeError(f"a resumed training failed with exit code {process.exitcode}")


def _run(context: ForkServerContext, folder: Path) -> ForkServerProcess:
    process = context.Process(target=work, args=(str(folder),))
    process.start()
    return process


def _wait_for_a_write(process: ForkServerProcess, folder: Path, after: int) -> None:
    """Return when a temporary file is there, for the ``after``-th time, or the process is done."""
    seen = set[str]()
    while process.is_alive() and len(seen) < after:
        with contextlib.suppress(OSError):
            seen |= {path.name for path in folder.glob(f"*{TEMPORARY_SUFFIX}")}
        time.sleep(1e-4)


def _fingerprint(folder: Path) -> str:
    """Digest the weights, bit by bit, and the history of the classifier in a folder."""
    digest = hashlib.sha256()
    for name, value in load_classifier(folder, device="cpu").model.state_dict().items():
        digest.update(name.encode())
        digest.update(value.numpy().tobytes())
    digest.update(json.dumps(read_description(folder)["provenance"]).encode())
    return digest.hexdigest()


def results(figures: Figures) -> dict[str, tuple[float, float]]:
    """Give each figure of a soak a name of the ledger, with its value and its tolerance."""
    return {
        "soak.kills": (figures.kills, 0),
        "soak.mismatches": (figures.mismatches, 0),
        "soak.damaged_states": (figures.damaged, 0),
        # How many kills hit a write, and find a state, is a matter of the clock.
        "soak.kills_amid_a_write": (figures.kills_amid_a_write, 30),
        "soak.resumes": (figures.resumes, 20),
    }


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--record", action="store_true", help="write the results ledger")
    parser.add_argument("--moments", type=int, default=MOMENTS, help="how often to kill")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    start = time.monotonic()
    figures = soak(options.moments, options.seed)
    print(f"{figures} in {time.monotonic() - start:.0f} s")
    if options.record:
        for name, (value, tolerance) in results(figures).items():
            ledger.record(name, value, tolerance=tolerance, command=COMMAND, seed=options.seed)


if __name__ == "__main__":
    main()
