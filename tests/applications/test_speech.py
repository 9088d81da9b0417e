"""Spoken digits: the sound, the features, the network, the template and the recogniser."""

import numpy as np
import pytest
import torch

from companion.applications.speech import (
    DIGITS,
    RATE,
    SpeechNet,
    Utterance,
    digit_utterances,
    log_mel,
    recognise,
    recognise_by_templates,
    recognise_with_sphinx,
    speak,
    split_at_pauses,
    train_speech,
    word_error_rate,
)
from companion.errors import DataError


def test_a_seed_fixes_the_sound_and_speakers_differ() -> None:
    first, again = digit_utterances(2, 3), digit_utterances(2, 3)
    assert [each.words for each in first] == [each.words for each in again]
    np.testing.assert_array_equal(first[0].sound, again[0].sound)
    generator = np.random.default_rng(0)
    one, two = speak(["one"], generator), speak(["one"], generator)
    assert one.text == "one"
    assert len(one.sound) != len(two.sound)
    assert np.abs(one.sound).max() == pytest.approx(1)


def test_an_unknown_word_is_refused() -> None:
    with pytest.raises(DataError, match="hello"):
        speak(["hello"], np.random.default_rng(0))


def test_a_high_tone_lies_in_a_higher_band() -> None:
    """Without standardising over time the louder band would show; here two halves are compared."""
    times = np.arange(RATE) / RATE
    sound = np.where(times < 0.5, np.sin(2 * np.pi * 300 * times), np.sin(2 * np.pi * 3000 * times))
    features = log_mel(sound)
    assert features.shape[1] == 24
    np.testing.assert_allclose(features.mean(axis=0), 0, atol=1e-9)
    half = len(features) // 2
    change = features[half:].mean(axis=0) - features[:half].mean(axis=0)
    assert change[2] < 0 < change[15]
    with pytest.raises(DataError, match="100 samples"):
        log_mel(np.zeros(100))


def test_pauses_cut() -> None:
    tone = np.sin(np.arange(RATE // 4))
    quiet = np.zeros(RATE // 4)
    pieces = split_at_pauses(np.concatenate([quiet, tone, quiet, tone, quiet]))
    assert len(pieces) == 2
    assert all(abs(len(piece) - len(tone)) < 0.05 * RATE for piece in pieces)


def test_repeats_are_merged_and_blanks_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    network = SpeechNet()
    path = torch.tensor([0, 2, 2, 0, 2, 3, 3, 0])
    scores = torch.nn.functional.one_hot(path, 11).float()[None]
    monkeypatch.setattr(network, "forward", lambda features: scores)
    assert recognise(network, digit_utterances(1, 0)) == ["one one two"]


def test_the_network_learns_single_words() -> None:
    generator = np.random.default_rng(0)
    said = [speak([word], generator, noise=0.01) for word in ("six", "nine") * 16]
    network = train_speech(said, epochs=60, batch=4)
    assert word_error_rate(recognise(network, said), said) < 0.2


def test_templates_know_the_voice_they_were_made_from() -> None:
    generator = np.random.default_rng(0)
    said = [speak([word], generator, noise=0.01) for word in ("six", "nine", "two") * 8]
    assert word_error_rate(recognise_by_templates(said, said), said) < 0.5


def test_pocketsphinx_answers_with_digits() -> None:
    pytest.importorskip("pocketsphinx")
    (text,) = recognise_with_sphinx(digit_utterances(1, 0, noise=0.01))
    assert text
    assert set(text.split()) <= set(DIGITS)


def test_word_errors_are_counted_over_the_words_said() -> None:
    said = [Utterance(("one", "two"), np.zeros(1)), Utterance(("three",), np.zeros(1))]
    assert word_error_rate(["one two", "three"], said) == 0
    assert word_error_rate(["one", "three three"], said) == pytest.approx(2 / 3)
