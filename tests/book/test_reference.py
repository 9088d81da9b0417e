"""What the code of a page uses of the package, so that the page can link to its reference."""

import json
from pathlib import Path

import book_reference
import pytest


@pytest.mark.parametrize(
    ("code", "names"),
    [
        ("from companion.errors import DataError", {"companion.errors.DataError"}),
        ("import companion\ncompanion.train()", {"companion", "companion.train"}),
        (
            "from companion import plots as p\np.style.use()",
            {"companion.plots", "companion.plots.style", "companion.plots.style.use"},
        ),
        ("import numpy as np\nnp.zeros(3)", set()),
        ("from companionway import stairs", set()),
        ("train()\nmodel.train()", set()),
    ],
)
def test_what_code_uses(code: str, names: set[str]) -> None:
    assert book_reference.used_names(code) == names


@pytest.mark.parametrize(
    ("name", "home"),
    [
        ("companion.train", "companion.classifier.training.train"),
        ("companion.plots.use_style", "companion.plots.style.use_style"),
        ("companion.errors.DataError", "companion.errors.DataError"),
        ("companion.no_such_thing", "companion.no_such_thing"),
    ],
)
def test_where_it_stands(name: str, home: str) -> None:
    assert book_reference.home(name) == home


def test_the_cells_of_a_notebook_are_read_together(tmp_path: Path) -> None:
    cells = [
        {"cell_type": "markdown", "source": ["companion.clinic"]},
        {"cell_type": "code", "source": ["%matplotlib inline\n", "from companion import ledger"]},
        {"cell_type": "code", "source": ["ledger.check('a', 1)"]},
    ]
    path = tmp_path / "page.ipynb"
    path.write_text(json.dumps({"cells": cells}))
    assert book_reference.names_of_notebook(path) == {"companion.ledger", "companion.ledger.check"}
