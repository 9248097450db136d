// What the network gets to see of a drawing: datasets/read/digit.py once more, in JavaScript,
// and the resizing of Pillow that it relies on. Matrix, map, zip, at, ... are those of draw.js.
//
// A drawing is a Matrix of ink from 0 to 1 on a ground of 0, with nothing at the border; so there
// is no paper, light or noise to be told from ink, as there is in a photograph.
"use strict";

const CELLS = 64; // the picture is cut into at most so many cells a side
const SPECK = 0.05; // of the largest piece's ink: a piece with less is dirt
const THIN = 1.5, PEN = 2.2; // strokes thinner than THIN pixels of the 20 are drawn with PEN
const EDGE = 0.3; // of full ink: so far a large digit reaches

function most(A) {
  let best = 0;
  for (const v of A.data) if (v > best) best = v;
  return best;
}

/** The nearest integer; a half goes to the even one, as in Python. */
function round(x) {
  const low = Math.floor(x);
  return x - low === 0.5 ? low + (low % 2) : Math.round(x);
}

/** A drawing as MNIST would show it, (28, 28) from 0 to 1, or null if it is empty. */
function as_mnist(drawing) {
  if (most(drawing) < 0.08) return null;
  const ink = cropped(full(digit(full(drawing))));
  return centred(fitted(with_pen(ink)));
}

/** From 0 to 1, where 1 is what most strokes have in their middle. */
function full(ink) {
  const least = otsu(ink);
  const strokes = ink.data.filter((v) => v > least).sort();
  const at = 0.9 * (strokes.length - 1), low = Math.floor(at);
  const nine_tenths = strokes[low] + (at - low) * (strokes[Math.ceil(at)] - strokes[low]);
  return map(ink, (v) => Math.min(v / nine_tenths, 1));
}

/** The threshold that best parts values from 0 up into two groups (Otsu 1979). */
function otsu(ink) {
  const values = ink.data, top = most(ink), counts = new Float64Array(256);
  for (const v of values) counts[Math.min(Math.floor((v / top) * 256), 255)]++;
  const mean = (b) => ((b + 0.5) / 256) * top; // of a bin
  const all = counts.reduce((total, n, b) => total + n * mean(b), 0);
  let best = -1, threshold = 0, below = 0, total = 0;
  for (let b = 0; b < 256; b++) {
    below += counts[b];
    total += counts[b] * mean(b);
    const spread = (all * below - values.length * total) ** 2 / Math.max(below * (values.length - below), 1);
    if (spread > best) [best, threshold] = [spread, ((b + 1) / 256) * top];
  }
  return threshold;
}

/** The ink without specks: cells with ink that touch each other hang together, small pieces are dirt. */
function digit(ink) {
  const side = Math.ceil(Math.max(ink.rows, ink.columns) / CELLS);
  const amount = new Matrix(Math.ceil(ink.rows / side), Math.ceil(ink.columns / side));
  const cell = (i) => Math.floor(Math.floor(i / ink.columns) / side) * amount.columns + Math.floor((i % ink.columns) / side);
  ink.data.forEach((v, i) => { if (v > 0.3) amount.data[cell(i)] += v; });
  const found = pieces(amount);
  const weight = (piece) => piece.reduce((total, i) => total + amount.data[i], 0);
  const heaviest = Math.max(...found.map(weight));
  const kept = new Set(found.filter((piece) => weight(piece) > SPECK * heaviest).flat()
    .flatMap((i) => neighbours(amount, i)));
  return new Matrix(ink.rows, ink.columns, ink.data.map((v, i) => (kept.has(cell(i)) ? v : 0)));
}

/** The cell i and the up to eight around it. */
function neighbours(A, i) {
  const row = Math.floor(i / A.columns), column = i % A.columns, near = [];
  for (let r = Math.max(row - 1, 0); r <= Math.min(row + 1, A.rows - 1); r++)
    for (let c = Math.max(column - 1, 0); c <= Math.min(column + 1, A.columns - 1); c++) near.push(r * A.columns + c);
  return near;
}

/** The cells above 0, as lists of those that hang together. */
function pieces(amount) {
  const seen = new Set(), found = [];
  amount.data.forEach((v, start) => {
    if (!v || seen.has(start)) return;
    const piece = [start];
    seen.add(start);
    for (const i of piece) // the list grows while it is walked
      for (const j of neighbours(amount, i))
        if (amount.data[j] && !seen.has(j)) piece.push(j), seen.add(j);
    found.push(piece);
  });
  return found;
}

function cropped(ink) {
  const tight = box(ink, 0);
  return Math.max(tight.rows, tight.columns) > 28 ? box(tight, EDGE) : tight;
}

/** The rows and columns from the first to the last that hold more than least. */
function box(ink, least) {
  const rows = fold_rows(ink, larger).data, columns = fold_columns(ink, larger).data;
  const inside = (line) => [line.findIndex((v) => v > least), line.findLastIndex((v) => v > least)];
  const [top, bottom] = inside(rows), [left, right] = inside(columns);
  return matrix(bottom - top + 1, right - left + 1, (r, c) => at(ink, top + r, left + c));
}

/** A thin pen on a large sheet would fade to nothing when averaged: thicken it first. */
function with_pen(ink) {
  const small = Math.max(ink.rows, ink.columns) > 160 ? resized(ink, 160) : ink;
  const side = Math.max(small.rows, small.columns), thick = (thickness(small) * 20) / side;
  const reach = thick < THIN ? round(((PEN - thick) * side) / 20 / 2) : 0;
  if (!reach) return small;
  return map(T(thickened(T(thickened(small, reach)), reach)), (v) => round(v * 255) / 255);
}

/** Each row longer by 2 reach, each entry the largest of those up to reach to its left and right. */
function thickened(A, reach) {
  return matrix(A.rows, A.columns + 2 * reach, (r, c) => {
    let best = 0;
    for (let i = c - 2 * reach; i <= c; i++) best = Math.max(best, at(A, r, i));
    return best;
  });
}

/** Width of the strokes in pixels: twice the area over the length of the outline. */
function thickness(ink) {
  const black = (r, c) => at(ink, r, c) > 0.5;
  let steps = 0; // a slanted line takes 4 / pi of them
  for (let r = 0; r <= ink.rows; r++)
    for (let c = 0; c <= ink.columns; c++) steps += (black(r, c) !== black(r - 1, c)) + (black(r, c) !== black(r, c - 1));
  return (2 * ink.data.reduce(plus)) / Math.max((steps * Math.PI) / 4, 1);
}

function fitted(ink) {
  const small = resized(ink, 20), top = most(small);
  return map(small, (v) => Math.min(Math.max(v / top, 0), 1));
}

/** The longer side becomes side; when it shrinks, every pixel takes part in the average. */
function resized(ink, side) {
  const long = Math.max(ink.rows, ink.columns);
  const [rows, columns] = [ink.rows, ink.columns].map((n) => Math.max(1, round((n * side) / long)));
  return resize(ink, rows, columns, long > side ? BOX : BICUBIC);
}

/** The centre of the ink lies on pixel 14 of 28, as in every digit of MNIST. */
function centred(ink) {
  const top = first(fold_rows(ink, plus).data), left = first(fold_columns(ink, plus).data);
  return matrix(28, 28, (r, c) => at(ink, r - top, c - left));
}

/** Where n rows (or columns), with so much ink in each, begin in the frame. */
function first(line) {
  const moment = line.reduce((total, v, i) => total + v * (i + 0.5), 0);
  const middle = Math.floor(moment / line.reduce(plus) + 1e-3); // a centre between two pixels: the later one
  return Math.min(Math.max(14 - middle, 0), 28 - line.length);
}

// --- resizing, as Pillow does it --------------------------------------------------

const BOX = { reach: 0.5, weight: (x) => +(x > -0.5 && x <= 0.5) };
const BILINEAR = { reach: 1, weight: (x) => Math.max(1 - Math.abs(x), 0) };
const BICUBIC = { reach: 2, weight: (x) => ((x = Math.abs(x)) < 1 ? (1.5 * x - 2.5) * x * x + 1 : ((2.5 - 0.5 * x) * x - 4) * x + 2) };

function resize(A, rows, columns, filter) {
  return T(with_columns(T(with_columns(A, columns, filter)), rows, filter));
}

/** A with n columns: each is the mean of those of A that the filter reaches from its middle. */
function with_columns(A, n, filter) {
  const Y = new Matrix(A.rows, n), scale = A.columns / n, wide = Math.max(scale, 1);
  for (let c = 0; c < n; c++) {
    const middle = (c + 0.5) * scale, reach = filter.reach * wide;
    const from = Math.max(Math.floor(middle - reach + 0.5), 0), to = Math.min(Math.floor(middle + reach + 0.5), A.columns);
    const weights = Array.from({ length: to - from }, (_, i) => filter.weight((from + i + 0.5 - middle) / wide));
    const total = weights.reduce(plus);
    for (let r = 0; r < A.rows; r++) {
      let y = 0;
      for (let i = from; i < to; i++) y += weights[i - from] * A.data[r * A.columns + i];
      Y.data[r * n + c] = y / total;
    }
  }
  return Y;
}

/** What a network for pictures (channels, rows, columns) gets to see of a drawing: X (1, D), or null. */
function prepared(drawing, [channels, rows, columns]) {
  const digits = channels === 1 && rows === 28 && columns === 28;
  const seen = digits ? as_mnist(drawing) : resize(drawing, rows, columns, BILINEAR);
  return seen && matrix(1, channels * rows * columns, (_, i) => seen.data[i % seen.data.length]);
}
