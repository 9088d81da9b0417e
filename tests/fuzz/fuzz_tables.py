"""Fuzz the readers of table files. The first byte chooses the format, the rest is the file."""

import contextlib
import shutil
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["companion", "csv", "json"]):
    from companion.classifier.corpus import (
        iterate_texts,
        read_table,
        read_texts,
        remove_duplicates,
        split_corpus,
    )
    from companion.errors import CompanionError

SUFFIXES = (".csv", ".tsv", ".jsonl", ".parquet")
SEEDS = {
    ".csv": [b"text,label\nhello,a\n", '\ufefftext,label\r\n"a ""b"", c\nd",é\r\n'.encode()],
    ".tsv": [b"text\tlabel\nhello\ta\n"],
    ".jsonl": [b'{"text": "x", "label": 1.0}\n{"text": "\\ud83d\\ude80", "label": null}\n'],
}
FOLDER = Path(tempfile.mkdtemp(dir="/dev/shm" if Path("/dev/shm").is_dir() else None))


def one_input(data: bytes) -> None:
    """Read a file of these bytes by every door."""
    suffix = SUFFIXES[data[0] % len(SUFFIXES)] if data else ".csv"
    path = FOLDER / f"table{suffix}"
    path.write_bytes(data[1:])
    for read in (lambda: list(iterate_texts(path, rows=2)), lambda: read_texts(path)):
        try:
            read()
        except CompanionError as error:
            str(error).encode("utf-8")
    with contextlib.suppress(CompanionError):
        split_corpus(remove_duplicates(read_table(path)))


def _corpus() -> str:
    """Write the files to start from, a Parquet file among them."""
    import pandas as pd

    folder = FOLDER / "corpus"
    folder.mkdir()
    frame = pd.DataFrame({"text": ["one", "two", "one"], "label": ["a", "b", "a"]})
    seeds = {**SEEDS, ".parquet": [frame.to_parquet(compression=None)]}
    for suffix, files in seeds.items():
        for number, content in enumerate(files):
            first = bytes([SUFFIXES.index(suffix)])
            (folder / f"{suffix[1:]}-{number}").write_bytes(first + content)
    return str(folder)


if __name__ == "__main__":
    has_inputs = any(not argument.startswith("-") for argument in sys.argv[1:])
    arguments = [] if has_inputs else ["-max_len=4096", _corpus()]
    atheris.Setup([*sys.argv, *arguments], one_input)
    try:
        atheris.Fuzz()
    finally:
        shutil.rmtree(FOLDER)
