// The interactive figure of teachkit.viz.explore_frame: plays the schedules that Python made over a picture of the frame.

const MARGIN = 34;

function render({ model, el }) {
  const picture = model.get("picture");
  const { width, height } = picture;
  const scale = window.devicePixelRatio || 1;
  let cell = 8; // pixels of the screen for a pixel of the frame
  let machine = picture.machines[0];

  const root = html("div", { class: "tk-steps tk-frame", role: "group", "aria-label": picture.title });
  const help = html("p", { class: "tk-help" },
    "Choose a machine and play it. Pixels in colour are still to do, grey ones are done (you see their brightness Y); ",
    "the ones being worked on now have a black frame around a yellow square. In a step every lane finishes one pixel; ",
    "a step of a CPU and a step of a GPU do not take the same time.");
  const keys = html("details", { class: "tk-help" }, html("summary", {}, "With the keyboard"),
    "Tab to the machine and change it with the arrow keys. Tab to the slider: arrow keys go step by step, Page Up and Page Down further, Home and End to the ends, space plays and stops.");
  const canvas = html("canvas", { role: "img" });
  const status = html("p", { class: "tk-status", role: "status" });
  const machines = choice("Machine", picture.machines.map((one) => one.title), (index) => {
    machine = picture.machines[index];
    player.reset(machine.ends.length);
  });
  const player = makePlayer(draw);
  root.append(help, keys, html("div", { class: "tk-choices" }, machines.element), player.element, status, canvas,
    html("p", { class: "tk-note" }, "Which thread has which pixel: from the emulator’s trace of your kernel. Order and number of lanes: modelled."));
  el.append(root);
  keepKeys(root);

  // The picture is drawn anew for the room there is, so that numbers in it stay readable.
  function fit() {
    const room = Math.max(240, (root.clientWidth || 700) - 12);
    cell = Math.max(3, Math.min(10, Math.floor((room - MARGIN) / width)));
    canvas.width = (MARGIN + width * cell) * scale;
    canvas.height = (height * cell + 1) * scale;
    canvas.style.width = `${MARGIN + width * cell}px`;
    player.again();
  }

  function square(ctx, pixel, fill) {
    ctx.fillStyle = fill;
    ctx.fillRect(MARGIN + (pixel % width) * cell, Math.floor(pixel / width) * cell, cell, cell);
  }

  function draw(step, isPlaying) {
    const ctx = canvas.getContext("2d");
    ctx.setTransform(scale, 0, 0, scale, 0, 0);
    ctx.clearRect(0, 0, MARGIN + width * cell, height * cell);
    const from = step < 2 ? 0 : machine.ends[step - 2];
    const to = step === 0 ? 0 : machine.ends[step - 1];
    const isLast = step === machine.ends.length;
    picture.before.forEach((colour, pixel) => square(ctx, pixel, colour));
    for (const pixel of machine.order.slice(0, isLast ? to : from)) {
      const grey = picture.after[pixel];
      square(ctx, pixel, `rgb(${grey},${grey},${grey})`);
    }
    const now = machine.order.slice(from, to);
    if (!isLast) {
      for (const pixel of now) {
        square(ctx, pixel, "#f0e442");
        ctx.strokeStyle = "#000";
        ctx.lineWidth = 1;
        ctx.strokeRect(MARGIN + (pixel % width) * cell + 0.5, Math.floor(pixel / width) * cell + 0.5, cell - 1, cell - 1);
      }
    }
    if (machine.is_gpu) drawBlocks(ctx);
    status.setAttribute("aria-live", isPlaying ? "off" : "polite");
    const blocks = [...new Set(now.map((pixel) => picture.block_of[pixel]))].sort((a, b) => a - b);
    const where = machine.is_gpu && now.length ? `, of block${blocks.length > 1 ? "s" : ""} ${blocks.join(", ")}` : "";
    const text = step === 0 ? `Nothing done yet. ${machine.summary}.`
      : `Step ${step.toLocaleString("en")} of ${machine.ends.length.toLocaleString("en")}: ${now.length} pixel${now.length === 1 ? "" : "s"} in this step${where}. ${to.toLocaleString("en")} of ${picture.before.length.toLocaleString("en")} pixels done.`;
    status.replaceChildren(html("strong", {}, machine.title), html("br"), text);
    canvas.setAttribute("aria-label", `${machine.title}. ${text}`);
  }

  function drawBlocks(ctx) {
    ctx.font = "11px sans-serif";
    ctx.textAlign = "right";
    ctx.textBaseline = "middle";
    for (let block = 0; block < picture.n_blocks; block += 1) {
      const first = picture.block_of.indexOf(block);
      const last = picture.block_of.lastIndexOf(block);
      const [top, bottom] = [Math.floor(first / width) * cell, (Math.floor(last / width) + 1) * cell];
      ctx.fillStyle = "#222";
      ctx.fillText(`B${block}`, MARGIN - 6, (top + bottom) / 2);
      ctx.strokeStyle = "#000";
      ctx.lineWidth = 1;
      ctx.strokeRect(MARGIN + 0.5, top + 0.5, width * cell - 1, bottom - top);
    }
  }

  player.reset(machine.ends.length);
  fit();
  const watcher = new ResizeObserver(fit);
  watcher.observe(root);
  return () => {
    watcher.disconnect();
    player.dispose();
  };
}

export default { render };
