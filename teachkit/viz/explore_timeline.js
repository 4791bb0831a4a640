// The interactive figure of teachkit.viz.explore_timeline: draws host and GPU in time.
// Every number comes from Python: this file sends {id, ...settings} and shows the report that carries the same id.

const SVG = "http://www.w3.org/2000/svg";
const LANE = { height: 34, gap: 8, left: 50, axis: 26 };
const CHAR_PX = 6.6; // width of a character of the labels
const LEAST_WIDTH = 300;
const BUSY_AFTER_MS = 1500;

function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

function html(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

// A step of 1, 2 or 5 times a power of ten that gives four to ten ticks.
function tickStep(end) {
  const power = 10 ** Math.floor(Math.log10(end / 4));
  return [1, 2, 5, 10].map((factor) => factor * power).findLast((step) => end / step >= 4) ?? power;
}

function render({ model, el }) {
  const picture = model.get("picture");
  let sent = model.get("report").id;
  let busyTimer = null;
  let width = 0;
  const unique = Math.random().toString(36).slice(2); // two copies of the figure on a page need names of their own

  const root = html("div", { class: "tk-timeline", role: "group", "aria-label": picture.title });
  const slider = (name, label, [min, max], step) => {
    const input = html("input", { type: "range", id: `${name}-${unique}`, min, max, step, "data-key": name });
    const value = html("output", { for: input.id, "data-key": `${name}-text` });
    return { input, value, row: html("div", { class: "tk-row" }, html("label", { for: input.id }, label), input, value) };
  };
  const size = slider("size", "Size", picture.log2_range, 1);
  const host = slider("host", "Host spends", picture.host_range, 0.5);
  const gpu = html("select", { id: `gpu-${unique}`, "data-key": "gpu" }, ...picture.gpus.map((name) => html("option", { value: name }, name)));
  const wait = html("input", { type: "checkbox", id: `wait-${unique}`, "data-key": "wait" });
  const controls = html("div", { class: "tk-controls" }, size.row, host.row,
    html("div", { class: "tk-row" }, html("label", { for: gpu.id }, "GPU"), gpu),
    html("div", { class: "tk-row" }, html("label", { for: wait.id }, "Host waits for each result (as .item() does)"), wait));
  const status = html("p", { class: "tk-status", role: "status", "aria-live": "polite" });
  const canvas = html("div", { class: "tk-canvas" });
  const body = html("tbody");
  const table = html("details", { class: "tk-help" }, html("summary", {}, "The same as a table"),
    html("table", {}, html("thead", {}, html("tr", {}, ...["program", "operator", "moves", "launched at, µs", "runs from, µs", "to, µs"].map((text) => html("th", { scope: "col" }, text)))), body));
  const help = html("p", { class: "tk-help" }, "Grey: the host (Python, dispatcher, driver). Orange: the GPU. Hatched: the host waits. All times are modelled. ",
    "Tab moves between the controls, arrow keys change them.");
  root.append(help, controls, status, canvas, table);
  el.append(root);

  function settings() {
    return { log2_elements: Number(size.input.value), host_us: Number(host.input.value), gpu: gpu.value, wait: wait.checked };
  }

  function send() {
    sent += 1;
    model.set("request", { id: sent, ...settings() });
    model.save_changes();
    showStatus();
  }

  function showStatus() {
    const report = model.get("report");
    clearTimeout(busyTimer);
    const busy = report.id !== sent;
    status.setAttribute("aria-busy", String(busy));
    canvas.classList.toggle("tk-stale", busy);
    if (!busy) return;
    status.replaceChildren("Python is computing …");
    busyTimer = setTimeout(() => status.replaceChildren("The notebook’s kernel is busy or stopped. The numbers come when it answers."), BUSY_AFTER_MS);
  }

  function bar(x0, x1, y, kind, texts, title) {
    const group = svg("g", { class: `tk-bar tk-${kind}` }, svg("title", {}, title), svg("rect", { x: x0, y, width: Math.max(x1 - x0, 0.5), height: LANE.height, ...(kind === "wait" ? { fill: `url(#tk-hatch-${unique})` } : {}) }));
    const lines = texts.find((candidate) => Math.max(...candidate.map((line) => line.length)) * CHAR_PX + 3 <= x1 - x0) ?? [];
    lines.forEach((line, index) => group.append(svg("text", { x: (x0 + x1) / 2, y: y + LANE.height / 2 + 4.5 + (index - (lines.length - 1) / 2) * 14 }, line)));
    return group;
  }

  function drawProgram(program, endUs) {
    const right = width - 12;
    const scale = (us) => LANE.left + ((right - LANE.left) * us) / endUs;
    const tops = { host: 4, device: 4 + LANE.height + LANE.gap };
    const bottom = tops.device + LANE.height + 5;
    const drawing = svg("svg", { width, height: bottom + LANE.axis, role: "img", "aria-label": `${program.title}: ${program.total_text}` });
    const hatch = svg("pattern", { id: `tk-hatch-${unique}`, width: 7, height: 7, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" }, svg("rect", { width: 7, height: 7, fill: "#fff" }), svg("line", { x1: 0, y1: 0, x2: 0, y2: 7, stroke: "#d55e00", "stroke-width": 2.5 }));
    drawing.append(svg("defs", {}, hatch));
    const step = tickStep(endUs);
    for (let us = 0; us <= endUs * 1.0001; us += step) {
      drawing.append(svg("line", { class: "tk-tick", x1: scale(us), x2: scale(us), y1: 2, y2: bottom }),
        svg("text", { class: "tk-number", x: scale(us), y: bottom + 15 }, `${Number(us.toPrecision(6)).toLocaleString("en")}${us + step > endUs * 1.0001 ? " µs" : ""}`));
    }
    drawing.append(svg("text", { class: "tk-lane", x: 4, y: tops.host + LANE.height / 2 + 4 }, "host"), svg("text", { class: "tk-lane", x: 4, y: tops.device + LANE.height / 2 + 4 }, "GPU"));
    program.steps.forEach((item, index) => {
      const number = [String(index + 1)];
      const told = `${index + 1}. ${item.name}: moves ${item.bytes_text}`;
      drawing.append(
        bar(...item.host_us.map(scale), tops.host, "host", [[item.name], number], told),
        bar(...item.device_us.map(scale), tops.device, "device", [[item.name, item.bytes_text], [item.bytes_text], number], told));
      if (item.waits) drawing.append(bar(scale(item.host_us[1]), scale(item.device_us[1]), tops.host, "wait", [], `waits for ${item.name}`));
    });
    return drawing;
  }

  function draw() {
    if (!width) return;
    const report = model.get("report");
    canvas.replaceChildren(...report.programs.map((program) => html("figure", {},
      html("figcaption", {}, html("strong", {}, program.title), ": ", html("span", { class: "tk-total" }, program.total_text)),
      drawProgram(program, report.end_us))));
    const cells = (program, item) => [program.title, item.name, item.bytes_text, item.host_us[1].toFixed(1), item.device_us[0].toFixed(1), item.device_us[1].toFixed(1)];
    body.replaceChildren(...report.programs.flatMap((program) => program.steps.map((item) => html("tr", {}, ...cells(program, item).map((text) => html("td", {}, text))))));
  }

  function answered() {
    const report = model.get("report");
    if (report.id < sent) return;
    sent = report.id;
    size.input.value = report.log2_elements;
    size.input.setAttribute("aria-valuetext", report.elements_text);
    host.input.value = report.host_us;
    host.input.setAttribute("aria-valuetext", report.host_text);
    gpu.value = report.gpu;
    wait.checked = report.wait;
    size.value.textContent = report.elements_text;
    host.value.textContent = report.host_text;
    showStatus();
    status.replaceChildren(...report.programs.flatMap((program, index) => [index ? " · " : "", `${program.title}: ${program.total_text.split(", ")[2]}`]));
    draw();
  }

  const watcher = new ResizeObserver(() => {
    const now = Math.max(LEAST_WIDTH, Math.floor(root.clientWidth) - 10);
    if (now === width) return;
    width = now;
    draw();
  });
  watcher.observe(root);
  model.on("change:report", answered);
  for (const control of [size.input, host.input]) control.addEventListener("input", send);
  for (const control of [gpu, wait]) control.addEventListener("change", send);
  // The notebook has shortcuts on single keys; while the figure has the focus they belong to the figure.
  root.addEventListener("keydown", (event) => event.key !== "Tab" && event.stopPropagation());
  answered();
  return () => {
    clearTimeout(busyTimer);
    watcher.disconnect();
    model.off("change:report", answered);
  };
}

export default { render };
