"""The menu and the contents of a page on a narrow window: they open, lead somewhere and close."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

PAGE = "project/model.html"
WIDTHS = (320, 390, 768, 991)
HEIGHT = 800
WAYS = ("mouse", "touch", "keyboard")
MENU, CONTENTS = "primary", "secondary"


class Phone:
    """A page on a narrow window, and someone with a mouse, a finger or a keyboard."""

    def __init__(self, browser: Any, address: str, way: str) -> None:
        size = {"width": WIDTHS[0], "height": HEIGHT}
        self.tab = browser.new_page(viewport=size, has_touch=way == "touch")
        self.address, self.way = address, way
        self.faults: list[str] = []
        self.tab.set_default_navigation_timeout(60_000)
        self.tab.on("pageerror", lambda seen: self.faults.append(str(seen)))
        self.tab.goto(address, wait_until="load")

    def use(self, element: Any) -> None:
        """Press a button or follow a link."""
        if self.way == "mouse":
            element.click()
        elif self.way == "touch":
            element.tap()
        else:
            element.focus()
            self.tab.keyboard.press("Enter")

    def open(self, kind: str) -> Any:
        """Open the menu or the contents; what has opened is on the screen, and links are on top."""
        self.use(self.tab.locator(f".{kind}-toggle:visible"))
        panel = self.tab.locator(f"#pst-{kind}-sidebar-modal")
        panel.wait_for(state="visible")
        box = panel.bounding_box()
        width = self.tab.viewport_size["width"]
        assert box["x"] >= 0, box
        assert box["x"] + box["width"] <= width + 1, box
        assert box["width"] > 200, box
        assert box["height"] > HEIGHT / 2, box
        assert panel.evaluate("panel => panel.contains(document.activeElement)"), "no focus"
        return panel

    def link(self, panel: Any, selector: str, number: int = 0) -> Any:
        """A link of the panel that can be seen and hit."""
        link = panel.locator(selector).nth(number)
        link.scroll_into_view_if_needed()
        assert link.evaluate(
            """link => {
                const box = link.getClientRects()[0];
                const top = document.elementFromPoint(
                    box.x + box.width / 2, box.y + box.height / 2);
                return link.contains(top);
            }"""
        ), "something lies over the link"
        return link

    def leave(self, kind: str, how: str) -> None:
        """Close by Escape or beside the panel; the focus is back at the button."""
        width = self.tab.viewport_size["width"]
        beside = (width - 5 if kind == MENU else 5, HEIGHT // 2)
        if how == "escape":
            self.tab.keyboard.press("Escape")
        elif self.way == "touch":
            self.tab.touchscreen.tap(*beside)
        else:
            self.tab.mouse.click(*beside)
        self.is_closed()
        self.tab.wait_for_function(
            "kind => document.activeElement.matches(`.${kind}-toggle`)", arg=kind
        )

    def is_closed(self) -> None:
        self.tab.wait_for_function("!document.querySelector('dialog[open]')")

    def close(self) -> None:
        self.tab.close()
        assert self.faults == []


@pytest.fixture(params=WAYS)
def phone(request: pytest.FixtureRequest, server: str, browser: Any) -> Iterator[Phone]:
    held = Phone(browser, f"{server}/{PAGE}", request.param)
    yield held
    held.close()


def test_both_open_and_close(phone: Phone) -> None:
    for width in WIDTHS:
        phone.tab.set_viewport_size({"width": width, "height": HEIGHT})
        for kind in (MENU, CONTENTS):
            for how in ("escape", "beside"):
                phone.open(kind)
                phone.leave(kind, how)


def test_their_links_lead_somewhere(phone: Phone) -> None:
    for width in WIDTHS:
        phone.tab.set_viewport_size({"width": width, "height": HEIGHT})
        third = phone.link(phone.open(CONTENTS), "a[href^='#']", 2)
        name = third.get_attribute("href")
        phone.use(third)
        phone.is_closed()
        phone.tab.wait_for_function(
            "name => location.hash === name && document.activeElement.matches(name)", arg=name
        )
        top = phone.tab.locator(f"{name} h2").first.bounding_box()["y"]
        assert 0 <= top < HEIGHT / 2, "the section is on the screen"
        phone.use(phone.link(phone.open(MENU), "a[href='../reference/glossary.html']"))
        phone.tab.wait_for_url("**/reference/glossary.html")
        phone.tab.goto(phone.address, wait_until="load")


def test_escape_closes_wherever_the_focus_is(phone: Phone) -> None:
    for kind in (MENU, CONTENTS):
        phone.open(kind)
        phone.tab.evaluate("document.activeElement.blur()")
        phone.leave(kind, "escape")


def test_escape_leaves_the_search_from_anywhere_in_it(phone: Phone) -> None:
    phone.use(phone.tab.locator(".search-button:visible").first)
    phone.tab.locator("#pst-search-dialog").wait_for(state="visible")
    phone.tab.keyboard.press("Tab")
    phone.tab.keyboard.press("Escape")
    phone.is_closed()
    phone.tab.wait_for_function("document.activeElement.matches('.search-button')")


def test_a_window_that_grows_wide_has_no_open_menu(server: str, browser: Any) -> None:
    phone = Phone(browser, f"{server}/{PAGE}", "mouse")
    phone.open(MENU)
    phone.tab.set_viewport_size({"width": 1280, "height": HEIGHT})
    phone.is_closed()
    bar = phone.tab.locator("#pst-primary-sidebar")
    assert bar.locator("a", has_text="Glossary").first.is_visible()
    # On a wide window the same button folds the side bar away.
    phone.use(phone.tab.locator(".primary-toggle:visible"))
    phone.tab.wait_for_function(
        "getComputedStyle(document.querySelector('#pst-primary-sidebar')).visibility === 'hidden'"
    )
    assert phone.tab.locator("dialog[open]").count() == 0
    phone.close()


def test_a_menu_that_does_not_open_is_found(server: str, browser: Any, html: Path) -> None:
    """As the themes have it: a hidden pair of buttons before the pair that is seen."""
    page = (html / PAGE).read_text(encoding="utf-8")
    hidden = "".join(
        f'<button class="sidebar-toggle {kind}-toggle">x</button>' for kind in (MENU, CONTENTS)
    )
    bad = re.sub(r'(<header id="pst-header"[^>]*>)', rf"\1{hidden}", page)
    assert bad != page
    phone = Phone(browser, f"{server}/{PAGE}", "mouse")
    phone.tab.route(f"**/{PAGE}", lambda route: route.fulfill(body=bad, content_type="text/html"))
    phone.tab.goto(phone.address, wait_until="load")
    phone.tab.set_default_timeout(1000)
    for kind in (MENU, CONTENTS):
        with pytest.raises(Exception, match="Timeout"):
            phone.open(kind)
    phone.close()
