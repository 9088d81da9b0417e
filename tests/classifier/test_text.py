"""Tokens and the vocabulary."""

import unicodedata

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from companion.classifier.text import (
    PADDING,
    UNKNOWN,
    UNKNOWN_ID,
    Vocabulary,
    clean,
    clean_together,
    has_tokens,
    tokenize,
)
from companion.errors import DataError


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("Ｆｕｌｌ－ｗｉｄｔｈ　ｔｅｘｔ！", ["full", "width", "text"]),
        ("Café, Zürich & naïve", ["café", "zürich", "naïve"]),
        ("cafe\u0301", ["café"]),
        ("good 👍🏽 day 😀", ["good", "👍", "🏽", "day", "😀"]),
        ("我爱AI，2024年。", ["我", "爱", "ai", "2024", "年"]),
        ("ひらがな", ["ひ", "ら", "が", "な"]),
        ("한국어 텍스트", ["한국어", "텍스트"]),
        ("हिन्दी में", ["हिन्दी", "में"]),
        ("don't stop", ["don", "t", "stop"]),
        ("…—！？", []),
        ("", []),
    ],
)
def test_tokens(text: str, tokens: list[str]) -> None:
    assert tokenize(text) == tokens
    assert has_tokens(text) == bool(tokens)


TOKEN = regex.compile(
    r"[\p{Han}\p{Hiragana}\p{Katakana}]"
    r"|\p{Emoji_Presentation}"
    r"|[[\p{L}\p{M}\p{N}]--[\p{Han}\p{Hiragana}\p{Katakana}]]+",
    regex.VERSION1,
)


@given(
    st.text(st.characters(exclude_categories=["Cs"])) | st.text(st.characters(max_codepoint=127))
)
def test_tokens_are_those_of_a_regular_expression(text: str) -> None:
    assert tokenize(text) == TOKEN.findall(unicodedata.normalize("NFKC", text).lower())
    cleaned, sizes = clean_together(["Aé", text, text])
    assert cleaned.decode() == f"aé {clean(text)} {clean(text)}"
    assert sizes == [3] + [len(clean(text).encode())] * 2


@pytest.mark.slow
def test_every_character_has_its_place() -> None:
    """All assigned characters of Unicode, and a sample of the rest, each between two letters."""
    for code in range(0x110000):
        if unicodedata.category(chr(code)) in ("Cn", "Co", "Cs") and code % 97:
            continue
        if not 0xD800 <= code < 0xE000:
            text = unicodedata.normalize("NFKC", f"x{chr(code)}y").lower()
            assert clean(f"x{chr(code)}y").split() == TOKEN.findall(text)


@given(st.text(st.characters(exclude_categories=["Cn", "Cs"])))
def test_tokens_are_clean(text: str) -> None:
    tokens = tokenize(text)
    assert has_tokens(text) == bool(tokens)
    for token in tokens:
        assert not any(character.isspace() for character in token)
        assert not any(
            unicodedata.category(character).startswith(("P", "C", "Z")) for character in token
        )


@given(st.text(alphabet=st.characters(max_codepoint=0x24F)))
def test_cleaning_twice_is_cleaning_once_for_latin_text(text: str) -> None:
    tokens = tokenize(text)
    assert tokenize(" ".join(tokens)) == tokens


def test_ids_follow_the_counts_and_then_the_alphabet() -> None:
    vocabulary = Vocabulary.build([["b", "c", "c", "a", "b", "rare"], ["a", "c"]])
    assert vocabulary.tokens == [PADDING, UNKNOWN, "c", "a", "b"]
    assert vocabulary.encode(["c", "rare", "a"]) == [2, UNKNOWN_ID, 3]
    assert vocabulary.decode([2, 1]) == ["c", UNKNOWN]
    assert "rare" not in vocabulary


def test_the_size_is_bounded() -> None:
    vocabulary = Vocabulary.build([[str(number)] * 2 for number in range(100)], maximum_size=10)
    assert len(vocabulary) == 10


@pytest.mark.parametrize("tokens", [[], ["a", "b"], [PADDING, UNKNOWN, "a", "a"]])
def test_a_damaged_vocabulary_is_refused(tokens: list[str]) -> None:
    with pytest.raises(DataError, match="names every token once"):
        Vocabulary(tokens)
