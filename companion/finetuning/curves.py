"""How the new task and the old one fare while an encoder is fine-tuned.

Explained in :doc:`/training/finetuning`, "Fine-tune" and "Evaluate". The new task is to name the
section of an article. The old one is what MiniLM was trained for, to bring texts of one meaning
together: here, to find the article of a headline.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from companion.classifier.corpus import Splits
from companion.finetuning.evaluation import retrieval_accuracy, split_headlines
from companion.finetuning.model import (
    EncoderClassifier,
    choose_trained,
    embed_documents,
    reinitialise,
)
from companion.finetuning.pretrained import Pretrained, encode, load_pretrained
from companion.finetuning.training import Schedule, fine_tune

__all__ = ["TwoTasks", "adapt", "few_of_each", "prepare_tasks", "scores", "untrained"]


@dataclass(frozen=True)
class TwoTasks:
    """Articles to train on and others to measure on, as token ids.

    Attributes:
        training: The articles to train on, without their headlines.
        training_labels: ``(articles,)`` the class of each.
        articles: The articles to measure on, without their headlines.
        labels: ``(articles,)`` the class of each.
        headlines: The headline of each.
        classes: The names of the classes.
    """

    training: list[list[int]]
    training_labels: NDArray[np.int64]
    articles: list[list[int]]
    labels: NDArray[np.int64]
    headlines: list[list[int]]
    classes: list[str]


def few_of_each(frame: pd.DataFrame, count: int, seed: int = 0) -> pd.DataFrame:
    """Draw at random some documents of each class.

    The first ones would not do: the files of a corpus often stand in the order of their subjects.

    Args:
        frame: The columns ``text`` and ``label``.
        count: How many of each label; all of a label that has fewer.
        seed: Fixes the draw.

    Returns:
        A new table, shuffled, rows numbered from 0.
    """
    shuffled = frame.sample(frac=1, random_state=seed)
    return shuffled.groupby("label").head(count).reset_index(drop=True)


def prepare_tasks(
    splits: Splits, pretrained: Pretrained, *, a_class: int = 20, maximum_length: int = 48
) -> TwoTasks:
    """Take some training and some validation articles of each class, and encode them.

    Args:
        splits: The corpus; its texts begin with a headline.
        pretrained: What the ids are for.
        a_class: How many articles of each class, for either purpose.
        maximum_length: Tokens kept of an article.

    Returns:
        The two tasks.
    """
    classes = sorted(splits.train["label"].unique())
    parts = []
    for frame in (splits.train, splits.validation):
        few = few_of_each(frame, a_class)
        headlines, bodies = split_headlines(few["text"].tolist())
        labels = np.array([classes.index(label) for label in few["label"]], dtype=np.int64)
        parts.append((headlines, encode(bodies, pretrained.tokenizer, maximum_length), labels))
    (_, training, training_labels), (headlines, articles, labels) = parts
    queries = encode(headlines, pretrained.tokenizer, maximum_length)
    return TwoTasks(training, training_labels, articles, labels, queries, classes)


def untrained(
    tasks: TwoTasks, *, method: str = "frozen", reinitialise_layers: int = 0, seed: int = 0
) -> EncoderClassifier:
    """Put a new head on a fresh copy of MiniLM.

    Args:
        tasks: The tasks; they say how many classes there are.
        method: What may be trained; see :func:`~companion.finetuning.model.choose_trained`.
        reinitialise_layers: How many of the last layers lose their pretrained weights.
        seed: Fixes the new weights.

    Returns:
        The model.
    """
    encoder = load_pretrained().encoder
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = EncoderClassifier(encoder, len(tasks.classes))
        reinitialise(model, reinitialise_layers)
        choose_trained(model, method)
    return model.eval()


def scores(model: EncoderClassifier, tasks: TwoTasks) -> dict[str, float]:
    """Measure ``new_task`` and ``old_task``, each as the share that came out right."""
    articles = embed_documents(model, tasks.articles)
    was_training = model.training
    with torch.inference_mode():
        logits = model.eval().classify(torch.from_numpy(articles))
    model.train(was_training)
    predicted = logits.argmax(dim=1).numpy()
    return {
        "new_task": float((predicted == tasks.labels).mean()),
        "old_task": retrieval_accuracy(embed_documents(model, tasks.headlines), articles),
    }


def adapt(
    tasks: TwoTasks,
    method: str,
    learning_rate: float = 1e-4,
    *,
    reinitialise_layers: int = 0,
    epochs: int = 3,
    seed: int = 0,
) -> pd.DataFrame:
    """Fine-tune a fresh copy of MiniLM, and measure both tasks before it and after each epoch.

    Args:
        tasks: The tasks.
        method: What is trained.
        learning_rate: The highest step size inside the encoder.
        reinitialise_layers: How many of the last layers start at random.
        epochs: Passes over the training articles.
        seed: Fixes the head, the order and the dropout.

    Returns:
        A row an epoch, 0 for the start: ``training_loss``, ``new_task``, ``old_task``.
    """
    model = untrained(tasks, method=method, reinitialise_layers=reinitialise_layers, seed=seed)
    schedule = Schedule(learning_rate=learning_rate, epochs=epochs, seed=seed)
    return fine_tune(
        model,
        tasks.training,
        tasks.training_labels,
        schedule,
        watch=lambda watched: scores(watched, tasks),
    )
