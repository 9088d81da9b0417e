"""Training with several processes: which of them this one is, its share of a batch, common sums.

Explained in :doc:`/project/scale`. ``torchrun`` or ``accelerate launch`` starts the processes,
called *ranks*, and tells each its number. All of them draw the same batches; each takes its share
of every batch, and the gradients are averaged before the step, so all keep the same weights. The
engine is Accelerate; it is loaded only where there is more than one process.
"""

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from companion.classifier.batches import Batch
from companion.errors import CheckpointError, DataError, MissingPackageError

if TYPE_CHECKING:
    from accelerate import Accelerator

__all__ = ["Ranks", "is_first_process", "process_count"]


def process_count() -> int:
    """Read how many processes the launcher started; 1 without a launcher.

    Raises:
        DataError: If the launcher's ``WORLD_SIZE`` is no whole number from 1.
    """
    count = os.environ.get("WORLD_SIZE") or "1"
    if not count.isdecimal() or int(count) < 1:
        raise DataError(
            f"the environment's WORLD_SIZE is {count!r}; start the training by torchrun, "
            "or unset the variable"
        )
    return int(count)


def is_first_process() -> bool:
    """Say whether this is rank 0, which alone prints, measures and writes."""
    return process_count() == 1 or os.environ.get("RANK", "0") == "0"


@dataclass(frozen=True)
class Ranks:
    """The processes that train together.

    Attributes:
        rank: The number of this one, from 0.
        count: How many there are.
        device: Where this one computes.
        accelerator: What connects them; None where there is only one.
    """

    rank: int
    count: int
    device: torch.device
    accelerator: "Accelerator | None" = None

    @classmethod
    def join(cls, device: torch.device) -> "Ranks":
        """Meet the other processes, and wait until all are here.

        Args:
            device: The kind of device; with several GPUs each process gets one of its own.

        Raises:
            MissingPackageError: If there are several processes and Accelerate is not installed.
        """
        if process_count() == 1:
            return cls(0, 1, device)
        try:
            from accelerate import Accelerator
        except ImportError as error:
            raise MissingPackageError(
                "training with several processes needs accelerate: "
                "pip install 'large-models-at-work[distributed]'"
            ) from error
        accelerator = Accelerator(cpu=device.type == "cpu", mixed_precision="no")
        accelerator.wait_for_everyone()
        return cls(
            accelerator.process_index, accelerator.num_processes, accelerator.device, accelerator
        )

    @property
    def is_first(self) -> bool:
        """Whether this is the process that prints and writes."""
        return self.rank == 0

    def wrap(self, model: nn.Module) -> nn.Module:
        """Give a model whose backward pass averages the gradients over the ranks.

        All ranks start with the weights of rank 0. The model given keeps its own names and is what
        is saved.
        """
        if self.accelerator is None:
            return model
        return self.accelerator.prepare_model(model)  # type: ignore[no-any-return]

    def share(self, batch: Batch) -> tuple[Batch, float]:
        """Take this rank's documents of a batch, and the factor for their mean loss.

        Every rank must take a step, or the others would wait for it for ever. So where a batch has
        fewer documents than there are ranks, one without a document takes the first, and counts it
        nothing.

        Args:
            batch: The documents in the order of their lengths, as all ranks draw them.

        Returns:
            Every ``count``-th of them, so that all ranks have about equal lengths; and the factor
            by which the mean of the ranks' losses is the mean over the documents of the batch.
        """
        if self.count == 1:
            return batch, 1.0
        own = slice(self.rank, None, self.count)
        factor = len(batch.lengths[own]) * self.count / len(batch.lengths)
        if not factor:
            own = slice(0, 1)
        return Batch(batch.token_ids[own], batch.lengths[own], batch.rows[own]), factor

    def total(self, values: Tensor) -> Tensor:
        """Add up a tensor over all ranks."""
        if self.accelerator is None:
            return values
        return self.accelerator.reduce(values.to(self.device), "sum")  # type: ignore[no-any-return]

    def mean(self, value: Tensor) -> Tensor:
        """Give the mean of a tensor over all ranks."""
        return value if self.accelerator is None else self.total(value) / self.count

    def seed_step(self, seed: int, step: int) -> None:
        """Fix what dropout drops in a step: other words on each rank, the same after a resume.

        A single process has no need of it: its random state is saved.
        """
        if self.count > 1:
            drawn = np.random.SeedSequence([seed, step, self.rank]).generate_state(1, np.uint64)
            torch.manual_seed(int(drawn[0]))

    def require_equal(self, steps: int, place: object) -> None:
        """Refuse to go on where the ranks found different states.

        Raises:
            CheckpointError: If they did; all ranks raise it.
        """
        if self.accelerator is None:
            return
        found = self.accelerator.gather(torch.tensor([steps], device=self.device))
        if bool((found != steps).any()):
            raise CheckpointError(
                f"{place}: the processes found different states of the training there; "
                "use a folder that all machines share"
            )
