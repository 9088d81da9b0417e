"""The rebuilt mistakes of the article's listing behave as the page says."""

import json
import subprocess
import sys

import pandas as pd
import pytest
import torch
from torch import nn

from companion.classifier import listing
from companion.classifier.listing import (
    EFFECTS,
    Effect,
    Ladder,
    ListingClassifier,
    absence_probability,
    clean_in_place,
    cleanings,
    failure,
    fit,
    glue,
    gradient_norm,
    logit_spread,
    pad_to,
    padding_amnesia,
    pip_answer,
    predict,
    set_order,
    share_correct,
    short_news,
    spell_out,
    twins,
)
from companion.classifier.text import tokenize

DOCUMENTS = [[1, 2, 3], [4, 5], [6, 7, 8, 9]]
TABLE = pd.DataFrame(
    {"text": ["a goal was shot", "shares rose again"] * 4, "label": ["sport", "business"] * 4}
)


def test_failure_gives_type_and_first_line():
    def fails():
        raise ValueError("first\nsecond")

    assert failure(fails) == "ValueError: first"


def test_failure_of_an_empty_message_is_the_type():
    assert failure(lambda: (_ for _ in ()).throw(BareError())) == "BareError"


class BareError(Exception):
    pass


def test_failure_refuses_what_does_not_fail():
    with pytest.raises(AssertionError, match="expected to fail"):
        failure(lambda: None)


def test_spell_out_leaves_letters_without_a():
    cleaned = spell_out("Shares rose at a bank, today!").split()
    assert all(len(token) == 1 for token in cleaned)
    assert "a" not in cleaned


def test_spell_out_is_idempotent():
    once = spell_out('He said: "yes, 3.5% more"')
    assert spell_out(once) == once


def test_spell_out_keeps_the_marks_that_the_list_lacks():
    assert spell_out('"\\') == '" \\'
    assert spell_out("，") == "，"


def test_glue_joins_what_a_mark_separated():
    assert glue("3.14 oil-rich the") == "314 oilrich"


def test_clean_in_place_returns_and_changes_its_argument():
    frame = pd.DataFrame({"text": ["The end."]})
    assert clean_in_place(frame, glue) is frame
    assert frame["text"].tolist() == ["end"]


def test_pad_to_pads_on_the_right():
    token_ids, lengths = pad_to(DOCUMENTS, length=5, padding_id=0)
    assert token_ids.tolist() == [[1, 2, 3, 0, 0], [4, 5, 0, 0, 0], [6, 7, 8, 9, 0]]
    assert lengths.tolist() == [3, 2, 4]


def test_parameters_of_the_article():
    assert sum(p.numel() for p in ListingClassifier(10_000).parameters()) == 1_893_442


def test_state_at_the_last_word_equals_packing():
    model = ListingClassifier(10, 4, 3).eval()
    token_ids, lengths = pad_to(DOCUMENTS, 9)
    packed = nn.utils.rnn.pack_padded_sequence(
        model.embedding(token_ids), lengths, batch_first=True, enforce_sorted=False
    )
    _, (hidden, _) = model.lstm(packed)
    torch.testing.assert_close(model(token_ids, lengths), model.head(hidden[-1]))


def test_without_lengths_the_padding_is_read():
    model = ListingClassifier(10, 4, 3).eval()
    one = pad_to(DOCUMENTS[:1])[0]
    torch.testing.assert_close(model(one), model(one, torch.tensor([3])))
    assert not torch.allclose(model(one), model(pad_to(DOCUMENTS[:1], 9)[0]))


def test_padding_erases_the_differences_and_lengths_keep_them():
    torch.manual_seed(0)
    model = ListingClassifier(10).eval()
    without = logit_spread(model, DOCUMENTS, 0, use_lengths=False)
    assert logit_spread(model, DOCUMENTS, 40, use_lengths=False) < without / 1000
    kept = [logit_spread(model, DOCUMENTS, pads, use_lengths=True) for pads in (0, 40)]
    assert kept[0] == pytest.approx(kept[1], rel=1e-4)


def test_padding_amnesia_is_the_spread_by_hand():
    def read(token_ids, lengths):
        return torch.stack([token_ids.sum(1) / (1 + token_ids.shape[1]), lengths], dim=1)

    table = padding_amnesia({"sum": read}, DOCUMENTS, pads=[0, 5])
    sums = torch.tensor([6.0, 9.0, 30.0])
    assert table.index.tolist() == [0, 5]
    assert table["sum"].tolist() == pytest.approx([float((sums / size).std()) for size in (5, 10)])


def test_padding_amnesia_of_the_listing():
    torch.manual_seed(0)
    model = ListingClassifier(10).eval()
    readers = {"listing": lambda token_ids, lengths: model(token_ids), "corrected": model}
    table = padding_amnesia(readers, DOCUMENTS, pads=[0, 40])
    for name, use_lengths in [("listing", False), ("corrected", True)]:
        again = [logit_spread(model, DOCUMENTS, pads, use_lengths=use_lengths) for pads in (0, 40)]
        assert table[name].tolist() == again


def test_cleanings_beside_each_other():
    rows = cleanings("The rapist said: a day.")
    assert rows["as written"] == ["The", "rapist", "said:", "a", "day."]
    assert rows["the listing"] == list("Therpistsiddy")
    assert rows["corrected"] == ["the", "rapist", "said", "a", "day"]


def test_a_ladder_numbers_its_errors_and_names_them():
    ladder = Ladder()
    assert ladder.add("data", lambda: {}["text"]) == "L01 KeyError: 'text'"
    ladder.add("test", lambda: 1 / 0, "nothing")
    assert ladder.table().to_numpy().tolist() == [
        ["L01", "data", "KeyError: 'text'", "KeyError"],
        ["L02", "test", "ZeroDivisionError: division by zero", "nothing"],
    ]
    with pytest.raises(ValueError, match="'lunch' is no stage"):
        ladder.add("lunch", lambda: 1 / 0)
    with pytest.raises(AssertionError, match="expected to fail"):
        ladder.add("test", lambda: None)


def test_gradient_norm_is_that_of_all_parameters():
    layer = nn.Linear(2, 1)
    layer.weight.grad, layer.bias.grad = torch.tensor([[3.0, 0.0]]), torch.tensor([4.0])
    assert gradient_norm(layer) == pytest.approx(5.0)


def test_set_order_depends_on_the_process():
    tokens = [f"word{number}" for number in range(50)]
    orders = [set_order(tokens, seed) for seed in (1, 1, 2)]
    assert orders[0] == orders[1]
    assert orders[0] != orders[2]
    assert sorted(orders[2]) == sorted(tokens)


def test_absence_probability_by_counting():
    draws = torch.stack(
        [torch.randperm(10, generator=torch.Generator().manual_seed(s))[:4] for s in range(4000)]
    )
    assert absence_probability(10, 2, 4) == pytest.approx(1 / 3)  # 6/10 · 5/9
    assert (draws >= 2).all(dim=1).float().mean().item() == pytest.approx(1 / 3, abs=0.03)


def test_twins_are_counted_by_key():
    left, right = pd.Series(["One day.", "two"]), pd.Series(["one day", "one day", "three"])
    assert twins(left, right) == 0
    assert twins(left, right, lambda text: tuple(tokenize(text))) == 2


@pytest.mark.parametrize(
    ("marked", "virtual", "options", "refused"),
    [
        (True, False, [], True),
        (True, True, [], False),
        (False, False, [], False),
        (False, True, [], False),
        (True, False, ["--break-system-packages"], False),
    ],
)
def test_pip_refuses_a_marked_python_outside_of_an_environment(marked, virtual, options, refused):
    answer = pip_answer(marked=marked, virtual=virtual, options=options)
    assert answer.startswith(
        "error: externally-managed-environment" if refused else "ERROR: Could not find"
    )


def test_short_news_is_short_and_stratified():
    news = short_news(words=5)
    assert news.train["text"].str.split().str.len().max() == 5
    assert set(news.test["label"]) == {"business", "politics"}


@pytest.mark.parametrize("name", EFFECTS)
def test_every_effect_trains_and_answers(name):
    fitted = fit(TABLE, EFFECTS[name], epochs=1)
    assert predict(fitted, TABLE["text"].tolist()).shape == (len(TABLE), 2)
    assert 0 <= share_correct(fitted, TABLE) <= 1


def test_one_seed_gives_one_result():
    logits = [predict(fit(TABLE, Effect(), seed=3, epochs=2), ["shares rose"]) for _ in range(2)]
    torch.testing.assert_close(logits[0], logits[1], rtol=0, atol=0)


def test_a_right_pipeline_learns_the_table():
    fitted = fit(TABLE, Effect(), epochs=60)
    assert share_correct(fitted, TABLE) == 1.0


def test_the_padding_row_stays_zero_only_where_it_is_reserved():
    for name, zero in [("right", True), ("shared_id", False)]:
        rows = fit(TABLE, EFFECTS[name], epochs=1).model.embedding.weight
        assert bool((rows[0] == 0).all()) is zero


def test_the_pipeline_does_not_import_the_mistakes():
    program = (
        "import json, sys; import companion.classifier.inference, companion.classifier.training; "
        "print(json.dumps('companion.classifier.listing' in sys.modules))"
    )
    output = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout
    assert json.loads(output) is False


def test_everything_listed_exists():
    assert all(hasattr(listing, name) for name in listing.__all__)
