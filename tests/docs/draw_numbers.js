// Run after draw.js and draw_prepare.js, in node and in the page, by test_draw.py and
// test_draw_browser.py: what the page computes of a drawing, as base64 of float64.
"use strict";

function base64(data) {
  const bytes = new Uint8Array(new Float64Array(data).buffer);
  let text = "";
  for (let i = 0; i < bytes.length; i += 4096) text += String.fromCharCode(...bytes.subarray(i, i + 4096));
  return btoa(text);
}

/** Differences in whatever entry matters most in each array: the page's measure and its backward. */
function checked(params, X, y, grads) {
  return Object.entries(grads).flatMap(([name, { data }]) => {
    const i = data.reduce((best, v, j) => (Math.abs(v) > Math.abs(data[best]) ? j : best), 0);
    return [central_difference(params, X, y, name, i, params[name].data[i], 1e-5), data[i]];
  });
}

/** Everything for one drawing; whole also sends the arrays of W1's size as they are, not as sums. */
function numbers(params, drawing, { shape, target, lr, momentum, whole, u, v }) {
  const X = prepared(drawing, shape);
  if (!X) return { empty: true };
  const { Z1, A1, logits } = forward(params, X);
  const guess = logits.data.indexOf(Math.max(...logits.data));
  if (target === guess) target = (target + 1) % logits.columns; // a loss that is not near 0
  const y = matrix(1, logits.columns, (_, k) => +(k === target));
  const { loss, dlogits } = cross_entropy(logits, y);
  const grads = backward(params, X, Z1, A1, dlogits);
  let state = { params, velocity: zeros(params) };
  for (let n = 0; n < 3; n++) state = step(state.params, state.velocity, X, y, lr, momentum);
  const sent = { X, Z1, A1, logits, P: softmax(logits), loss: { data: [loss] }, dlogits,
    dX: input_gradient(params, Z1, dlogits), checked: { data: checked(params, X, y, grads) } };
  for (const [kind, arrays] of Object.entries({ d: grads, new: state.params, V: state.velocity }))
    for (const [name, W] of Object.entries(arrays)) {
      if (name !== "W1" || whole) sent[kind + name] = W;
      else Object.assign(sent, { [`${kind}W1 @ v`]: matmul(W, v), [`u @ ${kind}W1`]: matmul(u, W) });
    }
  const found = { guess, target };
  for (const [name, { data }] of Object.entries(sent)) found[name] = base64(data);
  return found;
}
