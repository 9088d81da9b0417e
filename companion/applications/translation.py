"""Translate dates from English to Chinese: by a dictionary, by a rule, and by a trained network.

Explained in :doc:`/applications/language`.
"""

import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd
import torch
from babel.dates import format_date, get_day_names, get_month_names
from numpy.typing import NDArray
from sacrebleu.metrics.bleu import BLEU
from torch import Tensor, nn
from torch.nn import functional

from companion.classifier.model import parameter_count
from companion.errors import DataError

__all__ = [
    "DatePairs",
    "Translator",
    "compare_translators",
    "date_pairs",
    "translate_by_rule",
    "translate_by_words",
    "translation_scores",
    "with_typo",
]

# What a person may write; Babel fills in the names. The Chinese side has two forms.
ENGLISH_PATTERNS = (
    "EEEE, MMMM d, y",
    "MMMM d, y",
    "d MMM y",
    "EEE d MMMM y",
    "MMM d, y",
    "EEEE d MMM y",
)
PADDING, START, END = 0, 1, 2


@dataclass(frozen=True)
class DatePairs:
    """Dates in English and in Chinese, as Babel writes them.

    Attributes:
        english: As ``"Tuesday, January 6, 2026"``.
        chinese: As ``"2026年1月6日星期二"``, with the day of the week where the English has it.
    """

    english: list[str]
    chinese: list[str]

    def __len__(self) -> int:
        return len(self.english)


def date_pairs(count: int, first_year: int, last_year: int, *, seed: int = 0) -> DatePairs:
    """Draw different dates and write each in English and in Chinese.

    Args:
        count: How many.
        first_year: The first year that is drawn from.
        last_year: The last one.
        seed: Fixes the dates and the way each is written.

    Returns:
        The pairs; no English date appears twice.

    Raises:
        DataError: If there are fewer days than ``count``.
    """
    start = date(first_year, 1, 1)
    days = (date(last_year + 1, 1, 1) - start).days
    if count > days:
        raise DataError(f"{first_year} to {last_year} has {days} days; {count} are wanted")
    generator = np.random.default_rng(seed)
    chosen = generator.choice(days, count, replace=False)
    patterns = generator.choice(ENGLISH_PATTERNS, count)
    english, chinese = [], []
    for day, pattern in zip(chosen.tolist(), patterns.tolist(), strict=True):
        when = start + timedelta(days=day)
        english.append(format_date(when, pattern, locale="en"))
        style = "full" if "EEE" in pattern else "long"
        chinese.append(format_date(when, style, locale="zh"))
    return DatePairs(english, chinese)


def with_typo(text: str, generator: np.random.Generator) -> str:
    """Exchange two neighbouring letters inside a word of a text, the first letter never.

    >>> with_typo("5 May 2026", np.random.default_rng(0))
    '5 Mya 2026'
    """
    places = [
        place
        for place in range(1, len(text) - 1)
        if text[place - 1 : place + 2].isalpha() and text[place] != text[place + 1]
    ]
    place = int(generator.choice(places))
    return text[:place] + text[place + 1] + text[place] + text[place + 2 :]


def _names(names: Callable[..., Mapping[int, str]], locale: str) -> dict[str, int]:
    return {
        name: number
        for width in ("abbreviated", "wide")
        for number, name in names(width, locale=locale).items()
    }


def translate_by_words(text: str) -> str:
    """Look up each word and keep the order: what a dictionary alone can do."""
    months, days = _names(get_month_names, "en"), _names(get_day_names, "en")
    weekdays = get_day_names("wide", locale="zh")
    words = re.findall(r"\w+", text)
    return "".join(
        f"{months[word]}月" if word in months else weekdays[days[word]] if word in days else word
        for word in words
    )


def translate_by_rule(text: str) -> str:
    """Find the year, the month, the day and its name, and put them in the Chinese order.

    Returns:
        The date, or an empty text where a part is not found.
    """
    months, days = _names(get_month_names, "en"), _names(get_day_names, "en")
    weekdays = get_day_names("wide", locale="zh")
    words = re.findall(r"\w+", text)
    year = [word for word in words if re.fullmatch(r"\d{4}", word)]
    day = [word for word in words if re.fullmatch(r"\d{1,2}", word)]
    month = [months[word] for word in words if word in months]
    named = [weekdays[days[word]] for word in words if word in days]
    if not year or not day or not month:
        return ""
    return f"{year[0]}年{month[0]}月{day[0]}日{''.join(named)}"


class Translator(nn.Module):
    """A network that reads characters and writes characters, with attention between the two.

    Args:
        source_characters: What the source may hold.
        target_characters: What the target may hold.
        width: The length of every vector.
    """

    def __init__(self, source_characters: str, target_characters: str, width: int = 64) -> None:
        super().__init__()
        self.source_ids = {character: 3 + i for i, character in enumerate(source_characters)}
        self.target_characters = target_characters
        self.target_ids = {character: 3 + i for i, character in enumerate(target_characters)}
        self.source = nn.Embedding(3 + len(source_characters), width, padding_idx=PADDING)
        self.target = nn.Embedding(3 + len(target_characters), width, padding_idx=PADDING)
        self.reader = nn.GRU(width, width // 2, batch_first=True, bidirectional=True)
        self.writer = nn.GRU(width, width, batch_first=True)
        self.query = nn.Linear(width, width, bias=False)
        self.combine = nn.Linear(2 * width, width)
        self.output = nn.Linear(width, 3 + len(target_characters))

    def encode_source(self, texts: Sequence[str]) -> Tensor:
        """Give ``(batch, source time)`` ids, short texts padded; unknown characters are skipped."""
        rows = [[self.source_ids[c] for c in text if c in self.source_ids] for text in texts]
        return _padded(rows)

    def encode_target(self, texts: Sequence[str]) -> Tensor:
        """Give ``(batch, target time)`` ids between a start and an end."""
        return _padded([[START, *(self.target_ids[c] for c in text), END] for text in texts])

    def read(self, source_ids: Tensor) -> Tensor:
        """Give ``(batch, source time, width)`` states, one for each character of the source."""
        lengths = (source_ids != PADDING).sum(dim=1)
        packed = nn.utils.rnn.pack_padded_sequence(
            self.source(source_ids), lengths, batch_first=True, enforce_sorted=False
        )
        states: Tensor = nn.utils.rnn.pad_packed_sequence(
            self.reader(packed)[0], batch_first=True, total_length=source_ids.shape[1]
        )[0]
        return states

    def attend(self, states: Tensor, source: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Mix what was read for each written character.

        Args:
            states: ``(batch, target time, width)`` the writer's.
            source: ``(batch, source time, width)`` the reader's.
            mask: ``(batch, source time)`` True where a character is.

        Returns:
            ``(batch, target time, width)`` mixtures, and ``(batch, target time, source time)``
            weights that add up to 1 over the source.
        """
        scores = self.query(states) @ source.transpose(1, 2)
        weights = scores.masked_fill(~mask.unsqueeze(1), -torch.inf).softmax(dim=-1)
        return weights @ source, weights

    def step(
        self, target_ids: Tensor, source: Tensor, mask: Tensor, memory: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Give logits for the character after each given one, attention weights, and memory."""
        states, memory = self.writer(self.target(target_ids), memory)
        mixed, weights = self.attend(states, source, mask)
        joined = torch.tanh(self.combine(torch.cat([states, mixed], dim=-1)))
        return self.output(joined), weights, memory

    def forward(self, source_ids: Tensor, target_ids: Tensor) -> Tensor:
        """Give ``(batch, target time, characters)`` logits for the next characters."""
        source = self.read(source_ids)
        logits: Tensor = self.step(target_ids, source, source_ids != PADDING)[0]
        return logits

    @torch.inference_mode()
    def translate(self, texts: Sequence[str], limit: int = 24) -> list[str]:
        """Write the most probable character, one after the other, until the end."""
        return [text for text, _ in self.translate_with_attention(texts, limit)]

    @torch.inference_mode()
    def translate_with_attention(
        self, texts: Sequence[str], limit: int = 24
    ) -> list[tuple[str, NDArray[np.float32]]]:
        """Translate, and give ``(written characters, source characters)`` weights with each."""
        source_ids = self.encode_source(texts)
        source, mask = self.read(source_ids), source_ids != PADDING
        last, memory = torch.full((len(texts), 1), START), None
        written, maps = [], []
        for _ in range(limit):
            logits, weights, memory = self.step(last, source, mask, memory)
            last = logits.argmax(dim=-1)
            written.append(last)
            maps.append(weights)
        return [
            self._until_end(ids.tolist(), weights[:, : int(length)].numpy())
            for ids, weights, length in zip(
                torch.cat(written, dim=1), torch.cat(maps, dim=1), mask.sum(dim=1), strict=True
            )
        ]

    def _until_end(
        self, ids: list[int], weights: NDArray[np.float32]
    ) -> tuple[str, NDArray[np.float32]]:
        length = ids.index(END) if END in ids else len(ids)
        text = "".join(self.target_characters[i - 3] for i in ids[:length] if i >= 3)
        return text, weights[:length]

    @classmethod
    def fit(
        cls,
        pairs: DatePairs,
        *,
        width: int = 64,
        steps: int = 400,
        batch_size: int = 64,
        learning_rate: float = 1e-2,
        seed: int = 0,
    ) -> "Translator":
        """Train on pairs: at every place of the target, predict the next character of it."""
        generator = np.random.default_rng(seed)
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            model = cls(_characters(pairs.english), _characters(pairs.chinese), width)
            optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate, fused=True)
            schedule = torch.optim.lr_scheduler.OneCycleLR(
                optimizer, learning_rate, total_steps=max(steps, 2), pct_start=0.1
            )
            sources, targets = (
                model.encode_source(pairs.english),
                model.encode_target(pairs.chinese),
            )
            for _ in range(steps):
                rows = torch.from_numpy(generator.integers(0, len(pairs), batch_size))
                source, target = sources[rows], targets[rows]
                logits = model(source, target[:, :-1])
                loss: Any = functional.cross_entropy(
                    logits.flatten(0, 1), target[:, 1:].flatten(), ignore_index=PADDING
                )
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
                schedule.step()
        return model.eval()


def _characters(texts: Iterable[str]) -> str:
    return "".join(sorted(set().union(*texts)))


def _padded(rows: list[list[int]]) -> Tensor:
    tensors = [torch.tensor(row, dtype=torch.int64) for row in rows]
    return nn.utils.rnn.pad_sequence(tensors, batch_first=True, padding_value=PADDING)


def translation_scores(translated: Sequence[str], wanted: Sequence[str]) -> "pd.Series[float]":
    """Measure translations.

    Args:
        translated: What a system wrote.
        wanted: What is right.

    Returns:
        ``exact``, the share that is right in every character, and ``bleu`` from 0 to 100, the
        overlap of stretches of one to four tokens as sacreBLEU cuts Chinese.
    """
    bleu = BLEU(tokenize="zh").corpus_score(list(translated), [list(wanted)]).score
    right = [one == other for one, other in zip(translated, wanted, strict=True)]
    return pd.Series({"exact": float(np.mean(right)), "bleu": float(bleu)})


def compare_translators(seeds: Iterable[int] = range(3), *, test_size: int = 500) -> pd.DataFrame:
    """Translate three kinds of test dates by words, by rule and by trained networks.

    The networks see 4,000 dates of 1950 to 2049. ``held out`` are other dates of these years,
    ``typos`` the same with two letters exchanged, and ``later years`` are of 2100 to 2199.

    Args:
        seeds: A network for each.
        test_size: The dates of each kind.

    Returns:
        A row for each system, seed and kind of test: ``exact``, ``bleu``, and for networks the
        processor ``seconds`` of training and the ``parameters``.
    """
    pairs = date_pairs(4000 + test_size, 1950, 2049)
    training = DatePairs(pairs.english[:4000], pairs.chinese[:4000])
    held_out = DatePairs(pairs.english[4000:], pairs.chinese[4000:])
    generator = np.random.default_rng(0)
    tests = {
        "held out": held_out,
        "typos": DatePairs(
            [with_typo(text, generator) for text in held_out.english], held_out.chinese
        ),
        "later years": date_pairs(test_size, 2100, 2199, seed=1),
    }
    rows: list[dict[str, Any]] = []
    for name, translate in [("words", translate_by_words), ("rule", translate_by_rule)]:
        for kind, test in tests.items():
            scores = translation_scores([translate(text) for text in test.english], test.chinese)
            rows.append({"system": name, "seed": 0, "test": kind, **scores})
    for seed in seeds:
        start = time.process_time()
        model = Translator.fit(training, seed=seed)
        cost = {"seconds": time.process_time() - start, "parameters": parameter_count(model)}
        for kind, test in tests.items():
            scores = translation_scores(model.translate(test.english), test.chinese)
            rows.append({"system": "network", "seed": seed, "test": kind, **scores, **cost})
    return pd.DataFrame(rows)
