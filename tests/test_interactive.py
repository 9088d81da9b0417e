"""What the interactive figures start from; tests/book/test_interactive.py has the rest."""

import json

import pytest
import torch

from companion.interactive import AMNESIA_DOCUMENTS, STARTS, amnesia_network


@pytest.mark.parametrize("name", STARTS)
def test_a_start_is_json_and_the_same_each_time(name: str) -> None:
    torch.manual_seed(5)
    first = json.dumps(STARTS[name](), allow_nan=False)
    torch.manual_seed(6)
    assert json.dumps(STARTS[name](), allow_nan=False) == first


def test_the_network_of_the_figure_leaves_the_random_state_alone() -> None:
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    amnesia_network()
    assert torch.equal(torch.rand(1), expected)


def test_the_documents_differ_and_fit_the_network() -> None:
    assert len(set(AMNESIA_DOCUMENTS)) == 8
    ids = {token_id for document in AMNESIA_DOCUMENTS for token_id in document}
    assert ids <= set(range(1, amnesia_network().embedding.num_embeddings))
