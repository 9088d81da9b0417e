"""Which words of a page lead to the glossary."""

from pathlib import Path

import book_glossary
import pytest
from docutils import nodes


@pytest.mark.parametrize(
    ("term", "text", "match"),
    [
        ("loss", "The loss falls", "loss"),
        ("loss", "Losses and losers", None),
        ("token", "Tokens are cut", "Tokens"),
        ("LSTM", "an LSTM reads", "LSTM"),
        ("LSTM", "the class LSTMCell", None),
        ("Adam", "adam and eve", None),
        ("TF-IDF", "TF-IDF counts", "TF-IDF"),
        ("training set", "Training sets them", None),
        ("training set", "a training set", "training set"),
        ("transformer", "Transformers loads it", None),
        ("attention", "self-attention", None),
        ("batch", "batch-wise", None),
    ],
)
def test_what_matches(term: str, text: str, match: str | None) -> None:
    found = book_glossary.pattern(term).search(text)
    assert (found[0] if found else None) == match


def test_the_parts_in_the_order_of_reading(tmp_path: Path) -> None:
    toc = tmp_path / "_toc.yml"
    toc.write_text(
        "root: index\nparts:\n- chapters:\n  - file: a\n  - file: b\n    sections:\n    - file: c\n"
        "- chapters:\n  - file: d\n"
    )
    assert book_glossary.parts(toc) == [["a", "b", "c"], ["d"]]


def test_only_prose_is_linked() -> None:
    document = nodes.section()
    document += nodes.title("", "loss")
    for wrapper in (nodes.reference, nodes.literal, nodes.emphasis):
        inner = wrapper("", "", nodes.Text(f"loss in {wrapper.__name__}"))
        document += nodes.paragraph("", "", inner)
    assert [str(text) for text in book_glossary.prose(document)] == ["loss in emphasis"]


def test_a_term_becomes_a_link_between_the_words_around_it() -> None:
    text = nodes.Text("The loss falls.")
    match = book_glossary.pattern("loss").search(text)
    assert match is not None
    before, link, after = book_glossary.linked(text, match, "glossary.html#term-loss")
    assert [before.astext(), link.astext(), after.astext()] == ["The ", "loss", " falls."]
    assert link["refuri"] == "glossary.html#term-loss"
