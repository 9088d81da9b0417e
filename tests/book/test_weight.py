"""What is left out of the theme's style sheets and icon fonts, and what must stay."""

import io

from book_weight import used_rules, with_glyphs
from fontTools import fontBuilder, ttLib


def test_a_rule_that_no_page_needs_goes() -> None:
    sheet = ".a{color:red}.b{color:blue}#c{color:green}p{margin:0}"
    assert used_rules(sheet, {"a", "c"}) == ".a{color:red}#c{color:green}p{margin:0}"


def test_a_rule_keeps_the_selectors_that_are_needed() -> None:
    assert used_rules(".a,.b .c,.a:is(.x,.y){top:0}", {"a", "c"}) == ".a,.a:is(.x,.y){top:0}"
    assert used_rules(".a:not(.b){top:0}", {"a"}) == ".a:not(.b){top:0}"


def test_rules_inside_rules() -> None:
    sheet = "@media (min-width: 9px){.a{top:0}.b{top:0}}@media print{.b{top:0}}"
    assert used_rules(sheet, {"a"}) == "@media (min-width: 9px){.a{top:0}}"


def test_fonts_animations_and_settings_stay() -> None:
    for sheet in (
        "@font-face{font-family:X;src:url(x.woff2)}",
        "@keyframes turn{from{top:0}to{top:1px}}",
        '@import "other.css";',
        ":root{--icon:url(a.svg)}",
    ):
        assert used_rules(sheet, set()) == sheet


def test_an_escaped_class_is_found() -> None:
    assert used_rules(r".w-1\/2{top:0}.sd-1{top:0}", {"sd-1"}) == ".sd-1{top:0}"


def font(letters: str) -> bytes:
    builder = fontBuilder.FontBuilder(1000, isTTF=True)
    names = [".notdef", *letters]
    builder.setupGlyphOrder(names)
    builder.setupCharacterMap({ord(letter): letter for letter in letters})
    empty = ttLib.tables._g_l_y_f.Glyph()
    builder.setupGlyf(dict.fromkeys(names, empty))
    builder.setupHorizontalMetrics(dict.fromkeys(names, (500, 0)))
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupPost()
    builder.font.flavor = "woff2"
    written = io.BytesIO()
    builder.save(written)
    return written.getvalue()


def test_a_font_keeps_the_glyphs_that_are_used() -> None:
    small = with_glyphs(font("abc"), {ord("b"), ord("z")})
    loaded = ttLib.TTFont(io.BytesIO(small))
    assert set(loaded.getBestCmap()) == {ord("b")}
    assert loaded.flavor == "woff2"


def test_a_font_that_nothing_uses_stays_whole() -> None:
    whole = font("abc")
    assert with_glyphs(whole, {ord("z")}) == whole
