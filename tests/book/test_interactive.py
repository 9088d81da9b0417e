"""The scripts of the interactive figures in a browser, against the package's own numbers."""

import base64
import dataclasses
import json
import math
import re
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import book_interactive
import numpy as np
import pytest
import regex
import torch

from companion import ledger
from companion.classifier.configuration import Configuration
from companion.classifier.corpus import load_corpus, split_corpus
from companion.classifier.export import export_web, quantize_rows
from companion.classifier.inference import TextClassifier
from companion.classifier.listing import STAGES, cleanings, glue, padding_amnesia
from companion.classifier.model import LSTMClassifier
from companion.classifier.text import Vocabulary, tokenize
from companion.concepts.sizes import NAMED_SYSTEMS, forward_flop, transformer_parameters
from companion.concepts.transformer import EncoderDecoder, LanguageModel
from companion.interactive import (
    AMNESIA_DOCUMENTS,
    STARTS,
    TRANSFORMERS,
    amnesia_network,
)
from companion.mathematics.activations import ACTIVATIONS, sigmoid
from companion.mathematics.gradient_descent import descend_on_line, regime
from companion.mathematics.losses import softmax
from companion.mathematics.lstm import forward, latch
from companion.questions.compute import accelerators_needed, training_cost, training_memory
from companion.questions.constants import ACCELERATORS, GRIDS, assumptions
from tests.conftest import COMMON, TOPICS

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "book" / "_scripts"
Evaluate = Callable[..., Any]
LIVE = "live-classifier"


def read_page(tmp_path: Path, body: str, scripts: list[Path]) -> str:
    """Write a page as a reader has it on a disk; its address."""
    loaded = "".join(f'<script defer src="{path.as_uri()}"></script>' for path in scripts)
    style = (SCRIPTS / "interactive.css").as_uri()
    page = tmp_path / "page.html"
    page.write_text(
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>A page</title>'
        f'<link rel="stylesheet" href="{style}">{loaded}<body>{body}</body></html>',
        encoding="utf-8",
    )
    return page.as_uri()


class Tab:
    """A page from a disk, on a phone, and what goes wrong there."""

    def __init__(self, browser: Any, address: str) -> None:
        self.page = browser.new_page(viewport={"width": 360, "height": 800})
        self.faults: list[str] = []
        self.page.on("pageerror", lambda seen: self.faults.append(str(seen)))
        self.page.on("console", lambda seen: seen.type == "error" and self.faults.append(seen.text))
        self.page.goto(address, wait_until="load")

    def close(self) -> None:
        excess = self.page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        assert self.faults == []
        assert excess <= 0, "too wide for a phone"
        self.page.close()


@pytest.fixture(scope="module")
def compute(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Evaluate]:
    """Runs a function of a script's in a page without figures."""
    address = read_page(tmp_path_factory.mktemp("page"), "", [SCRIPTS / "companion.js"])
    tab = Tab(browser, address)
    yield tab.page.evaluate
    tab.close()


# ---- text ----

SENTENCES = [
    "",
    "Stocks rose 3.5% today!",
    "The therapist said: oil-rich SHARES rose, and an a fell.",
    "大模型，Ｃafé 🚀 ＡＢＣ ﬁne ½ İstanbul ΣΑΣ ὈΔΥΣΣΕΎΣ straße ǅ",
    "naïve café e\u0301 \u0301\u0301 नमस्ते 한국어 ひらがなカタカナ ไทย العربية",
    "a\u00a0b\u2003c\u3000d\x1ce\x85f\ufeffg \\ \" ' _ x_y",
    "👩‍👩‍👧 ☺ ☺️ 1️⃣ 🇨🇳 ©",
    "e" + "\u0301" * 40 + "x" * 1000 + "\u0301" * 40,
    "e" + "\u0301" * 40,
]


def test_the_tokens_are_those_of_the_package(compute: Evaluate) -> None:
    found = compute("texts => texts.map(Companion.tokenize)", SENTENCES)
    assert found == [tokenize(text) for text in SENTENCES]


def test_every_character_is_a_token_here_as_there(compute: Evaluate) -> None:
    """Each character that Python and its regex module both know, between two letters."""
    known = regex.compile(r"\P{Unassigned}")
    texts = [
        f"a{character}b"
        for character in map(chr, range(0x3000))
        if unicodedata.category(character) not in ("Cn", "Cs") and known.match(character)
    ]
    others = (*range(0x3000, 0x3400), *range(0xA000, 0xB000, 7), *range(0xF900, 0x11000, 3))
    texts += [
        f"a{character}b"
        for character in map(chr, (*others, *range(0x1F000, 0x20000), 0x20000, 0x2F800))
        if unicodedata.category(character) not in ("Cn", "Cs") and known.match(character)
    ]
    assert len(texts) > 12_000
    lines = ["\n".join(texts[start : start + 200]) for start in range(0, len(texts), 200)]
    found = compute("texts => texts.map(Companion.tokenize)", lines)
    for line, tokens in zip(lines, found, strict=True):
        assert tokens == tokenize(line)


def test_the_cleanings_are_those_of_the_package(compute: Evaluate) -> None:
    found = compute("texts => texts.map(Companion.cleanings)", SENTENCES)
    for text, ways in zip(SENTENCES, found, strict=True):
        assert ways.pop("glued") == glue(text).split()
        assert ways == cleanings(text)


# ---- mathematics ----


def test_the_activations_are_those_of_the_package(compute: Evaluate) -> None:
    xs = np.concatenate([np.linspace(-9, 9, 721), [-700.0, -40.0, 40.0, 700.0]])
    found = compute(
        "xs => Object.entries(Companion.ACTIVATIONS).map("
        "([name, each]) => [name, xs.map(each.value), xs.map(each.slope)])",
        xs.tolist(),
    )
    assert [name for name, _, _ in found] == list(ACTIVATIONS)
    for name, values, slopes in found:
        np.testing.assert_allclose(values, ACTIVATIONS[name].function(xs), atol=1e-12)
        np.testing.assert_allclose(slopes, ACTIVATIONS[name].derivative(xs), atol=1e-12)


def test_the_softmax_is_that_of_the_package(compute: Evaluate) -> None:
    rows = np.random.default_rng(0).normal(scale=20, size=(50, 4))
    found = compute("rows => rows.map(Companion.softmax)", rows.tolist())
    np.testing.assert_allclose(found, softmax(rows), atol=1e-14)


def test_the_descents_are_those_of_the_package(compute: Evaluate) -> None:
    """At every place of the two sliders."""
    cases = [(rate / 1000, squares) for rate in range(1, 31) for squares in range(10, 301, 10)]
    found = compute(
        "cases => cases.map(([rate, squares]) => "
        "[Companion.regime(rate, squares), Companion.descend(1, 2, squares, rate, 8)])",
        cases,
    )
    assert {name for name, _ in found} == set(regime_names())
    for (rate, squares), (name, weights) in zip(cases, found, strict=True):
        x = np.array([math.sqrt(squares)])
        ours = descend_on_line(x, 2 * x, 1.0, rate, 8)
        assert name == regime(rate, squares)
        np.testing.assert_allclose(weights, ours.weights, rtol=1e-9)


def regime_names() -> tuple[str, ...]:
    from companion.mathematics.gradient_descent import REGIMES

    return REGIMES


def test_the_latch_is_that_of_the_package(compute: Evaluate) -> None:
    start = STARTS["lstm-gates"]()
    values, writes = start["values"], start["writes"]
    names = {
        "input": "input_gate",
        "forget": "forget_gate",
        "candidate": "candidate",
        "memory": "memory",
        "output": "output_gate",
        "hidden": "hidden",
    }
    for sharpness in (1, 7, 20):
        found = compute(
            "([values, writes, sharpness]) => Companion.latch(values, writes, sharpness)"
            ".map(step => Object.fromEntries(Object.entries(step).map(([k, v]) => [k, v[0]])))",
            [values, writes, sharpness],
        )
        steps = forward(latch(sharpness), np.stack([values, writes], axis=1)[None])
        for theirs, ours in zip(found, steps, strict=True):
            for short, name in names.items():
                assert theirs[short] == pytest.approx(getattr(ours, name)[0, 0], abs=1e-14)


def test_the_latch_starts_as_on_the_page() -> None:
    source = (ROOT / "book" / "_src" / "mathematics" / "lstm.md").read_text(encoding="utf-8")
    start = STARTS["lstm-gates"]()
    assert f"value = np.array({start['values']})" in source
    assert f"write = np.array({[float(write) for write in start['writes']]})" in source


@pytest.mark.parametrize("bias", [0.0, 3.0])
def test_padding_amnesia_is_that_of_the_package(compute: Evaluate, bias: float) -> None:
    network = amnesia_network()
    with torch.no_grad():
        for layer in (0, 1):
            getattr(network.lstm, f"bias_ih_l{layer}")[8:16] += bias
    pads = [0, 1, 5, 20, 60]
    readers = {"after": lambda token_ids, lengths: network(token_ids), "last": network}
    ours = padding_amnesia(readers, AMNESIA_DOCUMENTS, pads)
    found = compute(
        "([network, pads, bias]) => pads.map(count => Companion.amnesia(network, count, bias))",
        [STARTS["padding-amnesia"](), pads, bias],
    )
    for count, spread in zip(pads, found, strict=True):
        assert spread["last"] == pytest.approx(ours.loc[count, "last"], rel=1e-9)
        assert spread["after"] == pytest.approx(ours.loc[count, "after"], rel=1e-6, abs=1e-14)
    assert ours.loc[0, "last"] > 0.01


def test_the_masks_say_what_moves_in_the_networks_of_the_package(compute: Evaluate) -> None:
    full, causal = compute("() => [Companion.fullMask(5, 5), Companion.causalMask(5)]")
    torch.manual_seed(0)
    ids = torch.randint(20, (1, 5))
    both = EncoderDecoder(30).eval()
    networks: list[tuple[Any, Any]] = [
        (full, LanguageModel(30, causal=False).eval()),
        (causal, LanguageModel(30, causal=True).eval()),
        (causal, lambda target: both(ids, target)),
        (full, lambda source: both(source, ids)),
    ]
    with torch.inference_mode():
        for mask, network in networks:
            for column in range(5):
                changed = ids.clone()
                changed[0, column] += 1
                moved = (network(ids) != network(changed))[0].any(dim=-1).tolist()
                assert moved == [row[column] for row in mask]


def test_the_sizes_are_those_of_the_package(compute: Evaluate) -> None:
    found = compute(
        "cases => cases.map(each => Companion.transformerParameters(...each))",
        list(TRANSFORMERS.values()),
    )
    expected = {
        name: transformer_parameters(*sizes, kind=kind)
        for name, (*sizes, kind) in TRANSFORMERS.items()
    }
    assert found == list(expected.values())
    named = {each.name: each.parameters for each in NAMED_SYSTEMS}
    for name in named.keys() & expected.keys():
        assert named[name] == expected[name]


def test_the_calculator_is_that_of_the_package(compute: Evaluate) -> None:
    """Every accelerator, two grids and a price, on the three sides of the assumptions."""
    runs = [
        (7e9, 1.4e11, key, count, chosen)
        for key in ACCELERATORS
        for count in (1, 2048)
        for chosen in ({}, {"kg_per_kwh": GRIDS["france"], "price_per_hour": 3.5})
    ]
    found = compute(
        "([data, runs]) => runs.map(([n, d, key, count, chosen]) => "
        "Object.entries(Companion.assumptions(data.constants, chosen)).map(([side, assumed]) => "
        "[side, Companion.trainingCost(n, d, data.accelerators[key], count, assumed)]))",
        [STARTS["compute"](), runs],
    )
    for (n, d, key, count, chosen), sides in zip(runs, found, strict=True):
        assumed = assumptions(**chosen)
        assert [side for side, _ in sides] == list(assumed)
        for side, cost in sides:
            ours = training_cost(n, d, ACCELERATORS[key], count, assumed[side])
            for name, value in dataclasses.asdict(ours).items():
                theirs = math.nan if cost[name] is None else cost[name]
                assert theirs == pytest.approx(value, rel=1e-12, nan_ok=True)


def test_the_memory_of_training_is_that_of_the_package(compute: Evaluate) -> None:
    data = STARTS["compute"]()
    for key in ACCELERATORS:
        for n in (1e6, 7e9, 175e9):
            found = compute(
                "([n, each, constants]) => Companion.trainingMemory(n, each, constants)",
                [n, data["accelerators"][key], data["constants"]],
            )
            memory = training_memory(n).total
            assert found["bytes"] == pytest.approx(memory)
            assert found["accelerators"] == accelerators_needed(memory, ACCELERATORS[key])


# ---- the classifier ----

WORDS = ["<pad>", "<unk>", *COMMON, *(word for words in TOPICS.values() for word in words)]
TINY = Configuration(embedding_size=6, hidden_size=5, window=8, embedding_scale=1.0)
SHAPES = {
    "windows": TINY,
    "whole": dataclasses.replace(TINY, window=0),
    "one direction, last": dataclasses.replace(TINY, window=0, bidirectional=False, pooling="last"),
    "two layers, max": dataclasses.replace(TINY, window=3, layers=2, pooling="max"),
    "mean, one word a window": dataclasses.replace(TINY, window=1, pooling="mean"),
    "few words": dataclasses.replace(TINY, maximum_words=3),
}


def untrained(configuration: Configuration) -> TextClassifier:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = LSTMClassifier(len(WORDS), 3, configuration)
        with torch.no_grad():  # so that the answers differ widely
            for parameter in model.parameters():
                parameter.mul_(3)
    return TextClassifier(model.eval(), Vocabulary(WORDS), ["a", "b", "c"], configuration)


def texts(count: int = 30, longest: int = 40) -> list[str]:
    generator = np.random.default_rng(0)
    lengths = generator.integers(1, longest + 1, count)
    return [" ".join(generator.choice([*WORDS[2:], "strange"], length)) for length in lengths]


ANSWER = """texts => {
    const model = new Companion.Classifier(window.CompanionModel);
    return texts.map(text => model.classify(model.encode(text).ids).probabilities);
}"""


def ask(browser: Any, tmp_path: Path, model: Path, questions: list[str]) -> Any:
    address = read_page(tmp_path, "", [SCRIPTS / "companion.js", model])
    tab = Tab(browser, address)
    answers = tab.page.evaluate(ANSWER, questions)
    tab.close()
    return np.array(answers)


@pytest.mark.parametrize("name", SHAPES)
def test_the_script_gives_what_torch_gives_for_every_shape(
    browser: Any, tmp_path: Path, name: str
) -> None:
    classifier = untrained(SHAPES[name])
    path = export_web(classifier, tmp_path / "model.js")
    small = quantize_rows(classifier)
    answers = ask(browser, tmp_path, path, texts())
    np.testing.assert_allclose(answers, small.predict_proba(texts()), atol=1e-5)
    small.model.double()
    np.testing.assert_allclose(answers, small.predict_proba(texts()), atol=1e-9)
    assert np.abs(answers - classifier.predict_proba(texts())).max() > 1e-5, "8 bits cost something"
    assert answers.max(axis=1).std() > 0.02


def published() -> tuple[dict[str, Any], TextClassifier]:
    """The model of the live page, read by means of its own, as torch has it."""
    text = (SCRIPTS / "model.js").read_text(encoding="utf-8")
    content = json.loads(text.removeprefix("window.CompanionModel = ").removesuffix(";\n"))
    configuration = Configuration(**content["settings"])
    model = LSTMClassifier(len(content["vocabulary"]), len(content["labels"]), configuration)
    state = {}
    for name, shape in ((name, value.shape) for name, value in model.state_dict().items()):
        tensor = content["tensors"][name]
        data = base64.b64decode(tensor["data"])
        if "scales" in tensor:
            scales = np.frombuffer(base64.b64decode(tensor["scales"]), dtype="<f4")
            rows = np.frombuffer(data, dtype=np.int8).reshape(shape) * scales[:, None]
        else:
            rows = np.frombuffer(data, dtype="<f4").reshape(shape).copy()
        state[name] = torch.tensor(rows)
    model.load_state_dict(state)
    vocabulary = Vocabulary(content["vocabulary"])
    return content, TextClassifier(model.eval(), vocabulary, content["labels"], configuration)


HEADLINES = [
    "Shares rose after the bank raised its profit forecast",
    "The striker scored twice and the coach praised the team",
    "Ministers face questions over the election campaign",
    "大模型 zzzz qqqq",
    "a",
    "New phones and faster broadband for mobile users " * 40,
]


def test_the_published_model_gives_what_torch_gives(browser: Any, tmp_path: Path) -> None:
    content, classifier = published()
    answers = ask(browser, tmp_path, SCRIPTS / "model.js", HEADLINES)
    np.testing.assert_allclose(answers, classifier.predict_proba(HEADLINES), atol=1e-5)
    labels = [content["labels"][row.argmax()] for row in answers]
    assert labels[:3] == ["business", "sports", "politics"]


@pytest.mark.slow
def test_the_published_model_is_the_one_that_was_measured() -> None:
    """Its accuracy on the test documents of its own split, with its 8-bit weights."""
    _, classifier = published()
    test = split_corpus(load_corpus("bbc"), seed=0).test
    right = np.array(classifier.predict(test["text"].tolist())) == test["label"].to_numpy()
    recorded = ledger.load(ROOT / "book" / "results")["live.page.seed_0"]
    assert right.mean() == pytest.approx(recorded.value, abs=0.003), "one document at the most"


# ---- the figures ----


def figure(name: str, data: dict[str, Any] | None = None) -> str:
    start = f'<script type="application/json">{json.dumps(data)}</script>' if data else ""
    return f'<div class="interactive" data-figure="{name}" hidden>{start}</div>'


class Figure:
    """One figure of a page, and what a reader does to it."""

    def __init__(self, tab: Tab, name: str) -> None:
        tab.page.wait_for_selector(f"[data-figure={name}][data-started]:not([hidden])")
        self.root = tab.page.locator(f"[data-figure={name}]")
        self.page = tab.page

    def status(self) -> str:
        return str(self.root.locator("[role=status]").inner_text())

    def control(self, label: str) -> Any:
        return self.root.get_by_label(label, exact=True)

    def press(self, label: str, *keys: str) -> None:
        control = self.control(label)
        control.focus()
        for key in keys:
            control.press(key)

    def type_text(self, text: str, words: int) -> None:
        """Type into the live classifier and wait until so many words are shown and left out."""
        self.control("text").fill(text)
        shown = "document.querySelectorAll('ol.interactive-words li').length"
        self.page.wait_for_function(f"{shown} === {words}")
        if words:
            self.page.wait_for_selector("[data-done=yes]")


Opener = Callable[[str], Figure]


def ladder() -> dict[str, Any]:
    notebook = (ROOT / "book" / "project" / "listing.ipynb").read_text(encoding="utf-8")
    return book_interactive.ladder(json.loads(notebook))


@pytest.fixture(scope="module")
def open_figure(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opener]:
    """Gives a figure on a page of all; the live classifier has a page of its own."""
    starts = {name: start() for name, start in STARTS.items()} | {"failure-ladder": ladder()}
    names = sorted(book_interactive.known_figures() - {LIVE})
    all_figures = "".join(figure(name, starts.get(name)) for name in names)
    common = [SCRIPTS / "companion.js", SCRIPTS / "interactive.js"]
    own = [SCRIPTS / "model.js", SCRIPTS / "live.js"]
    folder = tmp_path_factory.mktemp("figures")
    tab = Tab(browser, read_page(folder, all_figures, common))
    live = Tab(browser, read_page(folder, figure(LIVE), [*common, *own]))
    yield lambda name: Figure(live if name == LIVE else tab, name)
    tab.close()
    live.close()


def test_gradient_descent_by_keyboard(open_figure: Opener) -> None:
    tab = open_figure("gradient-descent")
    tab.press("steepness Σx²", "End", *["ArrowLeft"] * 10)  # 200
    assert "α · Σx² = 2, so each step multiplies the error by −1: for ever" in tab.status()
    assert "Weights: 1, 3, 1, 3, 1" in tab.status()
    tab.press("learning rate α", "Home")
    assert "0.2, so each step multiplies the error by 0.8: monotone" in tab.status()


def test_the_activations_by_keyboard(open_figure: Opener) -> None:
    tab = open_figure("activations")
    value = float(sigmoid(np.array(1.4)))
    assert f"sigmoid(1.4) = {value:.4f}" in tab.status()
    tab.control("function").select_option("GELU")
    tab.press("input x", "ArrowRight")
    x = np.array(1.5)
    gelu = ACTIVATIONS["GELU"]
    assert f"{gelu.function(x):.4f} (solid line); slope {gelu.derivative(x):.4f}" in tab.status()


def test_the_gate_and_attention_by_keyboard(open_figure: Opener) -> None:
    tab = open_figure("gate-attention")
    tab.press("score of token 3", "End")
    scores = np.array([1.4, 1.0, 6.0])
    for weights in (sigmoid(scores), softmax(scores)):
        assert ", ".join(f"{weight:.3f}" for weight in weights) in tab.status()


def test_the_masks_by_keyboard(open_figure: Opener) -> None:
    tab = open_figure("masks")
    assert tab.status() == "Token 3 is changed: outputs 3 to 5 can move, and no other."
    tab.press("changed token", "End")
    assert tab.status() == "Token 5 is changed: output 5 can move, and no other."
    tab.control("architecture").select_option("encoder-only")
    assert tab.status() == "Token 5 is changed: outputs 1 to 5 can move."


def test_the_cleaning_while_it_is_typed(open_figure: Opener) -> None:
    tab = open_figure("cleaning")
    text = "At last 3.14!"
    tab.control("sentence").fill(text)
    counts = {name: len(tokens) for name, tokens in cleanings(text).items()}
    assert counts == {"as written": 3, "the listing": 7, "corrected": 4}
    assert tab.status() == "as written: 3; the listing: 7; glued: 3; corrected: 4 tokens."


def test_padding_amnesia_by_keyboard(open_figure: Opener) -> None:
    tab = open_figure("padding-amnesia")
    tab.press("padding tokens", "Home")
    network = amnesia_network()
    readers = {"after": lambda token_ids, lengths: network(token_ids), "last": network}
    ours = padding_amnesia(readers, AMNESIA_DOCUMENTS, [0])
    assert f"by {ours.loc[0, 'last']:.2g} when the state at the last word" in tab.status()
    assert f"by {ours.loc[0, 'after']:.2g} when the state after" in tab.status()


def test_the_ladder_is_that_of_the_page(open_figure: Opener) -> None:
    data = ladder()
    assert [rung["rung"] for rung in data["rungs"]] == [f"L{n:02}" for n in range(1, 18)]
    assert {rung["stage"] for rung in data["rungs"]} == set(STAGES)
    tab = open_figure("failure-ladder")
    for rung in data["rungs"]:
        assert rung["rung"] in tab.status()
        assert rung["error"] in tab.status()
        assert tab.root.get_by_role("link").get_attribute("href") == f"#{rung['anchor']}"
        tab.root.get_by_role("button").press("Enter")
    assert "silent" in tab.status()


def test_the_size_of_a_model_by_keyboard(open_figure: Opener) -> None:
    tab = open_figure("model-size")
    tab.control("architecture").select_option("GPT-3")
    count = transformer_parameters(96, 12288, 50257, 2048)
    assert f"{count:,} parameters: large by" in tab.status()
    assert f"{2 * count / 1e9:.0f} GB" in tab.status()
    assert f"{forward_flop(count):.2e}".replace("e+11", "e11") in tab.status()
    tab.control("layers").fill("1")
    assert f"{transformer_parameters(1, 12288, 50257, 2048):,}" in tab.status()


def test_the_calculator_by_keyboard(open_figure: Opener) -> None:
    tab = open_figure("compute")
    tab.control("parameters, in billions").fill("70")
    tab.control("tokens, in billions").fill("1400")
    tab.control("how many of them").fill("2000")
    cost = training_cost(70e9, 1.4e12, ACCELERATORS["h100"], 2000, assumptions()["value"])
    assert f"{cost.flop:.1e}".replace("e+", "e") in tab.status()
    assert f"about {cost.days:.2g} days" in tab.status()
    days = [
        training_cost(70e9, 1.4e12, ACCELERATORS["h100"], 2000, assumptions()[side]).days
        for side in ("low", "value", "high")
    ]
    shown = tab.root.locator("tbody tr").nth(1).locator("td").all_inner_texts()
    assert shown == [f"{value:.2g}" for value in days]
    tab.control("accelerator").select_option("TPU v4")
    assert "not known" in tab.root.locator("tbody tr").nth(3).inner_text()


def test_the_gates_by_keyboard(open_figure: Opener) -> None:
    start = STARTS["lstm-gates"]()
    tab = open_figure("lstm-gates")
    tab.press("1", "Space")  # do not write at step 1
    writes = [0.0, *start["writes"][1:]]
    steps = forward(latch(), np.stack([start["values"], writes], axis=1)[None])
    expected = ", ".join(f"{step.memory[0, 0] + 0:.2f}".replace("-", "−") for step in steps)
    assert expected.replace("−0.00", "0.00") in tab.status()


def test_the_reach_by_keyboard(open_figure: Opener) -> None:
    tab = open_figure("lstm-reach")
    tab.press("bias of the forget gate", *["ArrowRight"] * 6)
    forget = float(sigmoid(np.array(3.0)))
    assert f"= {forget:.3f}" in tab.status()
    assert f"after {math.log(0.01) / math.log(forget):.0f} steps" in tab.status()
    assert f"{forget**50:.2g} of it after 50" in tab.status()


def test_the_live_classifier_while_it_is_typed(open_figure: Opener) -> None:
    """Probabilities, unknown words and the effect of each word are those of torch."""
    tab = open_figure(LIVE)
    _, classifier = published()
    text = "The striker scored zzzz"
    tab.type_text(text, 4)
    (row,) = classifier.predict_proba([text])
    best = int(row.argmax())
    assert f"{classifier.labels[best]}, with probability {row[best]:.3f}" in tab.status()
    assert "4 words, 1 unknown" in tab.status()
    shown = tab.root.locator("table").first.locator("td").all_inner_texts()
    assert shown == [f"{value:.3f}" for value in row]
    assert tab.root.locator("li.unknown .name").all_inner_texts() == ["zzzz"]
    words = text.split()
    without = [" ".join(words[:place] + words[place + 1 :]) for place in range(4)]
    falls = row[best] - classifier.predict_proba(without)[:, best]
    effects = [
        float(effect.replace("−", "-"))
        for effect in tab.root.locator("ol.interactive-words .effect").all_inner_texts()
    ]
    np.testing.assert_allclose(effects, falls, atol=6e-4)
    tab.type_text("!!!", 0)
    assert "no letter" in tab.status()


def test_a_long_text_is_read_whole(open_figure: Opener) -> None:
    tab = open_figure(LIVE)
    _, classifier = published()
    text = "the match was lost " * 100 + "x" * 500
    tab.type_text(text, 80)
    (row,) = classifier.predict_proba([text])
    assert f"probability {row.max():.3f}. 401 words, 1 unknown" in tab.status()
    assert "321 more words are read and not shown" in tab.page.inner_text("body")
    assert "no word is left out" in tab.page.inner_text("body")


def test_the_gates_of_the_live_classifier_are_those_of_torch(
    open_figure: Opener,
) -> None:
    """The backward direction at its first word is one step of an LSTM cell at the last word."""
    tab = open_figure(LIVE)
    _, classifier = published()
    tab.type_text("goal", 1)
    tab.control("direction").select_option("backward, from the last word")
    tab.control("unit").select_option("unit 5")
    lstm = classifier.model.layers[0].directions[1]
    vector = classifier.model.embedding.weight[classifier.vocabulary.encode(["goal"])[0]]
    sums = (lstm.weight_ih_l0 @ vector + lstm.bias_ih_l0 + lstm.bias_hh_l0).detach()
    i, f, g, o = (part[4] for part in sums.chunk(4))
    memory = i.sigmoid() * g.tanh()
    expected = [float(value) for value in (i.sigmoid(), f.sigmoid(), o.sigmoid(), memory)]
    cells = tab.root.locator("table").last.locator("td").all_inner_texts()
    np.testing.assert_allclose([float(c.replace("−", "-")) for c in cells], expected, atol=6e-3)


# ---- where the figures stand ----


def test_without_scripts_a_figure_is_not_there_and_its_stand_in_is(
    browser: Any, tmp_path: Path
) -> None:
    stand_in = (
        '<div class="interactive" data-figure="x"><p class="interactive-fallback">!</p></div>'
    )
    address = read_page(tmp_path, figure("masks") + stand_in, [SCRIPTS / "interactive.js"])
    page = browser.new_page(java_script_enabled=False)
    page.goto(address)
    assert not page.locator("[data-figure=masks]").is_visible()
    assert page.locator(".interactive-fallback").is_visible()
    page.close()


def test_every_figure_stands_on_a_page() -> None:
    sources = [*(ROOT / "book" / "_src").rglob("*.md"), *(ROOT / "book" / "project").glob("*.md")]
    used = [
        name
        for path in sources
        for name in re.findall(r"\{interactive\} ([a-z-]+)", path.read_text(encoding="utf-8"))
    ]
    assert sorted(used) == sorted(book_interactive.known_figures())
