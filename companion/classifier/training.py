"""Training: epochs over shuffled batches, steered by the validation documents.

Explained in :doc:`/project/training`.
"""

import contextlib
import dataclasses
import hashlib
import itertools
import json
import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from tqdm import TqdmWarning

from companion.classifier.batches import Batch, shuffled_batches
from companion.classifier.configuration import CONFIGURATIONS, Configuration
from companion.classifier.corpus import validate_corpus
from companion.classifier.device import choose_device, multiplies_bfloat16
from companion.classifier.device_table import DeviceTable
from companion.classifier.distributed import Ranks, is_first_process, process_count
from companion.classifier.encoded_corpus import LabelledTable
from companion.classifier.encoding import build_vocabulary, encode
from companion.classifier.inference import TextClassifier
from companion.classifier.memory import keep_memory
from companion.classifier.model import LSTMClassifier
from companion.classifier.state import Checkpoints, TrainingState, remove_state, training_lock
from companion.classifier.text import Vocabulary
from companion.classifier.token_table import TokenTable
from companion.classifier.vectors import ppmi_vectors
from companion.errors import DataError, DeviceError, MissingPackageError, OutputError

with warnings.catch_warnings():
    warnings.simplefilter("ignore", TqdmWarning)  # a notebook without ipywidgets has no bar
    from tqdm.auto import tqdm

__all__ = ["PRECISIONS", "TrainingRun", "train", "train_tables"]

PRECISIONS = ("auto", "float32", "bfloat16")

_LOGGER = logging.getLogger(__name__)
_ROWS_AT_ONCE = 64
_DOCUMENTS_FOR_VECTORS = 200_000  # more do not change the vectors, and take gigabytes


@dataclass(frozen=True)
class TrainingRun:
    """What a training run leaves.

    Attributes:
        classifier: The classifier as it was after the best epoch.
        history: A row an epoch: ``training_loss``, ``validation_loss``, ``validation_accuracy``,
            ``learning_rate`` and ``gradient_norm`` (the largest, before clipping).
        best_epoch: The epoch with the lowest validation loss, counted from 1.
        precision: The type of the products: ``"float32"`` or ``"bfloat16"``.
    """

    classifier: TextClassifier
    history: pd.DataFrame
    best_epoch: int
    precision: str = "float32"


def train(
    training: pd.DataFrame,
    validation: pd.DataFrame,
    configuration: Configuration = CONFIGURATIONS["recommended"],
    *,
    device: str = "auto",
    progress: bool = True,
    checkpoint: str | Path | None = None,
    checkpoint_every: float = 30.0,
    log_directory: str | Path | None = None,
    precision: str = "auto",
) -> TrainingRun:
    """Train a classifier and keep its best epoch.

    The vocabulary, the word vectors and the weights come from the training documents alone. The
    validation documents choose the epoch. Two runs with the same arguments on the same CPU give the
    same weights.

    Args:
        training: The columns ``text`` and ``label``, and perhaps ``weight``: how much each document
            counts in the loss, from 0 up, relative to the others.
        validation: The same, other documents; its weights count in the validation loss.
        configuration: The choices.
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"mps"``.
        progress: Whether to draw a progress bar: in a terminal, or in a notebook with ipywidgets.
            None is drawn where the output is neither.
        checkpoint: The folder for the state of the training; None keeps no state.
        checkpoint_every: Seconds from one save of the state to the next; 0 saves after each step.
        log_directory: Where to write the history for TensorBoard as well.
        precision: ``"float32"``, ``"bfloat16"`` for the products and the LSTM, or ``"auto"``:
            bfloat16 on a GPU that has it. On a CPU it is for you to choose, so that the same
            program gives nearly the same weights on every CPU.

    Returns:
        The classifier, the history and the best epoch.

    Raises:
        DataError: If the documents cannot be used; nothing is trained then.
        DeviceError: If the device is not there, or does not have the precision.
        CheckpointError: If the state in the folder is damaged, or of another training.
        OutputError: If the folder cannot be written, or another process is training into it.
        MissingPackageError: If TensorBoard is not installed and ``log_directory`` is given.
        KeyboardInterrupt: After Ctrl-C; with ``checkpoint``, the state is saved then.
    """
    _check_choices(device, precision, checkpoint_every)
    training = validate_corpus(training, source="the training documents")
    validation = validate_corpus(validation, source="the validation documents")
    for frame, source in ((training, "the training"), (validation, "the validation")):
        _check_weights(frame, f"{source} documents")
    labels = _labels(training, validation)
    with contextlib.ExitStack() as stack:
        if checkpoint is not None and is_first_process():
            stack.enter_context(training_lock(checkpoint))
        vocabulary, token_ids, lengths = build_vocabulary(
            training["text"].tolist(),
            minimum_count=configuration.minimum_count,
            maximum_size=configuration.maximum_vocabulary,
        )
        table, words = TokenTable.of_flat(token_ids, lengths), configuration.maximum_words
        held_out = TokenTable.of(encode(validation["text"].tolist(), vocabulary, words))
        return train_tables(
            _labelled(training, table.first(words), labels),
            _labelled(validation, held_out, labels),
            vocabulary,
            labels,
            configuration,
            whole_documents=table,
            device=device,
            progress=progress,
            checkpoint=checkpoint,
            checkpoint_every=checkpoint_every,
            log_directory=log_directory,
            precision=precision,
        )


def train_tables(
    training: LabelledTable,
    validation: LabelledTable,
    vocabulary: Vocabulary,
    labels: Sequence[str],
    configuration: Configuration = CONFIGURATIONS["recommended"],
    *,
    whole_documents: TokenTable | None = None,
    on_epoch: Callable[[dict[str, float]], None] | None = None,
    resident: bool | None = None,
    device: str = "auto",
    progress: bool = True,
    checkpoint: str | Path | None = None,
    checkpoint_every: float = 30.0,
    log_directory: str | Path | None = None,
    precision: str = "auto",
) -> TrainingRun:
    """Do the work of :func:`train` for documents that are token ids, in memory or in mapped files.

    With several processes, as ``torchrun`` starts them, each takes its share of every batch.
    Explained in :doc:`/project/scale`.

    Args:
        training: The training documents.
        validation: Other documents.
        vocabulary: Made from the training documents.
        labels: The class of each number that stands for one in the tables.
        configuration: The choices.
        whole_documents: What the word vectors are made from, where the table has cut documents.
        on_epoch: Called with each row of the history when its epoch is over.
        resident: Whether the tables lie on the device; None puts them on a GPU, and leaves those
            for the CPU where they are.
        device: As for :func:`train`, as are all that follow.
        progress: See there.
        checkpoint: See there.
        checkpoint_every: See there.
        log_directory: See there.
        precision: See there.

    Returns:
        The classifier, the history and the best epoch; all processes get the same.

    Raises:
        CompanionError: As for :func:`train`.
    """
    chosen, kind = _check_choices(device, precision, checkpoint_every)
    with contextlib.ExitStack() as stack:
        if checkpoint is not None and is_first_process():
            stack.enter_context(training_lock(checkpoint))
        ranks = Ranks.join(chosen)
        stack.enter_context(torch.random.fork_rng())
        torch.manual_seed(configuration.seed)
        if chosen.type == "cpu":
            stack.enter_context(keep_memory())
        whole = training.tokens if whole_documents is None else whole_documents
        classifier = _untrained(whole, vocabulary, list(labels), configuration, ranks)
        checkpoints = None
        if checkpoint is not None:
            identity = _identity(classifier, training, validation) | {"precision": str(kind)}
            checkpoints = stack.enter_context(
                Checkpoints(
                    checkpoint,
                    every=checkpoint_every,
                    identity=identity,
                    writes=ranks.is_first,
                )
            )
        log = stack.enter_context(_epoch_log(log_directory if ranks.is_first else None))
        return _fit(
            classifier,
            _Documents.of(training, ranks.device, resident),
            _Documents.of(validation, ranks.device, resident),
            ranks,
            kind,
            progress=progress and ranks.is_first,
            checkpoints=checkpoints,
            logs=[log] if on_epoch is None else [log, on_epoch],
        )


def _check_choices(
    device: str, precision: str, checkpoint_every: float
) -> tuple[torch.device, torch.dtype]:
    """Find the device, and the type in which products are computed there."""
    chosen = choose_device(device)
    if precision not in PRECISIONS:
        raise DataError(
            f"there is no precision {precision!r}; choose one of {', '.join(PRECISIONS)}"
        )
    if not 0 <= checkpoint_every < float("inf"):
        raise DataError(f"checkpoint_every is {checkpoint_every}; give a number of seconds")
    if precision == "bfloat16" and not multiplies_bfloat16(chosen):
        raise DeviceError(
            f"the device {chosen.type!r} of this machine is not known to multiply in bfloat16 (a "
            "CPU does by AVX-512 BF16 or AMX); use 'float32' or 'auto'"
        )
    if precision == "auto":
        is_for_it = chosen.type == "cuda" and multiplies_bfloat16(chosen)
        precision = "bfloat16" if is_for_it else "float32"
    return chosen, torch.bfloat16 if precision == "bfloat16" else torch.float32


def _labelled(frame: pd.DataFrame, table: TokenTable, labels: list[str]) -> LabelledTable:
    codes = torch.tensor([labels.index(label) for label in frame["label"]])
    return LabelledTable(table, codes, _relative_weights(frame))


@dataclass(frozen=True)
class _Documents:
    """Documents as the steps read them.

    Attributes:
        tokens: On the device if they lie there.
        labels: ``(documents,)`` int64, on the device.
        weights: ``(documents,)`` float32 on the device, or None where all count the same.
    """

    tokens: TokenTable | DeviceTable
    labels: Tensor
    weights: Tensor | None

    @classmethod
    def of(cls, table: LabelledTable, device: torch.device, resident: bool | None) -> "_Documents":
        is_resident = device.type in ("cuda", "mps") if resident is None else resident
        return cls(
            DeviceTable.of(table.tokens, device) if is_resident else table.tokens,
            table.labels.to(device),
            None if table.weights is None else table.weights.to(device),
        )

    def batches(
        self, configuration: Configuration, generator: np.random.Generator
    ) -> Iterator[Batch]:
        """Give all documents once: another run of the long ones, and another order, each time."""
        size, words = configuration.batch_size, configuration.training_words
        if isinstance(self.tokens, DeviceTable):
            return self.tokens.shuffled_batches(size, words, generator)
        return shuffled_batches(self.tokens.stretches(words, generator), size, generator)


def _identity(
    classifier: TextClassifier, training: LabelledTable, validation: LabelledTable
) -> dict[str, Any]:
    """Collect what the result of a training depends on: the choices, the device, the documents."""
    digest = hashlib.sha256(json.dumps([classifier.labels, classifier.vocabulary.tokens]).encode())
    for documents in (training, validation):
        parts = [documents.tokens.lengths, documents.tokens.token_ids, documents.labels.numpy()]
        if documents.weights is not None:
            parts.append(documents.weights.numpy())
        for part in parts:
            digest.update(part)  # type: ignore[arg-type]  # a buffer, so that nothing is copied
    return {
        **dataclasses.asdict(classifier.configuration),
        "device": classifier.device.type,
        "documents": digest.hexdigest(),
    }


def _check_weights(frame: pd.DataFrame, source: str) -> None:
    """Refuse a column ``weight`` that holds anything but numbers from 0 up, or only zeros."""
    if "weight" not in frame:
        return
    weights = _numbers(frame["weight"])
    wrong = np.flatnonzero(~(np.isfinite(weights) & (weights >= 0)))
    if len(wrong):
        raise DataError(
            f"{source}, row {wrong[0] + 1}: the weight is {frame['weight'].iloc[wrong[0]]!r}; "
            "give a finite number from 0 up"
        )
    if not weights.any():
        raise DataError(f"{source}: all weights are 0; give at least one document a weight above 0")


def _numbers(column: "pd.Series[float]") -> NDArray[np.float64]:
    """Give a column as floats, and what is no number as not-a-number."""
    return np.array(
        [
            float(value) if isinstance(value, Real) and not isinstance(value, bool) else np.nan
            for value in column
        ]
    )


def _relative_weights(frame: pd.DataFrame) -> Tensor | None:
    weights = _numbers(frame["weight"]) if "weight" in frame else np.ones(len(frame))
    if (weights == weights[0]).all():
        return None
    weights = weights / weights.max()  # so that the mean of the largest floats is finite
    return torch.from_numpy(weights / weights.mean()).float()


def _labels(training: pd.DataFrame, validation: pd.DataFrame) -> list[str]:
    labels = sorted(training["label"].unique())
    if len(labels) < 2:
        raise DataError(
            f"the training documents have one class, {labels[0]!r}; a classifier needs at least two"
        )
    unseen = set(validation["label"]) - set(labels)
    if unseen:
        raise DataError(
            f"the validation documents have labels that are not in training: {sorted(unseen)}"
        )
    return labels


def _untrained(
    documents: TokenTable,
    vocabulary: Vocabulary,
    labels: list[str],
    configuration: Configuration,
    ranks: Ranks,
) -> TextClassifier:
    """Build the model, with the word vectors that the configuration asks for.

    Of several processes only the first makes the vectors: all start with its weights.
    """
    model = LSTMClassifier(len(vocabulary), len(labels), configuration)
    if configuration.vectors == "ppmi" and ranks.is_first:
        if len(documents) > _DOCUMENTS_FOR_VECTORS:
            generator = np.random.default_rng(configuration.seed)
            drawn = generator.choice(len(documents), _DOCUMENTS_FOR_VECTORS, replace=False)
            documents = documents.take(np.sort(drawn))
        vectors = ppmi_vectors(
            documents,
            len(vocabulary),
            configuration.embedding_size,
            seed=configuration.seed,
        )
        with torch.no_grad():
            model.embedding.weight.copy_(torch.from_numpy(vectors * configuration.embedding_scale))
    return TextClassifier(model.to(ranks.device), vocabulary, labels, configuration)


def _fit(
    classifier: TextClassifier,
    training: _Documents,
    validation: _Documents,
    ranks: Ranks,
    precision: torch.dtype,
    *,
    progress: bool,
    checkpoints: Checkpoints | None,
    logs: Sequence[Callable[[dict[str, float]], None]],
) -> TrainingRun:
    """Run epochs until the validation loss no longer falls; put the best epoch's weights back."""
    configuration, model = classifier.configuration, classifier.model
    steps_an_epoch = -(-len(training.tokens) // configuration.batch_size)
    state = _begin(classifier, configuration.epochs * steps_an_epoch)
    if checkpoints:
        is_resumed = checkpoints.restore(state)
        ranks.require_equal(state.steps, checkpoints.path)
        if is_resumed and ranks.is_first:
            done = f"epoch {state.epoch}, after {state.batches} of {steps_an_epoch} batches"
            _LOGGER.info("resuming the training in %s (%s)", checkpoints.path.parent, done)
    network = ranks.wrap(model).__call__
    if precision == torch.bfloat16:
        network = torch.autocast(ranks.device.type, precision)(network)
    with tqdm(
        total=configuration.epochs * steps_an_epoch,
        initial=state.steps,
        desc="training",
        unit="batch",
        disable=None if progress else True,
    ) as bar:
        while not _is_over(state, configuration):
            row = _train_epoch(classifier, network, training, state, ranks, bar, checkpoints)
            row |= _validate(classifier, validation, ranks)
            state.end_epoch(row)
            for log in logs:
                log(row)
            bar.set_postfix(epoch=row["epoch"], validation_loss=f"{row['validation_loss']:.3f}")
    if not state.best_epoch:
        if checkpoints and ranks.is_first:
            remove_state(checkpoints.path.parent)
        raise DataError("the loss is not a number from the first epoch on; lower the learning rate")
    if checkpoints:
        checkpoints.save(state)
    model.load_state_dict(state.best_weights)
    model.eval()
    history = pd.DataFrame(state.history).set_index("epoch")
    kind = str(precision).removeprefix("torch.")
    return TrainingRun(classifier, history, state.best_epoch, kind)


def _begin(classifier: TextClassifier, steps: int) -> TrainingState:
    """Make the optimizer, the schedule and the generator of a run that has taken no step."""
    configuration = classifier.configuration
    optimizer = torch.optim.AdamW(
        classifier.model.parameters(),
        lr=configuration.learning_rate,
        weight_decay=configuration.weight_decay,
        fused=True,
    )
    scheduler = _scheduler(optimizer, configuration, steps)
    generator = np.random.default_rng(configuration.seed)
    return TrainingState(classifier.model, optimizer, scheduler, generator)


def _is_over(state: TrainingState, configuration: Configuration) -> bool:
    """Say whether all epochs are done, or too many have passed since the best one."""
    epochs = len(state.history)
    if epochs and epochs - state.best_epoch >= configuration.patience:
        _LOGGER.info(
            "stopped after epoch %d: no better one since epoch %d", epochs, state.best_epoch
        )
        return True
    return epochs == configuration.epochs


def _train_epoch(
    classifier: TextClassifier,
    network: Callable[[Tensor, Tensor], Tensor],
    documents: _Documents,
    state: TrainingState,
    ranks: Ranks,
    bar: "tqdm[NoReturn]",
    checkpoints: Checkpoints | None,
) -> dict[str, float]:
    """Take a step a batch; give the mean loss, the learning rate and the largest gradient norm.

    The order of the batches follows from the generator as it was when the epoch began, so an epoch
    that was stopped goes on after the batches that it had done.
    """
    configuration, model = classifier.configuration, classifier.model
    model.train()
    batches = documents.batches(configuration, state.generator)
    for batch in itertools.islice(batches, state.batches, None):
        own, factor = ranks.share(batch)
        ranks.seed_step(configuration.seed, state.steps)
        state.optimizer.zero_grad()
        loss = _backward(classifier, network, documents, own, factor)
        norm = nn.utils.clip_grad_norm_(model.parameters(), configuration.clip_norm)
        state.optimizer.step()
        state.scheduler.step()
        state.add(ranks.mean(loss), len(batch.rows), norm.detach())
        bar.update()
        if checkpoints:
            checkpoints.step(state)
    sums = state.read_sums()
    return {
        "epoch": state.epoch,
        "training_loss": sums["loss"] / len(documents.tokens),
        "learning_rate": sums["learning_rate"],
        "gradient_norm": sums["gradient_norm"],
    }


def _backward(
    classifier: TextClassifier,
    network: Callable[[Tensor, Tensor], Tensor],
    documents: _Documents,
    batch: Batch,
    factor: float,
) -> Tensor:
    """Add the gradient of a batch's mean loss times a factor; give the loss.

    A CPU reads a large batch in parts, which need less memory and padding.
    """
    device, smoothing = classifier.device, classifier.configuration.label_smoothing
    is_read_in_parts = device.type == "cpu" and process_count() == 1
    total = torch.zeros((), device=device)
    for part in batch.parts(_ROWS_AT_ONCE if is_read_in_parts else len(batch.rows)):
        logits = network(part.token_ids.to(device), part.lengths.to(device)).float()
        share = len(part.rows) / len(batch.rows)
        loss = factor * share * _loss(logits, documents, part.rows, smoothing)
        loss.backward()  # type: ignore[no-untyped-call]
        total += loss.detach()
    return total


@contextlib.contextmanager
def _epoch_log(directory: str | Path | None) -> Iterator[Callable[[dict[str, float]], None]]:
    """Give a function that writes the row of an epoch for TensorBoard."""
    if directory is None:
        yield lambda row: None
        return
    with _summary_writer(directory) as writer:

        def write(row: dict[str, float]) -> None:
            for name in row.keys() - {"epoch"}:
                writer.add_scalar(name, row[name], row["epoch"])
            writer.flush()

        yield write


def _summary_writer(directory: str | Path) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise MissingPackageError(
            "a log for TensorBoard needs the package tensorboard: pip install tensorboard"
        ) from error
    try:
        return SummaryWriter(str(directory))
    except OSError as error:
        raise OutputError(
            f"{directory}: cannot be a folder for the log ({error.strerror}); choose another"
        ) from error


def _loss(
    logits: Tensor, documents: _Documents, rows: Tensor | NDArray[np.int64], label_smoothing: float
) -> Tensor:
    """Give the mean cross-entropy of a batch, each document times its weight.

    The weights have mean 1 over all documents, not over the batch, so that a heavy document weighs
    the same whatever its neighbours are.
    """
    labels = documents.labels[rows]
    if documents.weights is None:
        return functional.cross_entropy(logits, labels, label_smoothing=label_smoothing)
    losses = functional.cross_entropy(
        logits, labels, label_smoothing=label_smoothing, reduction="none"
    )
    return (documents.weights[rows] * losses).mean()


def _validate(classifier: TextClassifier, documents: _Documents, ranks: Ranks) -> dict[str, float]:
    """Give the weighted cross-entropy, without label smoothing, and the plain accuracy.

    Each rank reads its share of the documents; all get the same sums.
    """
    rows = slice(ranks.rank, None, ranks.count)
    batch_size = 64 if ranks.device.type == "cpu" else 1024
    probabilities = classifier.predict_encoded(documents.tokens.take(rows), batch_size=batch_size)
    labels = documents.labels[rows].cpu().numpy()
    weights = np.ones(len(labels))
    if documents.weights is not None:
        weights = documents.weights[rows].cpu().numpy()
    losses = -np.log(np.maximum(probabilities[np.arange(len(labels)), labels], 1e-12))
    is_right = probabilities.argmax(axis=1) == labels
    own = [(weights * losses).sum(), weights.sum(), is_right.sum(), len(labels)]
    loss, weight, right, count = ranks.total(torch.tensor(own, dtype=torch.float64)).tolist()
    return {"validation_loss": loss / weight, "validation_accuracy": right / count}


def _scheduler(
    optimizer: torch.optim.Optimizer, configuration: Configuration, steps: int
) -> torch.optim.lr_scheduler.LRScheduler:
    if configuration.schedule == "constant":
        return torch.optim.lr_scheduler.ConstantLR(optimizer, factor=1.0, total_iters=0)
    return torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=configuration.learning_rate, total_steps=steps + 1, pct_start=0.3
    )
