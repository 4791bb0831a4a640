"""Lesson 30 in a real JupyterLab and Chromium: every cell runs, and the roofline follows its controls."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest

pytestmark = pytest.mark.browser

MAX_TABS = 60
# What the kernel of the notebook itself computes for the settings of its own figure, asked for as text.
ORACLE = """
import json
from teachkit.viz.explore_roofline import RooflineExplorer, Settings, DEFAULT_GPUS
_figure = RooflineExplorer(recorded, gpus=DEFAULT_GPUS, settings=Settings(**{settings!r}))
print(json.dumps([row["cells"] for row in _figure.report["rows"]]))
"""
START = {"gpu": "A100-SXM4-40GB", "bandwidth": 0.0, "arithmetic": 0.0, "cache": 0.0}


class Figure:
    """The interactive roofline as a person meets it."""

    def __init__(self, notebook: Any) -> None:
        self.notebook, self.page = notebook, notebook.page
        self.root = notebook.scroll_to(notebook.page.locator(".tk-roofline"))

    def control(self, key: str) -> Any:
        return self.root.locator(f'[data-key="{key}"]')

    def tab_to(self, key: str) -> None:
        self.notebook.tab_to(self.control(key), MAX_TABS)

    def names(self) -> list[str]:
        names: list[str] = self.root.locator(".tk-programs input").evaluate_all(
            "boxes => boxes.map((box) => box.value)"
        )
        return names

    def expect(self, *, shown: list[str] | None = None, **changes: Any) -> None:
        """What is shown must come to be what Python computes for these settings."""
        import json

        from playwright.sync_api import expect

        settings = START | changes | {"shown": tuple(self.names() if shown is None else shown)}
        rows = json.loads(self.notebook.ask_kernel(ORACLE.format(settings=settings)))
        lines = self.root.locator("tbody tr")
        expect(lines).to_have_count(len(rows))
        for index, cells in enumerate(rows):
            expect(lines.nth(index).locator("td").nth(4)).to_have_text(cells[3])
            assert lines.nth(index).locator("td").all_inner_texts()[1:] == cells
        expect(self.root.locator(".tk-program")).to_have_count(sum(cells[3] != "no FLOP" for cells in rows))


@pytest.fixture(scope="module")
def lesson(open_notebook: Callable[..., Any]) -> Any:
    """The lesson with all cells run; the tests below share it."""
    lesson = open_notebook("30_roofline.ipynb")
    assert lesson.problems(lesson.run_all_cells()) == []
    return lesson


@pytest.fixture
def figure(lesson: Any) -> Iterator[Figure]:
    """The figure as it begins; afterwards nothing may have gone wrong on the page."""
    figure = Figure(lesson)
    figure.control("gpu").select_option(START["gpu"])
    figure.root.get_by_role("button", name="As on the data sheet").click()
    figure.expect()
    yield figure
    assert lesson.page_errors == []
    assert lesson.outside_requests == []


def test_every_cell_runs_and_its_pictures_are_shown(lesson: Any) -> None:
    widths = lesson.show_pictures("roofline")
    assert len(widths) == 2
    assert min(widths) > 700


def test_the_roofline_follows_the_mouse(figure: Figure) -> None:
    figure.notebook.screenshot("roofline-start")
    box = figure.control("bandwidth").bounding_box()
    figure.page.mouse.click(box["x"] + box["width"] - 2, box["y"] + box["height"] / 2)
    figure.expect(bandwidth=3.0)
    figure.control("gpu").select_option("H100-SXM5-80GB")
    figure.expect(bandwidth=3.0, gpu="H100-SXM5-80GB")
    figure.control("program-1").uncheck()
    figure.expect(bandwidth=3.0, gpu="H100-SXM5-80GB", shown=figure.names()[1:])
    figure.control("program-1").check()


def test_the_roofline_follows_the_keyboard(figure: Figure) -> None:
    figure.control("bandwidth").focus()
    figure.page.keyboard.press("ArrowLeft")
    figure.expect(bandwidth=-0.5)
    figure.tab_to("arithmetic")
    for _ in range(2):
        figure.page.keyboard.press("ArrowRight")
    figure.tab_to("cache")
    figure.page.keyboard.press("End")
    figure.expect(bandwidth=-0.5, arithmetic=1.0, cache=6.0)
    figure.notebook.screenshot("roofline-keyboard")
    figure.tab_to("program-2")
    figure.page.keyboard.press("Space")
    names = figure.names()
    figure.expect(bandwidth=-0.5, arithmetic=1.0, cache=6.0, shown=[names[0], *names[2:]])
    figure.page.keyboard.press("Space")


def test_a_small_cache_moves_products_and_chains(figure: Figure) -> None:
    figure.control("cache").focus()
    figure.page.keyboard.press("Home")
    figure.expect(cache=-6.0)
    figure.notebook.screenshot("roofline-small-cache")


def test_while_the_kernel_does_not_answer_the_figure_says_so(figure: Figure, lesson: Any) -> None:
    from playwright.sync_api import expect

    kernel_pid = int(lesson.ask_kernel("import os; print(os.getpid())"))
    os.kill(kernel_pid, signal.SIGSTOP)
    try:
        figure.control("cache").fill("2")
        expect(figure.root.locator(".tk-status")).to_contain_text("busy or stopped")
    finally:
        os.kill(kernel_pid, signal.SIGCONT)
    figure.expect(cache=2.0)


def test_the_figure_fits_a_narrow_window(figure: Figure) -> None:
    figure.page.set_viewport_size({"width": 800, "height": 1100})
    try:
        figure.notebook.scroll_to(figure.root)
        figure.control("arithmetic").fill("-1")
        figure.expect(arithmetic=-1.0)
        figure.notebook.screenshot("roofline-800")
        assert figure.root.locator("svg").first.bounding_box()["width"] <= figure.root.bounding_box()["width"]
        table = figure.root.locator(".tk-scroll")
        assert table.evaluate("box => box.scrollWidth <= box.clientWidth"), "columns are hidden"
        sliders, canvas = figure.control("cache").bounding_box(), figure.root.locator(".tk-canvas").bounding_box()
        assert canvas["y"] - sliders["y"] < 120, "what the sliders move is far below them"
    finally:
        figure.page.set_viewport_size({"width": 1200, "height": 900})


def test_every_text_of_the_figure_can_be_read_in_the_dark_theme(figure: Figure) -> None:
    assert figure.notebook.faint_texts(figure.root, "roofline") == []
