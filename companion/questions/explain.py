"""Why did the classifier say that? Integrated gradients and LIME for the words of a text.

Explained in :doc:`/questions/explain`. Both come from captum, so that LIME needs no other package.
"""

import html
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from companion.classifier.batches import pad
from companion.classifier.encoding import encode
from companion.classifier.inference import TextClassifier
from companion.classifier.text import UNKNOWN_ID, tokenize
from companion.errors import DataError, MissingPackageError
from companion.safety import for_terminal

__all__ = ["Explanation", "as_html", "as_terminal", "explain_words"]

Logits = Callable[[Tensor], Tensor]
_METHODS = ("integrated gradients", "lime")
_FOR, _AGAINST, _RESET = "\x1b[1;34m", "\x1b[4;33m", "\x1b[0m"


@dataclass(frozen=True)
class Explanation:
    """How much each word of a text speaks for a class.

    Attributes:
        words: The tokens.
        scores: ``(words,)`` above 0 for the class, below 0 against it.
        label: The class.
        difference: The logit of the class for the text, less that for a text of unknown words.
    """

    words: list[str]
    scores: NDArray[np.float64]
    label: str
    difference: float

    @property
    def strengths(self) -> NDArray[np.float64]:
        """The scores as parts of the largest, from -1 to 1."""
        largest = np.abs(self.scores).max()
        return self.scores / largest if largest > 0 else self.scores


def explain_words(
    classifier: TextClassifier,
    text: str,
    *,
    label: str | None = None,
    method: Literal["integrated gradients", "lime"] = "integrated gradients",
    seed: int = 0,
    steps: int = 256,
) -> Explanation:
    """Score each word of a text.

    Integrated gradients go from a text of unknown words to this one in small steps, and add up the
    gradients on the way; the scores add up to ``difference``, the closer the smaller the steps.
    LIME replaces words at random by the unknown word, 256 times, and fits a linear model to the
    answers.

    Args:
        classifier: The classifier.
        text: The text.
        label: The class to explain; the likeliest if None.
        method: How.
        seed: Fixes which words LIME replaces.
        steps: How many steps integrated gradients take.

    Returns:
        The explanation.

    Raises:
        DataError: If the classifier has no such class, or there is no such method.
        EmptyDocumentError: If the text has no token.
        MissingPackageError: If captum is not installed.
    """
    (token_ids,) = encode([text], classifier.vocabulary, classifier.configuration.maximum_words)
    chosen = label or classifier.predict([text])[0]
    if chosen not in classifier.labels:
        raise DataError(f"no class {chosen!r}; choose one of {', '.join(classifier.labels)}")
    if method not in _METHODS:
        raise DataError(f"no method {method!r}; choose one of {', '.join(_METHODS)}")
    target, model = classifier.labels.index(chosen), classifier.model.eval()
    ids, lengths = (each.to(classifier.device) for each in pad([token_ids]))
    unknown = torch.full_like(ids, UNKNOWN_ID)

    def logits(token_ids: Tensor) -> Tensor:
        answers: Tensor = model(token_ids, lengths.expand(len(token_ids)))
        return answers

    if method == "lime":
        scores = _lime(logits, ids, unknown, target, seed)
    else:
        scores = _integrated_gradients(logits, model.embedding, ids, unknown, target, steps)
    scores = scores[: len(token_ids)]
    with torch.inference_mode():
        difference = (model(ids, lengths) - model(unknown, lengths))[0, target].item()
    return Explanation(tokenize(text)[: len(token_ids)], scores, chosen, difference)


def _captum() -> Any:
    try:
        import captum.attr
    except ImportError as error:
        raise MissingPackageError("explanations need captum: pip install captum") from error
    return captum.attr


def _integrated_gradients(
    logits: Logits, embedding: nn.Module, ids: Tensor, unknown: Tensor, target: int, steps: int
) -> NDArray[np.float64]:
    """Sum, for each word, what the numbers of its vector contribute."""
    method = _captum().LayerIntegratedGradients(logits, embedding)
    parts = method.attribute(ids, unknown, target=target, n_steps=steps)
    # Documents longer than a window are cut before the embedding: (windows, window, numbers).
    words: NDArray[np.float64] = parts.sum(dim=-1).reshape(-1).double().detach().cpu().numpy()
    return words


def _lime(
    logits: Logits, ids: Tensor, unknown: Tensor, target: int, seed: int
) -> NDArray[np.float64]:
    """Fit a linear model to the logits of texts with some words unknown."""
    captum = _captum()
    from captum._utils.models.linear_model import SkLearnRidge

    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(seed)
        method = captum.Lime(logits, interpretable_model=SkLearnRidge(alpha=1.0))
        parts = method.attribute(
            ids, unknown, target=target, n_samples=256, perturbations_per_eval=64
        )
    scores: NDArray[np.float64] = parts[0].double().cpu().numpy()
    return scores


def as_terminal(explanation: Explanation, *, colours: bool) -> str:
    """Write an explanation for a terminal.

    A word that speaks for the class stands as ``+word``, one against it as ``-word``; weak ones,
    under a fifth of the strongest, stand bare. Colours only repeat what the signs say.

    Args:
        explanation: The explanation.
        colours: Whether to colour the words.

    Returns:
        One line, safe for a terminal.
    """
    parts = []
    for word, strength in zip(explanation.words, explanation.strengths, strict=True):
        shown = _signed(for_terminal(word), float(strength))
        if colours and shown[0] in "+-" and abs(strength) >= 0.2:
            shown = f"{_FOR if strength > 0 else _AGAINST}{shown}{_RESET}"
        parts.append(shown)
    return " ".join(parts)


def as_html(explanation: Explanation) -> str:
    """Write an explanation as HTML, escaped, and readable without its colours.

    Args:
        explanation: The explanation.

    Returns:
        A paragraph. Words for the class stand bold after a plus, words against it underlined after
        a minus; the ground is light and the ink dark in both themes.
    """
    parts = []
    for word, strength in zip(explanation.words, explanation.strengths, strict=True):
        shown = html.escape(_signed(word, float(strength)))
        if abs(strength) >= 0.2:
            style = (
                "background:#cfe3f7;color:#111;font-weight:bold"
                if strength > 0
                else "background:#f7dcc4;color:#111;text-decoration:underline"
            )
            shown = f'<span style="{style}">{shown}</span>'
        parts.append(shown)
    return f"<p>{html.escape(explanation.label)}: {' '.join(parts)}</p>"


def _signed(word: str, strength: float) -> str:
    return word if abs(strength) < 0.2 else f"{'+' if strength > 0 else '-'}{word}"
