"""What the theme carries and no page uses is left out: style rules, and the glyphs of icons.

The theme's style sheets hold all of Bootstrap and two thousand icons. A rule stays if each class
and id in one of its selectors is a word of some page or script; so nothing that a page shows, or a
script may yet add, loses its style.
"""

import io
import itertools
import re
from pathlib import Path

import tinycss2
from fontTools import subset, ttLib
from sphinx.application import Sphinx

SHEETS = ("styles/pydata-sphinx-theme.css", "styles/sphinx-book-theme.css", "sphinx-design.min.css")
FONTS = "vendor/fontawesome/webfonts/*.woff2"
DATA_SCRIPTS = {"model.js"}  # the words of a vocabulary name no class
GROUPS = {"media", "supports"}  # rules that hold rules


def lighten(app: Sphinx, error: Exception | None) -> None:
    """Rewrite the theme's style sheets and icon fonts in the built HTML."""
    if error is not None or app.builder.format != "html":
        return
    static = Path(app.outdir) / "_static"
    words = words_of(Path(app.outdir))
    icons: set[int] = set()
    for path in map(static.joinpath, SHEETS):
        if path.is_file():
            sheet = used_rules(path.read_text(encoding="utf-8"), words)
            icons |= {ord(glyph) for glyph in re.findall(r'"(.)"', sheet)}
            path.write_text(f'@charset "utf-8";{sheet}', encoding="utf-8")
    for path in static.glob(FONTS):
        path.write_bytes(with_glyphs(path.read_bytes(), icons))


def words_of(html: Path) -> set[str]:
    """Collect every word of the pages and of their scripts that could name a class or an id."""
    scripts = (
        path
        for path in html.rglob("*.js")
        if "mathjax" not in path.parts and path.name not in DATA_SCRIPTS
    )
    return {
        word
        for path in (*html.rglob("*.html"), *scripts)
        for word in re.findall(r"[\w-]+", path.read_text(encoding="utf-8"))
    }


def used_rules(sheet: str, words: set[str]) -> str:
    """Leave out of a style sheet the selectors that name a class or an id that no page has."""
    rules = tinycss2.parse_stylesheet(sheet, skip_comments=True, skip_whitespace=True)
    return "".join(_used(rule, words) for rule in rules)


def _used(rule: tinycss2.ast.Node, words: set[str]) -> str:
    if rule.type == "at-rule" and rule.lower_at_keyword in GROUPS and rule.content:
        inner = tinycss2.parse_rule_list(rule.content, skip_comments=True, skip_whitespace=True)
        kept = "".join(_used(each, words) for each in inner)
        head = f"@{rule.at_keyword}{tinycss2.serialize(rule.prelude)}"
        return f"{head}{{{kept}}}" if kept else ""
    if rule.type != "qualified-rule":
        return str(rule.serialize())
    selectors = [each for each in _selectors(rule.prelude) if _names(each) <= words]
    if not selectors:
        return ""
    return f"{','.join(map(tinycss2.serialize, selectors))}{{{tinycss2.serialize(rule.content)}}}"


def _selectors(prelude: list[tinycss2.ast.Node]) -> list[list[tinycss2.ast.Node]]:
    """Split the head of a rule at its commas; those in brackets stay."""
    selectors: list[list[tinycss2.ast.Node]] = [[]]
    for token in prelude:
        if token.type == "literal" and token.value == ",":
            selectors.append([])
        else:
            selectors[-1].append(token)
    return selectors


def _names(selector: list[tinycss2.ast.Node]) -> set[str]:
    """Give the classes and ids that an element must have; what stands in brackets may be absent."""
    classes = {
        token.value
        for dot, token in itertools.pairwise(selector)
        if dot.type == "literal" and dot.value == "." and token.type == "ident"
    }
    return classes | {token.value for token in selector if token.type == "hash"}


def with_glyphs(font: bytes, codes: set[int]) -> bytes:
    """Leave in a font the glyphs of these code points; a font with none of them stays as it is."""
    loaded = ttLib.TTFont(io.BytesIO(font))
    wanted = codes & set(loaded.getBestCmap())
    if not wanted:
        return font
    options = subset.Options(flavor="woff2", layout_features=[], notdef_outline=True)
    subsetter = subset.Subsetter(options)
    subsetter.populate(unicodes=wanted)
    subsetter.subset(loaded)
    written = io.BytesIO()
    subset.save_font(loaded, written, options)
    return written.getvalue()


def setup(app: Sphinx) -> dict[str, object]:
    """Register the extension."""
    app.connect("build-finished", lighten, priority=900)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
