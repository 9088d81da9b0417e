"""What a record was measured with: a digest of the code that the measurement runs.

It covers the functions, classes and constants that a function reaches by name in ``companion`` and
``benchmarks``, the versions of the packages that compute, and nothing else. So an edit elsewhere, a
comment, a docstring or a move to another module leaves it as it is.
"""

import ast
import functools
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

__all__ = ["fingerprint"]

ROOT = Path(__file__).parents[1]
PACKAGES = ("companion", "benchmarks")
COMPUTING = ("torch", "numpy", "scipy", "scikit-learn", "transformers", "peft", "onnxruntime")
Place = tuple[str, str]  # a module, and a name that it defines


class _Module:
    """A parsed module: what it defines at its top level, and what it imports anywhere."""

    def __init__(self, path: Path) -> None:
        self.lines = path.read_text(encoding="utf-8").splitlines()
        tree = ast.parse("\n".join(self.lines))
        self.definitions: dict[str, list[ast.stmt]] = {}
        for node in tree.body:
            for name in _defined(node):
                self.definitions.setdefault(name, []).append(node)
        self.imports: dict[str, str] = {}
        for statement in ast.walk(tree):
            if isinstance(statement, ast.Import):
                for each in statement.names:
                    self.imports[each.asname or each.name.split(".")[0]] = (
                        each.name if each.asname else each.name.split(".")[0]
                    )
            elif isinstance(statement, ast.ImportFrom) and statement.module:
                for each in statement.names:
                    self.imports[each.asname or each.name] = f"{statement.module}.{each.name}"

    def code(self, node: ast.stmt) -> str:
        """The source of a definition without its docstrings, comment lines and empty lines."""
        decorators = getattr(node, "decorator_list", [])
        first = min([node.lineno, *(each.lineno for each in decorators)])
        skipped = {
            number
            for each in ast.walk(node)
            if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
            and ast.get_docstring(each, clean=False) is not None
            for number in range(each.body[0].lineno, (each.body[0].end_lineno or 0) + 1)
        }
        lines = (
            self.lines[number - 1]
            for number in range(first, (node.end_lineno or first) + 1)
            if number not in skipped
        )
        return "\n".join(line for line in lines if line.strip() and line.strip()[0] != "#")


def fingerprint(*places: str) -> str:
    """Compute the digest of all that some functions reach.

    Args:
        places: Functions by their full names, as ``benchmarks.bbc.results``.

    Returns:
        16 hexadecimal digits, the same on every machine and version of Python.

    Raises:
        KeyError: If one is not defined where its name says.
    """
    waiting: list[Place] = []
    for place in places:
        found = _resolve(place)
        if found is None:
            raise KeyError(f"nothing is defined as {place}")
        waiting.append(found)
    seen: set[Place] = set()
    while waiting:
        place_ = waiting.pop()
        if place_ not in seen:
            seen.add(place_)
            waiting += _reached(place_)
    codes = {
        _module(module).code(node)  # type: ignore[union-attr]
        for module, name in seen
        for node in _module(module).definitions[name]  # type: ignore[union-attr]
    }
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    versions = re.findall(rf"^(?:{'|'.join(COMPUTING)})==\S+", pins, re.MULTILINE)
    text = "\0".join([*sorted(versions), *sorted(codes)])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@functools.cache
def _module(name: str) -> _Module | None:
    if name.split(".")[0] not in PACKAGES:
        return None
    base = ROOT.joinpath(*name.split("."))
    for path in (base.with_suffix(".py"), base / "__init__.py"):
        if path.is_file():
            return _Module(path)
    return None


def _resolve(dotted: str) -> Place | None:
    """Find where a dotted name is defined, through the modules that import it from each other."""
    parts = dotted.split(".")
    for length in range(len(parts) - 1, 0, -1):
        module = _module(".".join(parts[:length]))
        if module is None:
            continue
        name = parts[length]
        if name in module.definitions:
            return ".".join(parts[:length]), name
        if name in module.imports and module.imports[name] != dotted:
            return _resolve(".".join([module.imports[name], *parts[length + 1 :]]))
    return _anywhere(parts[-1]) if parts[0] in PACKAGES and _module(dotted) is None else None


def _anywhere(name: str) -> Place | None:
    """Find what a package exports lazily: the first of its modules that defines the name."""
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            dotted = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            dotted = dotted.removesuffix(".__init__")
            module = _module(dotted)
            if module is not None and name in module.definitions:
                return dotted, name
    return None


def _reached(place: Place) -> Iterator[Place]:
    """The definitions that one names directly."""
    module = _module(place[0])
    assert module is not None
    for definition in module.definitions[place[1]]:
        for node in ast.walk(definition):
            if isinstance(node, ast.Name):
                if node.id in module.definitions:  # a local name of the same spelling counts too
                    yield place[0], node.id
                elif node.id in module.imports:
                    found = _resolve(module.imports[node.id])
                    if found is not None:
                        yield found
            elif isinstance(node, ast.Attribute):
                dotted = _dotted(node)
                if dotted and dotted[0] in module.imports:
                    found = _resolve(".".join([module.imports[dotted[0]], *dotted[1:]]))
                    if found is not None:
                        yield found


def _dotted(node: ast.Attribute) -> list[str]:
    """The names of a chain of attributes that begins with a plain name; empty for any other."""
    names: list[str] = []
    current: ast.expr = node
    while isinstance(current, ast.Attribute):
        names.append(current.attr)
        current = current.value
    return [current.id, *reversed(names)] if isinstance(current, ast.Name) else []


def _defined(node: ast.stmt) -> list[str]:
    """The names that a statement at the top level of a module defines."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else []
    if isinstance(node, ast.AnnAssign | ast.AugAssign):
        targets = [node.target]
    return [
        each.id
        for target in targets
        for each in ast.walk(target)
        if isinstance(each, ast.Name) and each.id != "__all__"
    ]
