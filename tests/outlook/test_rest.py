"""Students, bad data, reasons and fairness."""

import numpy as np
import pandas as pd
import pytest

from companion.applications.finance import load_default
from companion.classifier.corpus import Splits
from companion.classifier.estimator import NewsClassifier
from companion.errors import DataError
from companion.outlook import data, efficiency, explanation, fairness


@pytest.fixture(scope="module")
def splits() -> Splits:
    generator = np.random.default_rng(0)
    own = {
        "sport": ["goal", "match", "team", "player", "cup"],
        "money": ["bank", "debt", "rates", "market", "shares"],
        "state": ["vote", "law", "party", "minister", "election"],
    }
    common = ["the", "a", "of", "in", "to", "on", "with", "for"]
    rows = [
        (
            " ".join(
                [*generator.choice(words, 3), *generator.permutation(common)[:4], f"id{number}"]
            ),
            label,
        )
        for number in range(40)
        for label, words in own.items()
    ]
    frame = pd.DataFrame(rows, columns=["text", "label"])
    return Splits(
        frame[:72], frame[72:96].reset_index(drop=True), frame[96:].reset_index(drop=True)
    )


def test_a_student_learns_its_targets_and_counts_its_bytes(splits: Splits) -> None:
    names = sorted(splits.train["label"].unique())
    targets = (splits.train["label"].to_numpy()[:, None] == np.array(names)).astype(float)
    texts = splits.train["text"].tolist()
    student = efficiency.Student(names, size=4).fit(texts, targets)
    assert (student.predict(texts) == splits.train["label"]).mean() > 0.95
    assert student.predict_proba(texts).sum(axis=1) == pytest.approx(1)
    assert student.bytes == 4 * (4 * len(student.vocabulary) + 4 * 3 + 3)
    with pytest.raises(DataError, match="shape"):
        efficiency.Student(names).fit(texts, targets[:5])


@pytest.mark.slow
def test_the_forms_of_a_classifier_agree(splits: Splits) -> None:
    model = NewsClassifier(embedding_size=8, hidden_size=8, learning_rate=0.05, device="cpu")
    teacher = model.fit(splits.train["text"], splits.train["label"]).text_classifier_
    runs = efficiency.student_runs(teacher, splits.train, splits.test, seeds=(0,))
    assert runs["learns from"].tolist() == ["labels", "the teacher"]
    texts = splits.train["text"].tolist()
    student = efficiency.Student(teacher.labels).fit(texts, teacher.predict_proba(texts))
    table = efficiency.size_runs(teacher, student, splits.test, timed=4)
    assert table.loc["torch", "speed"] == 1
    assert table.loc["ONNX", "accuracy"] == table.loc["torch", "accuracy"]
    assert table.loc["student", "bytes"] == student.bytes


def test_the_memory_of_errors_and_the_vote(splits: Splits) -> None:
    runs = data.noise_by_model(splits, shares=(0.0, 0.4), seeds=(0,))
    table = runs.pivot_table("accuracy", index="share", columns="model")
    assert (table.loc[0.0] > 0.9).all()
    assert table.loc[0.4, "1 nearest neighbour"] < table.loc[0.4, "25 nearest neighbours"]


def test_suspects_are_mostly_wrong(splits: Splits) -> None:
    runs = data.cleaning_runs(splits, share=0.2, seeds=(0,))
    assert runs["found"][0] > 0.5


def test_a_copied_test_reports_more_than_is_true(splits: Splits) -> None:
    hard = Splits(
        *(
            part.assign(label=np.random.default_rng(1).permutation(part["label"]))
            for part in (splits.train, splits.validation, splits.test)
        )
    )
    runs = data.leak_runs(hard, shares=(0.0, 1.0), seeds=(0,)).set_index("share")
    assert runs.loc[1.0, "reported"] > 0.9
    assert runs.loc[1.0, "true"] < 0.7


def test_the_overlap_counts_common_words(splits: Splits) -> None:
    assert explanation.overlap(["a", "b"], ["b", "c"]) == 0.5
    with pytest.raises(DataError, match="one length"):
        explanation.overlap(["a"], [])
    runs = explanation.reason_runs(splits, words=2, seeds=(0,))
    assert 0 <= runs["same words"][0] <= 1
    assert runs["accuracy"][0] > 0.8


def test_disparities_counted_by_hand() -> None:
    is_bad = np.array([True, False, False, True, False, False])
    refused = np.array([True, True, False, False, False, False])
    group = np.array(["a", "a", "a", "b", "b", "b"])
    measured = fairness.disparities(is_bad, refused, group, missed_costs=10)
    assert measured == {
        "refusals": pytest.approx(2 / 3),
        "false alarms": pytest.approx(1 / 2),
        "missed": pytest.approx(1),
        "cost": pytest.approx(11 / 6),
    }
    with pytest.raises(DataError, match="one group"):
        fairness.disparities(is_bad, refused, np.zeros(6))


@pytest.mark.slow
def test_mitigation_makes_refusals_more_equal() -> None:
    means = fairness.mitigation_runs(load_default(), seeds=[0]).set_index("way")
    assert means.loc["accept everybody", "refusals"] == 0
    assert means.loc["equal refusals", "refusals"] < means.loc["one threshold", "refusals"]
    assert means.loc["one threshold", "cost"] < means.loc["accept everybody", "cost"] / 2
