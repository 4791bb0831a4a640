// The interactive figure of teachkit.viz.explore_timeline: draws host and GPU in time.
// Every number comes from Python: this file sends {id, ...settings} and shows the report that carries the same id.

const LANE = { height: 34, gap: 8, left: 50, axis: 26 };
const CHAR_PX = 6.1; // width of a character of the labels

// A step of 1, 2 or 5 times a power of ten that gives four to ten ticks.
function tickStep(end) {
  const power = 10 ** Math.floor(Math.log10(end / 4));
  return [1, 2, 5, 10].map((factor) => factor * power).findLast((step) => end / step >= 4) ?? power;
}

function render({ model, el }) {
  const picture = model.get("picture");
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

  // The first of the texts, the longest first, that fits between two places; as many as there are where none does.
  function fits(texts, x0, x1) {
    const found = texts.findIndex((lines) => Math.max(...lines.map((line) => line.length)) * CHAR_PX + 3 <= x1 - x0);
    return found < 0 ? texts.length : found;
  }

  function bar(x0, x1, y, kind, texts, title, level = 0) {
    const group = svg("g", { class: `tk-bar tk-${kind}` }, svg("title", {}, title), svg("rect", { x: x0, y, width: Math.max(x1 - x0, 0.5), height: LANE.height, ...(kind === "wait" ? { fill: `url(#tk-hatch-${unique})` } : {}) }));
    const lines = fits(texts, x0, x1) < texts.length ? texts[Math.max(fits(texts, x0, x1), level)] : [];
    lines.forEach((line, index) => group.append(svg("text", { x: (x0 + x1) / 2, y: y + LANE.height / 2 + 4.5 + (index - (lines.length - 1) / 2) * 14 }, line)));
    return group;
  }

  function drawProgram(program, endUs, width) {
    const right = width - 12;
    const scale = (us) => LANE.left + ((right - LANE.left) * us) / endUs;
    const tops = { host: 4, device: 4 + LANE.height + LANE.gap };
    const bottom = tops.device + LANE.height + 5;
    const drawing = svg("svg", { width, height: bottom + LANE.axis, role: "img", "aria-label": `${program.title}: ${program.total_text}` });
    const hatch = svg("pattern", { id: `tk-hatch-${unique}`, width: 7, height: 7, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" }, svg("rect", { width: 7, height: 7, fill: "#fff" }), svg("line", { x1: 0, y1: 0, x2: 0, y2: 7, stroke: "#d55e00", "stroke-width": 2.5 }));
    drawing.append(svg("defs", {}, hatch));
    const step = tickStep(endUs);
    for (let us = 0; us <= endUs * 1.0001; us += step) {
      const label = `${Number(us.toPrecision(6)).toLocaleString("en")}${us + step > endUs * 1.0001 ? " µs" : ""}`;
      const middle = Math.min(scale(us), width - 6 - (CHAR_PX * label.length) / 2); // or the unit would be cut off
      drawing.append(svg("line", { class: "tk-tick", x1: scale(us), x2: scale(us), y1: 2, y2: bottom }),
        svg("text", { class: "tk-number", x: middle, y: bottom + 15 }, label));
    }
    drawing.append(svg("text", { class: "tk-lane", x: 4, y: tops.host + LANE.height / 2 + 4 }, "host"), svg("text", { class: "tk-lane", x: 4, y: tops.device + LANE.height / 2 + 4 }, "GPU"));
    const hostTexts = (item, index) => [[item.name], [String(index + 1)]];
    const deviceTexts = (item, index) => [[item.name, item.bytes_text], [item.bytes_text], [String(index + 1)]];
    // One kind of text in a lane: numbers between names would look like something else.
    const levels = [[hostTexts, "host_us"], [deviceTexts, "device_us"]].map(([texts, span]) =>
      Math.min(texts(program.steps[0], 0).length - 1, Math.max(...program.steps.map((item, index) => fits(texts(item, index), ...item[span].map(scale))))));
    program.steps.forEach((item, index) => {
      const told = `${index + 1}. ${item.name}: moves ${item.bytes_text}`;
      drawing.append(
        bar(...item.host_us.map(scale), tops.host, "host", hostTexts(item, index), told, levels[0]),
        bar(...item.device_us.map(scale), tops.device, "device", deviceTexts(item, index), told, levels[1]));
      if (item.waits) drawing.append(bar(scale(item.host_us[1]), scale(item.device_us[1]), tops.host, "wait", [], `waits for ${item.name}`));
    });
    return drawing;
  }

  function draw(report, width) {
    canvas.replaceChildren(...report.programs.map((program) => html("figure", {},
      html("figcaption", {}, html("strong", {}, program.title), ": ", html("span", { class: "tk-total" }, program.total_text)),
      drawProgram(program, report.end_us, width))));
    const cells = (program, item) => [program.title, item.name, item.bytes_text, item.host_us[1].toFixed(1), item.device_us[0].toFixed(1), item.device_us[1].toFixed(1)];
    body.replaceChildren(...report.programs.flatMap((program) => program.steps.map((item) => html("tr", {}, ...cells(program, item).map((text) => html("td", {}, text))))));
  }

  function show(report) {
    size.input.value = report.log2_elements;
    size.input.setAttribute("aria-valuetext", report.elements_text);
    host.input.value = report.host_us;
    host.input.setAttribute("aria-valuetext", report.host_text);
    gpu.value = report.gpu;
    wait.checked = report.wait;
    size.value.textContent = report.elements_text;
    host.value.textContent = report.host_text;
    return report.programs.flatMap((program, index) => [index ? " · " : "", `${program.title}: ${program.total_text.split(", ")[2]}`]);
  }

  const { send, begin } = askPython(model, { root, status, canvas, settings, show, draw });
  for (const control of [size.input, host.input]) control.addEventListener("input", send);
  for (const control of [gpu, wait]) control.addEventListener("change", send);
  return begin();
}

export default { render };
