"""A real JupyterLab on the loopback interface, a real headless Chromium, and what a learner does with the two.

Every wait is on a condition with a limit; nothing sleeps for a guessed time. Each condition includes failure (a server
that ended, a cell that raised), so a broken lesson fails at once instead of running into the limit.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import secrets
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import nbformat
import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

REPOSITORY = Path(__file__).parents[2]
ARTEFACTS = REPOSITORY / "test-artifacts" / "browser"
START_LIMIT_S = 60
RUN_LIMIT_S = 240
SHOW_LIMIT_S = 30  # for what a figure must come to show
WIDTHS = (1200, 800)
CHROMIUM_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
GET_CHROMIUM = "sudo apt-get install --yes chromium"

# Ready means that the notebook's kernel has answered once: cells that are run before it is there are dropped silently.
READY_JS = """async () => {
  if (!window.jupyterapp) return false;
  await window.jupyterapp.restored;
  const panel = window.jupyterapp.shell.currentWidget;
  if (panel?.context?.isReady !== true) return false;
  await panel.sessionContext.ready;
  const kernel = panel.sessionContext.session?.kernel;
  if (kernel?.connectionStatus !== 'connected') return false;
  const answer = kernel.requestExecute({ code: '', store_history: false }).done.then(() => true);
  return Promise.race([answer, new Promise((resolve) => setTimeout(() => resolve(false), 3000))]);
}"""

RUN_ENABLED_JS = "() => window.jupyterapp.commands.isEnabled('runmenu:run-all')"

# What is left to run. Settled once every code cell has run and the kernel rests, or once any cell has raised (the cells
# after it never run), or once the kernel has died.
PROGRESS_JS = """() => {
  const panel = window.jupyterapp.shell.currentWidget;
  const cells = panel.content.widgets.filter(
    (cell) => cell.model.type === 'code' && cell.model.sharedModel.getSource().trim());
  const raised = cells.some((cell) => cell.model.outputs.toJSON().some((out) => out.output_type === 'error'));
  const kernel = panel.sessionContext.session?.kernel?.status;
  const waiting = cells.filter((cell) => cell.model.executionCount === null).length;
  const dead = ['dead', 'restarting', 'autorestarting', 'terminating'].includes(kernel);
  return { kernel, waiting, total: cells.length, settled: raised || dead || (kernel === 'idle' && waiting === 0) };
}"""
SETTLED_JS = f"() => ({PROGRESS_JS})().settled"
STARTED_JS = f"() => {{ const p = ({PROGRESS_JS})(); return p.settled || p.kernel === 'busy' || p.waiting < p.total; }}"

PRINTED_JS = """async (code) => {
  const future = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.requestExecute({ code });
  let printed = '';
  future.onIOPub = (message) => { if (message.header.msg_type === 'stream') printed += message.content.text; };
  await future.done;
  return printed;
}"""

THEME_JS = "(theme) => window.jupyterapp.commands.execute('apputils:change-theme', { theme })"
THEME_SHOWN_JS = "(theme) => document.body.dataset.jpThemeName === theme"

# Every text in an element whose contrast with the colour behind it is below 4.5, the least that WCAG 2.1 asks for
# (success criterion 1.4.3, which leaves out controls that are switched off). Texts in a drawing are compared with the
# ground of the whole drawing.
FAINT_TEXTS_JS = """(root) => {
  const rgba = (text) => { const n = text.match(/[\\d.]+/g).map(Number); return [n[0], n[1], n[2], n[3] ?? 1]; };
  const over = ([r, g, b, a], ground) => [r, g, b].map((value, i) => a * value + (1 - a) * ground[i]);
  const ground = (element) => {
    if (element === null) return [255, 255, 255];
    const own = rgba(getComputedStyle(element).backgroundColor);
    return own[3] === 1 ? own.slice(0, 3) : over(own, ground(element.parentElement));
  };
  const luminance = (colour) => colour
    .map((value) => (value /= 255) <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4)
    .reduce((sum, value, i) => sum + value * [0.2126, 0.7152, 0.0722][i], 0);
  const faint = [];
  for (const element of root.querySelectorAll('*')) {
    const text = [...element.childNodes].filter((node) => node.nodeType === Node.TEXT_NODE)
      .map((node) => node.textContent.trim()).join(' ').trim();
    if (!text || element.tagName === 'STYLE' || element.closest(':disabled')) continue;
    const style = getComputedStyle(element), behind = ground(element);
    const ink = rgba(element instanceof SVGElement ? style.fill : style.color);
    const [low, high] = [luminance(over(ink, behind)), luminance(behind)].sort((a, b) => a - b);
    const contrast = (high + 0.05) / (low + 0.05);
    if (contrast < 4.5) faint.push(`${text}: ${contrast.toFixed(1)}`);
  }
  return faint;
}"""

NOTEBOOK_JS = "() => window.jupyterapp.shell.currentWidget.context.model.toJSON()"


@dataclasses.dataclass(frozen=True)
class Lab:
    """A running server: its address, the token it asks for and the folder it serves."""

    url: str
    token: str
    root: Path


@dataclasses.dataclass
class OpenNotebook:
    """A notebook shown in the browser, and everything that went wrong on the page so far."""

    page: Page
    page_errors: list[str]
    outside_requests: list[str]

    def run_all_cells(self) -> dict[str, Any]:
        """Choose Run > Run All Cells, wait until nothing is left to run; the notebook as nbformat JSON."""
        self.page.get_by_role("menuitem", name="Run", exact=True).click()
        self.page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
        self._wait(STARTED_JS, START_LIMIT_S)
        self._wait(SETTLED_JS, RUN_LIMIT_S)
        notebook: dict[str, Any] = self.page.evaluate(NOTEBOOK_JS)
        return notebook

    def _wait(self, condition: str, limit_s: float) -> None:
        from playwright.sync_api import TimeoutError as LimitReached

        try:
            self.page.wait_for_function(condition, timeout=limit_s * 1000)
        except LimitReached:
            self.screenshot("stuck")
            raise AssertionError(f"after {limit_s} s: {self.page.evaluate(PROGRESS_JS)}") from None

    def problems(self, notebook: dict[str, Any]) -> list[str]:
        """Every cell that raised, warned or did not run, every script error and every request to another machine."""
        cells = [problem for index, cell in enumerate(notebook["cells"]) for problem in _cell_problems(index, cell)]
        return cells + self.page_errors + [f"request to {url}" for url in self.outside_requests]

    def ask_kernel(self, code: str) -> str:
        """Run code in the notebook's kernel and return what it prints."""
        text: str = self.page.evaluate(PRINTED_JS, code)
        return text

    def scroll_to(self, locator: Locator) -> Locator:
        """Bring an element of the notebook into view; it must come to be visible."""
        locator.wait_for(state="attached")
        locator.scroll_into_view_if_needed()
        locator.wait_for(state="visible")
        return locator

    def tab_to(self, control: Locator, max_tabs: int) -> None:
        """Reach a control with the Tab key alone."""
        for _ in range(max_tabs):
            if control.evaluate("element => element === element.getRootNode().activeElement"):
                return
            self.page.keyboard.press("Tab")
        raise AssertionError(f"{control} was not reached with {max_tabs} presses of Tab")

    def faint_texts(self, figure: Locator, name: str) -> list[str]:
        """The texts of a figure that are hard to read in JupyterLab's dark theme, each with its contrast."""
        try:
            self._choose_theme("JupyterLab Dark")
            self.scroll_to(figure)
            self.screenshot(f"{name}-dark")
            texts: list[str] = figure.evaluate(FAINT_TEXTS_JS)
        finally:
            self._choose_theme("JupyterLab Light")
        return texts

    def _choose_theme(self, theme: str) -> None:
        self.page.evaluate(THEME_JS, theme)
        self.page.wait_for_function(THEME_SHOWN_JS, arg=theme, timeout=START_LIMIT_S * 1000)

    def show_pictures(self, prefix: str) -> list[int]:
        """Own widths of all printed figures; each is kept as a screenshot, wide and narrow, and must fit."""
        pictures = self.page.locator(".jp-OutputArea-output img")
        try:
            for width in WIDTHS:
                self.page.set_viewport_size({"width": width, "height": 900})
                for i in range(pictures.count()):
                    box = self.scroll_to(pictures.nth(i)).bounding_box()
                    self.screenshot(f"{prefix}-picture-{i + 1}-{width}")
                    assert box is not None
                    assert box["x"] + box["width"] <= width, f"figure {i + 1} is cut off in a window of {width} pixels"
        finally:
            self.page.set_viewport_size({"width": WIDTHS[0], "height": 900})
        return [int(picture.evaluate("img => img.naturalWidth")) for picture in pictures.all()]

    def screenshot(self, name: str) -> None:
        """Keep a picture of the window among the test artefacts."""
        self.page.screenshot(path=ARTEFACTS / f"{name}.png")


def _cell_problems(index: int, cell: dict[str, Any]) -> Iterator[str]:
    source = "".join(cell["source"])
    if cell["cell_type"] != "code" or not source.strip():
        return
    where = f"cell {index} ({source.splitlines()[0]!r})"
    if cell["execution_count"] is None:
        yield f"{where} did not run"
    for output in cell["outputs"]:
        if output["output_type"] == "error":
            yield f"{where} raised {output['ename']}: {output['evalue']}"
        if output.get("name") == "stderr":
            yield f"{where} wrote to standard error: {''.join(output['text'])}"


def unavailable(what: str, command: str) -> NoReturn:
    """Skip with the one command that helps; in continuous integration nothing may be skipped, so fail there."""
    message = f"{what}. Get it with: {command}"
    if os.environ.get("CI", "").lower() == "true":
        pytest.fail(message, pytrace=False)
    pytest.skip(message)


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Headless Chromium: the system's, else the one that `playwright install chromium` gets."""
    try:
        from playwright.sync_api import expect, sync_playwright
    except ImportError:
        unavailable("the browser tests need Playwright for Python", "make setup")
    expect.set_options(timeout=1000 * SHOW_LIMIT_S)
    with sync_playwright() as playwright:
        found = [path for path in map(shutil.which, CHROMIUM_NAMES) if path]
        path = found[0] if found else playwright.chromium.executable_path
        if not Path(path).exists():
            unavailable("the browser tests need Chromium", GET_CHROMIUM)
        chromium = playwright.chromium.launch(executable_path=path, args=list(CHROMIUM_FLAGS))
        yield chromium
        chromium.close()


@pytest.fixture(scope="package")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """JupyterLab over a copy of the lessons without outputs, with a home of its own: nobody's settings can matter."""
    root, home = tmp_path_factory.mktemp("course"), tmp_path_factory.mktemp("home")
    ARTEFACTS.mkdir(parents=True, exist_ok=True)
    for path in (REPOSITORY / "notebooks").glob("*.ipynb"):
        _copy_without_outputs(path, root / path.name)
    notification = home / "settings" / "@jupyterlab" / "apputils-extension" / "notification.jupyterlab-settings"
    notification.parent.mkdir(parents=True)
    notification.write_text('{"fetchNews": "false", "checkForUpdates": false}')  # else a question covers the notebook
    token = secrets.token_hex(16)
    options = {
        "ServerApp.ip": "127.0.0.1",
        "ServerApp.port": "0",
        "ServerApp.open_browser": "False",
        "ServerApp.root_dir": str(root),
        "ServerApp.allow_root": "True",
        "IdentityProvider.token": token,
        "LabApp.expose_app_in_browser": "True",
        "LabApp.check_for_updates_class": "jupyterlab.NeverCheckForUpdate",
        "LabApp.extension_manager": "readonly",
    }
    command = [sys.executable, "-m", "jupyterlab", *(f"--{name}={value}" for name, value in options.items())]
    log_path = ARTEFACTS / "jupyterlab.log"
    with (
        log_path.open("w") as log,
        subprocess.Popen(command, env=_environment(home), stdout=log, stderr=subprocess.STDOUT) as process,
    ):
        try:
            yield Lab(_wait_for_url(process, home / "runtime", token, log_path), token, root)
        finally:
            process.terminate()
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()


@pytest.fixture(scope="module")
def open_notebook(browser: Browser, lab: Lab) -> Iterator[Callable[..., OpenNotebook]]:
    """A function that opens a notebook of the course in a fresh browser profile and waits until its kernel rests."""
    with contextlib.ExitStack() as stack:

        def open_(name: str, *, width: int = 1200, height: int = 900) -> OpenNotebook:
            context = stack.enter_context(browser.new_context(viewport={"width": width, "height": height}))
            page = context.new_page()
            notebook = OpenNotebook(page, [], [])
            page.on("pageerror", lambda error: notebook.page_errors.append(f"script error: {error}"))
            page.on("request", lambda request: _note_outside(request.url, lab, notebook.outside_requests))
            # A workspace of its own: JupyterLab would open the notebooks of the last one again, over this one.
            page.goto(f"{lab.url}lab/workspaces/{secrets.token_hex(4)}/tree/{name}?token={lab.token}")
            _wait_until_ready(page)
            page.get_by_role("tab", name=name).click()  # the menus act on the notebook that was used last
            page.wait_for_function(RUN_ENABLED_JS, timeout=START_LIMIT_S * 1000)
            return notebook

        yield open_


def _wait_until_ready(page: Page) -> None:
    # A loop of our own: the browser's wait_for_function takes an asynchronous condition for true at once.
    page.wait_for_load_state()
    deadline_s = time.monotonic() + START_LIMIT_S
    while not page.evaluate(READY_JS):
        if time.monotonic() > deadline_s:
            page.screenshot(path=ARTEFACTS / "not-ready.png")
            raise AssertionError(f"the notebook's kernel did not answer within {START_LIMIT_S} s")
        page.wait_for_timeout(100)  # the pause between two looks at the condition


def _copy_without_outputs(source: Path, target: Path) -> None:
    notebook = nbformat.read(source, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    nbformat.write(notebook, target)


def _environment(home: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("JUPYTER", "TEACHKIT_"))}
    return kept | {
        "IPYTHONDIR": str(home / "ipython"),
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_DATA_DIR": str(home / "data"),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        "JUPYTERLAB_SETTINGS_DIR": str(home / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"),
    }


def _wait_for_url(process: subprocess.Popen[bytes], runtime: Path, token: str, log_path: Path) -> str:
    info_path = runtime / f"jpserver-{process.pid}.json"
    deadline_s = time.monotonic() + START_LIMIT_S
    while time.monotonic() < deadline_s and process.poll() is None:
        with contextlib.suppress(OSError, ValueError, KeyError, urllib.error.URLError):
            url: str = json.loads(info_path.read_text())["url"]
            with urllib.request.urlopen(f"{url}api/status?token={token}", timeout=5):
                return url
        time.sleep(0.1)  # the pause between two looks at the condition
    raise RuntimeError(f"JupyterLab did not answer within {START_LIMIT_S} s; it wrote:\n{log_path.read_text()[-3000:]}")


def _note_outside(url: str, lab: Lab, outside: list[str]) -> None:
    if not url.startswith((lab.url, lab.url.replace("http", "ws", 1), "data:", "blob:")):
        outside.append(url)
