"""The command line, as a person uses it: real training, real files, pipes and exit codes."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from companion.classifier.state import STATE_FILE
from companion.cli import main
from companion.errors import OutputError
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


def test_a_trained_model_says_what_made_it(trained: Path) -> None:
    stamp = json.loads((trained / "model" / "classifier.json").read_text())["provenance"]["stamp"]
    assert stamp["seeds"] == [0]
    assert {"python", "torch"} <= stamp["versions"].keys()
    assert stamp["hardware"].startswith("cpu")
    assert set(stamp) == {"git", "seeds", "versions", "hardware"}


def test_evaluate_on_a_file(trained: Path) -> None:
    result = companion("evaluate", trained / "model", "--data", trained / "news.csv", "--json")
    assert json.loads(result.stdout)["test"]["documents"] == 90


def test_every_report_has_the_baselines(trained: Path) -> None:
    for arguments in ([], ["--data", trained / "news.csv"]):
        report = json.loads(companion("evaluate", trained / "model", *arguments, "--json").stdout)
        assert set(report["baselines"]) == {"majority class", "TF-IDF + logistic regression"}
        assert "majority class" in companion("evaluate", trained / "model", *arguments).stdout


HOSTILE_PROVENANCE: list[object] = [
    {},
    {"source": "news.csv", "seed": 0},
    {"source": {"data": "news.csv"}, "seed": 0},
    {"source": {"data": 3, "text": [], "label": {}, "sha256": "00"}, "seed": 0},
    {"source": {"corpus": "bbc"}, "seed": "0"},
    {"source": {"corpus": "bbc"}, "seed": True},
    {"source": {"corpus": "bbc"}, "seed": -1},
    {"source": {"corpus": "bbc", "sha256": "00"}, "seed": 0},
    {"source": {"corpus": "../../etc"}, "seed": 0},
    {"source": {"data": "\0", "text": "t", "label": "l", "sha256": "00"}, "seed": 0},
    {"source": {"data": "/dev/zero", "text": "t", "label": "l", "sha256": "00"}, "seed": 0},
]


@pytest.mark.parametrize("provenance", HOSTILE_PROVENANCE, ids=json.dumps)
def test_a_folder_that_lies_about_its_training_is_refused(
    trained: Path, tmp_path: Path, provenance: object
) -> None:
    model = shutil.copytree(trained / "model", tmp_path / "model")
    description = json.loads((model / "classifier.json").read_text())
    description["provenance"] = provenance
    (model / "classifier.json").write_text(json.dumps(description))
    alone = companion("evaluate", model)
    assert (alone.exit_code, alone.stderr.count("\n")) == (2, 1), alone.output
    table = ["--data", trained / "news.csv", "--text", "headline", "--label", "topic"]
    with_a_table = companion("evaluate", model, *table, "--json")
    if provenance != {"source": {"corpus": "../../etc"}, "seed": 0}:
        assert with_a_table.exit_code == 0, with_a_table.output
    assert companion("predict", model, *table[:4]).exit_code == 0


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
        (["-"], "the goal of the match\nbank shares\n"),
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


# Stop and resume


@pytest.fixture
def table(tmp_path: Path) -> Path:
    news(20).to_csv(tmp_path / "the news.csv", index=False)
    return tmp_path / "the news.csv"


PROGRAM = [sys.executable, "-c", "from companion.cli import main; main(prog_name='companion')"]


def weights_of(folder: Path) -> str:
    return str(json.loads((folder / "classifier.json").read_text())["weights_sha256"])


def test_a_corpus_of_token_ids(table: Path, tmp_path: Path) -> None:
    tables, output = tmp_path / "tables", tmp_path / "of-tables"
    outcome = companion("encode", table, "--output", tables, "--validation", "0.2")
    assert outcome.exit_code == 0, outcome.output
    assert f"--tables {tables} " in outcome.output
    train = ["train", "--tables", tables, "--output", output, "--device", "cpu", "--epochs", "1"]
    report = json.loads(companion(*train, "--json").stdout)
    assert report["source"] == {"tables": str(tables)}
    assert report["documents"]["train"] > report["documents"]["validation"] > 0
    assert report["documents"]["test"] == 0
    assert 0 <= report["validation_accuracy"] <= 1
    written = json.loads((output / "classifier.json").read_text())["provenance"]
    assert {"output": str(output), **written} == report
    text = companion(*train).stdout
    accuracy = report["validation_accuracy"]
    assert f"Accuracy on the validation documents: {accuracy:.3f}\n\nBest epoch 1 of 1." in text
    assert not (output / STATE_FILE).exists()
    assert companion("predict", output, "the goal").exit_code == 0
    assert "give documents with --data" in companion("evaluate", output).stderr
    assert "give --tables TABLES alone" in companion(*train, "--corpus", "bbc").stderr
    assert "no whole corpus" in companion("train", "--tables", output, "--output", output).stderr


def test_both_kinds_of_corpus_have_one_report(table: Path, tmp_path: Path) -> None:
    tables = tmp_path / "tables"
    assert companion("encode", table, "--output", tables, "--validation", "0.2").exit_code == 0
    reports = {}
    for kind, source in (("data", table), ("tables", tables)):
        output = tmp_path / f"of-{kind}"
        train = ["train", f"--{kind}", source, "--output", output, "--epochs", "2"]
        outcome = companion(*train, "--device", "cpu", "--seed", "3", "--json")
        assert outcome.exit_code == 0, outcome.output
        reports[kind] = json.loads(outcome.stdout)
    texts, ids = reports.values()
    assert list(texts) == list(ids)
    for report in (texts, ids):
        assert (report["epochs"], report["seed"], report["precision"]) == (2, 3, "float32")
        assert report["best_epoch"] in (1, 2)
        assert report["validation_loss"] > 0
        assert report["training_loss"] > 0
        assert report["stamp"]["seeds"] == [3]
        assert list(report["documents"]) == ["train", "validation", "test"]
        assert report["baselines_not_fitted"] == {}
    assert [texts[name] is None for name in ("test", "intervals", "baselines")] == [False] * 3
    assert [ids[name] is None for name in ("test", "intervals", "baselines")] == [True] * 3
    assert texts["documents"]["test"] == texts["test"]["documents"] > 0


@pytest.mark.parametrize("kind", ["data", "tables"])
def test_a_processor_without_bfloat16_refuses_it(
    kind: str, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("companion.classifier.training.multiplies_bfloat16", lambda device: False)
    source, output = table, tmp_path / "half"
    if kind == "tables":
        source = tmp_path / "tables"
        companion("encode", table, "--output", source, "--validation", "0.2")
    train = ["train", f"--{kind}", source, "--device", "cpu", "--epochs", "1", "--output", output]
    outcome = companion(*train, "--precision", "bfloat16")
    assert outcome.exit_code == 2
    assert "not known to multiply in bfloat16" in outcome.stderr
    assert not (output / "classifier.json").exists()


@pytest.mark.usefixtures("bfloat16")
def test_a_processor_with_bfloat16_trains_in_it(table: Path, tmp_path: Path) -> None:
    train = ["train", "--data", table, "--device", "cpu", "--epochs", "1", "--json", "--output"]
    half, whole = (
        json.loads(companion(*train, tmp_path / kind, "--precision", kind).stdout)
        for kind in ("bfloat16", "float32")
    )
    assert (half["precision"], whole["precision"]) == ("bfloat16", "float32")
    assert half["validation_loss"] == pytest.approx(whole["validation_loss"], rel=0.05)
    assert half["validation_loss"] != whole["validation_loss"]


def test_ctrl_c_before_anything_is_saved_says_so(
    table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("companion.classifier.training.train", interrupt)
    output = table.parent / "model"
    result = companion("train", "--data", table, "--output", output)
    assert result.exit_code == 130
    assert result.stdout == ""
    _, said, stopped = result.stderr.splitlines()
    assert (
        said == f"Nothing is saved; begin with: companion train --data '{table}' --output {output}"
    )
    assert stopped == "Stopped."
    assert [path.name for path in output.iterdir()] == [".training.lock"]


def test_ctrl_c_saves_and_says_how_to_resume(table: Path) -> None:
    """A real process and a real signal; then the command that it printed, as a shell would."""
    options = ["--data", str(table), "--epochs", "4", "--device", "cpu", "--checkpoint-every", "0"]
    uninterrupted, folder = table.parent / "uninterrupted", table.parent / "stopped"
    assert companion("train", *options, "--output", uninterrupted).exit_code == 0
    arguments = ["train", *options, "--output", str(folder), "--restart"]
    with subprocess.Popen([*PROGRAM, *arguments], stderr=subprocess.PIPE, text=True) as process:
        while process.poll() is None and not (folder / STATE_FILE).exists():
            time.sleep(0.001)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate()
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    printed = errors.split("The training is saved; go on with: ")[1].splitlines()[0]
    assert shlex.split(printed) == ["companion", *arguments[:-1]]
    result = companion(*shlex.split(printed)[1:])
    assert result.exit_code == 0
    assert f"resuming the training in {folder} (epoch " in result.stderr
    assert weights_of(folder) == weights_of(uninterrupted)
    assert not (folder / STATE_FILE).exists()


def test_a_crash_after_the_training_repeats_none_of_it(
    table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = table.parent / "model"
    arguments = ["train", "--data", table, "--epochs", "2", "--output", output]

    def crash(*arguments: object, **options: object) -> None:
        raise OutputError("no space left")

    with monkeypatch.context() as patch:
        patch.setattr("companion.classifier.checkpoint.save_classifier", crash)
        assert companion(*arguments).exit_code == 2
    assert (output / STATE_FILE).exists()
    with monkeypatch.context() as patch:
        patch.setattr("companion.classifier.training._train_epoch", None)
        result = companion(*arguments)
    assert result.exit_code == 0, result.output
    assert not (output / STATE_FILE).exists()


def test_a_baseline_that_cannot_be_fitted_loses_no_training(tmp_path: Path) -> None:
    """No word occurs in two training documents, so TF-IDF has nothing to count."""
    path, output = tmp_path / "unique.csv", tmp_path / "model"
    rows = [f"w{i}a w{i}b,{'ab'[i % 2]}" for i in range(12)]
    path.write_text("\n".join(["text,label", *rows]) + "\n")
    train = ["train", "--data", path, "--output", output, "--device", "cpu", "--epochs", "1"]
    reason = "no word occurs in 2 training documents"
    for arguments in (train, ["evaluate", output]):
        outcome = companion(*arguments)
        assert outcome.exit_code == 0, outcome.output
        assert f"TF-IDF + logistic regression could not be fitted: {reason}\n" in outcome.stdout
        assert "majority class" in outcome.stdout
        report = json.loads(companion(*arguments, "--json").stdout)
        assert report["baselines"]["majority class"]["documents"] > 0
        assert report["baselines"]["TF-IDF + logistic regression"] is None
        assert report["baselines_not_fitted"] == {"TF-IDF + logistic regression": reason}


@pytest.mark.parametrize(
    ("problem", "code"), [(MemoryError, 2), (KeyboardInterrupt, 130), (ZeroDivisionError, 1)]
)
@pytest.mark.parametrize("step", ["evaluate", "bootstrap_intervals", "measure_baselines"])
def test_a_training_is_saved_before_it_is_measured(
    step: str, problem: type[BaseException], code: int, table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise problem

    output = table.parent / "model"
    train = ["train", "--data", table, "--output", output, "--device", "cpu", "--epochs", "1"]
    with monkeypatch.context() as patch:
        patch.setattr(f"companion.classifier.evaluation.{step}", fail)
        outcome = companion(*train)
        assert outcome.exit_code == code, outcome.output
    if problem is MemoryError:
        assert "there is not enough memory to measure it" in outcome.stderr
    if problem is KeyboardInterrupt:
        assert "The training is saved; go on with: companion train" in outcome.stderr
    assert companion("predict", output, "the goal").exit_code == 0
    assert companion("evaluate", output).exit_code == 0
    weights = weights_of(output)
    with monkeypatch.context() as patch:
        patch.setattr("companion.classifier.training._train_epoch", None)
        measured = json.loads(companion(*train, "--json").stdout)
    assert measured["test"]["documents"] > 0
    assert weights_of(output) == weights
    assert not (output / STATE_FILE).exists()


def test_other_choices_need_a_restart(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = table.parent / "model"

    def interrupt(*arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("companion.classifier.training._validate", interrupt)
        options = ["--data", table, "--output", output, "--checkpoint-every", "0"]
        assert companion("train", *options, "--epochs", "3").exit_code == 130
    result = companion("train", *options, "--epochs", "1")
    assert result.exit_code == 2
    assert "epochs was 3 and is 1" in result.stderr
    assert "companion train --restart" in result.stderr
    assert (output / STATE_FILE).exists()
    assert companion("train", *options, "--epochs", "1", "--restart").exit_code == 0


def test_two_trainings_into_one_folder(table: Path) -> None:
    output = table.parent / "model"
    program = (
        "import sys, time\nfrom companion.classifier.state import training_lock\n"
        "with training_lock(sys.argv[1]):\n    print('locked', flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(output)], stdout=subprocess.PIPE, text=True
    ) as first:
        assert first.stdout is not None
        first.stdout.readline()
        result = companion("train", "--data", table, "--epochs", "1", "--output", output)
        assert result.exit_code == 2
        assert "another process is training into this folder" in result.stderr
        first.kill()
    assert companion("train", "--data", table, "--epochs", "1", "--output", output).exit_code == 0


def test_tensorboard_reads_the_history_back(table: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    logs = table.parent / "logs"
    result = companion(
        "train", "--data", table, "--epochs", "3", "--output", table.parent / "m", "--json",
        "--tensorboard", logs,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["epochs"] == 3
    events = accumulator.EventAccumulator(str(logs)).Reload()
    assert set(events.Tags()["scalars"]) == {
        "training_loss", "validation_loss", "validation_accuracy", "learning_rate", "gradient_norm",
    }  # fmt: skip
    losses = events.Scalars("training_loss")
    assert [event.step for event in losses] == [1, 2, 3]
    assert losses[2].value < losses[0].value


# Pipes


def test_answers_come_while_the_input_is_open(trained: Path) -> None:
    with subprocess.Popen(
        [*PROGRAM, "predict", str(trained / "model"), "-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for text in (b"the goal of the match", "über die bank".encode()):
            process.stdin.write(text + b"\n")
            process.stdin.flush()
            assert process.stdout.readline().split(b"\t")[2] == text + b"\n"
        process.stdin.write(b"no line end")
        process.stdin.close()
        assert process.stdout.read().endswith(b"\tno line end\n")
    assert process.returncode == 0


def test_a_reader_that_leaves_ends_it_quietly(trained: Path) -> None:
    with subprocess.Popen(
        [*PROGRAM, "predict", str(trained / "model"), "-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write(b"the goal of the match\n")
        process.stdin.flush()
        process.stdout.readline()
        process.stdout.close()
        process.stdin.write(b"the goal of the match\n" * 100)
        process.stdin.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


@pytest.mark.parametrize("source", ["stdin", "file"])
def test_memory_does_not_grow_with_the_input(source: str, trained: Path, tmp_path: Path) -> None:
    """One process reads a small input and then a large one: 32 MB more, and 12 MB of memory."""
    program = (
        "import re, sys\nfrom pathlib import Path\nfrom companion.cli import main\n"
        "source, model, *paths = sys.argv[1:]\n"
        "for path in paths:\n"
        "    sys.stdin = open(path)\n"
        "    data = ['--data', path] if source == 'file' else []\n"
        "    main(['predict', model, *data], standalone_mode=False)\n"
        "    status = Path('/proc/self/status').read_text()\n"
        "    print(re.search(r'VmHWM:\\s+(\\d+)', status)[1], file=sys.stderr)"
    )
    # Of a file, two parts of 16 MB are in memory at once.
    rows = (500, 4_500) if source == "stdin" else (4_500, 8_500)
    paths = []
    for count in rows:
        paths.append(tmp_path / f"{count}.csv")
        paths[-1].write_text("headline\n" + f"the goal {'.' * 8000}\n" * count)
    outcome = subprocess.run(
        [sys.executable, "-c", program, source, str(trained / "model"), *map(str, paths)],
        capture_output=True,
        check=True,
    )
    assert outcome.stdout.count(b"\n") == sum(rows) + 2 * (source == "stdin")
    small, large = (int(line) / 1024 for line in outcome.stderr.split())
    assert large - small < 12


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b"", "line 3: '' has no letter, digit or emoji"),
        (b"  \t", "has no letter"),
        (b"?!", "line 3: '?!' has no letter"),
        (b"caf\xe9", "line 3: not UTF-8; convert it, for example with iconv"),
        (b"a" * 2_000, "line 3: longer than 1,000 bytes"),
    ],
)
def test_a_bad_line_loses_no_answer_before_it(
    line: bytes, problem: str, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("companion.safety.LIMITS.row_bytes", 1_000)
    monkeypatch.setattr("companion.cli._READ_AT_ONCE", 64)
    stdin = b"the goal\nthe bank\n" + line + b"\nthe actor\n"
    result = companion("predict", trained / "model", "-", stdin=stdin)
    assert result.exit_code == 2
    assert [row.split("\t")[2] for row in result.stdout.splitlines()] == ["the goal", "the bank"]
    assert result.stderr.startswith("Error: standard input, line 3: ")
    assert problem in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_bad_row_of_a_file_loses_no_answer_before_it(trained: Path, tmp_path: Path) -> None:
    path = tmp_path / "texts.csv"
    path.write_text("headline\n" + "the goal\n" * 700 + "?!\n" + "the bank\n")
    result = companion("predict", trained / "model", "--data", path)
    assert result.exit_code == 2
    assert result.stdout.count("\n") == 700
    assert f"{path}, row 701: '?!' has no letter" in result.stderr


def test_an_empty_pipe_and_a_byte_order_mark(trained: Path) -> None:
    result = companion("predict", trained / "model", "-", stdin=b"")
    assert result.exit_code == 2
    assert "standard input is empty" in result.stderr
    result = companion("predict", trained / "model", "-", stdin=b"\xef\xbb\xbfgoal\r\ngoal")
    assert [row.split("\t")[2] for row in result.stdout.splitlines()] == ["goal", "goal"]


def test_a_text_cannot_steer_the_terminal(trained: Path) -> None:
    evil = "goal \x1b]0;owned\x07 \x9b31m \u202egoal"
    result = companion("predict", trained / "model", evil)
    assert "\\x1b]0;owned\\x07 \\x9b31m \\u202egoal" in result.stdout
    as_json = companion("predict", trained / "model", evil, "--json").stdout
    assert json.loads(as_json)["text"] == evil
    missing = companion("predict", "no\x1b[31mmodel", "goal").stderr
    for output in (result.stdout, as_json, missing):
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", output.replace("\t", ""))


# For shells and scripts


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(shell: str) -> None:
    environment = os.environ | {"_COMPANION_COMPLETE": f"{shell}_source"}
    script = subprocess.run(
        PROGRAM, env=environment, capture_output=True, text=True, check=True
    ).stdout
    assert "_COMPANION_COMPLETE" in script
    assert f"{shell}_complete" in script


def test_completion_knows_the_choices() -> None:
    environment = os.environ | {
        "_COMPANION_COMPLETE": "bash_complete",
        "COMP_WORDS": "companion train --configuration ",
        "COMP_CWORD": "3",
    }
    outcome = subprocess.run(PROGRAM, env=environment, capture_output=True, text=True, check=True)
    assert outcome.stdout.split() == ["plain,recommended", "plain,article"]


def test_help_has_the_exit_codes_and_the_completion() -> None:
    text = companion("--help").stdout
    for code in ("0 ", "2 ", "130 ", "141 "):
        assert f"  {code}" in text
    assert 'eval "$(_COMPANION_COMPLETE=bash_source companion)"' in text


def test_a_wrong_option_is_exit_code_2(tmp_path: Path) -> None:
    for options in (["--configuration", "best"], ["--checkpoint-every", "-1"], ["--seed", "-1"]):
        assert companion("train", *options, "--output", tmp_path / "model").exit_code == 2
    assert not (tmp_path / "model").exists()
