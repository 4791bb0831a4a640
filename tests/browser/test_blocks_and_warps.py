"""The lesson on blocks and warps in a real JupyterLab: cells run, the trace is played by mouse and by keyboard."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

pytestmark = pytest.mark.browser

LESSON = "11_blocks_and_warps.ipynb"
MAX_TABS = 40
ALL, HALF = 32, 16


class Player:
    """The figure as a person meets it."""

    def __init__(self, notebook: Any) -> None:
        self.notebook, self.page = notebook, notebook.page
        self.root = notebook.scroll_to(notebook.page.locator(".tk-trace"))
        self.warp = self.root.get_by_label("Warp", exact=True)
        self.argument = self.root.get_by_label("Argument", exact=True)
        self.slider = self.root.get_by_label("Step", exact=True)

    def press(self, button: str) -> None:
        self.root.get_by_role("button", name=button).click()

    def tab_to(self, locator: Any) -> None:
        self.notebook.tab_to(locator, MAX_TABS)

    def expect(self, text: str) -> None:
        """What the line above the lanes must come to say."""
        from playwright.sync_api import expect

        expect(self.root.locator(".tk-status")).to_contain_text(text)

    def expect_lanes(self, n: int) -> None:
        """So many lanes are drawn as being at work, and the text says so."""
        from playwright.sync_api import expect

        expect(self.root.locator(".tk-lane.tk-on")).to_have_count(n)
        self.expect(f"{n} of 32 lanes at work")

    def steps(self) -> int:
        return int(self.slider.get_attribute("max") or 0)


@pytest.fixture(scope="module")
def lesson(open_notebook: Callable[..., Any]) -> Any:
    """The lesson with all cells run; the tests below share it."""
    lesson = open_notebook(LESSON)
    assert lesson.problems(lesson.run_all_cells()) == []
    return lesson


@pytest.fixture
def player(lesson: Any) -> Iterator[Player]:
    """The figure at its first step; afterwards nothing may have gone wrong on the page."""
    player = Player(lesson)
    player.warp.select_option(index=1)
    player.warp.select_option(index=0)
    player.expect(f"Step 1 of {player.steps()}")
    yield player
    assert lesson.page_errors == []
    assert lesson.outside_requests == []


def test_the_pictures_are_shown(lesson: Any) -> None:
    widths = lesson.show_pictures("warps")
    assert len(widths) == 3
    assert min(widths) >= 850


def test_the_lanes_part_and_meet_again(player: Player) -> None:
    player.expect_lanes(ALL)
    seen = []
    for step in range(player.steps()):
        seen.append(player.root.locator(".tk-lane.tk-on").count())
        if step == player.steps() // 2:
            player.notebook.screenshot("warps-player")
        if step + 1 < player.steps():
            player.press("One step on")
            player.expect(f"Step {step + 2} of")
    assert set(seen) == {ALL, HALF}
    parted = [index for index, n in enumerate(seen) if n == HALF]
    assert parted == list(range(parted[0], parted[-1] + 1))
    assert seen[-1] == ALL


def test_next_access_finds_the_load_and_the_store(player: Player) -> None:
    player.press("Next access")
    player.expect("reads 32 elements of x")
    assert player.argument.evaluate("select => select.selectedOptions[0].text") == "x"
    player.press("Next access")
    player.expect("writes 32 elements of y")
    player.notebook.screenshot("warps-store")
    assert "writes 32 elements, in 4 sectors" in (player.root.locator(".tk-map").get_attribute("aria-label") or "")


def test_the_line_of_the_source_is_shown(player: Player) -> None:
    player.press("Next access")
    player.press("Next access")
    assert "y[i] = v;" in player.root.locator(".tk-code").inner_text()


def test_the_keyboard_does_all_of_it(player: Player) -> None:
    player.root.locator("summary").focus()
    player.tab_to(player.warp)
    player.page.keyboard.press("ArrowDown")
    player.expect("Block 0, warp 1.")
    player.tab_to(player.slider)
    player.page.keyboard.press("ArrowRight")
    player.expect("Step 2 of")
    player.page.keyboard.press("End")
    player.expect(f"Step {player.steps()} of {player.steps()}")
    player.page.keyboard.press("Home")
    player.page.keyboard.press("Space")
    player.expect(f"Step {player.steps()} of {player.steps()}")
    assert player.page.evaluate("() => window.jupyterapp.shell.currentWidget.content.mode") in ("command", "edit")


def test_the_figure_fits_a_narrow_window(player: Player) -> None:
    player.page.set_viewport_size({"width": 800, "height": 900})
    try:
        player.press("Next access")
        player.expect("reads 32 elements of x")
        player.notebook.scroll_to(player.root.locator(".tk-map"))
        player.notebook.screenshot("warps-800")
        box = player.root.locator(".tk-map").bounding_box()
        assert box["x"] + box["width"] <= player.page.viewport_size["width"]
    finally:
        player.page.set_viewport_size({"width": 1200, "height": 900})


def test_every_text_of_the_figure_can_be_read_in_the_dark_theme(player: Player) -> None:
    assert player.notebook.faint_texts(player.root, "trace") == []
