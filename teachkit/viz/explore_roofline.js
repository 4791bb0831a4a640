// The interactive figure of teachkit.viz.explore_roofline: draws roofs and programs on logarithmic axes.
// Every number comes from Python: this file sends {id, ...settings} and shows the report that carries the same id.

const RANGE = { x: [0.02, 20000], y: [1e9, 3e16] }; // FLOP/byte, FLOP/s: fixed, so that a moved roof is seen to move
const PLOT = { height: 400, left: 62, right: 14, top: 12, bottom: 44 };
const MARKER_PX = 10;
const NARROW_PX = 420;
const CHAR_PX = 8; // a character of a label, at most
const HEAD = ["", "program", "FLOP/byte", "DRAM traffic", "speed", "time", "most time goes to"];
const PREFIXES = { 9: "1 G", 10: "10 G", 11: "100 G", 12: "1 T", 13: "10 T", 14: "100 T", 15: "1 P", 16: "10 P" };

// Where a label of this width ends, above the slope between two points and clear of all marks: as far down as it can stand.
function placeAlong([low, high], label_px, marks, inner) {
  const spot = (share) => ({ x: low.x + share * (high.x - low.x) - 8, y: low.y + share * (high.y - low.y) - 8 });
  const isFree = ({ x, y }) => x - label_px > inner.x[0] && y > inner.y[1] + 14
    && marks.every((mark) => mark.x + MARKER_PX < x - label_px || mark.x - MARKER_PX > x || mark.y + MARKER_PX < y - 12 || mark.y - MARKER_PX > y + 4);
  const shares = Array.from({ length: 46 }, (_, n) => 0.05 + n / 50);
  return shares.map(spot).find(isFree) ?? { x: inner.x[0] + label_px + 4, y: inner.y[1] + 14 };
}

function render({ model, el }) {
  const picture = model.get("picture");
  const unique = Math.random().toString(36).slice(2); // two copies of the figure on a page need names of their own

  const root = html("div", { class: "tk-roofline", role: "group", "aria-label": picture.title });
  const slider = (name, label) => {
    const most = picture.most_log2[name];
    const input = html("input", { type: "range", id: `${name}-${unique}`, min: -most, max: most, step: 0.5, "data-key": name });
    const value = html("output", { for: input.id, "data-key": `${name}-text` });
    return { name, input, value, row: html("div", { class: "tk-row" }, html("label", { for: input.id }, label), input, value) };
  };
  const sliders = [slider("bandwidth", "Bandwidth"), slider("arithmetic", "Arithmetic"), slider("cache", "Cache")];
  const gpu = html("select", { id: `gpu-${unique}`, "data-key": "gpu" }, ...picture.gpus.map((name) => html("option", { value: name }, name)));
  const reset = html("button", { type: "button" }, "As on the data sheet");
  const boxes = picture.programs.map((name, index) => {
    const box = html("input", { type: "checkbox", value: name, "data-key": `program-${index + 1}` });
    return { box, label: html("label", {}, box, ` ${index + 1}: ${name}`) };
  });
  const status = html("p", { class: "tk-status", role: "status", "aria-live": "polite" });
  const canvas = html("div", { class: "tk-canvas" });
  const body = html("tbody");
  root.append(
    html("p", { class: "tk-help" }, "The slope is the memory’s bandwidth, the flat lines are rates of arithmetic; nothing can lie above them. Each number is a program. ",
      "All is modelled. Tab moves between the controls, arrow keys change them."),
    html("div", { class: "tk-row" }, html("label", { for: gpu.id }, "Start from"), gpu, reset),
    ...sliders.map((one) => one.row),
    status, canvas,
    html("fieldset", { class: "tk-programs" }, html("legend", {}, "Programs on the roofline"), ...boxes.map((one) => one.label)),
    html("div", { class: "tk-scroll" }, html("table", {}, html("thead", {}, html("tr", {}, ...HEAD.map((text) => html("th", { scope: "col" }, text)))), body)));
  el.append(root);

  function settings() {
    const values = Object.fromEntries(sliders.map((one) => [one.name, Number(one.input.value)]));
    return { ...values, gpu: gpu.value, shown: boxes.filter((one) => one.box.checked).map((one) => one.box.value) };
  }

  function draw(report, width) {
    const inner = { x: [PLOT.left, width - PLOT.right], y: [PLOT.height - PLOT.bottom, PLOT.top] };
    const at = (axis, value) => {
      const [low, high] = RANGE[axis].map(Math.log10);
      const share = (Math.log10(value) - low) / (high - low);
      return inner[axis][0] + Math.min(1, Math.max(0, share)) * (inner[axis][1] - inner[axis][0]);
    };
    const line = (x0, y0, x1, y1, kind) => svg("line", { x1: at("x", x0), y1: at("y", y0), x2: at("x", x1), y2: at("y", y1), class: kind });
    const text = (x, y, kind, content) => svg("text", { x, y, class: kind }, content);
    const drawing = svg("svg", { width, height: PLOT.height, role: "img", "aria-label": `Roofline of ${report.gpu}: ${report.bandwidth_text}, ${report.ceilings.map((one) => one.name).join(", ")}` });
    for (let power = -1; power <= 4; power += 1) {
      drawing.append(line(10 ** power, RANGE.y[0], 10 ** power, RANGE.y[1], "tk-grid"),
        text(at("x", 10 ** power), PLOT.height - PLOT.bottom + 16, "tk-tick", String(10 ** power)));
    }
    for (const [power, label] of Object.entries(PREFIXES)) {
      drawing.append(line(RANGE.x[0], 10 ** power, RANGE.x[1], 10 ** power, "tk-grid"),
        text(PLOT.left - 6, at("y", 10 ** power) + 4, "tk-tick tk-left", label));
    }
    drawing.append(text((inner.x[0] + inner.x[1]) / 2, PLOT.height - 8, "tk-axis", width < NARROW_PX ? "FLOP per byte of DRAM traffic" : "arithmetic intensity, FLOP per byte of DRAM traffic"),
      svg("text", { class: "tk-axis", transform: `translate(13 ${(inner.y[0] + inner.y[1]) / 2}) rotate(-90)` }, "speed, FLOP/s"));
    const bandwidth = report.bandwidth_bytes_per_s;
    const top = report.ceilings.at(-1);
    const from = Math.max(RANGE.x[0], RANGE.y[0] / bandwidth);
    drawing.append(line(from, from * bandwidth, top.ridge, top.flop_per_s, "tk-roof"));
    report.ceilings.forEach((ceiling, index) => {
      drawing.append(line(ceiling.ridge, ceiling.flop_per_s, RANGE.x[1], ceiling.flop_per_s, index === report.ceilings.length - 1 ? "tk-roof" : "tk-roof tk-lower"),
        line(ceiling.ridge, RANGE.y[0], ceiling.ridge, ceiling.flop_per_s, "tk-ridge"),
        text(inner.x[1] - 4, Math.max(at("y", ceiling.flop_per_s) + (index ? -14 : 16), PLOT.top + 4), "tk-label tk-end", ceiling.name),
        text(at("x", ceiling.ridge) + (index ? 5 : -5), inner.y[0] - 6, `tk-label ${index ? "tk-start" : "tk-end"}`, `${index ? "" : "ridge "}${Number(ceiling.ridge.toPrecision(3))}`));
    });
    const placed = [];
    const leaders = svg("g", {}); // under every circle, so that no line crosses a number
    drawing.append(leaders);
    for (const row of report.rows.filter((one) => one.flop_per_s > 0).toSorted((a, b) => a.flop_per_byte - b.flop_per_byte)) {
      const dot = { x: at("x", row.flop_per_byte), y: at("y", row.flop_per_s) };
      const mark = { ...dot };
      while (placed.some((other) => Math.hypot(other.x - mark.x, other.y - mark.y) < 2 * MARKER_PX)) mark.y += 4;
      placed.push(mark);
      const group = svg("g", { class: "tk-program" }, svg("title", {}, row.cells.join(", ")));
      leaders.append(svg("line", { x1: dot.x, y1: dot.y, x2: mark.x, y2: mark.y, class: "tk-leader" }), svg("circle", { cx: dot.x, cy: dot.y, r: 2.5, class: "tk-dot" }));
      group.append(svg("circle", { cx: mark.x, cy: mark.y, r: MARKER_PX }), text(mark.x, mark.y + 4, "tk-number", String(row.number)));
      drawing.append(group);
    }
    const ends = [[from, from * bandwidth], [top.ridge, top.flop_per_s]].map(([x, y]) => ({ x: at("x", x), y: at("y", y) }));
    const label = placeAlong(ends, report.bandwidth_text.length * CHAR_PX, placed, inner);
    drawing.append(text(label.x, label.y, "tk-label tk-end", report.bandwidth_text));
    canvas.replaceChildren(drawing);
    body.replaceChildren(...report.rows.map((row) => html("tr", {}, ...[String(row.number), ...row.cells].map((cell) => html("td", {}, cell)))));
  }

  function show(report) {
    for (const one of sliders) {
      const told = report[`${one.name}_text`];
      one.input.value = report[one.name];
      one.input.setAttribute("aria-valuetext", told);
      one.value.textContent = report[one.name] ? `${told} (${report[one.name] > 0 ? "×" : "÷"}${Number((2 ** Math.abs(report[one.name])).toPrecision(2))})` : told;
    }
    gpu.value = report.gpu;
    for (const one of boxes) one.box.checked = report.shown.includes(one.box.value);
    const limits = Object.entries(Object.groupBy(report.rows, (row) => row.cells.at(-1))).map(([bound, rows]) => `${bound}: ${rows.map((row) => row.number).join(" ")}`);
    return [limits.length ? `Most time goes to … ${limits.join(" · ")}` : "No program is chosen."];
  }

  const { send, begin } = askPython(model, { root, status, canvas, settings, show, draw });
  for (const one of sliders) one.input.addEventListener("input", send);
  for (const one of boxes) one.box.addEventListener("change", send);
  gpu.addEventListener("change", send);
  reset.addEventListener("click", () => {
    for (const one of sliders) one.input.value = 0;
    send();
  });
  return begin();
}

export default { render };
