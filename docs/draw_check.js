// "Is the gradient right?" of docs/draw.html: one weight, its curve, its tangent and its secant.
"use strict";

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
  later = setTimeout(draw_curve, 60);
}

function draw_curve() {
  curve = Array.from({ length: POINTS + 1 }, (_, j) => chosen.home + chosen.reach * ((2 * j) / POINTS - 1)).map((w) => [w, loss_there(w)]);
  show_check();
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
  const reach = Math.max(0.45 * chosen.reach, h); // how far the two lines are drawn
  const line = (slope, middle) => route([-reach, reach].map((d) => [X(chosen.value + d), Y(middle + slope * d)]));
  const sides = [-h, h].map((d) => [chosen.value + d, loss_there(chosen.value + d)]);
  const [[, left], [, right]] = sides;
  $("curve").innerHTML = `<path class="grid" d="M20 270H460M20 30V270"/><path d="${route(curve.map(([w, y]) => [X(w), Y(y)]))}"/>`
    + `<path class="tangent" d="${line(tangent, loss)}"/><path class="secant" d="${line((right - left) / (2 * h), (left + right) / 2)}"/>`
    + sides.map(([w, y]) => dot([X(w), Y(y)], 4, "secant")).join("") + dot([X(chosen.value), Y(loss)], 8, "now")
    + label(20, 290, short(chosen.home - chosen.reach)) + label(460, 290, short(chosen.home + chosen.reach), "end")
    + label(240, 290, "weight", "middle") + label(24, 22, `loss, ${short(low)} to ${short(high)}`);
}

/** The difference for each h, and the h where it is least. */
function show_errors(h, tangent) {
  const Xs = Array.from({ length: 61 }, (_, j) => j / 4), floor = 1e-16;
  const differences = Xs.map((x) => Math.max(apart(tangent, measured(10 ** -x)), floor));
  const point = (x, d) => [30 + 27 * x, 30 + (-Math.log10(Math.min(d, 1)) / 16) * 240];
  const powers = [0, 4, 8, 12, 16];
  $("errors").innerHTML = `<path class="grid" d="${powers.map((n) => `M30 ${30 + 15 * n}H435`).join("")}"/>`
    + `<path d="${route(Xs.map((x, j) => point(x, differences[j])))}"/>`
    + dot(point(-Math.log10(h), Math.max(apart(tangent, measured(h)), floor)), 8, "now")
    + powers.map((n) => label(440, 34 + 15 * n, n ? `1e-${n}` : "1")).join("")
    + [0, 5, 10, 15].map((n) => label(30 + 27 * n, 292, n ? `1e-${n}` : "h = 1", n ? "middle" : "start")).join("");
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
  const { data, columns } = now.grads[$("array").value], i = top_of(data);
  pick(Math.floor(i / columns), i % columns);
});
