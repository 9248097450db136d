// Appended to docs/draw.html, in a frame of some width, by test_draw_browser.py: uses the page as
// a reader would, and writes what is wrong, as JSON, into the page around it.
"use strict";
const findings = { width: innerWidth, checked: {}, wrong: [] };

function check(kind, good, what) {
  findings.checked[kind] = (findings.checked[kind] || 0) + 1;
  if (!good) findings.wrong.push(kind + ": " + what);
}

// --- contrast, WCAG 2.2: 4.5 to 1 for all text

function rgba(text) {
  const [r, g, b, a = 1] = text.match(/[\d.]+/g).map(Number);
  return text.startsWith("color(srgb") ? [255 * r, 255 * g, 255 * b, a] : [r, g, b, a];
}

function over([r, g, b, a], below) {
  return [r, g, b].map((c, i) => a * c + (1 - a) * below[i]);
}

function background(element) {
  if (!element) return [255, 255, 255];
  return over(rgba(getComputedStyle(element).backgroundColor), background(element.parentElement));
}

function luminance(colour) {
  const [r, g, b] = colour.map((c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function ratio(one, other) {
  const lights = [luminance(one), luminance(other)];
  return (Math.max(...lights) + 0.05) / (Math.min(...lights) + 0.05);
}

function papers(element) { // behind a text: its ground, and where a bar lies on it, the bar
  const plain = background(element), style = getComputedStyle(element);
  const bars = element.className.includes("bar") ? style.backgroundImage.match(/(rgba?|color)\([^()]*\)/g) : [];
  return [plain, ...bars.map((colour) => over(rgba(colour), plain))];
}

function check_contrast(kind) {
  for (const element of document.querySelectorAll("body *:not(script, style, pre *)")) {
    const written = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    if (!written || !element.checkVisibility() || element.matches(":disabled, option")) continue;
    const style = getComputedStyle(element), colour = element.closest("svg") ? style.fill : style.color;
    for (const paper of papers(element)) {
      const found = ratio(over(rgba(colour), paper), paper);
      check(kind, found >= 4.5, found.toFixed(2) + " " + element.outerHTML.slice(0, 90));
    }
  }
  const card = background($("curve"));
  for (const line of document.querySelectorAll(".plot .tangent, .plot .secant, .plot path:not(.grid)"))
    check(kind, ratio(rgba(getComputedStyle(line).stroke), card) >= 3 || line.localName === "circle", "a line: " + line.outerHTML.slice(0, 60));
}

for (const theme of ["light", "dark"]) {
  document.documentElement.dataset.theme = theme;
  check_contrast("contrast " + theme);
}

// --- structure

check("language", document.documentElement.lang === "en" && document.title, "lang or title");
for (const name of ["header", "main", "footer", "h1"]) {
  check("landmarks", document.querySelectorAll("body > " + name + ", header > " + name).length === 1, name);
}
let level = 0;
for (const heading of document.querySelectorAll("h1, h2, h3")) {
  const next = Number(heading.localName[1]);
  check("heading order", next <= level + 1 && heading.textContent.trim(), heading.outerHTML);
  level = next;
}
for (const th of document.querySelectorAll("th")) check("table heads", th.scope, th.outerHTML);
for (const picture of document.querySelectorAll("figure canvas:not(.tile *), svg"))
  check("pictures are named", picture.getAttribute("role") && (picture.getAttribute("aria-label") || picture.id === "seen"), picture.outerHTML.slice(0, 80));
check("identifiers", new Set([...document.querySelectorAll("[id]")].map((e) => e.id)).size === document.querySelectorAll("[id]").length, "twice");

// --- keyboard: everything that acts can be reached, named and seen

const active = [...document.querySelectorAll("a[href], button, input, select, canvas[tabindex]")];
for (const element of active) {
  const name = element.textContent.trim() || element.ariaLabel || element.getAttribute("aria-label") || element.closest("label")?.textContent.trim();
  check("names", name, element.outerHTML);
  if (element.disabled) continue;
  if (!element.classList.contains("tile")) check("tab order", element.tabIndex === 0, element.outerHTML);
  element.focus({ preventScroll: true });
  check("focus", document.activeElement === element, element.outerHTML);
  const style = getComputedStyle(element);
  check("focus is seen", style.outlineStyle === "solid" && parseFloat(style.outlineWidth) >= 2, element.outerHTML);
  const box = (element.closest("label") ?? element).getBoundingClientRect();
  if (element.localName !== "a") check("target size", box.width >= 24 && box.height >= 24, box.width + " x " + box.height + element.outerHTML);
}
active[0].focus();
check("skip link", active[0].className === "skip" && active[0].getBoundingClientRect().left >= 0, "out of sight");
active[0].blur();

check("tiles are one stop", tiles.filter((tile) => tile.tabIndex === 0).length === 1, "of the tab key");
const press = (element, key) => element.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
tiles[0].focus();
press(tiles[0], "ArrowRight");
check("arrows among tiles", document.activeElement === tiles[1] && tiles[1].tabIndex === 0 && tiles[0].tabIndex === -1, "right");
press(tiles[1], "ArrowDown");
check("arrows among tiles", tiles.indexOf(document.activeElement) > 2, "down");
press(document.activeElement, "ArrowUp");
press(document.activeElement, "ArrowLeft");
check("arrows among tiles", document.activeElement === tiles[0], "up and left");
press(tiles[0], "ArrowLeft");
check("arrows among tiles", document.activeElement === tiles[0], "at the edge");
tiles[0].blur();

// --- drawing: pen, finger and keys; the example gives way to the first stroke

const pixels_of = (id) => [...$(id).getContext("2d").getImageData(0, 0, $(id).width, $(id).height).data].join();
Object.assign(sheet, { setPointerCapture() {} }); // a made event has no pointer to capture
function move(kind, x, y) {
  const box = sheet.getBoundingClientRect();
  const at_page = { clientX: box.left + (x / SIDE) * box.width, clientY: box.top + (y / SIDE) * box.height };
  sheet.dispatchEvent(new PointerEvent(kind, { pointerId: 7, bubbles: true, button: 0, ...at_page }));
}
function stroke(...points) {
  points.forEach(([x, y], i) => move(i ? "pointermove" : "pointerdown", x, y));
  move("pointerup", ...points.at(-1));
  answer();
}
check("example", !now.empty && now.guess === 4 && now.target === 4 && untouched, $("verdict").textContent);
stroke([45, 25], [100, 25], [85, 60], [60, 118]);
check("a stroke", strokes.length === 1 && strokes[0].points.length === 4 && !untouched, JSON.stringify(strokes));
check("a seven", now.guess === 7 && now.target === 7 && /\b7 \(\d/.test($("verdict").textContent), $("verdict").textContent);
stroke([50, 70], [95, 68]);
check("a second stroke", strokes.length === 2 && now.guess === 7, $("verdict").textContent);
$("undo").click();
check("undo", strokes.length === 1, strokes.length);
$("clear").click();
answer();
check("clear", strokes.length === 0 && now.empty && /Nothing/.test($("verdict").textContent) && $("step").disabled, $("verdict").textContent);
sheet.focus();
for (const key of [..."UUUUUUUUU", " ", ..."DDDDDDDDDDDDDDDDDD", " "]) press(sheet, { U: "ArrowUp", D: "ArrowDown" }[key] ?? key);
answer();
check("drawing with keys", now.guess === 1 && strokes.length === 1, $("verdict").textContent);
sheet.blur();
for (const option of $("example").options) {
  $("example").value = option.value;
  $("example").dispatchEvent(new Event("change"));
  answer();
  check("examples", String(now.guess) === option.value.match(/\d/)[0] && now.target === now.guess, option.value);
}

// --- evidence: by pointer and by focus; a press keeps it

$("example").value = $("example").options[0].value;
$("example").dispatchEvent(new Event("change"));
answer();
const plain = pixels_of("seen");
const nine = classes[9].row.querySelector("button"), tile = tiles[now.A1.data.indexOf(Math.max(...now.A1.data))];
for (const element of [nine, tile]) {
  element.focus();
  const shown = pixels_of("seen");
  check("focus shows evidence", shown !== plain && /for and against/.test($("seen-title").textContent), element.outerHTML);
  element.blur();
  check("blur takes it away", pixels_of("seen") === plain, element.outerHTML);
  const place = element === nine ? classes[9].row : element;
  place.dispatchEvent(new PointerEvent("pointerenter"));
  check("the pointer shows the same", pixels_of("seen") === shown, element.outerHTML);
  place.dispatchEvent(new PointerEvent("pointerleave"));
  element.click();
  place.dispatchEvent(new PointerEvent("pointerleave"));
  check("a press keeps it", pixels_of("seen") === shown && element.ariaPressed === "true", element.outerHTML);
  element.click();
  check("a second press lets go", pixels_of("seen") === plain && element.ariaPressed === "false", element.outerHTML);
}
check("the gradient of a neuron", $("dW1-note").textContent.includes(`neuron ${now.steepest}:`), $("dW1-note").textContent);
const another = pixels_of("dW1"), awake = now.Z1.data.findIndex((z, h) => z > 0 && h !== now.steepest);
tiles[awake].click();
check("the gradient of a neuron", $("dW1-note").textContent.includes(`neuron ${awake}:`), $("dW1-note").textContent);
tiles[awake].click();
check("the gradient of a neuron", pixels_of("dW1") === another, "let go");
nine.focus();
const votes = tiles.map((each) => [each.classList.contains("for"), each.classList.contains("against")]);
check("neurons for and against a class", votes.some(([f]) => f) && votes.some(([, a]) => a) && !votes.some(([f, a]) => f && a), "none");
nine.blur();
const whole = matmul(zip(now.X, input_gradient(now.params, now.Z1, one_hot(9)), (x, slope) => x * slope), matrix(D, 1, () => 1)).data[0];
const biases = forward({ ...now.params, b1: map(now.params.b1, () => 0), b2: map(now.params.b2, () => 0) }, now.X);
check("evidence is a slope", Number.isFinite(whole) && biases.logits.data.length === K, whole);

// --- backward and learning

const before = now.loss;
targets[9].radio.click();
answer();
check("the right answer", now.target === 9 && now.loss > before && $("loss").textContent === short(now.loss), $("loss").textContent);
const losses = [now.loss];
for (let n = 0; n < 4; n++) {
  $("lr").value = 0.01;
  $("step").click();
  losses.push(now.loss);
}
check("learning", losses.every((loss, i) => !i || loss < losses[i - 1]) && now.guess === 9, losses.join());
check("learning is told", /Step 4: the loss went from/.test($("learnt").textContent) && $("losses").querySelectorAll("circle").length === 5, $("learnt").textContent);
$("lr").value = "nonsense";
check("a rate that is none", number($("lr")) === 0.005, number($("lr")));
$("lr").value = "-1";
check("a rate that is none", number($("lr")) === 0.005, number($("lr")));
$("reset").click();
check("reset", now.loss === losses[0] && now.params === first_params && !now.losses.length, now.loss);

// --- is the gradient right?

function curve_now() { // what would be drawn when the pen has rested
  clearTimeout(later);
  curve_is_old();
  clearTimeout(later);
  draw_curve();
}
for (const name of ["W1", "b1", "W2", "b2"]) {
  $("array").value = name;
  $("array").dispatchEvent(new Event("change"));
  $("steepest").click();
  $("h").value = 5;
  curve_now();
  const [tangent, secant] = ["tangent", "secant"].map((id) => Number($(id).textContent));
  check("slopes agree", tangent && Math.abs(tangent - secant) < 1e-6 * Math.abs(tangent), name + " " + tangent + " " + secant);
  const agreeing = $("difference").textContent;
  for (const [h, words] of [[0.5, /so large/], [14, /so small/]]) {
    $("h").value = h;
    $("h").dispatchEvent(new Event("input"));
    check("h too large or small", words.test($("advice").textContent) && Number($("difference").textContent) > 10 * Number(agreeing), name + $("advice").textContent);
  }
  const there = $("curve").innerHTML;
  $("weight").value = 0.5;
  $("weight").dispatchEvent(new Event("input"));
  check("dragging", $("curve").innerHTML !== there && chosen.value > chosen.home, name);
  $("weight").value = 0;
}
$("array").value = "W1";
pick(0, 0);
curve_now();
check("a black pixel", /pixel is black/.test($("advice").textContent) && Number($("tangent").textContent) === 0, $("advice").textContent);
const off = now.Z1.data.findIndex((z) => z <= 0), inked = now.X.data.indexOf(1);
pick(inked, off);
curve_now();
check("a neuron that is off", /is off/.test($("advice").textContent), $("advice").textContent);
const where = $("pick").getBoundingClientRect();
$("pick").dispatchEvent(new MouseEvent("click", { clientX: where.left + where.width * 0.51, clientY: where.top + where.height * 0.51 }));
check("a press on a pixel", Number($("row").value) === 14 * 28 + 14, $("row").value);

// --- time: from a stroke to all that is shown, laid out

const times = [];
for (let n = 0; n < 12 || (n < 80 && Math.min(...times) >= 50); n++) {
  strokes = [{ width: 9, points: [[40 + n, 30], [100, 30 + n], [60, 118 - n]] }];
  const start = performance.now();
  answer();
  document.body.getBoundingClientRect();
  times.push(performance.now() - start);
}
findings.milliseconds = Math.min(...times); // other programs only make it longer

// --- theme, the code, width and network

const dark = $("dark"), lights = {};
for (let i = 0; i < 2; i++) {
  dark.click();
  lights[dark.getAttribute("aria-pressed")] = luminance(background(document.body));
}
check("dark", lights.true < 0.1 && lights.false > 0.8, JSON.stringify(lights));
check("the code is shown", $("listing").textContent === $("mathematics").textContent.trim() && $("listing").querySelectorAll("a").length > 20, "another");
for (const element of document.querySelectorAll("body *:not(pre *, .skip)")) {
  const { right, left, width } = element.getBoundingClientRect();
  check("width", !width || (right <= innerWidth + 1 && left >= -1), right + " " + element.outerHTML.slice(0, 90));
}
check("no sideways scrolling", document.documentElement.scrollWidth <= innerWidth, document.documentElement.scrollWidth);
check("no request", performance.getEntriesByType("resource").length === 0, "something was fetched");

const out = parent.document.createElement("pre");
out.className = "found";
out.hidden = true;
out.textContent = JSON.stringify(findings);
parent.document.body.append(out);
