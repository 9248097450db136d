// Appended to the side-by-side page, in a frame of some width, by test_side_by_side_browser.py:
// uses the page as a reader would, and writes what is wrong, as JSON, into the page around it.
"use strict";
const findings = { width: innerWidth, checked: {}, wrong: [] };

function check(kind, good, what) {
  findings.checked[kind] = (findings.checked[kind] || 0) + 1;
  if (!good) findings.wrong.push(kind + ": " + what);
}

// --- two columns at first, the third is one click away

const columns = [...document.querySelectorAll(".bar button[data-column]")];
const shown = () => [...document.querySelectorAll("#E5 .cell")].filter((cell) => cell.checkVisibility()).length;
check("columns", shown() === 2 && columns[2].getAttribute("aria-pressed") === "false", "two at first");
columns[2].click();
check("columns", shown() === 3, "the third is one click away");

// --- contrast, WCAG 2.2: 4.5 to 1 for all text

function rgba(text) {
  const [r, g, b, a = 1] = text.match(/[\d.]+/g).map(Number);
  return [r, g, b, a];
}

function over([r, g, b, a], below) {
  return [r, g, b].map((c, i) => a * c + (1 - a) * below[i]);
}

function background(element, known = new Map()) {
  if (!element) return [255, 255, 255];
  if (!known.has(element)) {
    const layer = rgba(getComputedStyle(element).backgroundColor);
    known.set(element, over(layer, background(element.parentElement, known)));
  }
  return known.get(element);
}

function luminance(colour) {
  const [r, g, b] = colour.map((c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function contrast(element, known) {
  const paper = background(element, known);
  const lights = [luminance(over(rgba(getComputedStyle(element).color), paper)), luminance(paper)];
  return (Math.max(...lights) + 0.05) / (Math.min(...lights) + 0.05);
}

function checkContrast(kind) {
  const known = new Map();
  for (const element of document.querySelectorAll("body *:not(script):not(style)")) {
    const written = [...element.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    if (!written) continue;
    const ratio = contrast(element, known);
    check(kind, ratio >= 4.5, ratio.toFixed(2) + " " + element.outerHTML.slice(0, 90));
  }
}

for (const theme of ["light", "dark"]) {
  document.documentElement.dataset.theme = theme;
  checkContrast("contrast " + theme);
  const marked = [...document.querySelectorAll("[data-s]")];
  for (const each of marked) each.classList.add("on");
  checkContrast("contrast of marked symbols " + theme);
  for (const each of marked) each.classList.remove("on");
}

// --- structure

check("language", document.documentElement.lang === "en" && document.title, "lang or title");
for (const name of ["header", "nav", "main", "footer", "h1"]) {
  check("landmarks", document.querySelectorAll("body " + name).length === 1, name);
}
let level = 0;
for (const heading of document.querySelectorAll("h1, h2, h3, h4")) {
  const next = Number(heading.localName[1]);
  check("heading order", next <= level + 1 && heading.textContent.trim(), heading.outerHTML);
  level = next;
}
for (const th of document.querySelectorAll("th")) check("table heads", th.scope, th.outerHTML);
for (const table of document.querySelectorAll("table")) check("captions", table.caption, table.className);
for (const section of document.querySelectorAll("section")) {
  const label = document.getElementById(section.getAttribute("aria-labelledby"));
  check("named sections", label && label.textContent.trim(), section.id);
}

// --- keyboard: everything that acts can be reached, named and seen

const active = [...document.querySelectorAll("a[href], button, summary")];
for (const element of active) {
  check("names", element.textContent.trim(), element.outerHTML);
  check("tab order", element.tabIndex === 0, element.outerHTML);
  element.focus({ preventScroll: true });
  const style = getComputedStyle(element);
  check("focus is seen", style.outlineStyle === "solid" && parseFloat(style.outlineWidth) >= 2, element.outerHTML);
  if (element.localName === "button") {
    check("pressed or not", ["true", "false"].includes(element.getAttribute("aria-pressed")), element.outerHTML);
    const box = element.getBoundingClientRect();
    check("target size", box.width >= 24 && box.height >= 24, box.width + " x " + box.height + element.outerHTML);
  }
}
active[0].focus();
check("skip link", active[0].className === "skip" && active[0].getBoundingClientRect().left >= 0, "out of sight");
active[0].blur();

// --- symbols: the same mark by focus, by pointer, and held by a press

const marks = (place) => place.querySelectorAll(".on").length;
for (const row of document.querySelectorAll(".row")) {
  for (const button of row.querySelectorAll(".shapes button")) {
    const what = row.id + " " + button.textContent;
    button.focus({ preventScroll: true });
    for (const cell of row.querySelectorAll(".cell")) check("focus marks every cell", marks(cell), what);
    check("focus marks the table", button.classList.contains("on"), what);
    const count = marks(row);
    button.blur();
    check("blur lets go", marks(row) === 0, what);
    const code = [...row.querySelectorAll(".cell b")].find((b) => b.dataset.s === button.dataset.s);
    code.dispatchEvent(new MouseEvent("mouseover", { bubbles: true }));
    check("the pointer marks the same", marks(row) === count, what);
    row.dispatchEvent(new MouseEvent("mouseleave"));
    button.click();
    check("a press holds", button.getAttribute("aria-pressed") === "true" && marks(row) === count, what);
    button.dispatchEvent(new KeyboardEvent("keydown", { key: "Escape", bubbles: true }));
    check("Escape lets go", button.getAttribute("aria-pressed") === "false" && marks(row) === 0, what);
  }
}

// --- switches

for (const each of columns) each.click();
check("columns", shown() === 1, "the last stays");
for (const each of columns) if (each.getAttribute("aria-pressed") === "false") each.click();
check("columns", shown() === 3, "all again");

// --- questions

for (const details of document.querySelectorAll("details")) {
  const answer = details.querySelector("p");
  check("questions", !details.open && !answer.checkVisibility(), "folded in " + details.textContent);
  details.querySelector("summary").click();
  check("questions", details.open && answer.checkVisibility(), "unfolded by a click");
}
check("questions", document.querySelectorAll(".row").length === document.querySelectorAll("details").length, "one a row");

// --- no line begins with what closes a sentence

for (const whole of document.querySelectorAll(".whole")) {
  const boxes = [...whole.getClientRects()];
  check("whole", boxes.length === 1, "broken: " + whole.textContent);
}
for (const piece of document.querySelectorAll(".eq math")) {
  check("pieces", !/^\s*[,.)]/.test(piece.textContent), "begins with " + piece.textContent);
}

const theme = document.getElementById("dark");
const papers = {};
for (let i = 0; i < 2; i++) {
  theme.click();
  papers[theme.getAttribute("aria-pressed")] = luminance(background(document.body));
}
check("dark", papers.true < 0.1 && papers.false > 0.8, JSON.stringify(papers));

// --- width and network

for (const element of document.querySelectorAll("body *")) {
  const { right, width } = element.getBoundingClientRect();
  check("width", !width || right <= innerWidth + 1, right + " " + element.outerHTML.slice(0, 90));
}
check("no sideways scrolling", document.documentElement.scrollWidth <= innerWidth, document.documentElement.scrollWidth);
check("no request", performance.getEntriesByType("resource").length === 0, "something was fetched");

const out = parent.document.createElement("pre");
out.className = "found";
out.textContent = JSON.stringify(findings);
parent.document.body.append(out);
