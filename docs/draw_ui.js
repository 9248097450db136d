// The page around draw.js: the sheet to draw on, and what each section shows. No mathematics here.
"use strict";

const SIDE = 140; // pixels of a drawing
const BORDER = 5; // where the pen leaves nothing: from its border, --predict takes the paper's shade
const EXAMPLES = { // strokes of x, y, x, y, ...
  "a 4 like a 9": [[64, 26, 46, 44, 44, 66, 62, 72, 90, 60], [86, 24, 90, 44, 88, 80, 82, 118]],
  "a 0": [[70, 24, 48, 32, 38, 70, 50, 112, 72, 118, 96, 104, 102, 68, 92, 34, 70, 24]],
  "a 1": [[72, 22, 70, 118]],
  "a 2": [[42, 46, 52, 26, 78, 22, 94, 40, 86, 66, 58, 92, 38, 114, 66, 110, 104, 114]],
  "a 3": [[44, 32, 70, 22, 94, 36, 84, 58, 62, 66, 90, 74, 98, 98, 74, 118, 42, 108]],
  "a 4": [[60, 26, 48, 44, 38, 66, 38, 74, 60, 76, 96, 70], [90, 28, 88, 60, 84, 90, 80, 118]],
  "a 5": [[96, 26, 54, 28, 48, 62, 74, 58, 98, 76, 94, 104, 70, 118, 42, 108]],
  "a 6": [[88, 24, 58, 44, 42, 84, 54, 114, 82, 116, 96, 94, 80, 76, 56, 82, 44, 96]],
  "a 7": [[40, 30, 74, 28, 102, 28, 86, 62, 66, 118]],
  "a 8": [[90, 36, 68, 24, 50, 38, 60, 60, 86, 78, 94, 100, 70, 118, 46, 102, 56, 78, 84, 58, 92, 38, 84, 30]],
  "a 9": [[92, 44, 72, 26, 48, 36, 46, 60, 66, 70, 90, 56, 94, 40, 92, 70, 84, 118]],
};

// --- the network: its weights, and what follows from them and the drawing -------------

const { shape, ...packets } = file;
const first_params = each(packets, unpacked);
const now = { params: first_params, velocity: zeros(first_params), losses: [], target: 0, told: false, shown: null, pinned: null };

function one_hot(k) {
  return matrix(1, K, (_, c) => +(c === k));
}

/** All that follows from the drawing, the weights and the right answer. */
function think() {
  const X = prepared(reading(), file.shape);
  now.empty = !strokes.length || !X;
  now.X = now.empty ? new Matrix(1, D) : X;
  Object.assign(now, forward(now.params, now.X));
  now.P = softmax(now.logits);
  now.guess = now.P.data.indexOf(Math.max(...now.P.data));
  if (!now.told) aim(now.guess); // until the reader says what is right
  now.y = one_hot(now.target);
  Object.assign(now, cross_entropy(now.logits, now.y));
  now.grads = backward(now.params, now.X, now.Z1, now.A1, now.dlogits);
  now.dX = input_gradient(now.params, now.Z1, now.dlogits);
  now.steepest = top_of(now.grads.b1.data); // the neuron with the largest dZ1
}

function answer() {
  think();
  show_forward();
  show_backward();
  show_learning();
  choose(); // the weight whose gradient is checked stays the same
}

let asked = false;
/** The answer, once for each picture that the screen shows. */
function soon() {
  if (asked) return;
  asked = true;
  requestAnimationFrame(() => { asked = false; answer(); });
}

// --- the sheet -------------------------------------------------------------------------

let strokes = []; // { width, points: [[x, y], ...] } in pixels of the drawing
let untouched = true; // an example is on the sheet: the first stroke takes its place
const cursor = { x: SIDE / 2, y: SIDE / 2, down: false, seen: false }; // for the arrow keys
const sheet = $("sheet");
const small = Object.assign(document.createElement("canvas"), { width: SIDE, height: SIDE });
const reader = small.getContext("2d", { willReadFrequently: true });

/** The strokes in white on black, scale times as large as the drawing. */
function ink(context, scale) {
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.fillStyle = "#000";
  context.fillRect(0, 0, SIDE, SIDE);
  context.save();
  context.beginPath();
  context.rect(BORDER, BORDER, SIDE - 2 * BORDER, SIDE - 2 * BORDER);
  context.clip();
  Object.assign(context, { strokeStyle: "#fff", lineCap: "round", lineJoin: "round" });
  for (const { width, points } of strokes) {
    context.lineWidth = width;
    context.beginPath();
    context.moveTo(...points[0]);
    for (let i = 1; i < points.length - 1; i++) { // bends lie on the middles between points
      const [[x, y], [u, v]] = [points[i], points[i + 1]];
      context.quadraticCurveTo(x, y, (x + u) / 2, (y + v) / 2);
    }
    context.lineTo(...points.at(-1));
    context.stroke();
  }
  context.restore();
}

/** The drawing as a matrix of ink from 0 to 1. */
function reading() {
  ink(reader, 1);
  const { data } = reader.getImageData(0, 0, SIDE, SIDE);
  return matrix(SIDE, SIDE, (r, c) => data[4 * (r * SIDE + c)] / 255);
}

function redraw() {
  const context = sheet.getContext("2d");
  ink(context, sheet.width / SIDE);
  if (cursor.seen) {
    context.beginPath();
    context.arc(cursor.x, cursor.y, 4, 0, 7);
    Object.assign(context, { strokeStyle: cursor.down ? "#ffa840" : "#6cb6ff", lineWidth: 1.5 });
    context.stroke();
  }
  soon();
}

function begin(x, y) {
  if (untouched) strokes = [];
  if (!strokes.length) now.told = false;
  untouched = false;
  strokes.push({ width: Number($("pen").value), points: [[x, y]] });
  redraw();
}

function go_on(x, y) {
  strokes.at(-1).points.push([x, y]);
  redraw();
}

function place(event) {
  const box = sheet.getBoundingClientRect();
  return [((event.clientX - box.left) / box.width) * SIDE, ((event.clientY - box.top) / box.height) * SIDE];
}

let pen = null; // the pointer that draws
sheet.addEventListener("pointerdown", (event) => {
  if (pen !== null || event.button) return;
  pen = event.pointerId;
  sheet.setPointerCapture(pen);
  cursor.seen = false;
  begin(...place(event));
});
sheet.addEventListener("pointermove", (event) => {
  if (event.pointerId !== pen) return;
  const events = event.getCoalescedEvents?.() ?? [];
  for (const each of events.length ? events : [event]) go_on(...place(each));
});
for (const end of ["pointerup", "pointercancel"]) sheet.addEventListener(end, () => { pen = null; });

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
sheet.addEventListener("keydown", (event) => {
  if (event.key !== " " && !ARROWS[event.key]) return;
  event.preventDefault();
  cursor.seen = true;
  if (event.key === " ") {
    cursor.down = !cursor.down;
    if (cursor.down) begin(cursor.x, cursor.y);
  } else {
    const [x, y] = ARROWS[event.key].map((d, i) => [cursor.x, cursor.y][i] + 5 * d);
    cursor.x = Math.min(Math.max(x, 0), SIDE);
    cursor.y = Math.min(Math.max(y, 0), SIDE);
    if (cursor.down) go_on(cursor.x, cursor.y);
  }
  redraw();
});
sheet.addEventListener("blur", () => { cursor.seen = cursor.down = false; redraw(); });

function replace(drawn, example = false) {
  strokes = drawn;
  untouched = example;
  redraw();
}
$("undo").addEventListener("click", () => replace(strokes.slice(0, -1)));
$("clear").addEventListener("click", () => replace([]));
$("save").addEventListener("click", () => { reading(); $("save").href = small.toDataURL(); });

function example(name) {
  replace(EXAMPLES[name].map((line) => ({
    width: 9, points: line.flatMap((x, i) => (i % 2 ? [] : [[x, line[i + 1]]])),
  })), true);
  const digit = Number(name.match(/\d/)[0]);
  now.told = digit < K;
  if (now.told) aim(digit);
}
$("example").append(...Object.keys(EXAMPLES).map((name) => new Option(name)));
$("example").addEventListener("change", () => example($("example").value));

// --- forward -------------------------------------------------------------------------------

const tiles = Array.from({ length: H }, (_, h) => {
  const tile = document.createElement("button");
  Object.assign(tile, { className: "tile", type: "button", tabIndex: h ? -1 : 0 });
  tile.append(document.createElement("canvas"));
  connect(tile, { neuron: h });
  return tile;
});
$("tiles").append(...tiles);
$("tiles").addEventListener("keydown", (event) => { // one stop for the tab key, arrows inside
  if (!ARROWS[event.key]) return;
  event.preventDefault();
  const across = getComputedStyle($("tiles")).gridTemplateColumns.split(" ").length;
  const [x, y] = ARROWS[event.key], from = tiles.indexOf(document.activeElement);
  tiles[from].tabIndex = -1;
  const to = tiles[from + x + across * y] ?? tiles[from];
  to.tabIndex = 0;
  to.focus();
});

function row_of(body, k, bars) {
  const row = body.insertRow();
  row.innerHTML = `<th scope="row"></th>${'<td><div class="bar"></div></td>'.repeat(bars)}`;
  row.cells[0].textContent = k;
  return { row, bars: [...row.querySelectorAll(".bar")] };
}
const classes = Array.from({ length: K }, (_, k) => row_of($("classes"), k, 2));
classes.forEach(({ row }, k) => {
  row.cells[0].innerHTML = `<button type="button" aria-pressed="false" aria-label="what speaks for class ${k}">${k}</button>`;
  connect(row, { class: k });
});

/** Pointing at an element, or its button, shows its evidence; pressing it keeps that shown. */
function connect(element, what) {
  const point = (shown) => { now.shown = shown; show_evidence(); };
  element.addEventListener("pointerenter", () => point(what));
  element.addEventListener("pointerleave", () => point(null));
  element.addEventListener("focusin", () => point(what));
  element.addEventListener("focusout", () => point(null));
  element.addEventListener("click", () => {
    const same = now.pinned && Object.entries(what).every(([key, value]) => now.pinned[key] === value);
    now.pinned = same ? null : what;
    point(same ? null : what);
    show_gradient_of_neuron();
  });
}

function show_forward() {
  const top = Math.max(...now.A1.data) || 1, highest = Math.max(...now.logits.data.map(Math.abs));
  tiles.forEach((tile, h) => {
    tile.style.setProperty("--light", (0.3 + (0.7 * now.A1.data[h]) / top).toFixed(3));
    tile.setAttribute("aria-label", `neuron ${h}: A1 = ${now.A1.data[h].toFixed(2)}`);
  });
  classes.forEach(({ row, bars }, k) => {
    bar(bars[0], now.logits.data[k], highest, now.logits.data[k].toFixed(2));
    bar(bars[1], now.P.data[k], 1, percent(now.P.data[k]), true);
    row.classList.toggle("best", k === now.guess && !now.empty);
  });
  const [best, next] = [...now.P.data.keys()].sort((a, b) => now.P.data[b] - now.P.data[a]);
  const told = (k) => `${k} (${percent(now.P.data[k])})`;
  $("verdict").textContent = now.empty ? "Nothing is drawn yet."
    : `The network takes this for a ${told(best)}${now.P.data[next] > 0.01 ? `, or else a ${told(next)}` : ""}.`;
  show_evidence();
}

function show_weights() {
  tiles.forEach((tile, h) => { // full at three times the root mean square: a few large weights would darken the rest
    const weights = picture(column(now.params.W1, h));
    const top = 3 * Math.sqrt(weights.reduce((total, w) => total + w * w, 0) / weights.length) || 1;
    paint(tile.firstChild, ROWS, COLUMNS, weights.map((w) => Math.max(-1, Math.min(w / top, 1))), signed);
  });
}

/** X; or what each pixel adds to the Z1 of a neuron, or to the logit of a class. */
function show_evidence() {
  const what = now.shown ?? now.pinned;
  tiles.forEach((tile, h) => tile.setAttribute("aria-pressed", String(now.pinned?.neuron === h)));
  classes.forEach(({ row }, k) => row.querySelector("button").setAttribute("aria-pressed", String(now.pinned?.class === k)));
  show_shares(what?.class);
  if (!what) {
    paint($("seen"), ROWS, COLUMNS, picture(now.X.data), grey);
    $("seen-title").textContent = "the network's input";
    $("seen-note").textContent = ROWS === 28 && COLUMNS === 28 && CHANNELS === 1
      ? "Cut out, fitted into 20 x 20, its centre of mass in the middle of 28 x 28: as the digits were that it has learnt."
      : `Averaged down to ${ROWS} x ${COLUMNS}.`;
    return;
  }
  const slope = "class" in what ? input_gradient(now.params, now.Z1, one_hot(what.class)).data : column(now.params.W1, what.neuron);
  paint_signed($("seen"), ROWS, COLUMNS, picture(now.X.data.map((x, d) => x * slope[d])));
  $("seen-title").textContent = "class" in what ? `for and against class ${what.class}` : `for and against neuron ${what.neuron}`;
  $("seen-note").textContent = "class" in what
    ? `Each pixel times the slope of the logit of ${what.class} there. This logit is ${short(now.logits.data[what.class])}.`
    : `Each pixel times its weight. With the bias, they add up to Z1 = ${short(now.Z1.data[what.neuron])}, so A1 = ${short(now.A1.data[what.neuron])}.`;
}

/** What each neuron adds to the logit of class k, as a bar in its tile. */
function show_shares(k) {
  const shares = now.A1.data.map((a, h) => (k === undefined ? 0 : a * at(now.params.W2, h, k)));
  const top = Math.max(...shares.map(Math.abs)) || 1;
  tiles.forEach((tile, h) => {
    tile.style.setProperty("--share", (100 * Math.abs(shares[h])) / top + "%");
    tile.classList.toggle("for", shares[h] > 0);
    tile.classList.toggle("against", shares[h] < 0);
  });
}

// --- backward ----------------------------------------------------------------------------------

const slopes = Array.from({ length: K }, (_, k) => row_of($("dlogits"), k, 1));
const targets = Array.from({ length: K }, (_, k) => {
  const label = document.createElement("label"), radio = document.createElement("input");
  Object.assign(radio, { type: "radio", name: "target", value: k });
  radio.addEventListener("change", () => { now.told = true; now.target = k; soon(); });
  label.append(radio, String(k));
  return { label, radio };
});
$("targets").append(...targets.map(({ label }) => label));

function aim(k) {
  now.target = k;
  targets[k].radio.checked = true;
}

function show_backward() {
  const p = now.P.data[now.target];
  $("loss").textContent = short(now.loss);
  $("loss-note").textContent = `The network gives ${now.target} a probability of p = ${percent(p)}; at p = 100 % the loss would be 0.`;
  slopes.forEach(({ row, bars }, k) => {
    bar(bars[0], now.dlogits.data[k], 1, short(now.dlogits.data[k]));
    row.classList.toggle("best", k === now.target);
  });
  const dA1 = matmul(now.dlogits, T(now.params.W2));
  paint_neurons($("dA1"), dA1.data);
  paint_neurons($("dZ1"), now.grads.b1.data); // of one sample: db1 is dZ1
  paint_signed($("dX"), ROWS, COLUMNS, picture(now.dX.data));
  paint_signed($("dW2"), K, H, T(now.grads.W2).data);
  show_gradient_of_neuron();
}

function show_gradient_of_neuron() {
  const h = now.pinned?.neuron ?? now.steepest;
  paint_signed($("dW1"), ROWS, COLUMNS, picture(column(now.grads.W1, h)));
  $("dW1-note").textContent = `The column of neuron ${h}: X times its dZ1 = ${short(now.grads.b1.data[h])}. Press a tile above for another.`;
}

// --- learn ---------------------------------------------------------------------------------------

function number(input) { // what the field allows; else what it held at first
  const value = input.valueAsNumber;
  return input.checkValidity() && Number.isFinite(value) ? value : Number(input.defaultValue);
}

$("step").addEventListener("click", () => {
  const before = now.loss, p = now.P.data[now.target];
  Object.assign(now, step(now.params, now.velocity, now.X, now.y, number($("lr")), number($("momentum"))));
  now.losses.push(before);
  show_weights();
  answer();
  $("learnt").textContent = `Step ${now.losses.length}: the loss went from ${short(before)} to ${short(now.loss)}, `
    + `the probability of ${now.target} from ${percent(p)} to ${percent(now.P.data[now.target])}.`;
});
$("reset").addEventListener("click", () => {
  Object.assign(now, { params: first_params, velocity: zeros(first_params), losses: [] });
  $("learnt").textContent = "These are the weights of the file again.";
  show_weights();
  answer();
});

function show_learning() {
  $("step").disabled = now.empty;
  const losses = [...now.losses, now.loss], top = Math.max(...losses, 1e-300);
  const points = losses.map((value, i) => [10 + (580 * i) / Math.max(losses.length - 1, 1), 80 - (70 * value) / top]);
  $("losses").innerHTML = `<path d="${route(points)}"/>` + points.map((p) => dot(p, 3)).join("");
  $("losses").style.display = now.losses.length ? "" : "none";
}

// --- the code; dark or light; the start -----------------------------------------------------------------

$("listing").textContent = $("mathematics").textContent.trim();
$("listing").innerHTML = $("listing").innerHTML.replace(/\bE\d\b/g, (equation) => `<a href="${$("listing").dataset.docs}side_by_side.html#${equation}">${equation}</a>`);

const system = matchMedia("(prefers-color-scheme: dark)");
function show_theme() {
  const theme = document.documentElement.dataset.theme;
  $("dark").setAttribute("aria-pressed", String(theme ? theme === "dark" : system.matches));
}
$("dark").addEventListener("click", () => {
  const next = $("dark").getAttribute("aria-pressed") === "true" ? "light" : "dark";
  document.documentElement.dataset.theme = next;
  try { localStorage.setItem("theme", next); } catch { /* not from a file everywhere */ }
  show_theme();
});
system.addEventListener("change", show_theme);
try { document.documentElement.dataset.theme = localStorage.getItem("theme") || ""; } catch { /* the same */ }
show_theme();

example($("example").value);
show_weights();
answer();
$("steepest").click();
