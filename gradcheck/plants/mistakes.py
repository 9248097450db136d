# ruff: noqa: E501  (a table: one mistake in a line)
"""The mistakes: each is one that people make, in one line of our own backward passes.

Under a function: a name | what stands there -> what it becomes | a pattern for the sentence that
names it, if one is expected | whom the checker must blame: -, nobody; else the function's class.
"""

from collections.abc import Iterator

from gradcheck.plants.plant import Plant

__all__ = ["PLANTS"]

TABLE = r"""
functional functional_net.py backward
  mean-in-dW2 | A1.T @ dlogits -> A1.T @ dlogits / len(X) | : 1/batch | layer 2
  mean-in-db1 | dZ1.sum(axis=0 -> dZ1.mean(axis=0 | : 1/batch | layer 1
  db2-not-summed | dlogits.sum(axis=0, keepdims=True) -> dlogits | not summed over | layer 2
  db1-over-neurons | dZ1.sum(axis=0 -> dZ1.sum(axis=1 | over the wrong axis | layer 1
  mask-forgotten | dA1 * (Z1 > 0) -> dA1 | dY W2'.*local derivative is missing | hidden
  mask-inverted | Z1 > 0 -> Z1 < 0 | | hidden
  mask-of-dA1 | Z1 > 0 -> dA1 > 0 | | hidden
  W2-not-transposed | params.W2.T -> params.W2 | if W2 were transposed | -
  dW1-of-dA1 | X.T @ dZ1 -> X.T @ dA1 | dY W2'.*local derivative is missing | layer 1
  dW2-of-Z1 | A1.T @ dlogits -> Z1.T @ dlogits | | layer 2
  first-sample-only | X.T @ dZ1 -> X[:1].T @ dZ1[:1] | only index 0 of axis 0 | layer 1
  weight-decay | A1.T @ dlogits -> A1.T @ dlogits + 0.1 * params.W2 | weight decay | layer 2
  db1-zero | dZ1.sum(axis=0, keepdims=True) -> 0 * params.b1 | all zero | layer 1
  dW1-twice | X.T @ dZ1 -> 2 * X.T @ dZ1 | counted twice | layer 1
  gradients-swapped | dW1, db1, dW2, db2 -> dW1, db2, dW2, db1 | the gradient of b2 | layer
functional functional_net.py input_gradient
  W1-not-transposed | params.W1.T -> params.W1
  mask-forgotten-in-dX | * (Z1 > 0) -> | dY W2'.*local derivative is missing
functional functional_net.py cross_entropy
  loss-sum-in-gradient | (exp / total - y) / N -> exp / total - y | : batch
  loss-mean-twice | (exp / total - y) / N -> (exp / total - y) / N ** 2 | : 1/batch
  loss-sign | (exp / total - y) -> (y - exp / total) | the sign
  loss-over-classes | - y) / N -> - y) / y.size | 1/classes
  loss-target-forgotten | (exp / total - y) -> (exp / total) | y is left out
  loss-not-normalised | (exp / total - y) -> (exp - y) | exp is not divided by its sum
functional functional_net.py squared_error
  squared-2 | = error / len(y) -> = 2 * error / len(y) | counted twice
  squared-sum | = error / len(y) -> = error | : batch
functional functional_net.py update
  update-no-momentum | momentum * V -> 0 * V | does not depend on V
  update-sign | V - lr * dW -> V + lr * dW | uphill
  update-lr-twice | lr * dW -> lr * lr * dW | lr is multiplied in twice
  update-damped | lr * dW -> lr * (1 - momentum) * dW | 1 - momentum
net net.py FullyConnectedLayer.gradients
  mean-in-dW | dY @ self.X.T -> dY @ self.X.T / dY.shape[1] | : 1/batch
  mean-in-db | dY.sum( -> dY.mean( | : 1/batch
  db-not-summed | dY.sum(axis=1, keepdims=True) -> dY | not summed over axis 1
  last-sample-only | dY @ self.X.T -> dY[:, -1:] @ self.X[:, -1:].T | only index 4 of axis 1
  weight-decay | dY @ self.X.T -> dY @ self.X.T + 0.01 * self.W | weight decay
  dW-accumulates | self.dW = dY -> self.dW += dY | grows from call to call | -
net net.py FullyConnectedLayer.backward
  W-not-transposed | self.W.T @ dY -> self.W @ dY | if W were transposed | -
net net.py FullyConnectedLayer.forward
  stale-input | self.X = X -> self.X = getattr(self, "X", X) | earlier forward pass | -
net net.py FullyConnectedLayer.update
  update-no-momentum | V *= momentum -> V *= 0 | does not depend on V | update
  update-sign | V -= lr -> V += lr | uphill | update
  update-lr-twice | lr * dW -> lr * lr * dW | lr is multiplied in twice | update
net net.py ReLuLayer.backward
  relu-mask-forgotten | dY * (self.X > 0) -> dY * 1 | upstream gradient itself
  relu-mask-of-dY | (self.X > 0) -> (dY > 0) | mask is taken from the upstream
  relu-inverted | self.X > 0 -> self.X < 0 | the mask is inverted
  relu-ignores-dY | dY * (self.X > 0) -> 1.0 * (self.X > 0) | upstream
  relu-writes-dY | return dY * (self.X > 0) -> dY *= self.X > 0; return dY | is written to | -
  relu-as-leaky | (self.X > 0) -> np.where(self.X > 0, 1, 0.01) | wrong below it
net net.py LeakyReLuLayer.backward
  leaky-as-relu | self.slope -> (self.slope == 1) | wrong below it
  leaky-alpha-squared | self.slope -> self.slope ** 2 | wrong below it
  leaky-alpha-everywhere | self.slope -> self.alpha | wrong above it
net net.py SigmoidLayer.backward
  sigmoid-half | dY * self.Y * (1 - self.Y) -> dY * (1 - self.Y) | dY times 1 - y
  sigmoid-of-output | dY * self.Y * (1 - self.Y) -> dY / (2 + 2 * np.cosh(self.Y)) | at the output
  sigmoid-ignores-dY | dY * self.Y -> self.Y | upstream
net net.py TanhLayer.backward
  tanh-not-squared | self.Y * self.Y -> self.Y | dY times 1 - y
  tanh-of-output | self.Y * self.Y -> np.tanh(self.Y) ** 2 | at the output
net net.py AbsLayer.backward
  abs-sign-forgotten | dY * np.sign(self.X) -> dY | upstream gradient itself
  abs-times-input | np.sign(self.X) -> self.X | upstream times input
net net.py SoftmaxCrossEntropy.backward
  cost-sum-in-gradient | / self.y.shape[1] -> | : batch
  cost-over-classes | self.y.shape[1] -> self.y.shape[0] | constant
  cost-sign | self.P - self.y -> self.y - self.P | the sign
  cost-target-forgotten | (self.P - self.y) -> self.P | y is left out
net net.py MeanSquaredError.backward
  squared-2 | self.error / -> 2 * self.error / | counted twice
  squared-sum | / self.error.shape[1] -> | : batch
net net.py FeedForwardNet.backward
  skips-a-layer | self.layers[:1:-1] -> [k for k in self.layers[:1:-1] if type(k) is not AbsLayer] | | joins
cnn cnn/layers.py Linear.gradients
  linear-mean-in-dW | X.T @ dY -> X.T @ dY / len(dY) | : 1/batch
cnn cnn/layers.py Linear.backward
  linear-W-not-transposed | dY @ W.T -> dY @ W | if W were transposed | -
cnn cnn/layers.py Conv2D.backward
  conv-kernel-flipped | W.reshape( -> W[..., ::-1, ::-1].reshape( | if W were flipped along its last
cnn cnn/layers.py Conv2D.gradients
  conv-dW-flipped | (W.shape) -> (W.shape)[..., ::-1, ::-1] | holds what belongs to another
  conv-db-mean | dWb[-1].copy() -> dWb[-1] / len(dY) | : 1/batch
  conv-dW-mean | dWb[:-1] -> (dWb[:-1] / len(dY)) | : 1/batch
cnn cnn/layers.py MaxPool2D.training_pass
  maxpool-every-winner | kernels.first_winners(self.taps(X), Y) -> [tap == Y for tap in self.taps(X)] | every winner | -
cnn cnn/layers.py MaxPool2D.backward
  maxpool-all-pixels | dY * winner -> dY | should be zero
cnn cnn/layers.py AvgPool2D.backward
  avgpool-not-divided | / math.prod(self.kernel) -> / 1 | : window
  avgpool-divided-twice | math.prod(self.kernel) -> math.prod(self.kernel) ** 2 | 1/window
cnn cnn/layers.py BatchNorm2D.backward
  batchnorm-mean-constant | dX -= dbeta / M -> dX -= 0 | the mean over .* constant
  batchnorm-variance-constant | (dgamma / -M) -> 0 | the variance over .* constant
  batchnorm-both-constant | dX -= dbeta / M -> dX = dA * 1 | mean and the variance
cnn cnn/layers.py BatchNorm2D.training_pass
  batchnorm-gamma-forgotten | "scale": gamma / std -> "scale": 1 / std | gamma were left out
  batchnorm-variance-for-std | "scale": gamma / std -> "scale": gamma / std ** 2
cnn cnn/layers.py BatchNorm2D.gradients
  batchnorm-swapped | dgamma.ravel(), "beta": dbeta -> dbeta.ravel(), "beta": dgamma | gradient of beta
  batchnorm-dgamma-mean | dgamma.ravel(), -> dgamma.ravel() / len(dY),
cnn cnn/layers.py Dropout.backward
  dropout-mask-forgotten | * self.local["mask"] -> * 1 | upstream gradient itself
  dropout-not-scaled | self.local["mask"] -> (self.local["mask"] > 0) | 0.5 times
cnn cnn/activations.py Activation.backward
  activation-ignores-dY | self.upstream(dY) * -> 1.0 * | upstream | ReLU
cnn cnn/activations.py ReLU.training_pass
  relu-no-mask | "slope": X > 0 -> "slope": X == X | upstream gradient itself
cnn cnn/activations.py Sigmoid.training_pass
  sigmoid-plus | Y * (1 - Y) -> Y * (1 + Y)
cnn cnn/activations.py Tanh.training_pass
  tanh-of-input | 1 - Y * Y -> 1 - X * X | given the input
cnn cnn/activations.py Softmax.backward
  softmax-diagonal | (dY - (dY * Y).sum(axis=1, keepdims=True)) -> dY * (1 - Y) | diagonal
  softmax-no-sum | (dY - (dY * Y).sum(axis=1, keepdims=True)) -> dY | dY times y,
cnn cnn/losses.py CrossEntropyLoss.training_pass
  loss-sum-in-gradient | dX /= len(X) -> dX /= 1 | : batch
  loss-target-forgotten | dX[n, labels] -= 1 -> dX[n, labels] -= 0 | y is left out
cnn cnn/losses.py MeanSquareLoss.training_pass
  squared-half | (2 / error.size) -> (1 / error.size) | a factor 2 is missing
  squared-over-batch | (2 / error.size) -> (2 / len(error)) | classes
cnn cnn/net.py Net.update_weights
  update-no-momentum | V *= momentum -> V *= 0 | does not depend on V | update
  update-momentum-for-lr | V -= lr * -> V -= momentum * | momentum stands where lr | update
  update-sign | V -= lr * -> V += lr * | uphill | update
"""


def read(table: str) -> Iterator[Plant]:
    """The plants of a table; each name begins with that of the implementation."""
    target = file = function = ""
    for line in table.strip().splitlines():
        if not line.startswith(" "):
            target, file, function = line.split()
            continue
        cells = [cell.strip() for cell in line.split("|")]
        name, change, cause, blame = [*cells, "", ""][:4]
        old, new = (text.strip() for text in change.split("->"))
        blame = (blame or function.partition(".")[0]).strip("-")
        yield Plant(f"{target}-{name}", file, function, old, new, blame, cause)


PLANTS = list(read(TABLE))
