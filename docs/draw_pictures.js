// What docs/draw.html paints with: the weights of the file, numbers as pixels, bars and lines.
"use strict";

const $ = (id) => document.getElementById(id);

const file = JSON.parse($("weights").textContent);
const [CHANNELS, ROWS, COLUMNS] = file.shape;
const D = file.W1.rows, H = file.W1.columns, K = file.W2.columns;

/** 16-bit levels in base64, as docs/draw.py packed them, as the weights they stand for. */
function unpacked({ rows, columns, unit, levels }) {
  const bytes = Uint8Array.from(atob(levels), (letter) => letter.charCodeAt(0));
  return new Matrix(rows, columns, Float64Array.from(new Int16Array(bytes.buffer), (level) => level * unit));
}

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

/** Where the largest value lies, signs aside. */
function top_of(values) {
  const sizes = Array.from(values, Math.abs);
  return sizes.indexOf(sizes.reduce(larger));
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
  cell.style.setProperty("--from", (size < 100 ? (100 * from) / (100 - size) : 0) + "%"); // of the room that is left
  cell.style.setProperty("--size", size + "%");
  cell.classList.toggle("above", value > 0);
  cell.textContent = text;
}

const short = (v) => (v && (Math.abs(v) < 1e-3 || Math.abs(v) >= 1e5) ? v.toExponential(2) : v.toFixed(3));
const percent = (p) => (100 * p).toFixed(1) + " %";

// --- lines and dots of a plot, as SVG

const route = (points) => points.map(([x, y], i) => `${i ? "L" : "M"}${x.toFixed(2)} ${y.toFixed(2)}`).join("");
const dot = ([x, y], r, kind = "") => `<circle class="${kind}" cx="${x.toFixed(2)}" cy="${y.toFixed(2)}" r="${r}"/>`;
const label = (x, y, text, anchor = "start") => `<text x="${x}" y="${y}" text-anchor="${anchor}">${text}</text>`;
