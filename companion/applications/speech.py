"""Speech: synthesised digits from formants, a small CTC network, a template baseline, pocketsphinx.

Explained in :doc:`/applications/fields`.
"""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy.signal import istft, stft
from sklearn.neighbors import NearestCentroid
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from torchmetrics.text import WordErrorRate

from companion.errors import DataError, MissingPackageError

__all__ = [
    "DIGITS",
    "RATE",
    "SpeechNet",
    "Utterance",
    "digit_utterances",
    "log_mel",
    "recognise",
    "recognise_by_templates",
    "recognise_with_sphinx",
    "speak",
    "speech_study",
    "split_at_pauses",
    "train_speech",
    "word_error_rate",
]

RATE = 16_000  # samples a second
HOP = 256  # samples between frames: 16 ms
WINDOW = 512  # samples of a frame: 32 ms
BANDS = 24  # mel bands
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")

# First three formants in Hz, voicing and noise (shares), noise centre in Hz, seconds.
PHONES: dict[str, tuple[tuple[int, int, int], float, float, int, float]] = {
    "IY": ((270, 2290, 3010), 1.0, 0.0, 0, 0.13),
    "IH": ((390, 1990, 2550), 1.0, 0.0, 0, 0.09),
    "EH": ((530, 1840, 2480), 1.0, 0.0, 0, 0.10),
    "AA": ((730, 1090, 2440), 1.0, 0.0, 0, 0.11),
    "AH": ((640, 1190, 2390), 1.0, 0.0, 0, 0.10),
    "AO": ((570, 840, 2410), 1.0, 0.0, 0, 0.12),
    "UW": ((300, 870, 2240), 1.0, 0.0, 0, 0.14),
    "R": ((310, 1060, 1380), 0.7, 0.0, 0, 0.07),
    "W": ((290, 610, 2150), 0.7, 0.0, 0, 0.07),
    "N": ((250, 1450, 2500), 0.4, 0.0, 0, 0.08),
    "V": ((300, 1100, 2300), 0.3, 0.1, 3500, 0.06),
    "Z": ((300, 1600, 2500), 0.3, 0.4, 5500, 0.08),
    "S": ((300, 1600, 2500), 0.0, 0.6, 5500, 0.11),
    "F": ((300, 1100, 2300), 0.0, 0.25, 3500, 0.09),
    "TH": ((300, 1400, 2500), 0.0, 0.2, 4500, 0.09),
    "T": ((300, 1700, 2600), 0.0, 0.5, 4500, 0.03),
    "K": ((300, 1900, 2500), 0.0, 0.5, 2200, 0.03),
    "-": ((400, 1500, 2500), 0.0, 0.0, 0, 0.04),  # the closure before a stop
}
PRONUNCIATIONS = {
    "zero": "Z IH R AO UW",
    "one": "W AH N",
    "two": "- T UW",
    "three": "TH R IY",
    "four": "F AO R",
    "five": "F AA IH V",
    "six": "S IH - K S",
    "seven": "S EH V AH N",
    "eight": "EH IY - T",
    "nine": "N AA IH N",
}


@dataclass(frozen=True)
class Utterance:
    """Digits spoken in a row.

    Attributes:
        words: What is said.
        sound: ``(samples,)`` at :data:`RATE`, between -1 and 1.
    """

    words: tuple[str, ...]
    sound: NDArray[np.float64]

    @property
    def text(self) -> str:
        """The words in one line."""
        return " ".join(self.words)


def speak(
    words: Sequence[str], generator: np.random.Generator, *, noise: float = 0.05
) -> Utterance:
    """Synthesise digits from their formants, by a made-up speaker.

    Each call draws a speaker (pitch, length of the vocal tract, pace), a length for each sound, and
    pauses between the words, of which some are none.

    Args:
        words: Words of :data:`DIGITS`.
        generator: Draws the speaker and the noise.
        noise: Standard deviation of the background noise; the loudest sample of the speech is 1.

    Raises:
        DataError: If a word is not among the digits.
    """
    if unknown := sorted(set(words) - set(DIGITS)):
        raise DataError(f"{unknown} cannot be spoken; the words are {', '.join(DIGITS)}")
    rows = _track(words, generator)
    samples = len(rows) * 128
    formants, voicing, friction, centre = rows[:, :3], rows[:, 3], rows[:, 4], rows[:, 5]
    pitch = generator.uniform(90, 210) * np.linspace(1.08, 0.88, samples)
    voice = np.diff(np.floor(np.cumsum(pitch) / RATE), prepend=0.0)  # one pulse a period
    hiss = 0.1 * generator.normal(size=samples)
    frequencies, _, voiced = stft(voice, RATE, nperseg=WINDOW, noverlap=WINDOW - 128)
    hissing = stft(hiss, RATE, nperseg=WINDOW, noverlap=WINDOW - 128)[2]
    frames = min(voiced.shape[1], len(rows))
    band = np.exp(-(((frequencies[:, None] - centre[:frames]) / 1200) ** 2))
    spectrum = (
        voiced[:, :frames] * _resonance(frequencies, formants[:frames]) * voicing[:frames]
        + hissing[:, :frames] * band * friction[:frames]
    )
    sound = istft(spectrum, RATE, nperseg=WINDOW, noverlap=WINDOW - 128)[1]
    sound = sound / np.abs(sound).max() + noise * generator.normal(size=len(sound))
    return Utterance(tuple(words), sound / np.abs(sound).max())


def _track(words: Sequence[str], generator: np.random.Generator) -> NDArray[np.float64]:
    """Give ``(frames, 6)`` targets every 8 ms: formants, voicing, noise and its centre."""
    tract, pace = generator.uniform(0.88, 1.15), generator.uniform(0.75, 1.35)
    silence = np.array([400.0, 1500, 2500, 0, 0, 3000])
    rows = [np.tile(silence, (12, 1))]
    for word in words:
        for phone in PRONUNCIATIONS[word].split():
            formants, voicing, friction, centre, seconds = PHONES[phone]
            length = seconds * pace * generator.uniform(0.75, 1.3)
            target = [*(tract * np.array(formants)), voicing, friction, centre or 3000]
            rows.append(np.tile(target, (max(2, round(length * RATE / 128)), 1)))
        rows.append(np.tile(silence, (int(generator.integers(0, 12)), 1)))
    rows.append(np.tile(silence, (12, 1)))
    track = np.concatenate(rows)
    kernel = np.ones(5) / 5  # the mouth moves; it does not jump
    return np.stack(
        [np.convolve(np.pad(column, 2, mode="edge"), kernel, "valid") for column in track.T], axis=1
    )


def _resonance(
    frequencies: NDArray[np.float64], formants: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Give the ``(frequencies, frames)`` gain of three resonances in a row, 90 Hz wide and more."""
    gain = np.ones((len(frequencies), len(formants)))
    for number, width in enumerate([90, 120, 180]):
        centre = formants[:, number]
        distance = centre**2 - frequencies[:, None] ** 2
        gain *= centre**2 / np.hypot(distance, width * frequencies[:, None])
    return gain


def digit_utterances(count: int, seed: int, *, noise: float = 0.01) -> list[Utterance]:
    """Speak rows of one to four random digits, each by another speaker.

    Args:
        count: How many.
        seed: Fixes the digits, the speakers and the noise.
        noise: As in :func:`speak`.
    """
    generator = np.random.default_rng(seed)
    return [
        speak(
            [str(word) for word in generator.choice(DIGITS, size=generator.integers(1, 5))],
            generator,
            noise=noise,
        )
        for _ in range(count)
    ]


def _filters() -> NDArray[np.float64]:
    """Give ``(BANDS, bins)`` triangles that are evenly spaced on the mel scale."""
    top = 2595 * np.log10(1 + 7000 / 700)
    corners = 700 * (10 ** (np.linspace(0, top, BANDS + 2) / 2595) - 1)
    low, middle, high = corners[:-2, None], corners[1:-1, None], corners[2:, None]
    bins = np.linspace(0, RATE / 2, WINDOW // 2 + 1)
    rising, falling = (bins - low) / (middle - low), (high - bins) / (high - middle)
    return np.clip(np.minimum(rising, falling), 0, None)


FILTERS = _filters()


def log_mel(sound: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give ``(frames, 24)`` logarithms of the energy in mel bands, a frame every 16 ms.

    Each band has mean 0 and standard deviation 1 over the sound.

    Raises:
        DataError: If the sound is shorter than a frame of 32 ms.
    """
    if len(sound) < WINDOW:
        raise DataError(f"{len(sound)} samples of sound; at least {WINDOW} are needed")
    spectrum = stft(sound, RATE, nperseg=WINDOW, noverlap=WINDOW - HOP, boundary=None)[2]
    bands = np.log(FILTERS @ np.abs(spectrum) ** 2 + 1e-10).T
    return np.asarray((bands - bands.mean(axis=0)) / (bands.std(axis=0) + 1e-6))


class SpeechNet(nn.Module):
    """Convolutions over time that say, at each frame, which digit is spoken, or nothing.

    Args:
        width: Channels.
    """

    def __init__(self, width: int = 48) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv1d(BANDS, width, 5, padding=2),
            nn.ReLU(),
            nn.Conv1d(width, width, 5, padding=4, dilation=2),
            nn.ReLU(),
            nn.Conv1d(width, width, 5, padding=8, dilation=4),
            nn.ReLU(),
            nn.Conv1d(width, 1 + len(DIGITS), 1),
        )

    def forward(self, features: Tensor) -> Tensor:
        """Give ``(batch, frames, 11)`` log-probabilities; class 0 is the blank.

        Args:
            features: ``(batch, frames, 24)`` of :func:`log_mel`.
        """
        scores: Tensor = self.layers(features.transpose(1, 2))
        return scores.transpose(1, 2).log_softmax(dim=-1)


def train_speech(
    utterances: Sequence[Utterance], *, epochs: int = 30, batch: int = 8, seed: int = 0
) -> SpeechNet:
    """Train a network on utterances and their words; where each word lies it is not told.

    Args:
        utterances: What to learn from.
        epochs: Passes.
        batch: Utterances a step.
        seed: Fixes the initial weights and the order.
    """
    torch.manual_seed(seed)
    network, loss = SpeechNet(), nn.CTCLoss(blank=0, zero_infinity=True)
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    features = [torch.tensor(log_mel(each.sound), dtype=torch.float32) for each in utterances]
    labels = [torch.tensor([1 + DIGITS.index(w) for w in each.words]) for each in utterances]
    for _ in range(epochs):
        for rows in torch.split(torch.randperm(len(utterances)), batch):
            inputs, targets = [features[i] for i in rows], [labels[i] for i in rows]
            scores = network(pad_sequence(inputs, batch_first=True)).transpose(0, 1)
            value = loss(
                scores,
                torch.cat(targets),
                torch.tensor([len(each) for each in inputs]),
                torch.tensor([len(each) for each in targets]),
            )
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
        schedule.step()
    return network


def recognise(network: SpeechNet, utterances: Sequence[Utterance]) -> list[str]:
    """Give the words of each: the best class a frame, repeats merged, blanks dropped."""
    texts = []
    for each in utterances:
        features = torch.tensor(log_mel(each.sound), dtype=torch.float32)[None]
        with torch.inference_mode():
            best = torch.unique_consecutive(network(features)[0].argmax(dim=-1)).tolist()
        texts.append(" ".join(DIGITS[label - 1] for label in best if label))
    return texts


def split_at_pauses(sound: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Cut a sound where it is quiet for 80 ms; give the loud pieces of at least 100 ms."""
    frames = sound[: len(sound) // HOP * HOP].reshape(-1, HOP)
    level = np.sqrt((frames**2).mean(axis=1))
    loud = level > max(2.0 * float(np.quantile(level, 0.1)), 0.15 * float(level.max()))
    pieces, start, quiet = [], None, 0
    for number, is_loud in enumerate([*loud, *[False] * 5]):
        if is_loud:
            start, quiet = (number if start is None else start), 0
        elif start is not None:
            quiet += 1
            if quiet == 5:
                pieces.append(sound[start * HOP : (number - 4) * HOP])
                start = None
    return [piece for piece in pieces if len(piece) >= 0.1 * RATE]


def _eight_slices(sound: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give the mean spectrum of each eighth of a sound, ``(8 * 24,)``."""
    features = log_mel(sound)
    slices = np.repeat(features, 8, axis=0).reshape(8, len(features), BANDS)
    return np.asarray(slices.mean(axis=1).ravel())


def recognise_by_templates(
    training: Sequence[Utterance], utterances: Sequence[Utterance]
) -> list[str]:
    """Recognise with the mean spectrum of each digit: cut at pauses, take the nearest.

    Args:
        training: Utterances; those of one word make the templates.
        utterances: What to recognise.
    """
    single = [each for each in training if len(each.words) == 1]
    templates = NearestCentroid().fit(
        [_eight_slices(max(split_at_pauses(each.sound), key=len)) for each in single],
        [each.words[0] for each in single],
    )
    return [
        " ".join(
            str(templates.predict([_eight_slices(piece)])[0])
            for piece in split_at_pauses(each.sound)
        )
        for each in utterances
    ]


def recognise_with_sphinx(utterances: Sequence[Utterance]) -> list[str]:
    """Recognise with pocketsphinx, its English model, and a grammar of digits in a row.

    Raises:
        MissingPackageError: If pocketsphinx is not installed.
    """
    try:
        from pocketsphinx import Decoder
    except ImportError as error:
        raise MissingPackageError(
            "pocketsphinx is not installed; run: pip install pocketsphinx"
        ) from error
    decoder = Decoder(lm=None, loglevel="FATAL", samprate=RATE)
    words = " | ".join(DIGITS)
    decoder.add_jsgf_string("digits", f"#JSGF V1.0; grammar digits; public <row> = ({words})+;")
    decoder.activate_search("digits")
    texts = []
    for each in utterances:
        decoder.start_utt()
        decoder.process_raw((each.sound * 20_000).astype(np.int16).tobytes(), full_utt=True)
        decoder.end_utt()
        best = decoder.hyp()
        texts.append(best.hypstr if best else "")
    return texts


def word_error_rate(recognised: Sequence[str], utterances: Sequence[Utterance]) -> float:
    """Give the wrong, missing and added words over the words that were said."""
    metric = WordErrorRate()
    metric.update(list(recognised), [each.text for each in utterances])
    return float(metric.compute())


def speech_study(
    training: Sequence[Utterance], testing: Sequence[Utterance], seeds: Iterable[int] = range(3)
) -> pd.DataFrame:
    """Train a network for each seed: a row each with ``error`` (WER), ``seconds``, ``network``."""
    rows = []
    for seed in seeds:
        start = time.process_time()
        network = train_speech(training, seed=seed)
        seconds = time.process_time() - start
        error = word_error_rate(recognise(network, testing), testing)
        rows.append({"error": error, "seconds": seconds, "network": network})
    return pd.DataFrame(rows)
