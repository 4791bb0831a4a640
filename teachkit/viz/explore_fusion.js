// The interactive figure of teachkit.viz.explore_fusion: draws the graph and edits the grouping.
// Every number comes from Python: this file sends {id, groups} and shows the report that carries the same id.

const BOX = { width: 140, height: 38, stepX: 160, stepY: 66, left: 48, top: 14 };
const DRAG_FROM_PX = 5;
const BUSY_AFTER_MS = 1500;

// ---- groupings: arrays of arrays of operator names --------------------------------------------------------------

function inGraphOrder(groups, names) {
  const rank = new Map(names.map((name, index) => [name, index]));
  const sorted = groups.filter((group) => group.length).map((group) => group.toSorted((a, b) => rank.get(a) - rank.get(b)));
  return sorted.toSorted((a, b) => rank.get(a[0]) - rank.get(b[0]));
}

const homeOf = (groups, name) => groups.findIndex((group) => group.includes(name));

function joined(groups, a, b) {
  const [i, j] = [homeOf(groups, a), homeOf(groups, b)];
  return i === j ? groups : [...groups.filter((_, k) => k !== i && k !== j), [...groups[i], ...groups[j]]];
}

function movedTo(groups, name, target) {
  const without = groups.map((group) => group.filter((member) => member !== name));
  if (target === null) return [...without, [name]];
  return without.map((group) => (group.includes(target) ? [...group, name] : group));
}

// Cut the edge from -> to inside a group: what hangs on `to` alone leaves; if both ends stay connected by another way,
// `to` leaves with everything in the group that is computed from it.
function cut(groups, edges, from, to) {
  const group = groups[homeOf(groups, from)];
  const inside = edges.filter(([a, b]) => group.includes(a) && group.includes(b) && !(a === from && b === to));
  const reach = (start, bothWays) => {
    const found = new Set([start]);
    for (let before = -1; before !== found.size; ) {
      before = found.size;
      for (const [a, b] of inside) {
        if (found.has(a)) found.add(b);
        if (bothWays && found.has(b)) found.add(a);
      }
    }
    return found;
  };
  let leaving = reach(to, true);
  if (leaving.has(from)) leaving = reach(to, false);
  const [gone, kept] = [group.filter((name) => leaving.has(name)), group.filter((name) => !leaving.has(name))];
  return [...groups.filter((other) => other !== group), kept, gone];
}

// ---- drawing ----------------------------------------------------------------------------------------------------

function corner(picture, name) {
  const { column, row } = picture.places[name];
  return { x: BOX.left + row * BOX.stepX, y: BOX.top + column * BOX.stepY };
}

// An edge as {path, middle}: straight down a column, round the left of a column, or down a neighbouring row.
function edgeShape(picture, from, to) {
  const [a, b] = [corner(picture, from), corner(picture, to)];
  const half = { x: BOX.width / 2, y: BOX.height / 2 };
  if (a.x === b.x && b.y - a.y <= BOX.stepY) {
    const [top, bottom, x] = [a.y + BOX.height, b.y, a.x + half.x];
    return { path: `M ${x} ${top} L ${x} ${bottom}`, middle: { x, y: (top + bottom) / 2 } };
  }
  if (a.x === b.x) {
    const [top, bottom, side] = [a.y + half.y, b.y + half.y, a.x - 40];
    const middle = { x: side, y: (top + bottom) / 2 };
    return { path: `M ${a.x} ${top} Q ${side} ${top}, ${side} ${top + 28} L ${side} ${bottom - 28} Q ${side} ${bottom}, ${b.x} ${bottom}`, middle };
  }
  if (b.x > a.x) {
    const [y, x] = [a.y + half.y, b.x + half.x];
    return { path: `M ${a.x + BOX.width} ${y} L ${x - 28} ${y} Q ${x} ${y}, ${x} ${y + 28} L ${x} ${b.y}`, middle: { x, y: (y + b.y) / 2 } };
  }
  const [x, y] = [a.x + half.x, b.y + half.y];
  const bend = Math.min(28, y - a.y - BOX.height);
  return { path: `M ${x} ${a.y + BOX.height} L ${x} ${y - bend} Q ${x} ${y}, ${x - 28} ${y} L ${b.x + BOX.width} ${y}`, middle: { x: (x + b.x + BOX.width) / 2, y } };
}

function render({ model, el }) {
  const picture = model.get("picture");
  const names = picture.nodes.map((node) => node.name);
  const between = picture.edges.filter(([from]) => names.includes(from));
  let groups = model.get("report").groups;
  let sent = model.get("report").id;
  let held = null; // the operator picked up with the keyboard
  let busyTimer = null;
  const history = [];
  const unique = Math.random().toString(36).slice(2); // two copies of the figure on a page need markers of their own

  const root = html("div", { class: "tk-fusion", role: "group", "aria-label": picture.title });
  const help = html("p", { class: "tk-help" },
    "Every box is an operator, every arrow a tensor. ",
    html("span", { class: "tk-key-memory" }, "Orange arrows"), " go through memory, ",
    html("span", { class: "tk-key-register" }, "blue dashed arrows"), " stay in registers. A kernel reads each tensor it needs once. ",
    "Click the + on an arrow to fuse there, the − to cut. Drag a box onto another to put both in one kernel, or onto empty space to take it out.");
  const keys = html("details", { class: "tk-help" }, html("summary", {}, "With the keyboard"),
    "Tab to an arrow and press Enter to fuse or cut. Tab to a box, press Enter to pick it up, Tab to another box, Enter to put both in one kernel. Delete takes a box out of its kernel, Escape puts it down.");
  const eagerButton = html("button", { type: "button" }, "Every operator alone (eager)");
  const oneButton = html("button", { type: "button" }, "All in one kernel");
  const undoButton = html("button", { type: "button" }, "Undo");
  const toolbar = html("div", { class: "tk-toolbar", role: "toolbar", "aria-label": "Groupings" }, eagerButton, oneButton, undoButton);
  const rows = Math.max(...Object.values(picture.places).map((place) => place.row)) + 1;
  const columns = Math.max(...Object.values(picture.places).map((place) => place.column)) + 1;
  const size = { width: BOX.left + (rows - 1) * BOX.stepX + BOX.width + 6, height: BOX.top + columns * BOX.stepY + 6 };
  const canvas = svg("svg", { viewBox: `0 0 ${size.width} ${size.height}`, width: size.width, height: size.height, role: "group", "aria-label": "Graph of operators" });
  const status = html("div", { class: "tk-status", role: "status", "aria-live": "polite" });
  const panel = html("div", { class: "tk-panel" });
  root.append(help, keys, toolbar, status, html("div", { class: "tk-columns" }, html("div", { class: "tk-canvas" }, canvas), panel));
  el.append(root);

  function propose(next, focus) {
    const ordered = inGraphOrder(next, names);
    if (JSON.stringify(ordered) === JSON.stringify(inGraphOrder(groups, names))) return;
    history.push(groups);
    send(ordered);
    focusOn(focus);
  }

  function send(next) {
    groups = next;
    sent += 1;
    held = null;
    model.set("request", { id: sent, groups });
    model.save_changes();
    draw();
    showReport();
  }

  function focusOn(key) {
    if (key) canvas.querySelector(`[data-key="${CSS.escape(key)}"]`)?.focus();
  }

  function drawEdge(from, to) {
    const inside = names.includes(from) && homeOf(groups, from) === homeOf(groups, to);
    const { path, middle } = edgeShape(picture, from, to);
    const kind = inside ? "register" : "memory";
    const line = svg("path", { d: path, class: `tk-edge tk-${kind}`, "marker-end": `url(#tk-arrow-${kind}-${unique})` });
    if (!names.includes(from)) return line;
    const what = inside ? "in registers; press to cut, so that it goes through memory" : "through memory; press to fuse";
    const button = svg("g", { class: "tk-edge-button", tabindex: 0, role: "button", "aria-pressed": String(inside), "aria-label": `${from} to ${to}: ${what}`, "data-key": `${from}>${to}` });
    button.append(svg("title", {}, `${from} to ${to}: ${what}`), svg("path", { d: path, class: "tk-edge-hit" }), line,
      svg("circle", { cx: middle.x, cy: middle.y, r: 9, class: "tk-handle" }),
      svg("path", { d: `M ${middle.x - 4} ${middle.y} h 8 ${inside ? "" : `M ${middle.x} ${middle.y - 4} v 8`}`, class: "tk-sign" }));
    const act = () => propose(inside ? cut(groups, between, from, to) : joined(groups, from, to), `${from}>${to}`);
    button.addEventListener("click", act);
    button.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      event.stopPropagation();
      act();
    });
    return button;
  }

  function drawInput(name) {
    const { x, y } = corner(picture, name);
    return svg("g", { class: "tk-input", role: "img", "aria-label": `input ${name}, in memory` },
      svg("rect", { x, y, width: BOX.width, height: BOX.height, rx: 19 }),
      svg("text", { x: x + BOX.width / 2, y: y + 24 }, `${name} (in memory)`));
  }

  function drawOutput(name) {
    const { x, y } = corner(picture, name);
    const middle = x + BOX.width / 2;
    return svg("path", { d: `M ${middle} ${y + BOX.height} L ${middle} ${y + BOX.height + 20}`, class: "tk-edge tk-memory", "marker-end": `url(#tk-arrow-memory-${unique})` });
  }

  function drawNode(node) {
    const { x, y } = corner(picture, node.name);
    const home = homeOf(groups, node.name);
    const shared = groups[home].length > 1;
    const colour = groups.filter((group) => group.length > 1).indexOf(groups[home]);
    const box = svg("g", {
      class: `tk-node ${shared ? `tk-colour-${colour % 4}` : ""} ${held === node.name ? "tk-held" : ""}`,
      tabindex: 0, role: "button", "aria-pressed": String(held === node.name), "data-key": node.name,
      "aria-label": `${node.name}, ${node.label}, kernel ${home + 1}${shared ? `, with ${groups[home].length - 1} more` : ", alone"}`,
    });
    box.append(
      svg("rect", { x, y, width: BOX.width, height: BOX.height, rx: 5 }),
      svg("text", { x: x + 8, y: y + 16, class: "tk-name" }, node.name),
      svg("text", { x: x + 8, y: y + 31, class: "tk-label" }, node.label),
      svg("text", { x: x + BOX.width - 8, y: y + 16, class: "tk-kernel" }, `K${home + 1}`));
    box.addEventListener("pointerdown", (event) => startDrag(event, box, node.name));
    box.addEventListener("keydown", (event) => nodeKey(event, node.name));
    return box;
  }

  function nodeKey(event, name) {
    if (!["Enter", " ", "Escape", "Delete", "Backspace"].includes(event.key)) return;
    event.preventDefault();
    event.stopPropagation();
    if (event.key === "Delete" || event.key === "Backspace") return propose(movedTo(groups, name, null), name);
    if (event.key === "Escape" || held === name) held = null;
    else if (held === null) held = name;
    else if (homeOf(groups, held) !== homeOf(groups, name)) return propose(movedTo(groups, held, name), name);
    else held = null;
    draw();
    focusOn(name);
  }

  function startDrag(event, box, name) {
    if (event.button !== 0) return;
    const start = { x: event.clientX, y: event.clientY };
    const scale = size.width / canvas.getBoundingClientRect().width;
    let dragging = false;
    const controller = new AbortController();
    const options = { signal: controller.signal };
    box.setPointerCapture(event.pointerId);
    box.addEventListener("pointermove", (move) => {
      const [dx, dy] = [move.clientX - start.x, move.clientY - start.y];
      dragging ||= Math.hypot(dx, dy) > DRAG_FROM_PX;
      if (!dragging) return;
      box.setAttribute("transform", `translate(${dx * scale} ${dy * scale})`);
      markTarget(boxUnder(move));
    }, options);
    const boxUnder = (pointer) => {
      box.style.pointerEvents = "none";
      const under = root.getRootNode().elementFromPoint(pointer.clientX, pointer.clientY)?.closest?.(".tk-node") ?? null;
      box.style.pointerEvents = "";
      return under;
    };
    const markTarget = (under) => canvas.querySelectorAll(".tk-node").forEach((node) => node.classList.toggle("tk-target", node === under));
    const end = (drop) => {
      controller.abort();
      box.removeAttribute("transform");
      markTarget(null);
      if (!dragging || drop === null) return;
      const target = boxUnder(drop)?.dataset.key ?? null;
      const sameHome = target !== null && homeOf(groups, target) === homeOf(groups, name);
      if (!sameHome) propose(movedTo(groups, name, target), name);
    };
    box.addEventListener("pointerup", end, options);
    box.addEventListener("pointercancel", () => end(null), options);
  }

  function draw() {
    const focused = canvas.contains(root.getRootNode().activeElement) ? root.getRootNode().activeElement.dataset.key : null;
    const marker = (kind) => svg("marker", { id: `tk-arrow-${kind}-${unique}`, class: `tk-arrow tk-${kind}`, viewBox: "0 0 10 10", refX: 9, refY: 5, markerWidth: 9, markerHeight: 9, markerUnits: "userSpaceOnUse", orient: "auto" }, svg("path", { d: "M 0 0 L 10 5 L 0 10 z" }));
    canvas.replaceChildren(
      svg("defs", {}, marker("memory"), marker("register")),
      ...picture.edges.map(([from, to]) => drawEdge(from, to)),
      ...picture.outputs.map(drawOutput),
      ...picture.inputs.map(drawInput),
      ...picture.nodes.map(drawNode));
    undoButton.disabled = history.length === 0;
    focusOn(focused);
  }

  // The bytes as a bar as long as those of every operator alone, with a mark at the least. The numbers stand beside it.
  function trafficBar(report) {
    const percent = (share) => `${100 * Math.min(1, share)}%`;
    const bar = html("div", { class: "tk-bar", "aria-hidden": "true" });
    const [filled, mark] = [html("div", { class: "tk-filled" }), html("div", { class: "tk-least" })];
    filled.style.width = percent(report.share);
    mark.style.left = percent(report.least_share);
    bar.append(filled, mark);
    return html("div", { class: "tk-traffic" }, bar,
      html("p", { class: "tk-ends" }, html("span", {}, report.ends_text[0]), html("span", {}, report.ends_text[1])));
  }

  function showReport() {
    const report = model.get("report");
    clearTimeout(busyTimer);
    const busy = report.id !== sent;
    status.setAttribute("aria-busy", String(busy));
    panel.classList.toggle("tk-stale", busy);
    if (busy) {
      status.replaceChildren(html("p", { class: "tk-wait" }, "Python is counting …"));
      busyTimer = setTimeout(() => status.replaceChildren(html("p", { class: "tk-wait" }, "The notebook’s kernel is busy or stopped. The numbers come when it answers.")), BUSY_AFTER_MS);
      return;
    }
    if (!report.legal) {
      status.replaceChildren(
        html("p", { class: "tk-illegal" }, html("strong", {}, "This grouping cannot run: "), `${report.reason}. Undo, or move one operator.`));
      panel.replaceChildren();
      return;
    }
    const cells = (tag, texts) => texts.map((text) => html(tag, tag === "th" ? { scope: "col" } : {}, text));
    const table = (caption, head, lines) => html("table", {}, html("caption", {}, caption),
      html("thead", {}, html("tr", {}, ...cells("th", head))),
      html("tbody", {}, ...lines.map((line) => html("tr", {}, ...cells("td", line)))));
    status.replaceChildren(html("p", { class: "tk-total" },
      html("span", { class: "tk-launches" }, report.launches_text), " · ", html("span", { class: "tk-bytes" }, report.bytes_text)),
      trafficBar(report));
    panel.replaceChildren(
      table(report.time_caption, report.time_head, report.times),
      table("Kernels", report.kernel_head, report.kernels));
  }

  const answered = () => {
    const report = model.get("report");
    if (report.id >= sent) [sent, groups] = [report.id, report.groups]; // the kernels come back in running order
    draw();
    showReport();
  };
  model.on("change:report", answered);
  eagerButton.addEventListener("click", () => propose(names.map((name) => [name])));
  oneButton.addEventListener("click", () => propose([names]));
  undoButton.addEventListener("click", () => history.length && send(history.pop()));
  // The notebook has shortcuts on single keys; while the figure has the focus they belong to the figure.
  root.addEventListener("keydown", (event) => event.key !== "Tab" && event.stopPropagation());
  draw();
  showReport();
  return () => {
    clearTimeout(busyTimer);
    model.off("change:report", answered);
  };
}

export default { render };
