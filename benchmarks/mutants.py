"""Change the pipeline in places drawn at random, and count the changes that no test notices.

``python -m benchmarks.mutants`` makes every mutant of ``companion/classifier`` (mutmut, in the
folder ``mutants``), draws 450, and asks the quick tests about each. What they do not notice is
asked once more of all tests of its module, slow ones and those that mutmut's forked processes
cannot run, in a process of its own. It prints the share that is noticed and its 95 % interval, and
names the rest. All six thousand would take a night; 450 take half an hour on two cores.
"""

import argparse
import json
import os
import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from scipy.stats import binomtest

FOLDER = Path("mutants")
ANY = "companion.classifier.batches.x_pad__mutmut_1"
# The tests of a module whose name they do not have.
TESTS = {
    "checkpoint": ("classifier/test_checkpoint.py", "safety/test_hostile_files.py"),
    "corpus": ("classifier/test_corpus.py", "safety/test_hostile_files.py"),
    "device": ("classifier/test_training.py", "classifier/test_estimator.py"),
    "inference": ("classifier/test_training.py", "classifier/test_estimator.py"),
    "serving": ("classifier/test_export.py",),
    "tables": ("classifier/test_corpus.py", "safety/test_hostile_files.py"),
}
_ENVIRONMENT = {
    "ARROW_NUM_THREADS": "1",
    "HF_HUB_OFFLINE": "1",
    "JUPYTER_PLATFORM_DIRS": "1",
    "OMP_NUM_THREADS": "1",
    "PYTHONHASHSEED": "0",
}


def exit_codes() -> dict[str, int | None]:
    """Read what mutmut has found out: 1 where a test failed, None where nothing was asked."""
    codes: dict[str, int | None] = {}
    for path in FOLDER.glob("companion/classifier/*.meta"):
        codes.update(json.loads(path.read_text("utf-8"))["exit_code_by_key"])
    return codes


def ask_quick_tests(names: list[str], processes: int) -> None:
    """Let mutmut ask about some mutants; the first time, it makes all of them."""
    command = [sys.executable, "-m", "mutmut", "run", "--max-children", str(processes), *names]
    environment = {**os.environ, **_ENVIRONMENT}
    environment.pop("PYTHONPATH", None)  # which would put the unchanged package first
    subprocess.run(command, env=environment, check=True)


def is_noticed(name: str) -> bool:
    """Ask all tests of the mutant's module, in a process of its own."""
    module = name.split(".")[2]
    tests = [f"tests/{file}" for file in TESTS.get(module, (f"classifier/test_{module}.py",))]
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests],
        cwd=FOLDER,
        env={
            **os.environ,
            **_ENVIRONMENT,
            "MUTANT_UNDER_TEST": name,
            "PYTHONPATH": str(FOLDER.resolve()),
        },
        capture_output=True,
        text=True,
    )
    if run.returncode not in (0, 1):
        raise RuntimeError(f"{name}: pytest ended with {run.returncode}\n{run.stdout[-2000:]}")
    return run.returncode == 1


def main() -> None:
    """Make the mutants, draw some, ask about them, and print the share that is noticed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sample", type=int, default=450, help="how many mutants are drawn")
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    ask_quick_tests([ANY], arguments.processes)
    everything = sorted(exit_codes())
    drawn = random.Random(0).sample(everything, min(arguments.sample, len(everything)))
    ask_quick_tests(drawn, arguments.processes)
    codes = exit_codes()
    undecided = [name for name in drawn if codes[name] in (None, 0, 33)]  # 33: no quick test
    with ThreadPoolExecutor(arguments.processes) as pool:
        answers = dict(zip(undecided, pool.map(is_noticed, undecided), strict=True))
    unnoticed = [name for name, is_seen in answers.items() if not is_seen]
    noticed = len(drawn) - len(unnoticed)
    interval = binomtest(noticed, len(drawn)).proportion_ci(method="wilson")
    print("\n".join(unnoticed))
    print(
        f"{noticed} of {len(drawn)} drawn from {len(everything):,} are noticed: "
        f"{noticed / len(drawn):.1%}, with 95 % between {interval.low:.1%} and {interval.high:.1%}"
    )


if __name__ == "__main__":
    main()
