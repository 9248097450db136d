"""The naive twins of cnn: plain loops, one number at a time, nothing clever. Slow and obvious.

Each returns the output and a function that turns dY into the gradients, in float64.
"""

from itertools import product

import numpy as np


def linear(X, W, b):
    (N, D), K = X.shape, W.shape[1]
    Y = np.zeros((N, K))
    for n, k in product(range(N), range(K)):
        Y[n, k] = b[0, k] + sum(X[n, d] * W[d, k] for d in range(D))

    def backward(dY):
        dX, dW, db = np.zeros(X.shape), np.zeros(W.shape), np.zeros(b.shape)
        for n, d, k in product(range(N), range(D), range(K)):
            dX[n, d] += dY[n, k] * W[d, k]
            dW[d, k] += X[n, d] * dY[n, k]
        for n, k in product(range(N), range(K)):
            db[0, k] += dY[n, k]
        return dX, dW, db

    return Y, backward


def conv2d(X, W, b, stride, pads):
    """pads = ((top, bottom), (left, right)), stride = (rows, columns)."""
    P = np.pad(X, ((0, 0), (0, 0), *pads))
    (N, _, HP, WP), (F, _, KH, KW), (SH, SW) = P.shape, W.shape, stride
    Y = np.zeros((N, F, (HP - KH) // SH + 1, (WP - KW) // SW + 1))
    for n, f, y, x in np.ndindex(Y.shape):
        window = P[n, :, y * SH : y * SH + KH, x * SW : x * SW + KW]
        Y[n, f, y, x] = (window * W[f]).sum() + b[f]

    def backward(dY):
        dP, dW, db = np.zeros(P.shape), np.zeros(W.shape), np.zeros(b.shape)
        for n, f, y, x in np.ndindex(Y.shape):
            at = n, slice(None), slice(y * SH, y * SH + KH), slice(x * SW, x * SW + KW)
            dP[at] += dY[n, f, y, x] * W[f]
            dW[f] += dY[n, f, y, x] * P[at]
            db[f] += dY[n, f, y, x]
        (top, _), (left, _) = pads
        return dP[:, :, top : top + X.shape[2], left : left + X.shape[3]], dW, db

    return Y, backward


def pool2d(X, kernel, stride, kind):
    """kind is "max" or "avg"; of equal largest pixels the first one gets the gradient."""
    (N, C, H, W), (KH, KW), (SH, SW) = X.shape, kernel, stride
    Y = np.zeros((N, C, (H - KH) // SH + 1, (W - KW) // SW + 1))
    for n, c, y, x in np.ndindex(Y.shape):
        window = X[n, c, y * SH : y * SH + KH, x * SW : x * SW + KW]
        Y[n, c, y, x] = window.max() if kind == "max" else window.mean()

    def backward(dY):
        dX = np.zeros(X.shape)
        for n, c, y, x in np.ndindex(Y.shape):
            window = X[n, c, y * SH : y * SH + KH, x * SW : x * SW + KW]
            best = np.unravel_index(window.argmax(), kernel)
            for i, j in product(range(KH), range(KW)):
                share = (i, j) == best if kind == "max" else 1 / (KH * KW)
                dX[n, c, y * SH + i, x * SW + j] += dY[n, c, y, x] * share
        return dX

    return Y, backward


def batchnorm(X, gamma, beta, epsilon):
    """Channel by channel; dX from the full matrix of d Xhat[j] / d X[i]."""
    Y = np.zeros(X.shape)
    for c in range(X.shape[1]):
        x = X[:, c].ravel()
        xhat = (x - x.mean()) / np.sqrt(x.var() + epsilon)
        Y[:, c] = (gamma[c] * xhat + beta[c]).reshape(Y[:, c].shape)

    def backward(dY):
        dX, dgamma, dbeta = np.zeros(X.shape), np.zeros(gamma.shape), np.zeros(beta.shape)
        for c in range(X.shape[1]):
            x, dy = X[:, c].ravel(), dY[:, c].ravel()
            M, std = len(x), np.sqrt(x.var() + epsilon)
            xhat = (x - x.mean()) / std
            jacobian = (np.eye(M) - 1 / M - np.outer(xhat, xhat) / M) / std
            dX[:, c] = (gamma[c] * jacobian @ dy).reshape(dX[:, c].shape)
            dgamma[c], dbeta[c] = (dy * xhat).sum(), dy.sum()
        return dX, dgamma, dbeta

    return Y, backward


def entrywise(X, f, slope):
    """One entry after the other: f(x), and dy * slope(x)."""
    Y = np.array([f(x) for x in X.ravel()]).reshape(X.shape)

    def backward(dY):
        pairs = zip(X.ravel(), dY.ravel(), strict=True)
        return np.array([dy * slope(x) for x, dy in pairs]).reshape(X.shape)

    return Y, backward


def softmax(X):
    """Row by row; dX from the full Jacobian diag(p) - p p'."""
    Y = np.array([np.exp(x) / np.exp(x).sum() for x in X])

    def backward(dY):
        return np.array([(np.diag(p) - np.outer(p, p)) @ dy for p, dy in zip(Y, dY, strict=True)])

    return Y, backward


def cross_entropy(X, labels):
    """The loss and dX: -log of each row's probability at its label, mean over the rows."""
    N, total, dX = len(X), 0.0, np.zeros(X.shape)
    for n, label in enumerate(labels):
        p = np.exp(X[n]) / np.exp(X[n]).sum()
        total -= np.log(p[label])
        for k in range(X.shape[1]):
            dX[n, k] = (p[k] - (k == label)) / N
    return total / N, dX
