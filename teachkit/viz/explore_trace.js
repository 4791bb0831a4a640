// The interactive figure of teachkit.viz.explore_trace: plays one warp's instructions, with its lanes and the elements it touches.

const LANES = 32;
const COLOURS = { load: "#0072b2", store: "#d55e00", atomic: "#aa4499" };
const WORDS = { load: "reads", store: "writes", atomic: "updates" };
const LABEL_PX = 58; // left of strip and map: numbers of lanes, elements and blocks
const BLOCK_FILLS = ["#cfe6f5", "#f7d9b5", "#ccebe0", "#f7dfec", "#fbf6c4", "#d9d9f3", "#e6e6e6", "#f3c7b1"];
const NARROW_PX = 560;

function render({ model, el }) {
  const picture = model.get("picture");
  const scale = window.devicePixelRatio || 1;
  let warp = picture.warps[picture.start];
  let place = picture.places[0];
  let room = 700;

  const root = html("div", { class: "tk-steps tk-trace", role: "group", "aria-label": picture.title });
  const help = html("p", { class: "tk-help" },
    "Every step is one instruction of one warp. A blue lane is at work; a hatched one is switched off and waits. ",
    "The strip shows all steps, with marks under those that touch memory. The map below shows the elements of one argument, ",
    "each tinted by the block that touches it in this launch (B0, B1, ...); strong colours are touched in this step, writes with a stroke. ",
    "Boxes are sectors of 32 bytes.");
  const keys = html("details", { class: "tk-help" }, html("summary", {}, "With the keyboard"),
    "Tab to the warp or the argument and change it with the arrow keys. Tab to the slider: arrow keys go step by step, Page Up and Page Down further, Home and End to the ends, space plays and stops. “Next access” jumps to the next step that touches memory.");
  const lanes = Array.from({ length: LANES }, (_, lane) => html("div", { class: "tk-lane" }, String(lane)));
  const laneRow = html("div", { class: "tk-lanes", role: "img" }, ...lanes);
  const status = html("p", { class: "tk-status", role: "status" });
  const code = html("div", { class: "tk-code" });
  const strip = html("canvas", { role: "img", "aria-label": "Lanes at work at every step of this warp" });
  const map = html("canvas", { role: "img", class: "tk-map" });
  const mapTitle = html("h4", {});
  const player = makePlayer(draw);
  const jump = html("button", { type: "button" }, "Next access");
  const warps = choice("Warp", picture.warps.map((one) => one.title), (index) => {
    warp = picture.warps[index];
    player.reset(warp.steps.length, 1);
  });
  warps.select.value = String(picture.start);
  const places = choice("Argument", picture.places.map((one) => one.name), (index) => {
    place = picture.places[index];
    fit();
  });
  jump.addEventListener("click", () => {
    player.stop();
    const from = player.at();
    const next = warp.steps.findIndex((step, index) => index >= from && step.touches.length);
    if (next < 0) return;
    follow(warp.steps[next]);
    player.go(next + 1);
  });
  root.append(help, keys, html("div", { class: "tk-choices" }, warps.element, places.element, jump), player.element, status, code, laneRow,
    strip, mapTitle, map, html("p", { class: "tk-note" }, "Recorded by the emulator from the kernel in the cell above. Steps have no length in time, and warps no order among each other."));
  el.append(root);
  keepKeys(root);

  const perRow = () => (place.n > 512 && room >= 660 ? 64 : 32);
  const cell = () => Math.floor((room - LABEL_PX) / perRow());

  // Show the argument that a step touches, if the one chosen is not among them.
  function follow(step) {
    if (step.touches.some((touch) => touch.place === place.name)) return;
    const index = picture.places.findIndex((one) => step.touches.some((touch) => touch.place === one.name));
    if (index < 0) return;
    place = picture.places[index];
    places.select.value = String(index);
    fit();
  }

  function size(canvas, width, height) {
    canvas.width = width * scale;
    canvas.height = height * scale;
    canvas.style.width = `${width}px`;
    canvas.style.height = `${height}px`;
    const ctx = canvas.getContext("2d");
    ctx.setTransform(scale, 0, 0, scale, 0, 0);
    return ctx;
  }

  function draw(number, isPlaying) {
    const step = number ? warp.steps[number - 1] : null;
    const atWork = step ? step.lanes >>> 0 : 0;
    let n = 0;
    lanes.forEach((box, lane) => {
      const on = ((atWork >>> lane) & 1) === 1;
      n += on;
      box.classList.toggle("tk-on", on);
    });
    status.setAttribute("aria-live", isPlaying ? "off" : "polite");
    const what = step ? step.touches.map((touch) => `${WORDS[touch.kind]} ${touch.elements.length} elements of ${touch.place}`).join(", ") : "";
    const text = step
      ? `Step ${number} of ${warp.steps.length}: ${n} of 32 lanes at work${what ? `; ${what}` : ""}.`
      : `${warp.steps.length} steps. Go on, or play.`;
    status.replaceChildren(html("strong", {}, `${warp.title[0].toUpperCase()}${warp.title.slice(1)}. `), text);
    laneRow.setAttribute("aria-label", `${n} of 32 lanes at work`);
    code.replaceChildren(step ? `${step.line ? `line ${step.line}: ` : ""}${step.text || "(no line of the source)"}\nPTX: ${step.opcode}` : " ");
    drawStrip(number);
    drawMap(step);
  }

  function drawStrip(number) {
    const count = Math.max(warp.steps.length, 1);
    const [width, height] = [room, LANES * 3 + 14];
    const ctx = size(strip, width, height);
    const dx = (width - LABEL_PX) / count;
    ctx.fillStyle = "#fff";
    ctx.fillRect(0, 0, width, height);
    ctx.fillStyle = "#333";
    ctx.font = "11px sans-serif";
    ctx.fillText("lane 0", 4, 10);
    ctx.fillText("31", 4, LANES * 3);
    warp.steps.forEach((step, index) => {
      for (let lane = 0; lane < LANES; lane += 1) {
        ctx.fillStyle = (step.lanes >>> lane) & 1 ? "#0072b2" : "#e8e8e8";
        ctx.fillRect(LABEL_PX + index * dx, lane * 3, Math.max(dx - 0.5, 0.5), 3);
      }
      if (step.touches.length) {
        ctx.fillStyle = COLOURS[step.touches[0].kind];
        ctx.fillRect(LABEL_PX + index * dx, LANES * 3 + 3, Math.max(dx, 2), 8);
      }
    });
    if (number) {
      ctx.strokeStyle = "#000";
      ctx.lineWidth = 2;
      ctx.strokeRect(LABEL_PX + (number - 1) * dx - 1, 1, dx + 2, height - 2);
    }
  }

  function drawMap(step) {
    const [across, side] = [perRow(), cell()];
    const rows = Math.ceil(place.n / across);
    const height = place.n > 512 ? 11 : 17;
    const ctx = size(map, room, rows * height + 2);
    ctx.fillStyle = "#fff";
    ctx.fillRect(0, 0, room, rows * height + 2);
    const corner = (element) => [LABEL_PX + (element % across) * side, Math.floor(element / across) * height + 1];
    ctx.font = "11px sans-serif";
    let before = -1;
    for (let row = 0; row < rows; row += Math.ceil(12 / height)) {
      const block = place.block_of[row * across];
      ctx.fillStyle = "#111";
      ctx.font = "bold 11px sans-serif";
      if (block >= 0 && block !== before) ctx.fillText(`B${block}`, 4, row * height + Math.min(height, 13));
      before = block;
      ctx.font = "11px sans-serif";
      ctx.textAlign = "right";
      ctx.fillText(String(row * across), LABEL_PX - 6, row * height + Math.min(height, 13));
      ctx.textAlign = "left";
    }
    for (let element = 0; element < place.n; element += 1) {
      const [x, y] = corner(element);
      const block = place.block_of[element];
      ctx.fillStyle = block < 0 ? "#f3f3f3" : BLOCK_FILLS[block % BLOCK_FILLS.length];
      ctx.fillRect(x, y, side - 0.5, height - 1);
    }
    const mine = step ? step.touches.filter((touch) => touch.place === place.name) : [];
    for (const touch of mine) {
      touch.elements.forEach((element) => {
        if (element < 0 || element >= place.n) return;
        const [x, y] = corner(element);
        ctx.fillStyle = COLOURS[touch.kind];
        ctx.fillRect(x, y, side - 0.5, height - 1);
        if (touch.kind === "load") return;
        ctx.strokeStyle = "#fff"; // stores are crossed, so that the colour is not all that tells them from loads
        ctx.lineWidth = 1.4;
        ctx.beginPath();
        ctx.moveTo(x + 2, y + 2);
        ctx.lineTo(x + side - 2.5, y + height - 3);
        ctx.stroke();
      });
    }
    ctx.strokeStyle = "#777";
    ctx.lineWidth = 0.8;
    for (let element = 0; place.per_sector && element < place.n; element += place.per_sector) {
      const [x, y] = corner(element);
      ctx.strokeRect(x - 0.25, y - 0.5, side * Math.min(place.per_sector, place.n - element), height);
    }
    const sectors = mine.length && mine[0].n_sectors ? `, in ${mine[0].n_sectors} sector${mine[0].n_sectors === 1 ? "" : "s"}` : "";
    const told = mine.length ? `${WORDS[mine[0].kind]} ${mine[0].elements.length} elements${sectors}` : "not touched in this step";
    mapTitle.replaceChildren(`${place.name}, ${place.n} elements: ${told}`);
    map.setAttribute("aria-label", `${place.name}: ${told}`);
  }

  function fit() {
    room = Math.max(330, Math.min(980, (root.clientWidth || 700) - 12));
    laneRow.classList.toggle("tk-narrow", room < NARROW_PX);
    player.again();
  }

  player.reset(warp.steps.length, 1);
  fit();
  const watcher = new ResizeObserver(fit);
  watcher.observe(root);
  return () => {
    watcher.disconnect();
    player.dispose();
  };
}

export default { render };
