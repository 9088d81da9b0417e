"""What the tests of several processes run in each of them."""

import multiprocessing
import os
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path

from companion.classifier.batches import Batch
from companion.classifier.configuration import Configuration
from companion.classifier.corpus import Splits
from companion.classifier.distributed import Ranks
from companion.classifier.training import train

__all__ = ["command", "in_ranks", "training"]

_KILLED_AT_STEP = 9


def in_ranks(count: int, function: Callable[..., None], *arguments: object) -> list[int | None]:
    """Run a function in so many processes that know each other; give their exit codes."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, "torch._dynamo", "accelerate"])
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = probe.getsockname()[1]
    processes = [
        context.Process(target=_rank, args=(rank, count, port, function, arguments))
        for rank in range(count)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
        process.kill()
    return [process.exitcode for process in processes]


def _rank(
    rank: int,
    count: int,
    port: int,
    function: Callable[..., None],
    arguments: tuple[object, ...],
) -> None:
    os.environ |= {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(count),
        "LOCAL_WORLD_SIZE": str(count),
        "MASTER_ADDR": "localhost",
        "MASTER_PORT": str(port),
    }
    function(*arguments)


def training(splits: Splits, configuration: Configuration, folder: Path) -> None:
    """Train, and write the history of this rank into the folder."""
    run = train(
        splits.train,
        splits.validation,
        configuration,
        device="cpu",
        progress=False,
        checkpoint=folder / "state",
    )
    rank = os.environ["RANK"]
    (folder / f"history-{rank}.json").write_text(run.history.to_json(double_precision=15))


def command(arguments: list[str]) -> None:
    """Run the command line."""
    from companion.cli import main

    main(arguments, standalone_mode=False)


if __name__ == "__main__":  # under torchrun: rank 1 of the first attempt is killed in the middle
    attempt = (os.environ["RANK"], os.environ["TORCHELASTIC_RESTART_COUNT"])
    if attempt == ("1", "0") and "NO_DEATH" not in os.environ:
        share = Ranks.share
        steps: list[int] = []

        def share_or_die(self: Ranks, batch: Batch) -> tuple[Batch, float]:
            steps.append(1)
            if len(steps) == _KILLED_AT_STEP:
                os.kill(os.getpid(), signal.SIGKILL)
            return share(self, batch)

        Ranks.share = share_or_die  # type: ignore[method-assign]
    command(sys.argv[1:])
