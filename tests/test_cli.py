"""The command line, as a person uses it: real training, real files, pipes and exit codes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from companion.cli import main
from tests.conftest import news


def companion(*arguments: str | Path, stdin: str | bytes | None = None) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments], input=stdin)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cli")
    frame = news(30).rename(columns={"text": "headline", "label": "topic"})
    frame.to_csv(folder / "news.csv", index=False)
    result = companion(
        "train",
        "--data",
        folder / "news.csv",
        "--text",
        "headline",
        "--label",
        "topic",
        "--epochs",
        "4",
        "--output",
        folder / "model",
        "--device",
        "cpu",
    )
    assert result.exit_code == 0, result.output
    assert "TF-IDF + logistic regression" in result.stdout
    assert "majority class" in result.stdout
    assert "54 training" not in result.stdout
    return folder


def test_help_says_what_there_is() -> None:
    result = companion("--help")
    assert result.exit_code == 0
    for command in ("train", "evaluate", "predict", "corpora"):
        assert command in result.stdout
        assert companion(command, "--help").exit_code == 0


def test_help_does_not_wait_for_torch() -> None:
    program = (
        "import sys\nfrom click.testing import CliRunner\nfrom companion.cli import main\n"
        "CliRunner().invoke(main, ['--help'])\n"
        "print([m for m in ('torch', 'pandas', 'matplotlib') if m in sys.modules])"
    )
    outcome = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert outcome.stdout.strip() == "[]"


def test_evaluate_finds_its_test_documents_again(trained: Path) -> None:
    recorded = json.loads((trained / "model" / "classifier.json").read_text())["provenance"]["test"]
    result = companion("evaluate", trained / "model", "--json", "--device", "cpu")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["test"] == pytest.approx(recorded)
    table = companion("evaluate", trained / "model")
    assert "A row is the true class" in table.stdout


def test_evaluate_on_a_file(trained: Path) -> None:
    result = companion("evaluate", trained / "model", "--data", trained / "news.csv", "--json")
    assert json.loads(result.stdout)["test"]["documents"] == 90


def test_every_report_has_the_baselines(trained: Path) -> None:
    for arguments in ([], ["--data", trained / "news.csv"]):
        report = json.loads(companion("evaluate", trained / "model", *arguments, "--json").stdout)
        assert set(report["baselines"]) == {"majority class", "TF-IDF + logistic regression"}
        assert "majority class" in companion("evaluate", trained / "model", *arguments).stdout


def test_evaluate_without_its_file_says_so(trained: Path, tmp_path: Path) -> None:
    frame = news(10)
    frame.to_csv(tmp_path / "gone.csv", index=False)
    model = tmp_path / "model"
    assert (
        companion(
            "train", "--data", tmp_path / "gone.csv", "--epochs", "1", "--output", model
        ).exit_code
        == 0
    )
    (tmp_path / "gone.csv").write_text("text,label\nchanged,a\n")
    result = companion("evaluate", model)
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert "gone or changed since the training" in result.stderr
    frame.to_csv(tmp_path / "other.csv", index=False)
    result = companion("evaluate", model, "--data", tmp_path / "other.csv")
    assert result.exit_code == 0
    assert "No baselines: the training documents are gone or changed" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "stdin"),
    [
        (["the goal of the match", "bank shares"], None),
        (["-"], "the goal of the match\n\nbank shares\n"),
        ([], "the goal of the match\r\nbank shares"),
    ],
)
def test_predict_from_arguments_and_pipes(
    trained: Path, arguments: list[str], stdin: str | None
) -> None:
    result = companion("predict", trained / "model", *arguments, stdin=stdin)
    assert result.exit_code == 0, result.output
    rows = [line.split("\t") for line in result.stdout.splitlines()]
    assert [(label, text) for label, _, text in rows] == [
        ("sport", "the goal of the match"),
        ("money", "bank shares"),
    ]
    assert all(0 < float(probability) <= 1 for _, probability, _ in rows)


def test_predict_a_file_as_json(trained: Path) -> None:
    result = companion("predict", trained / "model", "--data", trained / "news.csv", "--json")
    answers = [json.loads(line) for line in result.stdout.splitlines()]
    assert len(answers) == 90
    assert all(sum(answer["probabilities"].values()) == pytest.approx(1) for answer in answers)


def test_corpora_lists_the_bbc() -> None:
    assert "bbc" in companion("corpora").stdout
    assert json.loads(companion("corpora", "--json").stdout)[0]["installed"] is True


def test_two_sources_are_one_too_many(tmp_path: Path) -> None:
    for extra in (["--data", "x.csv"], ["--text", "title"]):
        result = companion("train", "--corpus", "bbc", *extra, "--output", tmp_path / "model")
        assert result.exit_code == 2
        assert not (tmp_path / "model").exists()


ROWS = "text,label\n" + "".join(
    f"{label} words {number},{label}\n" for number in range(9) for label in ("yes", "no")
)

BAD_TABLES = {
    "empty": (b"", "the file is empty"),
    "header only": (b"text,label\n", "a header and no row below it"),
    "one class": (b"text,label\nhello,a\nworld,a\nagain,a\n", "one class, 'a'"),
    "one row": (b"text,label\nhello,a\n", "one class, 'a'"),
    "missing column": (
        b"title,label\nhello,a\n",
        "no column 'text'; the columns are 'title', 'label'",
    ),
    "missing text": (ROWS.encode() + b",yes\n", "row 19: the text has no letter"),
    "missing label": (ROWS.encode() + b"hello,\n", "row 19: the label is missing"),
    "empty after cleaning": (ROWS.encode() + b"?!,yes\n", "row 19: the text has no letter"),
    "single example": (
        ROWS.encode() + b"hello,rare\n",
        "the class 'rare' has 1 document(s) (first in row 19)",
    ),
    "not UTF-8": (
        ROWS.encode() + "caf\xe9,yes\n".encode("latin-1"),
        "line 20: the byte 0xe9 is not UTF-8",
    ),
    "zero byte": (ROWS.encode() + b"a\0b,yes\n", "line 20: a zero byte"),
    "too many fields": (ROWS.encode() + b"hello, world, again,yes\n", "not a proper table"),
    "open quote": (ROWS.encode() + b'"hello,yes\n', "not a proper table"),
}
BAD_JSON = {
    "no JSON": (b'{"text": "x", "label": "a"}\n{"text": \n', "line 2: not JSON"),
    "no object": (b'["x", "a"]\n', "line 1: list is no object"),
    "mixed labels": (
        b'{"text":"x","label":"a"}\n{"text":"y","label":"b"}\n{"text":"z","label":3}\n',
        "row 3: labels are mixed",
    ),
    "number as text": (b'{"text":"x","label":"a"}\n{"text":7,"label":"b"}\n', "row 2: not a text"),
    "fractions as labels": (
        b'{"text":"x","label":0.5}\n{"text":"y","label":1}\n',
        "row 1: the label is neither",
    ),
    "null label": (b'{"text":"x","label":null}\n', "row 1: the label is missing"),
    "key missing": (b'{"text":"x","label":"a"}\n{"label":"b"}\n', "row 2: the text has no letter"),
}
BAD_FILES = (
    {f"{name}.csv": value for name, value in BAD_TABLES.items()}
    | {f"{name}.jsonl": value for name, value in BAD_JSON.items()}
    | {
        "torn.parquet": (b"PAR1 and then nothing", "not a Parquet file"),
        "sheet.xlsx": (b"PK", "the ending '.xlsx' is not known"),
    }
)


@pytest.mark.parametrize("name", BAD_FILES)
def test_bad_data_gives_one_clear_line(name: str, tmp_path: Path) -> None:
    data, message = BAD_FILES[name]
    path = tmp_path / name
    path.write_bytes(data)
    result = companion("train", "--data", path, "--output", tmp_path / "model", "--epochs", "1")
    assert result.exit_code == 2, result.output
    lines = [line for line in result.stderr.splitlines() if line]
    assert len(lines) == 1, lines
    assert message in lines[0]
    assert result.stdout == ""
    assert not (tmp_path / "model").exists(), "nothing is left half written"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["train", "--data", "nowhere.csv", "--output", "{tmp}/model"],
            "nowhere.csv: no such file",
        ),
        (["train", "--corpus", "imdb", "--output", "{tmp}/model"], "there is no corpus 'imdb'"),
        (["train", "--output", "{tmp}/file"], "cannot be a folder"),
        (["train", "--epochs", "0", "--output", "{tmp}/model"], "epochs is 0"),
        (["evaluate", "{tmp}/model"], "no saved classifier"),
        (["predict", "{tmp}/model", "text"], "no saved classifier"),
        (["predict", "{trained}", "!!!"], "row 1: '!!!' has no letter"),
        (["predict", "{trained}", "--data", "{trained}"], "is a folder"),
        (["predict", "{trained}", "text", "--device", "mps"], "'mps' is not on this machine"),
        (
            [
                "evaluate",
                "{trained}",
                "--data",
                "{tmp}/other.csv",
                "--text",
                "text",
                "--label",
                "label",
            ],
            "row 1: the model was not trained on the label 'weather'",
        ),
    ],
)
def test_bad_arguments_give_one_clear_line(
    arguments: list[str],
    message: str,
    trained: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: False)
    (tmp_path / "file").write_text("")
    (tmp_path / "other.csv").write_text("text,label\nrain,weather\n")
    result = companion(
        *[argument.format(tmp=tmp_path, trained=trained / "model") for argument in arguments]
    )
    assert result.exit_code == 2, result.output
    assert message in result.stderr
    assert result.stderr.strip().count("\n") == 0


def test_bytes_that_are_not_utf8_in_a_pipe(trained: Path) -> None:
    result = companion("predict", trained / "model", "-", stdin=b"goal\ncaf\xe9\n")
    assert result.exit_code == 2
    assert "standard input, line 2: not UTF-8" in result.stderr


def test_ctrl_c_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("companion.classifier.training.train", interrupt)
    news(10).to_csv(tmp_path / "news.csv", index=False)
    result = companion("train", "--data", tmp_path / "news.csv", "--output", tmp_path / "model")
    assert result.exit_code != 0
    assert not list((tmp_path / "model").glob("*"))
