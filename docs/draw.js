// The mathematics of docs/draw.html: functional_net.py once more, in plain JavaScript.
//
// The names, their order and the numbers of the equations are those of functional_net.py; read
// the two beside each other. Each number has a row of explanation in docs/side_by_side.html.
// Samples are rows, and each function returns new values. The weights come from a file, so
// there is no init; a drawing is one sample, so there are no batches. Everything is float64.
//
// N samples, D inputs, H hidden neurons, K classes.     dX is d loss / d X, for any X.
//     E1 Y = X W + b      E2 Y = f(X)      E3 the loss, mean over N    E4 its gradient dY
//     E5 dW = X' dY       E6 db = sum over n of dY     E7 dX = dY W'   E8 dX = dY * f'(X)
//     E9 V <- momentum V - lr dW,  W <- W + V, where V is the velocity of W
"use strict";

// --- arrays: the little of NumPy that is needed ---------------------------------

class Matrix {
  constructor(rows, columns, data = new Float64Array(rows * columns)) {
    this.rows = rows;
    this.columns = columns;
    this.data = data; // row after row
  }
}

/** A new matrix of that size whose entry in row r and column c is f(r, c). */
function matrix(rows, columns, f) {
  const A = new Matrix(rows, columns);
  for (let r = 0, i = 0; r < rows; r++) for (let c = 0; c < columns; c++) A.data[i++] = f(r, c);
  return A;
}

/** The entry in row r and column c; 0 outside. */
function at(A, r, c) {
  return r >= 0 && r < A.rows && c >= 0 && c < A.columns ? A.data[r * A.columns + c] : 0;
}

/** f of every entry. */
function map(A, f) {
  return new Matrix(A.rows, A.columns, A.data.map(f));
}

/** f of every entry of A and the entry of B in the same place; a B of one row, or one column, serves them all. */
function zip(A, B, f) {
  const Y = new Matrix(A.rows, A.columns), down = B.rows > 1 ? B.columns : 0, right = B.columns > 1 ? 1 : 0;
  for (let r = 0, i = 0; r < A.rows; r++)
    for (let c = 0; c < A.columns; c++, i++) Y.data[i] = f(A.data[i], B.data[r * down + c * right]);
  return Y;
}

/** The transpose: A.T in NumPy. */
function T(A) {
  return matrix(A.columns, A.rows, (r, c) => at(A, c, r));
}

/** The product: A @ B in NumPy. What is 0 in A is skipped: most pixels are. */
function matmul(A, B) {
  const Y = new Matrix(A.rows, B.columns);
  for (let r = 0; r < A.rows; r++)
    for (let i = 0; i < A.columns; i++) {
      const a = A.data[r * A.columns + i];
      if (a) for (let c = 0; c < B.columns; c++) Y.data[r * Y.columns + c] += a * B.data[i * B.columns + c];
    }
  return Y;
}

/** Each row folded to one number, (N, 1), and each column, (1, K). */
function fold_rows(A, f) {
  return matrix(A.rows, 1, (r) => {
    let total = at(A, r, 0);
    for (let c = 1; c < A.columns; c++) total = f(total, at(A, r, c));
    return total;
  });
}
function fold_columns(A, f) {
  return T(fold_rows(T(A), f));
}

const plus = (a, b) => a + b;
const larger = (a, b) => Math.max(a, b);

// --- init: params, gradients and velocities are {W1 (D, H), b1 (1, H), W2 (H, K), b2 (1, K)} ---

/** The velocity at the start: zeros in the shapes of params. */
function zeros(params) {
  return each(params, (W) => map(W, () => 0));
}

/** f of every array of params, under its name. */
function each(params, f) {
  return Object.fromEntries(Object.entries(params).map(([name, W]) => [name, f(W, name)]));
}

// --- forward --------------------------------------------------------------------

/** Pre-activation Z1 (N, H), activation A1 (N, H) and logits (N, K). */
function forward(params, X) {
  const Z1 = zip(matmul(X, params.W1), params.b1, plus); // (E1)  (N, H)
  const A1 = map(Z1, (z) => Math.max(z, 0)); // (E2)  (N, H)
  const logits = zip(matmul(A1, params.W2), params.b2, plus); // (E1)  (N, K)
  return { Z1, A1, logits };
}

// --- loss -----------------------------------------------------------------------

/** Probabilities (N, K): exp(logits), each row divided by its sum. */
function softmax(logits) {
  // Subtracting the row's maximum changes nothing, and exp cannot overflow.
  const exp = map(zip(logits, fold_rows(logits, larger), (z, top) => z - top), Math.exp);
  return zip(exp, fold_rows(exp, plus), (e, total) => e / total);
}

/** Mean over n of -log softmax(logits)[target], and its gradient (N, K). */
function cross_entropy(logits, y) {
  const N = y.rows;
  const shifted = zip(logits, fold_rows(logits, larger), (z, top) => z - top); // (N, K)
  const total = fold_rows(map(shifted, Math.exp), plus); // (N, 1)
  const surprise = zip(shifted, total, (z, sum) => Math.log(sum) - z); // (N, K)
  const loss = zip(y, surprise, (t, s) => t * s).data.reduce(plus) / N; // (E3)
  const dlogits = zip(softmax(logits), y, (p, t) => (p - t) / N); // (E4)  (N, K)
  return { loss, dlogits };
}

// --- backward -------------------------------------------------------------------

/** The gradients of the loss with respect to params. */
function backward(params, X, Z1, A1, dlogits) {
  const dW2 = matmul(T(A1), dlogits); // (E5)  (H, K)
  const db2 = fold_columns(dlogits, plus); // (E6)  (1, K)
  const dA1 = matmul(dlogits, T(params.W2)); // (E7)  (N, H)
  const dZ1 = zip(dA1, Z1, (d, z) => d * (z > 0)); // (E8)  (N, H)
  const dW1 = matmul(T(X), dZ1); // (E5)  (D, H)
  const db1 = fold_columns(dZ1, plus); // (E6)  (1, H)
  return { W1: dW1, b1: db1, W2: dW2, b2: db2 };
}

/** dX (N, D): how the loss changes with each pixel. */
function input_gradient(params, Z1, dlogits) {
  const dZ1 = zip(matmul(dlogits, T(params.W2)), Z1, (d, z) => d * (z > 0)); // (N, H)
  return matmul(dZ1, T(params.W1)); // (N, D)
}

// --- update ---------------------------------------------------------------------

/** One step of SGD with momentum (Polyak, 1964): new values, old ones untouched. */
function update(params, velocity, grads, lr, momentum) {
  const V_new = each(velocity, (V, name) => zip(V, grads[name], (v, dw) => momentum * v - lr * dw)); // (E9)
  const W_new = each(params, (W, name) => zip(W, V_new[name], plus)); // (E9)
  return { params: W_new, velocity: V_new };
}

// --- train ----------------------------------------------------------------------

/** One training step: new params and velocity, and the loss before it. */
function step(params, velocity, X, y, lr, momentum) {
  const { Z1, A1, logits } = forward(params, X);
  const { loss, dlogits } = cross_entropy(logits, y);
  const grads = backward(params, X, Z1, A1, dlogits);
  return { ...update(params, velocity, grads, lr, momentum), loss };
}

// --- gradient check -------------------------------------------------------------

/** The loss, if entry i of the array of that name had another value. */
function loss_at(params, X, y, name, i, value) {
  const W = map(params[name], (w) => w);
  W.data[i] = value;
  return cross_entropy(forward({ ...params, [name]: W }, X).logits, y).loss;
}

/** The slope of the loss along that entry, at value, from the losses h to either side. */
function central_difference(params, X, y, name, i, value, h) {
  const [high, low] = [value + h, value - h].map((at) => loss_at(params, X, y, name, i, at));
  return (high - low) / (2 * h);
}
