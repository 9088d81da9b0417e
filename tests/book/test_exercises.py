"""Every exercise has a hidden solution that runs."""

import re
from pathlib import Path

import pytest

SOURCES = Path(__file__).parents[2] / "book" / "_src"
OPENING = r"^`{3,}\{exercise(?:-start)?\}"
LABEL = re.compile(rf"{OPENING}[^\n]*\n(?::[a-z]+:[^\n]*\n)*?:label: (\S+)", re.M)
SOLUTION = re.compile(
    r"^```\{solution-start\} (\S+)\n(.*?)```\n(.*?)^```\{solution-end\}", re.M | re.S
)
ANY_SOLUTION = re.compile(r"^```\{solution(?:-start)?\}", re.M)
CELL = re.compile(r"^```\{code-cell\}[^\n]*\n(.*?)^```$", re.M | re.S)
# Nothing is skipped here: a solution whose only cell is skipped is a fault, which these tags show.
NOT_RUN = re.compile(r"nbval-skip|skip-execution")


def faults(text: str) -> list[str]:
    """Say which exercises of a page lack a solution that is hidden and runs."""
    labels = LABEL.findall(text)
    solutions = {name: (options, body) for name, options, body in SOLUTION.findall(text)}
    found = []
    if len(labels) != len(re.findall(OPENING, text, re.M)):
        found.append("an exercise has no label")
    if len(solutions) != len(ANY_SOLUTION.findall(text)):
        found.append("a solution is none of an exercise, or a second one")
    found += [f"{name}: no solution" for name in labels if name not in solutions]
    found += [f"{name}: no exercise" for name in solutions if name not in labels]
    for name, (options, body) in solutions.items():
        if ":class: dropdown" not in options:
            found.append(f"{name}: not hidden")
        if not any(not NOT_RUN.search(cell) for cell in CELL.findall(body)):
            found.append(f"{name}: nothing runs")
    return found


@pytest.mark.parametrize(
    "path", sorted(SOURCES.rglob("*.md")), ids=lambda path: str(path.relative_to(SOURCES))
)
def test_every_exercise_has_a_hidden_solution_that_runs(path: Path) -> None:
    assert faults(path.read_text(encoding="utf-8")) == []


def test_the_pages_have_exercises() -> None:
    """At least three each; the cheat sheet has none."""
    counts = {
        path.stem: len(LABEL.findall(path.read_text(encoding="utf-8")))
        for path in SOURCES.rglob("*.md")
    }
    assert counts.pop("cheat-sheet") == 0
    assert {name: count for name, count in counts.items() if count < 3} == {}


GOOD = """\
```{exercise}
:label: one

Why?
```

```{solution-start} one
:class: dropdown
```

```{code-cell} ipython3
print(1)
```

```{solution-end}
```
"""


def test_a_good_page_has_no_fault() -> None:
    assert faults(GOOD) == []


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        (":label: one\n", "", "an exercise has no label"),
        (":label: one", ":label: two", "two: no solution"),
        ("{solution-start} one", "{solution-start} two", "two: no exercise"),
        (":class: dropdown\n", "", "one: not hidden"),
        ("{code-cell} ipython3", "python", "one: nothing runs"),
        # A made-up page, whose skipped cell must be found.
        ("ipython3\n", "ipython3\n:tags: [nbval-skip]\n\n", "one: nothing runs"),
    ],
)
def test_a_fault_is_found(old: str, new: str, fault: str) -> None:
    assert fault in faults(GOOD.replace(old, new))


def test_a_solution_that_does_not_end_is_found() -> None:
    assert faults(GOOD.replace("```{solution-end}\n```\n", ""))
