// Shared by the figures whose numbers come from Python: sends {id, ...settings()}, takes the report that carries the same
// id, and says so while it waits.

const LEAST_WIDTH = 300;
const BUSY_AFTER_MS = 1500;

// `show(report)` puts a report into the controls and returns what the status says; `draw(report, width)` draws it. Returns
// `send`, to be called when a control changed, and `begin`, which draws for the first time and returns what ends it all.
function askPython(model, { root, status, canvas, settings, show, draw }) {
  let sent = model.get("report").id;
  let busyTimer = null;
  let width = 0;

  function send() {
    sent += 1;
    model.set("request", { id: sent, ...settings() });
    model.save_changes();
    showBusy();
  }

  function showBusy() {
    clearTimeout(busyTimer);
    const busy = model.get("report").id !== sent;
    status.setAttribute("aria-busy", String(busy));
    canvas.classList.toggle("tk-stale", busy);
    if (!busy) return;
    status.replaceChildren("Python is computing …");
    busyTimer = setTimeout(() => status.replaceChildren("The notebook’s kernel is busy or stopped. The numbers come when it answers."), BUSY_AFTER_MS);
  }

  function redraw() {
    if (width) draw(model.get("report"), width);
  }

  function answered() {
    const report = model.get("report");
    if (report.id < sent) return;
    sent = report.id;
    const told = show(report);
    showBusy();
    status.replaceChildren(...told);
    redraw();
  }

  const watcher = new ResizeObserver(() => {
    const now = Math.max(LEAST_WIDTH, Math.floor(root.clientWidth) - 10);
    if (now === width) return;
    width = now;
    redraw();
  });

  function begin() {
    watcher.observe(root);
    model.on("change:report", answered);
    // The notebook has shortcuts on single keys; while the figure has the focus they belong to the figure.
    root.addEventListener("keydown", (event) => event.key !== "Tab" && event.stopPropagation());
    answered();
    return () => {
      clearTimeout(busyTimer);
      watcher.disconnect();
      model.off("change:report", answered);
    };
  }

  return { send, begin };
}
