"""Translation against what Babel writes and what is counted by hand."""

import datetime

import numpy as np
import pytest
import torch
from babel.dates import format_date

from companion.applications.translation import (
    DatePairs,
    Translator,
    compare_translators,
    date_pairs,
    translate_by_rule,
    translate_by_words,
    translation_scores,
    with_typo,
)
from companion.errors import DataError

SMALL = DatePairs(["5 May 2026", "1 Jan 1999"], ["2026年5月5日", "1999年1月1日"])


def test_pairs_are_what_babel_writes() -> None:
    pairs = date_pairs(200, 2000, 2009)
    assert len(pairs) == len(set(pairs.english)) == 200
    for english, chinese in zip(pairs.english, pairs.chinese, strict=True):
        year, month, day = (
            int(part.strip("星期一二三四五六日"))
            for part in chinese.replace("年", "月").split("月")
        )
        when = datetime.date(year, month, day)
        assert 2000 <= year <= 2009
        named = "星期" in chinese
        assert chinese == format_date(when, "full" if named else "long", locale="zh")
        assert f"{when:%b}" in english
        assert (f"{when:%a}" in english) == named


def test_more_dates_than_days_are_refused() -> None:
    with pytest.raises(DataError, match="365 days"):
        date_pairs(366, 2001, 2001)


def test_the_rule_reorders_and_the_dictionary_does_not() -> None:
    assert translate_by_rule("Tuesday, January 6, 2026") == "2026年1月6日星期二"
    assert translate_by_words("Tuesday, January 6, 2026") == "星期二1月62026"
    assert translate_by_rule("6 Jan 2026") == "2026年1月6日"
    assert translate_by_rule("6 Jna 2026") == ""


def test_the_rule_is_right_on_every_pair() -> None:
    pairs = date_pairs(1000, 1900, 2100)
    assert [translate_by_rule(text) for text in pairs.english] == pairs.chinese


def test_a_typo_exchanges_two_letters_and_no_digit() -> None:
    generator = np.random.default_rng(0)
    for text in date_pairs(200, 2000, 2009).english:
        wrong = with_typo(text, generator)
        assert sorted(wrong) == sorted(text)
        changed = [place for place in range(len(text)) if text[place] != wrong[place]]
        assert len(changed) == 2
        assert changed[1] == changed[0] + 1
        assert text[changed[0]].isalpha()


def test_padding_changes_nothing() -> None:
    torch.manual_seed(0)
    model = Translator("5 May206", "2065年月日", width=8)
    target = model.encode_target(["2026年5月5日"])
    alone = model(model.encode_source(["5 May 2026"]), target)
    longer = model.encode_source(["5 May 2026", "5 May 2026    "])
    beside = model(longer, target.repeat(2, 1))
    torch.testing.assert_close(alone[0], beside[0])


def test_attention_is_the_weighted_mean() -> None:
    torch.manual_seed(0)
    model = Translator("ab", "xy", width=4).double()
    states, source = torch.randn(1, 3, 4).double(), torch.randn(1, 5, 4).double()
    mask = torch.tensor([[True, True, True, True, False]])
    mixed, weights = model.attend(states, source, mask)
    for place in range(3):
        scores = [(model.query.weight @ states[0, place]) @ source[0, k] for k in range(4)]
        chances = torch.stack(scores).softmax(dim=0)
        expected = torch.zeros(4).double()
        for k in range(4):
            expected += chances[k] * source[0, k]
        torch.testing.assert_close(mixed[0, place], expected, atol=1e-10, rtol=0)
    assert weights[..., 4].abs().max() == 0


def test_a_network_learns_two_pairs_by_heart() -> None:
    model = Translator.fit(SMALL, width=16, steps=150, batch_size=2)
    assert model.translate(SMALL.english) == SMALL.chinese
    (text, weights), _ = model.translate_with_attention(SMALL.english)
    assert weights.shape == (len(text), len(SMALL.english[0]))
    np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-5)


def test_the_seed_fixes_the_network() -> None:
    one, two = (Translator.fit(SMALL, width=8, steps=3, batch_size=2) for _ in range(2))
    for left, right in zip(one.parameters(), two.parameters(), strict=True):
        assert torch.equal(left, right)


def test_scores_of_right_and_wrong() -> None:
    assert translation_scores(["2026年5月5日"], ["2026年5月5日"]).round(6).tolist() == [1, 100]
    half = translation_scores(["2026年5月5日", "x"], ["2026年5月5日", "1999年1月1日"])
    assert half["exact"] == 0.5
    assert 0 < half["bleu"] < 100


def test_rules_need_no_training_and_break_on_typos() -> None:
    table = compare_translators([], test_size=50).set_index(["system", "test"])
    assert table.loc[("rule", "held out"), "exact"] == 1
    assert table.loc[("rule", "later years"), "bleu"] == pytest.approx(100)
    assert table.loc[("rule", "typos"), "exact"] == 0
    assert table.loc[("words", "held out"), "exact"] == 0
