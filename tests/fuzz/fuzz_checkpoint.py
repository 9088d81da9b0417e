"""Fuzz the reader of saved classifiers. The first byte chooses what the rest replaces.

0: ``classifier.json``; 1: the weights, under a checksum that is right; 2: one value of
``classifier.json``; 3: the header of the weights.
"""

import hashlib
import json
import shutil
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["companion", "json"]):
    from companion.classifier.checkpoint import load_classifier, save_classifier
    from companion.classifier.configuration import Configuration
    from companion.classifier.inference import TextClassifier
    from companion.classifier.model import LSTMClassifier
    from companion.classifier.text import Vocabulary
    from companion.errors import CompanionError

FOLDER = Path(tempfile.mkdtemp(dir="/dev/shm" if Path("/dev/shm").is_dir() else None)) / "model"
KEYS = ("format_version", "configuration", "labels", "vocabulary", "provenance", "weights")


def _save() -> tuple[dict[str, object], bytes]:
    configuration = Configuration(embedding_size=2, hidden_size=2, bidirectional=False)
    vocabulary = Vocabulary(["<pad>", "<unk>", "word"])
    model = LSTMClassifier(len(vocabulary), 2, configuration)
    save_classifier(TextClassifier(model, vocabulary, ["a", "b"], configuration), FOLDER)
    description = json.loads((FOLDER / "classifier.json").read_text())
    return description, (FOLDER / str(description["weights"])).read_bytes()


DESCRIPTION, WEIGHTS = _save()


def _write(description: bytes, weights: bytes | None = None) -> None:
    shutil.rmtree(FOLDER)
    FOLDER.mkdir()
    (FOLDER / "classifier.json").write_bytes(description)
    if weights is not None:
        name = f"weights-{hashlib.sha256(weights).hexdigest()[:16]}.safetensors"
        (FOLDER / name).write_bytes(weights)


def one_input(data: bytes) -> None:
    """Load a folder with these bytes in it; what loads must answer, too."""
    what, content = data[0] % 4 if data else 0, data[1:]
    if what == 0:
        _write(content, WEIGHTS)
    elif what == 2:
        key = KEYS[content[0] % len(KEYS)] if content else "labels"
        whole = json.dumps({**DESCRIPTION, key: "@"}).encode()
        _write(whole.replace(b'"@"', content[1:]), WEIGHTS)
    else:
        length = int.from_bytes(WEIGHTS[:8], "little")
        header = len(content).to_bytes(8, "little") + content + WEIGHTS[8 + length :]
        weights = content if what == 1 else header
        digest = hashlib.sha256(weights).hexdigest()
        name = f"weights-{digest[:16]}.safetensors"
        changes = {"weights": name, "weights_sha256": digest}
        _write(json.dumps(DESCRIPTION | changes).encode(), weights)
    try:
        load_classifier(FOLDER, device="cpu").predict(["word", "another"])
    except CompanionError as error:
        str(error).encode("utf-8")


def _corpus() -> str:
    """Write the files to start from."""
    folder = FOLDER.parent / "corpus"
    folder.mkdir()
    length = int.from_bytes(WEIGHTS[:8], "little")
    seeds = [b"\0" + json.dumps(DESCRIPTION).encode(), b"\1" + WEIGHTS]
    seeds += [
        bytes([2, place]) + json.dumps(DESCRIPTION[key]).encode() for place, key in enumerate(KEYS)
    ]
    seeds.append(b"\3" + WEIGHTS[8 : 8 + length])
    for number, content in enumerate(seeds):
        (folder / str(number)).write_bytes(content)
    return str(folder)


if __name__ == "__main__":
    has_inputs = any(not argument.startswith("-") for argument in sys.argv[1:])
    # Whole files take one path through Python; keep them all, to change each.
    start = ["-max_len=4096", "-len_control=0", "-keep_seed=1", _corpus()]
    arguments = [] if has_inputs else start
    atheris.Setup([*sys.argv, *arguments], one_input)
    try:
        atheris.Fuzz()
    finally:
        shutil.rmtree(FOLDER.parent)
