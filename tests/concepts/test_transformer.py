"""Attention equals torch's, and the masks hold to the last bit."""

import pytest
import torch
from torch.nn import functional

from companion.concepts.transformer import (
    EncoderDecoder,
    LanguageModel,
    attention,
    causal_mask,
    full_mask,
)
from companion.errors import DataError


@pytest.mark.parametrize("mask", [causal_mask(5), full_mask(5, 5)])
def test_attention_equals_torch_forward_and_gradient(mask: torch.Tensor) -> None:
    torch.manual_seed(0)
    ours = [torch.randn(2, 3, 5, 4, dtype=torch.float64, requires_grad=True) for _ in range(3)]
    theirs = [each.detach().clone().requires_grad_() for each in ours]
    mixed, weights = attention(*ours, mask)
    expected = functional.scaled_dot_product_attention(*theirs, attn_mask=mask)
    torch.testing.assert_close(mixed, expected, atol=1e-10, rtol=1e-10)
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 3, 5, dtype=torch.float64))
    direction = torch.randn_like(mixed)
    mixed.backward(direction)
    expected.backward(direction)
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a.grad, b.grad, atol=1e-10, rtol=1e-10)


def pair() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(1)
    ids = torch.randint(10, (2, 8))
    changed = ids.clone()
    changed[:, 5] = (ids[:, 5] + 1) % 10
    return ids, changed


@torch.inference_mode()
def test_a_decoder_never_sees_what_comes_later() -> None:
    ids, changed = pair()
    model = LanguageModel(10, causal=True)
    before, after = model(ids), model(changed)
    assert torch.equal(before[:, :5], after[:, :5])
    assert (before[:, 5:] != after[:, 5:]).any(-1).all()
    assert all((each.triu(1) == 0).all() for each in model.attention_maps(ids))


@torch.inference_mode()
def test_an_encoder_sees_everything() -> None:
    ids, changed = pair()
    model = LanguageModel(10, causal=False)
    assert (model(ids) != model(changed)).any(-1).all()


@torch.inference_mode()
def test_an_encoder_decoder_has_both_masks() -> None:
    ids, changed = pair()
    model = EncoderDecoder(10)
    assert torch.equal(model(ids, ids)[:, :5], model(ids, changed)[:, :5])
    assert (model(ids, ids)[:, 5:] != model(ids, changed)[:, 5:]).any(-1).all()
    assert (model(ids, ids) != model(changed, ids)).any(-1).all()


def test_bad_shapes() -> None:
    with pytest.raises(DataError, match="heads"):
        LanguageModel(10, width=10, heads=4)
    with pytest.raises(DataError, match="context"):
        LanguageModel(10, context=4)(torch.zeros(1, 5, dtype=torch.int64))
