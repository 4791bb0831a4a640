"""Both lessons in a real JupyterLab and Chromium: every cell runs, and the interactive figure tells the truth."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

import pytest

from teachkit.model.fusion import eager, tanh_gelu_graph, why_illegal
from teachkit.viz.fusion_report import bytes_text, launches_text, report_plan, seconds_text

pytestmark = pytest.mark.browser

GRAPH = tanh_gelu_graph(2**24)  # the graph of the lesson
GPUS = ("V100-SXM2-16GB", "A100-SXM4-40GB", "H100-SXM5-80GB")
ALONE = "Every operator alone (eager)"
ALL_IN_ONE = "All in one kernel"
MAX_TABS = 60


class Figure:
    """The interactive figure as a person meets it."""

    def __init__(self, notebook: Any) -> None:
        self.notebook, self.page = notebook, notebook.page
        self.root = notebook.scroll_to(notebook.page.locator(".tk-fusion"))

    def press(self, button: str) -> None:
        self.root.get_by_role("button", name=button, exact=True).click()

    def element(self, key: str) -> Any:
        return self.root.locator(f'[data-key="{key}"]')

    def click_edge(self, key: str) -> None:
        self.element(key).locator(".tk-handle").click()

    def drag(self, operator: str, onto: str) -> None:
        self.element(operator).drag_to(self.element(onto))

    def tab_to(self, key: str) -> None:
        self.notebook.tab_to(self.element(key), MAX_TABS)

    def expect(self, groups: Sequence[Collection[str]]) -> None:
        """What is shown must come to be what Python computes for this grouping."""
        from playwright.sync_api import expect

        plan = report_plan(GRAPH, groups, GPUS)
        expect(self.root.locator(".tk-launches")).to_have_text(launches_text(plan.n_launches))
        expect(self.root.locator(".tk-bytes")).to_have_text(bytes_text(plan.n_bytes, plan.n_elements))
        for gpu, seconds in plan.seconds.items():
            row = self.root.get_by_role("row").filter(has_text=gpu)
            expect(row.get_by_role("cell").last).to_have_text(seconds_text(seconds))


@pytest.fixture(scope="module")
def fusion_lesson(open_notebook: Callable[..., Any]) -> Any:
    """The fusion lesson with all cells run; the tests below share it."""
    lesson = open_notebook("40_fusion_by_hand.ipynb")
    assert lesson.problems(lesson.run_all_cells()) == []
    return lesson


@pytest.fixture
def figure(fusion_lesson: Any) -> Iterator[Figure]:
    """The figure with every operator alone; afterwards nothing may have gone wrong on the page."""
    figure = Figure(fusion_lesson)
    figure.press(ALONE)
    figure.expect(eager(GRAPH))
    yield figure
    assert fusion_lesson.page_errors == []
    assert fusion_lesson.outside_requests == []


def joined(*names: str) -> list[set[str]]:
    """These operators in one group, every other one alone."""
    return [set(names), *({name} for name in GRAPH.names if name not in names)]


def test_every_cell_of_start_here_runs(open_notebook: Callable[..., Any]) -> None:
    lesson = open_notebook("00_start_here.ipynb")
    notebook = lesson.run_all_cells()
    lesson.screenshot("start-here")
    assert lesson.problems(notebook) == []
    assert len(lesson.show_pictures("start-here")) == 1
    text = "".join(out["text"] for cell in notebook["cells"] for out in cell.get("outputs", []) if "text" in out)
    assert "same as PyTorch: True" in text


def test_every_cell_of_fusion_by_hand_runs_and_its_pictures_are_shown(fusion_lesson: Any) -> None:
    assert fusion_lesson.show_pictures("fusion") == [800, 800]


def test_the_figure_follows_the_mouse(figure: Figure) -> None:
    figure.notebook.screenshot("figure-eager")
    figure.click_edge("cube>scaled")
    figure.expect(joined("cube", "scaled"))
    figure.click_edge("scaled>inner")
    figure.expect(joined("cube", "scaled", "inner"))
    figure.click_edge("cube>scaled")
    figure.expect(joined("scaled", "inner"))
    figure.press(ALL_IN_ONE)
    figure.expect([set(GRAPH.names)])
    figure.notebook.screenshot("figure-fused")
    figure.click_edge("half_x>gelu")
    figure.expect(joined(*(name for name in GRAPH.names if name != "half_x")))
    figure.press("Undo")
    figure.expect([set(GRAPH.names)])


def test_a_box_can_be_dragged_into_a_kernel_and_out_again(figure: Figure) -> None:
    figure.drag("half_x", "gelu")
    figure.expect(joined("half_x", "gelu"))
    figure.drag("one_plus", "half_x")
    figure.notebook.screenshot("figure-dragged")
    figure.expect(joined("half_x", "one_plus", "gelu"))
    box = figure.element("half_x").bounding_box()
    figure.page.mouse.move(box["x"] + 20, box["y"] + 20)
    figure.page.mouse.down()
    figure.page.mouse.move(box["x"] + 20, box["y"] - 80, steps=4)  # nothing is drawn there but an arrow
    figure.page.mouse.up()
    figure.expect(joined("one_plus", "gelu"))


def test_the_figure_follows_the_keyboard(figure: Figure) -> None:
    figure.tab_to("argument>tanh")
    figure.page.keyboard.press("Enter")
    figure.expect(joined("argument", "tanh"))
    figure.tab_to("tanh>one_plus")
    figure.page.keyboard.press("Space")
    figure.expect(joined("argument", "tanh", "one_plus"))
    figure.tab_to("half_x")
    figure.page.keyboard.press("Enter")  # picked up
    figure.tab_to("gelu")
    figure.page.keyboard.press("Enter")  # put down
    figure.expect([*joined("argument", "tanh", "one_plus")[:1], {"half_x", "gelu"}, {"cube"}, {"scaled"}, {"inner"}])
    figure.page.keyboard.press("Delete")  # the focus stays on gelu
    figure.expect(joined("argument", "tanh", "one_plus"))
    figure.notebook.screenshot("figure-keyboard")


def test_a_grouping_that_cannot_run_is_explained_and_can_be_undone(figure: Figure) -> None:
    from playwright.sync_api import expect

    figure.drag("cube", "inner")
    reason = why_illegal(GRAPH, joined("cube", "inner"))
    assert reason is not None
    expect(figure.root.locator(".tk-illegal")).to_contain_text(reason)
    figure.notebook.screenshot("figure-illegal")
    figure.press("Undo")
    figure.expect(eager(GRAPH))


def test_while_the_kernel_does_not_answer_the_figure_says_so(figure: Figure, fusion_lesson: Any) -> None:
    from playwright.sync_api import expect

    kernel_pid = int(fusion_lesson.ask_kernel("import os; print(os.getpid())"))
    os.kill(kernel_pid, signal.SIGSTOP)
    try:
        figure.click_edge("cube>scaled")
        expect(figure.root.locator(".tk-status")).to_contain_text("busy or stopped")
        figure.notebook.screenshot("figure-busy")
    finally:
        os.kill(kernel_pid, signal.SIGCONT)
    figure.expect(joined("cube", "scaled"))


def test_the_figure_fits_a_narrow_window(figure: Figure) -> None:
    figure.page.set_viewport_size({"width": 800, "height": 900})
    try:
        figure.notebook.scroll_to(figure.root)
        figure.notebook.screenshot("figure-800")
        figure.click_edge("cube>scaled")
        figure.expect(joined("cube", "scaled"))
    finally:
        figure.page.set_viewport_size({"width": 1200, "height": 900})


def test_the_table_of_a_prediction_fits_the_page(fusion_lesson: Any) -> None:
    table = fusion_lesson.scroll_to(fusion_lesson.page.locator("table", has_text="launch of"))
    try:
        for width in (1200, 800):
            fusion_lesson.page.set_viewport_size({"width": width, "height": 900})
            box = fusion_lesson.scroll_to(table).bounding_box()
            fusion_lesson.screenshot(f"fusion-prediction-{width}")
            assert box["x"] + box["width"] <= width
            output = fusion_lesson.page.locator(".jp-OutputArea-output", has=table)
            assert output.evaluate("box => box.scrollWidth <= box.clientWidth"), f"columns are hidden at {width}"
    finally:
        fusion_lesson.page.set_viewport_size({"width": 1200, "height": 900})


def test_every_text_of_the_figure_can_be_read_in_the_dark_theme(figure: Figure) -> None:
    assert figure.notebook.faint_texts(figure.root, "fusion") == []
