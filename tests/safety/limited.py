"""Read hostile files in a process that may take only so much more memory.

``python -m tests.safety.limited MEGABYTES`` takes a JSON list of paths on standard input, reads
each by the door that its name asks for, and prints what came of each.
"""

import json
import resource
import sys
import time
from pathlib import Path

import torch

from companion.classifier.checkpoint import load_classifier
from companion.classifier.corpus import iterate_texts, read_table, read_texts
from companion.errors import CompanionError


def outcome(path: Path) -> str:
    try:
        if path.suffix in ("", ".model"):
            load_classifier(path, device="cpu").predict(["word"])
        else:
            for _ in iterate_texts(path):
                pass
            read_texts(path)
            read_table(path)
    except CompanionError as error:
        return f"{type(error).__name__}: {error}"
    except BaseException as error:
        return f"NOT OURS {type(error).__name__}: {error}"
    return "read"


def main() -> None:
    torch.set_num_threads(1)
    paths = json.loads(sys.stdin.read())
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + int(sys.argv[1]) * 1_000_000
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    results = {}
    for path in paths:
        start = time.monotonic()
        result = outcome(Path(path))
        results[Path(path).name] = {"outcome": result, "seconds": time.monotonic() - start}
    sys.stdout.write(json.dumps(results))


if __name__ == "__main__":
    main()
