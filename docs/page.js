"use strict";

// --- symbols: what is pointed at, or pinned with its button, is marked in its row

function mark(row) {
  const wanted = row.pointed || row.pinned;
  for (const each of row.querySelectorAll("[data-s]")) {
    const symbol = each.getAttribute("data-s");
    each.classList.toggle("on", symbol === wanted);
    if (each.localName === "button") each.setAttribute("aria-pressed", String(symbol === row.pinned));
  }
}

function symbolAt(event) {
  const place = event.target.closest("[data-s]");
  return place && place.getAttribute("data-s");
}

for (const row of document.querySelectorAll(".row")) {
  const point = (symbol) => { row.pointed = symbol; mark(row); };
  row.addEventListener("mouseover", (event) => point(symbolAt(event)));
  row.addEventListener("mouseleave", () => point(null));
  row.addEventListener("focusin", (event) => point(symbolAt(event)));
  row.addEventListener("focusout", () => point(null));
  row.addEventListener("click", (event) => {
    const symbol = symbolAt(event);
    if (!symbol) return;
    row.pinned = row.pinned === symbol ? null : symbol;
    point(null);
  });
  row.addEventListener("keydown", (event) => {
    if (event.key === "Escape") { row.pinned = null; point(null); }
  });
}

// --- columns on and off; one of them stays

const switches = [...document.querySelectorAll(".bar button[data-column]")];

function show(button, on) {
  button.setAttribute("aria-pressed", String(on));
  const column = button.getAttribute("data-column");
  for (const cell of document.querySelectorAll(".cell[data-column='" + column + "']")) cell.hidden = !on;
}

for (const button of switches) {
  button.addEventListener("click", () => {
    show(button, button.getAttribute("aria-pressed") !== "true");
    const shown = switches.filter((each) => each.getAttribute("aria-pressed") === "true");
    if (!shown.length) show(button, true);
  });
}
show(switches[2], false); // two fit beside each other in letters of full size

// --- dark or light: as the system has it, until the reader decides

const dark = document.getElementById("dark");
const system = matchMedia("(prefers-color-scheme: dark)");

function paint() {
  const chosen = document.documentElement.dataset.theme;
  dark.setAttribute("aria-pressed", String(chosen ? chosen === "dark" : system.matches));
}

dark.addEventListener("click", () => {
  const next = dark.getAttribute("aria-pressed") === "true" ? "light" : "dark";
  document.documentElement.dataset.theme = next;
  try { localStorage.setItem("theme", next); } catch { /* not from a file everywhere */ }
  paint();
});
system.addEventListener("change", paint);
try { document.documentElement.dataset.theme = localStorage.getItem("theme") || ""; } catch { /* the same */ }
paint();
