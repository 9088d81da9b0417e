"""The table on a device gives the batches of the host, and the same training."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch

from companion.classifier import training
from companion.classifier.batches import batches_by_length, shuffled_batches
from companion.classifier.configuration import Configuration
from companion.classifier.corpus import Splits
from companion.classifier.device import multiplies_bfloat16
from companion.classifier.device_table import DeviceTable
from companion.classifier.encoding import build_vocabulary, encode
from companion.classifier.model import LSTMClassifier
from companion.classifier.token_table import TokenTable
from companion.classifier.training import train, train_tables
from companion.errors import DataError, DeviceError

CPU = torch.device("cpu")


def documents(count: int = 300, seed: int = 0) -> list[list[int]]:
    generator = np.random.default_rng(seed)
    return [
        generator.integers(1, 1000, length).tolist() for length in generator.integers(1, 60, count)
    ]


@pytest.mark.parametrize("batch_size", [1, 7, 64, 1000])
def test_the_batches_of_an_epoch_are_those_of_the_host(batch_size: int) -> None:
    table, words = TokenTable.of(documents()), 20
    theirs, ours = np.random.default_rng(3), np.random.default_rng(3)
    expected = list(shuffled_batches(table.stretches(words, theirs), batch_size, theirs))
    given = list(DeviceTable.of(table, CPU).shuffled_batches(batch_size, words, ours))
    assert len(given) == len(expected) == -(-len(table) // batch_size)
    for one, other in zip(given, expected, strict=True):
        for part in ("token_ids", "lengths", "rows"):
            assert torch.equal(getattr(one, part), torch.as_tensor(getattr(other, part))), part
    assert ours.bit_generator.state == theirs.bit_generator.state


def test_a_batch_is_as_wide_as_its_longest_document() -> None:
    table = TokenTable.of([[1] * length for length in (2, 2, 2, 2, 9)])
    batches = list(DeviceTable.of(table, CPU).shuffled_batches(5, 20, np.random.default_rng(0)))
    assert [batch.token_ids.shape for batch in batches] == [(5, 9)]


def test_the_batches_for_prediction_are_those_of_the_host() -> None:
    lists = [*documents(), [5] * 70_000, [6] * 70_000]
    expected = list(batches_by_length(lists, 32))
    given = list(DeviceTable.of(TokenTable.of(lists), CPU).batches_by_length(32))
    assert len(given) == len(expected)
    for one, other in zip(given, expected, strict=True):
        assert torch.equal(one.token_ids, other.token_ids)
        assert torch.equal(one.rows, torch.as_tensor(other.rows))


def test_some_of_the_documents() -> None:
    lists = documents(11)
    table = TokenTable.of(lists).take(slice(1, None, 3))
    assert [ids.tolist() for ids in table] == lists[1::3]
    on_device = DeviceTable.of(TokenTable.of(lists), CPU).take(slice(1, None, 3))
    assert torch.equal(on_device.lengths, torch.from_numpy(table.lengths))
    assert torch.equal(on_device.starts, torch.from_numpy(table.starts))


def test_on_the_cpu_nothing_is_copied() -> None:
    table = TokenTable.of(documents(20))
    assert DeviceTable.of(table, CPU).token_ids.data_ptr() == table.token_ids.ctypes.data


def test_a_training_with_the_table_on_the_device_is_the_same(
    splits: Splits, small: Configuration
) -> None:
    configuration = dataclasses.replace(small, training_words=10)
    weighted = splits.train.assign(weight=np.arange(1.0, len(splits.train) + 1))
    vocabulary, ids, lengths = build_vocabulary(weighted["text"].tolist())
    labels = sorted(weighted["label"].unique())
    held_out = TokenTable.of(encode(splits.validation["text"].tolist(), vocabulary, 1000))
    tables = [
        training._labelled(weighted, TokenTable.of_flat(ids, lengths), labels),
        training._labelled(splits.validation, held_out, labels),
    ]
    host, device = (
        train_tables(
            *tables,
            vocabulary,
            labels,
            configuration,
            resident=resident,
            device="cpu",
            progress=False,
        )
        for resident in (False, True)
    )
    pd.testing.assert_frame_equal(host.history, device.history, check_exact=True)
    for one, other in zip(
        host.classifier.model.parameters(), device.classifier.model.parameters(), strict=True
    ):
        assert torch.equal(one, other)


@pytest.mark.usefixtures("bfloat16")
def test_half_the_bits_learn_as_much(splits: Splits, small: Configuration) -> None:
    run = train(
        splits.train,
        splits.validation,
        dataclasses.replace(small, epochs=6),
        device="cpu",
        progress=False,
        precision="bfloat16",
    )
    assert run.precision == "bfloat16"
    assert run.history["validation_accuracy"].iloc[-1] > 0.8
    assert all(each.dtype == torch.float32 for each in run.classifier.model.parameters())


def test_an_unknown_precision_is_refused(splits: Splits, small: Configuration) -> None:
    with pytest.raises(DataError, match="there is no precision 'float16'"):
        train(splits.train, splits.validation, small, device="cpu", precision="float16")


@pytest.mark.usefixtures("bfloat16")
@pytest.mark.parametrize("precision", ["auto", "float32", "bfloat16"])
def test_the_network_computes_in_the_precision_that_was_chosen(
    precision: str, splits: Splits, small: Configuration, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The products of a step are of that type, and those of the validation always float32."""
    types = {True: set(), False: set()}
    forward = LSTMClassifier.forward

    def watch(model: LSTMClassifier, *batch: torch.Tensor) -> torch.Tensor:
        logits = forward(model, *batch)
        types[model.training].add(logits.dtype)
        return logits

    monkeypatch.setattr(LSTMClassifier, "forward", watch)
    one = dataclasses.replace(small, epochs=1)
    options = {"device": "cpu", "progress": False, "precision": precision}
    run = train(splits.train, splits.validation, one, **options)
    chosen = torch.bfloat16 if precision == "bfloat16" else torch.float32
    assert types == {True: {chosen}, False: {torch.float32}}
    assert f"torch.{run.precision}" == str(chosen)


@pytest.mark.parametrize(
    ("capabilities", "has_it"),
    [
        ({"avx512_bf16": True, "amx_bf16": False}, True),
        ({"avx512_bf16": False, "amx_bf16": True}, True),
        ({"avx512_bf16": False, "amx_bf16": False, "avx2": True}, False),
        ({"architecture": "aarch64"}, False),
    ],
)
def test_the_instructions_decide_whether_a_processor_multiplies_in_bfloat16(
    capabilities: dict[str, bool], has_it: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    assert multiplies_bfloat16(CPU) == has_it


@pytest.mark.parametrize("has_it", [True, False])
def test_a_gpu_says_for_itself_whether_it_does(
    has_it: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: has_it)
    assert multiplies_bfloat16(torch.device("cuda")) == has_it
    assert not multiplies_bfloat16(torch.device("mps"))


@pytest.mark.parametrize("has_it", [True, False])
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_by_itself_only_a_gpu_computes_in_bfloat16(
    device: str, has_it: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "choose_device", torch.device)
    monkeypatch.setattr(training, "multiplies_bfloat16", lambda device: has_it)
    is_half = device == "cuda" and has_it
    expected = torch.bfloat16 if is_half else torch.float32
    assert training._check_choices(device, "auto", 30) == (torch.device(device), expected)
    assert training._check_choices(device, "float32", 30)[1] == torch.float32
    if has_it:
        assert training._check_choices(device, "bfloat16", 30)[1] == torch.bfloat16


def test_a_processor_without_bfloat16_refuses_it(
    splits: Splits, small: Configuration, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "multiplies_bfloat16", lambda device: False)
    documents = (splits.train, splits.validation, dataclasses.replace(small, epochs=1))
    with pytest.raises(DeviceError, match=r"not known to multiply in bfloat16.*use 'float32'"):
        train(*documents, device="cpu", precision="bfloat16")
    for precision in ("auto", "float32"):
        run = train(*documents, device="cpu", progress=False, precision=precision)
        assert run.precision == "float32"
