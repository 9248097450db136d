// The page around draw.js: pen and paper, pictures, buttons. No mathematics here.
"use strict";

const $ = (id) => document.getElementById(id);
const SIDE = 140; // pixels of a drawing
const BORDER = 5; // where the pen leaves nothing: from its border, --predict takes the paper's shade
const EXAMPLES = { // strokes of x, y, x, y, ...
  "a 4": [[60, 26, 48, 44, 38, 66, 38, 74, 60, 76, 96, 70], [90, 28, 88, 60, 84, 90, 80, 118]],
};

// --- the network: its weights, and what follows from them and the drawing -------------

const file = JSON.parse($("weights").textContent);
const [CHANNELS, ROWS, COLUMNS] = file.shape;
const D = file.W1.rows, H = file.W1.columns, K = file.W2.columns;

/** 16-bit levels in base64, as docs/draw.py packed them, as the weights they stand for. */
function unpacked({ rows, columns, unit, levels }) {
  const bytes = Uint8Array.from(atob(levels), (letter) => letter.charCodeAt(0));
  return new Matrix(rows, columns, Float64Array.from(new Int16Array(bytes.buffer), (level) => level * unit));
}

const { shape, ...packets } = file;
const first_params = each(packets, unpacked);
const now = { params: first_params, velocity: zeros(first_params), losses: [], target: 0, neuron: 0, shown: null, pinned: null };

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
  now.y = one_hot(now.target);
  Object.assign(now, cross_entropy(now.logits, now.y));
  now.grads = backward(now.params, now.X, now.Z1, now.A1, now.dlogits);
  now.dX = input_gradient(now.params, now.Z1, now.dlogits);
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
  if (digit < K) aim(digit);
}
$("example").append(...Object.keys(EXAMPLES).map((name) => new Option(name)));
$("example").addEventListener("change", () => example($("example").value));

// --- pictures ----------------------------------------------------------------------------

/** Grey from 0 to 1; blue above 0 and orange below, full at 1 and -1. */
const grey = (v) => [255 * v, 255 * v, 255 * v];
const signed = (v) => (v > 0 ? [108 * v, 182 * v, 255 * v] : [-255 * v, -168 * v, -64 * v]);

function paint(canvas, rows, columns, values, colour) {
  canvas.width = columns;
  canvas.height = rows;
  const picture = new ImageData(columns, rows);
  values.forEach((v, i) => picture.data.set([...colour(v), 255], 4 * i));
  canvas.getContext("2d").putImageData(picture, 0, 0);
}

/** Signed values, the largest of them full. */
function paint_signed(canvas, rows, columns, values) {
  const top = values.reduce((best, v) => Math.max(best, Math.abs(v)), 0) || 1;
  paint(canvas, rows, columns, values.map((v) => v / top), signed);
}

/** A row of D values as a picture: the mean over the channels. */
function picture(values) {
  const pixels = ROWS * COLUMNS;
  return Float64Array.from({ length: pixels }, (_, i) => {
    let total = 0;
    for (let j = i; j < D; j += pixels) total += values[j];
    return total / CHANNELS;
  });
}

const column = (W, c) => Float64Array.from({ length: W.rows }, (_, r) => at(W, r, c));

/** H values in the order of the tiles: about as many rows as columns. */
function paint_neurons(canvas, values) {
  const columns = Math.ceil(Math.sqrt(H)), rows = Math.ceil(H / columns);
  paint_signed(canvas, rows, columns, Float64Array.from({ length: rows * columns }, (_, i) => values[i] ?? 0));
}

/** A bar of value in a cell, from 0 in the middle (or, for what is never negative, on the left). */
function bar(cell, value, top, text, whole = false) {
  const size = (Math.abs(value) / (top || 1)) * (whole ? 100 : 50);
  const from = whole ? 0 : value < 0 ? 50 - size : 50;
  cell.style.setProperty("--from", from + "%");
  cell.style.setProperty("--size", size + "%");
  cell.classList.toggle("above", value > 0);
  cell.textContent = text;
}

const short = (v) => (v && (Math.abs(v) < 1e-3 || Math.abs(v) >= 1e5) ? v.toExponential(2) : v.toFixed(3));
const percent = (p) => (100 * p).toFixed(1) + " %";

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
    if ("neuron" in what) { now.neuron = what.neuron; show_gradient_of_neuron(); choose(); }
    point(same ? null : what);
  });
}

function show_forward() {
  const top = Math.max(...now.A1.data) || 1, highest = Math.max(...now.logits.data.map(Math.abs));
  tiles.forEach((tile, h) => {
    tile.style.setProperty("--light", (0.22 + (0.78 * now.A1.data[h]) / top).toFixed(3));
    tile.setAttribute("aria-label", `neuron ${h}: A1 = ${now.A1.data[h].toFixed(2)}`);
  });
  classes.forEach(({ row, bars }, k) => {
    bar(bars[0], now.logits.data[k], highest, now.logits.data[k].toFixed(2));
    bar(bars[1], now.P.data[k], 1, percent(now.P.data[k]), true);
    row.classList.toggle("best", k === now.guess && !now.empty);
  });
  $("verdict").textContent = now.empty ? "Nothing is drawn yet."
    : `The network takes this for ${now.guess} (${percent(now.P.data[now.guess])}).`;
  show_evidence();
}

function show_weights() {
  tiles.forEach((tile, h) => paint_signed(tile.firstChild, ROWS, COLUMNS, picture(column(now.params.W1, h))));
}

/** X; or what each pixel adds to the Z1 of a neuron, or to the logit of a class. */
function show_evidence() {
  const what = now.shown ?? now.pinned;
  tiles.forEach((tile, h) => tile.setAttribute("aria-pressed", String(now.pinned?.neuron === h)));
  classes.forEach(({ row }, k) => row.querySelector("button").setAttribute("aria-pressed", String(now.pinned?.class === k)));
  show_shares(what?.class);
  if (!what) {
    paint($("seen"), ROWS, COLUMNS, picture(now.X.data), grey);
    $("seen-title").textContent = "the drawing as the network sees it";
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
  radio.addEventListener("change", () => { now.target = k; soon(); });
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
  paint_signed($("dW1"), ROWS, COLUMNS, picture(column(now.grads.W1, now.neuron)));
  $("dW1-note").textContent = `The column of neuron ${now.neuron}: X times its dZ1 = ${short(now.grads.b1.data[now.neuron])}. Press a tile above for another.`;
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

// --- is the gradient right? -------------------------------------------------------------------------

const route = (points) => points.map(([x, y], i) => `${i ? "L" : "M"}${x.toFixed(2)} ${y.toFixed(2)}`).join("");
const dot = ([x, y], r, kind = "") => `<circle class="${kind}" cx="${x.toFixed(2)}" cy="${y.toFixed(2)}" r="${r}"/>`;
const label = (x, y, text, anchor = "start") => `<text x="${x}" y="${y}" text-anchor="${anchor}">${text}</text>`;

const chosen = { name: "W2", i: 0, home: 0, reach: 1, value: 0 }; // an entry of an array, and the value it is given
const POINTS = 120;

const slope_at = () => { // what backward says where the weight now is
  const W = map(now.params[chosen.name], (w) => w);
  W.data[chosen.i] = chosen.value;
  const params = { ...now.params, [chosen.name]: W };
  const { Z1, A1, logits } = forward(params, now.X);
  return backward(params, now.X, Z1, A1, cross_entropy(logits, now.y).dlogits)[chosen.name].data[chosen.i];
};
const loss_there = (value) => loss_at(now.params, now.X, now.y, chosen.name, chosen.i, value);
const measured = (h) => central_difference(now.params, now.X, now.y, chosen.name, chosen.i, chosen.value, h);
const apart = (a, b) => (a === b ? 0 : Math.abs(a - b) / Math.max(Math.abs(a), Math.abs(b)));
const width_now = () => 10 ** -Number($("h").value);

/** Read which weight is meant; its curve is new. */
function choose() {
  const name = $("array").value, W = now.params[name], grad = now.grads[name];
  const [r, c] = [["row", W.rows], ["column", W.columns]].map(([id, n]) => {
    $(id).max = n - 1;
    $(id).disabled = n === 1;
    if (!$(id).checkValidity() || !$(id).value || n === 1) $(id).value = Math.min(Number($(id).value) || 0, n - 1);
    return Number($(id).value);
  });
  [$("row-name").textContent, $("column-name").textContent] = { W1: ["pixel", "neuron"], b1: ["row", "neuron"], W2: ["neuron", "class"], b2: ["row", "class"] }[name];
  const i = r * W.columns + c, home = W.data[i];
  Object.assign(chosen, { name, i, home, value: home, reach: Math.max(1, 2 * Math.abs(home)) });
  const [rows, columns, values] = name === "W1" ? [ROWS, COLUMNS, picture(column(grad, c))] : name === "W2" ? [K, H, T(grad).data] : [1, W.columns, grad.data];
  paint_signed($("pick"), rows, columns, values);
  $("pick-note").textContent = name === "W1" ? `d${name}, the column of neuron ${c}. Press a pixel to choose its weight.`
    : name === "W2" ? "dW2: a column for each neuron, a row for each class. Press one to choose its weight." : `d${name}. Press one to choose it.`;
  curve_is_old();
}

let curve = [], later = 0;
function curve_is_old() { // it costs more than one answer: draw it when the pen rests
  $("weight").value = 0;
  clearTimeout(later);
  later = setTimeout(() => {
    curve = Array.from({ length: POINTS + 1 }, (_, j) => chosen.home + chosen.reach * ((2 * j) / POINTS - 1)).map((w) => [w, loss_there(w)]);
    show_check();
  }, 60);
}

function show_check() {
  if (!curve.length) return;
  const h = width_now(), loss = loss_there(chosen.value), tangent = slope_at(), secant = measured(h);
  show_curve(h, loss, tangent);
  const best = show_errors(h, tangent);
  $("at").textContent = `${chosen.name}[${$("row").value}, ${$("column").value}] = ${chosen.value.toPrecision(6)}, loss = ${loss.toPrecision(8)}`;
  $("tangent").textContent = tangent.toPrecision(12);
  $("secant").textContent = secant.toPrecision(12);
  $("difference").textContent = apart(tangent, secant).toExponential(1);
  $("h-now").textContent = `h = ${h.toExponential(1)}`;
  $("advice").textContent = advice(h, best, tangent);
}

function advice(h, best, tangent) {
  const [r, c] = [Number($("row").value), Number($("column").value)];
  if (chosen.name === "W1" && !now.X.data[r]) return "This pixel is black: its X is 0, so dW1 = X' dZ1 (E5) is 0, and the curve is flat.";
  if (!tangent && chosen.name.endsWith("1")) return `Neuron ${c} is off: its Z1 is not above 0, so E8 lets no gradient through. Where the curve bends, it comes on.`;
  if (!tangent) return "This neuron is off: its A1 is 0, so dW2 = A1' dlogits (E5) is 0, and the curve is flat.";
  if (h > 10 * best) return "Here h is so large that the curve bends between the two losses: ten times smaller, and the difference is a hundred times smaller.";
  if (h < best / 10) return "Here h is so small that the two losses agree in nearly all of their 16 digits: what is left of their difference is rounding.";
  return "Here h is small enough for the bend and large enough for the rounding: nowhere do the two slopes agree better.";
}

function show_curve(h, loss, tangent) {
  const all = curve.map(([, y]) => y), low = Math.min(...all), high = Math.max(...all, low + 1e-12), room = 0.12 * (high - low);
  const X = (w) => 240 + (220 * (w - chosen.home)) / chosen.reach;
  const Y = (y) => 270 - (240 * (y - low + room)) / (high - low + 2 * room);
  const line = (from, to, slope, at_loss) => route([from, to].map((w) => [X(w), Y(at_loss + slope * (w - chosen.value))]));
  const sides = [chosen.value - h, chosen.value + h].map((w) => [X(w), Y(loss_there(w))]);
  const far = 0.45 * chosen.reach;
  $("curve").innerHTML = `<path class="grid" d="M20 270H460M20 30V270"/><path d="${route(curve.map(([w, y]) => [X(w), Y(y)]))}"/>`
    + `<path class="tangent" d="${line(chosen.value - far, chosen.value + far, tangent, loss)}"/>`
    + `<path class="secant" d="${route(sides)}"/>${sides.map((p) => dot(p, 4, "secant")).join("")}${dot([X(chosen.value), Y(loss)], 8, "now")}`
    + label(20, 290, short(chosen.home - chosen.reach)) + label(460, 290, short(chosen.home + chosen.reach), "end")
    + label(240, 290, "weight", "middle") + label(24, 22, `loss, ${short(low)} to ${short(high)}`);
}

/** The difference for each h, and the h where it is least. */
function show_errors(h, tangent) {
  const Xs = Array.from({ length: 61 }, (_, j) => j / 4), floor = 1e-16;
  const differences = Xs.map((x) => Math.max(apart(tangent, measured(10 ** -x)), floor));
  const point = (x, d) => [30 + 27.6 * x, 30 + (-Math.log10(Math.min(d, 1)) / 16) * 240];
  const powers = [0, 4, 8, 12, 16];
  $("errors").innerHTML = `<path class="grid" d="${powers.map((n) => `M30 ${30 + 15 * n}H444`).join("")}"/>`
    + `<path d="${route(Xs.map((x, j) => point(x, differences[j])))}"/>`
    + dot(point(-Math.log10(h), Math.max(apart(tangent, measured(h)), floor)), 8, "now")
    + powers.map((n) => label(448, 34 + 15 * n, n ? `1e-${n}` : "1")).join("")
    + [0, 5, 10, 15].map((n) => label(30 + 27.6 * n, 292, n ? `1e-${n}` : "h = 1", n ? "middle" : "start")).join("");
  return 10 ** -Xs[differences.indexOf(Math.min(...differences))];
}

for (const id of ["array", "row", "column"]) $(id).addEventListener("change", choose);
$("h").addEventListener("input", show_check);
$("weight").addEventListener("input", () => {
  chosen.value = chosen.home + chosen.reach * Number($("weight").value);
  show_check();
});
let dragged = false;
const drag = (event) => {
  const box = $("curve").getBoundingClientRect(), x = ((event.clientX - box.left) / box.width) * 480;
  $("weight").value = (x - 240) / 220;
  $("weight").dispatchEvent(new Event("input"));
};
$("curve").addEventListener("pointerdown", (event) => { dragged = true; $("curve").setPointerCapture(event.pointerId); drag(event); });
$("curve").addEventListener("pointermove", (event) => { if (dragged) drag(event); });
for (const end of ["pointerup", "pointercancel"]) $("curve").addEventListener(end, () => { dragged = false; });

function pick(r, c) {
  [$("row").value, $("column").value] = [r, c];
  choose();
}
$("pick").addEventListener("click", (event) => {
  const box = $("pick").getBoundingClientRect();
  const x = Math.floor(((event.clientX - box.left) / box.width) * $("pick").width);
  const y = Math.floor(((event.clientY - box.top) / box.height) * $("pick").height);
  if (chosen.name === "W1") pick(y * COLUMNS + x, $("column").value);
  else if (chosen.name === "W2") pick(x, y);
  else pick(0, x);
});
$("steepest").addEventListener("click", () => {
  const { data, columns } = now.grads[$("array").value], sizes = data.map(Math.abs);
  const i = sizes.indexOf(sizes.reduce(larger));
  pick(Math.floor(i / columns), i % columns);
});

// --- the code; dark or light; the start -----------------------------------------------------------------

$("listing").textContent = $("mathematics").textContent.trim();
$("listing").innerHTML = $("listing").innerHTML.replace(/\bE\d\b/g, (equation) => `<a href="side_by_side.html#${equation}">${equation}</a>`);

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

aim(0);
example("a 4");
show_weights();
answer();
$("steepest").click();
