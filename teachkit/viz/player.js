// Shared by the figures that are played step by step: a row of controls with a slider.

const TICK_MS = 60;
const TICKS_PER_PLAY = 120;

function choice(label, options, onChange) {
  const select = html("select", { "aria-label": label }, ...options.map((text, index) => html("option", { value: String(index) }, text)));
  select.addEventListener("change", () => onChange(Number(select.value)));
  return { element: html("label", {}, `${label} `, select), select };
}

// A slider over steps 0 .. count, with buttons. `onStep(step, isPlaying)` draws. Tab reaches every control; on the slider
// the arrow keys, Page Up, Page Down, Home and End move; the space bar plays.
function makePlayer(onStep) {
  let count = 0;
  let step = 0;
  let timer = null;
  const slider = html("input", { type: "range", min: "0", max: "0", value: "0", "aria-label": "Step", class: "tk-slider" });
  const back = html("button", { type: "button", "aria-label": "One step back" }, "◀ back");
  const play = html("button", { type: "button", class: "tk-play" }, "▶ play");
  const forth = html("button", { type: "button", "aria-label": "One step on" }, "on ▶");
  const element = html("div", { class: "tk-player", role: "toolbar", "aria-label": "Steps" }, back, play, forth, slider);

  function show(next) {
    step = Math.min(Math.max(next, 0), count);
    slider.value = String(step);
    back.disabled = step === 0;
    forth.disabled = step === count;
    onStep(step, timer !== null);
  }
  function stop(at = step) {
    clearInterval(timer);
    timer = null;
    play.textContent = "▶ play";
    show(at);
  }
  function start() {
    if (step === count) step = 0;
    const stride = Math.max(1, Math.round(count / TICKS_PER_PLAY));
    const wait = Math.max(TICK_MS, Math.min(600, (TICK_MS * TICKS_PER_PLAY) / Math.max(count, 1)));
    timer = setInterval(() => (step + stride < count ? show(step + stride) : stop(count)), wait);
    play.textContent = "❚❚ stop";
  }
  const toggle = () => (timer === null ? start() : stop());
  play.addEventListener("click", toggle);
  back.addEventListener("click", () => stop(step - 1));
  forth.addEventListener("click", () => stop(step + 1));
  slider.addEventListener("input", () => stop(Number(slider.value)));
  slider.addEventListener("keydown", (event) => {
    if (event.key !== " ") return;
    event.preventDefault();
    toggle();
  });
  return {
    element,
    stop,
    at: () => step,
    go: show,
    again: () => show(step),
    reset(newCount, at = 0) { count = newCount; slider.max = String(count); stop(at); },
    dispose: () => clearInterval(timer),
  };
}

// The notebook has shortcuts on single keys; while a figure has the focus they belong to the figure.
function keepKeys(root) {
  root.addEventListener("keydown", (event) => event.key !== "Tab" && event.stopPropagation());
}
