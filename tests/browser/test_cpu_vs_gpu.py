"""The lesson on CPU and GPU in a real JupyterLab: every cell runs, and the frame is played by mouse and by keyboard."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

pytestmark = pytest.mark.browser

LESSON = "10_cpu_vs_gpu.ipynb"
ONE_CORE, VECTORS, ONE_SM = 0, 1, 3  # places in the list of machines
MAX_TABS = 40


class Frame:
    """The figure as a person meets it."""

    def __init__(self, notebook: Any) -> None:
        self.notebook, self.page = notebook, notebook.page
        self.root = notebook.scroll_to(notebook.page.locator(".tk-frame"))
        self.machine = self.root.get_by_label("Machine", exact=True)
        self.slider = self.root.get_by_label("Step", exact=True)

    def tab_to(self, locator: Any) -> None:
        self.notebook.tab_to(locator, MAX_TABS)

    def expect(self, text: str) -> None:
        """What the line above the picture must come to say; the picture's text alternative says it too."""
        from playwright.sync_api import expect

        expect(self.root.locator(".tk-status")).to_contain_text(text)
        assert text in (self.root.locator("canvas").get_attribute("aria-label") or "")

    def colours(self) -> int:
        """Different colours in the picture."""
        pixels = "c.getContext('2d').getImageData(0, 0, c.width, c.height).data.buffer"
        return int(self.root.locator("canvas").evaluate(f"c => new Set(new Uint32Array({pixels})).size"))


@pytest.fixture(scope="module")
def lesson(open_notebook: Callable[..., Any]) -> Any:
    """The lesson with all cells run; the tests below share it."""
    lesson = open_notebook(LESSON)
    assert lesson.problems(lesson.run_all_cells()) == []
    return lesson


@pytest.fixture
def frame(lesson: Any) -> Iterator[Frame]:
    """The figure at its beginning; afterwards nothing may have gone wrong on the page."""
    frame = Frame(lesson)
    frame.machine.select_option(index=ONE_CORE)
    frame.expect("Nothing done yet. 2,560 steps, one pixel in each.")
    yield frame
    assert lesson.page_errors == []
    assert lesson.outside_requests == []


def test_the_picture_is_shown(lesson: Any) -> None:
    assert lesson.show_pictures("cpu-vs-gpu") == [880]


def test_the_mouse_goes_through_a_frame(frame: Frame) -> None:
    frame.machine.select_option(index=ONE_SM)
    frame.expect("20 steps")
    before = frame.colours()
    for _ in range(5):
        frame.root.get_by_role("button", name="One step on").click()
    frame.expect("Step 5 of 20: 128 pixels in this step, of block 2. 640 of 2,560 pixels done.")
    frame.notebook.screenshot("frame-one-sm")
    assert frame.colours() != before
    frame.root.get_by_role("button", name="One step back").click()
    frame.expect("Step 4 of 20")


def test_playing_comes_to_the_end(frame: Frame) -> None:
    from playwright.sync_api import expect

    frame.machine.select_option(index=VECTORS)
    frame.root.get_by_role("button", name="play").click()
    frame.expect("Step 160 of 160")
    frame.expect("2,560 of 2,560 pixels done.")
    expect(frame.root.get_by_role("button", name="play")).to_be_visible()


def test_the_keyboard_does_all_of_it(frame: Frame) -> None:
    frame.page.evaluate("() => document.activeElement?.blur?.()")
    frame.root.locator("summary").focus()
    frame.tab_to(frame.machine)
    for _ in range(ONE_SM):
        frame.page.keyboard.press("ArrowDown")
    frame.expect("GPU, 1 SM")
    frame.tab_to(frame.slider)
    for _ in range(3):
        frame.page.keyboard.press("ArrowRight")
    frame.expect("Step 3 of 20")
    frame.page.keyboard.press("End")
    frame.expect("Step 20 of 20")
    frame.page.keyboard.press("Home")
    frame.expect("Nothing done yet")
    frame.page.keyboard.press("Space")
    frame.expect("Step 20 of 20")


def test_the_figure_fits_a_narrow_window(frame: Frame) -> None:
    frame.page.set_viewport_size({"width": 800, "height": 900})
    try:
        frame.machine.select_option(index=ONE_SM)
        frame.root.get_by_role("button", name="One step on").click()
        frame.expect("Step 1 of 20")
        frame.notebook.scroll_to(frame.root.locator("canvas"))
        frame.notebook.screenshot("frame-800")
        canvas, window = frame.root.locator("canvas").bounding_box(), frame.page.viewport_size
        assert canvas["x"] + canvas["width"] <= window["width"]
    finally:
        frame.page.set_viewport_size({"width": 1200, "height": 900})


def test_every_text_of_the_figure_can_be_read_in_the_dark_theme(frame: Frame) -> None:
    assert frame.notebook.faint_texts(frame.root, "frame") == []
