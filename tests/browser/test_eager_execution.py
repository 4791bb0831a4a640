"""Lesson 20 in a real JupyterLab and Chromium: every cell runs, and the timeline follows its controls."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from teachkit.kernels import tanh_gelu
from teachkit.measure import profile
from teachkit.viz.explore_timeline import explore_timeline

pytestmark = pytest.mark.browser

N = 2**20
MAX_TABS = 40


class Figure:
    """The interactive timeline as a person meets it, and Python's answer to the same settings."""

    def __init__(self, notebook: Any) -> None:
        self.notebook, self.page = notebook, notebook.page
        self.root = notebook.scroll_to(notebook.page.locator(".tk-timeline"))
        x = torch.randn(N)
        with profile() as by_hand:
            tanh_gelu.eager_gelu(x)
        with profile() as built_in:
            tanh_gelu.library_gelu(x)
        self.oracle = explore_timeline({"by hand": by_hand, "built in": built_in}, N)

    def control(self, key: str) -> Any:
        return self.root.locator(f'[data-key="{key}"]')

    def tab_to(self, key: str) -> None:
        self.notebook.tab_to(self.control(key), MAX_TABS)

    def set(self, **settings: Any) -> None:
        """Bring the controls to these settings without a mouse, one after another."""
        for name, key in (("log2_elements", "size"), ("host_us", "host")):
            if name in settings:
                self.control(key).fill(str(settings[name]))
        if "gpu" in settings:
            self.control("gpu").select_option(settings["gpu"])
        if "wait" in settings:
            self.control("wait").set_checked(settings["wait"])

    def expect(self, **settings: Any) -> None:
        """What is shown must come to be what Python computes for these settings."""
        from playwright.sync_api import expect

        self.oracle.request = {"id": self.oracle.report["id"] + 1} | settings
        report = self.oracle.report
        for index, program in enumerate(report["programs"]):
            expect(self.root.locator(".tk-total").nth(index)).to_have_text(program["total_text"])
            bars = self.root.locator("figure").nth(index).locator(".tk-device rect")
            expect(bars).to_have_count(len(program["steps"]))
        expect(self.control("size-text")).to_have_text(report["elements_text"])
        expect(self.control("host-text")).to_have_text(report["host_text"])


START = {"log2_elements": 10, "host_us": 5.0, "gpu": "A100-SXM4-40GB", "wait": False}


@pytest.fixture(scope="module")
def lesson(open_notebook: Callable[..., Any]) -> Any:
    """The lesson with all cells run; the tests below share it."""
    lesson = open_notebook("20_eager_execution.ipynb")
    assert lesson.problems(lesson.run_all_cells()) == []
    return lesson


@pytest.fixture
def figure(lesson: Any) -> Iterator[Figure]:
    """The figure as it begins; afterwards nothing may have gone wrong on the page."""
    figure = Figure(lesson)
    figure.set(**START)
    figure.expect(**START)
    yield figure
    assert lesson.page_errors == []
    assert lesson.outside_requests == []


def test_every_cell_runs_and_its_pictures_are_shown(lesson: Any) -> None:
    widths = lesson.show_pictures("eager")
    assert len(widths) == 2
    assert min(widths) > 700


def test_the_timeline_follows_the_mouse(figure: Figure) -> None:
    figure.notebook.screenshot("timeline-small")
    box = figure.control("size").bounding_box()
    figure.page.mouse.click(box["x"] + box["width"] - 2, box["y"] + box["height"] / 2)
    figure.expect(**START | {"log2_elements": 27})
    figure.notebook.screenshot("timeline-large")
    unit = figure.root.locator("text", has_text="µs").first
    label, drawing = unit.bounding_box(), figure.root.locator("svg").first.bounding_box()
    assert label["x"] + label["width"] <= drawing["x"] + drawing["width"], "the unit is cut off"
    figure.control("wait").click()
    figure.expect(**START | {"log2_elements": 27, "wait": True})
    figure.control("gpu").select_option("H100-SXM5-80GB")
    figure.expect(**START | {"log2_elements": 27, "wait": True, "gpu": "H100-SXM5-80GB"})


def test_the_timeline_follows_the_keyboard(figure: Figure) -> None:
    figure.control("size").focus()
    for _ in range(3):
        figure.page.keyboard.press("ArrowRight")
    figure.expect(**START | {"log2_elements": 13})
    figure.tab_to("host")
    figure.page.keyboard.press("Home")
    figure.expect(**START | {"log2_elements": 13, "host_us": 0.5})
    figure.tab_to("gpu")
    figure.page.keyboard.press("ArrowUp")
    figure.expect(**START | {"log2_elements": 13, "host_us": 0.5, "gpu": "V100-SXM2-16GB"})
    figure.tab_to("wait")
    figure.page.keyboard.press("Space")
    figure.expect(**START | {"log2_elements": 13, "host_us": 0.5, "gpu": "V100-SXM2-16GB", "wait": True})
    figure.notebook.screenshot("timeline-keyboard")


def test_the_same_is_there_as_a_table(figure: Figure) -> None:
    from playwright.sync_api import expect

    figure.root.get_by_text("The same as a table").click()
    rows = figure.root.locator("tbody tr")
    expect(rows).to_have_count(9)
    expect(rows.nth(3).locator("td").nth(2)).to_have_text("12.3 kB")
    figure.root.get_by_text("The same as a table").click()


def test_while_the_kernel_does_not_answer_the_figure_says_so(figure: Figure, lesson: Any) -> None:
    from playwright.sync_api import expect

    kernel_pid = int(lesson.ask_kernel("import os; print(os.getpid())"))
    os.kill(kernel_pid, signal.SIGSTOP)
    try:
        figure.control("size").fill("20")
        expect(figure.root.locator(".tk-status")).to_contain_text("busy or stopped")
    finally:
        os.kill(kernel_pid, signal.SIGCONT)
    figure.expect(**START | {"log2_elements": 20})


def test_the_figure_fits_a_narrow_window(figure: Figure) -> None:
    figure.page.set_viewport_size({"width": 800, "height": 900})
    try:
        figure.notebook.scroll_to(figure.root)
        figure.set(log2_elements=22)
        figure.expect(**START | {"log2_elements": 22})
        figure.notebook.screenshot("timeline-800")
        drawing = figure.root.locator("svg").first.bounding_box()
        frame = figure.root.bounding_box()
        assert drawing["width"] <= frame["width"]
    finally:
        figure.page.set_viewport_size({"width": 1200, "height": 900})


def test_every_text_of_the_figure_can_be_read_in_the_dark_theme(figure: Figure) -> None:
    assert figure.notebook.faint_texts(figure.root, "timeline") == []
