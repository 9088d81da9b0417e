"""A corpus becomes files of token ids, which train as the table in memory does."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from companion.classifier import corpus as corpus_module
from companion.classifier import tables, token_files
from companion.classifier.configuration import Configuration
from companion.classifier.corpus import iterate_corpus
from companion.classifier.encoded_corpus import EncodedCorpus
from companion.classifier.text import Vocabulary, tokenize
from companion.classifier.token_files import encode_corpus
from companion.classifier.training import train, train_tables
from companion.errors import CompanionError, DataError, OutputError
from tests.conftest import news


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tables, "_ROWS_A_CHUNK", 25)
    news(60).to_csv(tmp_path / "news.csv", index=False)
    return tmp_path / "news.csv"


def held_out(rows: int, configuration: Configuration, fraction: float = 0.1) -> np.ndarray:
    """Draw what the encoder draws: parts of 25 from one generator are one row of numbers."""
    return np.random.default_rng(configuration.seed).random(rows) < fraction


def encode(table: Path, configuration: Configuration, **choices: object) -> EncodedCorpus:
    folder = table.parent / f"encoded-{len(list(table.parent.iterdir()))}"
    options = {"validation_fraction": 0.1, "progress": False} | choices
    return EncodedCorpus.open(encode_corpus(table, folder, configuration, **options))  # type: ignore[arg-type]


def test_the_files_hold_what_the_texts_say(table: Path, small: Configuration) -> None:
    configuration = dataclasses.replace(small, maximum_words=12)
    corpus = encode(table, configuration)
    frame = pd.read_csv(table)
    is_held_out = held_out(len(frame), configuration)
    for part, rows in ((corpus.training, ~is_held_out), (corpus.validation, is_held_out)):
        expected = [tokenize(text)[:12] for text in frame["text"][rows]]
        known = [
            [word if word in corpus.vocabulary else "<unk>" for word in each] for each in expected
        ]
        given = [corpus.vocabulary.decode(part.tokens[row]) for row in range(len(part.tokens))]
        assert given == known
        assert [corpus.labels[label] for label in part.labels] == frame["label"][rows].tolist()
    tokens = [tokenize(text) for text in frame["text"][~is_held_out]]
    assert corpus.vocabulary.tokens == Vocabulary.build(tokens).tokens


def test_training_on_the_files_is_training_on_the_table(table: Path, small: Configuration) -> None:
    corpus = encode(table, small)
    frame = pd.read_csv(table)
    is_held_out = held_out(len(frame), small)
    expected = train(frame[~is_held_out], frame[is_held_out], small, device="cpu", progress=False)
    given = train_tables(
        corpus.training,
        corpus.validation,
        corpus.vocabulary,
        corpus.labels,
        small,
        device="cpu",
        progress=False,
    )
    pd.testing.assert_frame_equal(given.history, expected.history, check_exact=True)


@pytest.mark.slow
def test_several_processes_write_the_same_files(table: Path, small: Configuration) -> None:
    encode(table, small)
    encode(table, small, processes=2)
    one, two = sorted(path for path in table.parent.iterdir() if path.is_dir())
    for path in one.rglob("*.*"):
        assert path.read_bytes() == (two / path.relative_to(one)).read_bytes(), path


def test_a_file_that_changes_between_the_passes(
    table: Path, small: Configuration, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = iter([60, 59])

    def changing(*_: object, **__: object) -> Iterator[pd.DataFrame]:
        yield news(next(sizes))

    monkeypatch.setattr(token_files, "iterate_corpus", changing)
    with pytest.raises(DataError, match="changed while it was read"):
        encode(table, small)


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"validation_fraction": 0.0}, "validation_fraction is 0.0"),
        ({"validation_fraction": 1e-9}, "too few documents to hold some out"),
        ({"processes": 0}, "processes is 0"),
        ({"label": "text"}, "too few documents"),
        ({"text": "title"}, "no column 'title'"),
    ],
)
def test_what_cannot_be_encoded(
    choices: dict[str, object], message: str, table: Path, small: Configuration
) -> None:
    with pytest.raises(CompanionError, match=message):
        encode(table, small, **choices)


def test_a_folder_with_other_files_is_left_alone(table: Path, small: Configuration) -> None:
    with pytest.raises(OutputError, match="is not empty"):
        encode_corpus(table, table.parent, small)


def test_a_corpus_that_was_not_finished_is_refused(table: Path, small: Configuration) -> None:
    encode(table, small)
    folder = next(path for path in table.parent.iterdir() if path.is_dir())
    description = folder / "corpus.json"
    content = description.read_text(encoding="utf-8")
    description.write_text(content.replace('"sport"', '"sport", "other"'), encoding="utf-8")
    EncodedCorpus.open(folder)
    description.write_text(content.replace(', "sport"', ""), encoding="utf-8")
    with pytest.raises(DataError, match="out of range"):
        EncodedCorpus.open(folder)
    description.unlink()
    with pytest.raises(DataError, match="no whole corpus"):
        EncodedCorpus.open(folder)


def test_a_bad_row_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "_ROWS_A_CHUNK", 2)
    path = tmp_path / "news.csv"
    path.write_text("text,label\na goal,sport\na bank,money\na match,sport\n???,money\n")
    parts = iterate_corpus(path)
    assert next(parts)["label"].tolist() == ["sport", "money"]
    with pytest.raises(DataError, match=r"from row 3, row 2: the text has no letter"):
        next(parts)


def test_a_data_set_of_the_hub_is_read_as_a_stream(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    datasets = pytest.importorskip("datasets")
    features = datasets.Features(
        {"title": datasets.Value("string"), "topic": datasets.ClassLabel(names=["money", "sport"])}
    )
    rows = {"title": ["a goal", "a bank", "a match"], "topic": [1, 0, 1]}
    stream = datasets.Dataset.from_dict(rows, features=features).to_iterable_dataset()
    asked: dict[str, object] = {}

    def load(name: str, **choices: object) -> object:
        asked.update(choices, name=name)
        return stream

    monkeypatch.setattr(datasets, "load_dataset", load)
    monkeypatch.setattr(corpus_module, "_ROWS_OF_THE_HUB", 2)
    parts = list(iterate_corpus("owner/news", text="title", label="topic"))
    assert asked == {"name": "owner/news", "split": "train", "streaming": True}
    assert [part["label"].tolist() for part in parts] == [["sport", "money"], ["sport"]]
    with pytest.raises(DataError, match="no column 'text'"):
        list(iterate_corpus("owner/news", label="topic"))
