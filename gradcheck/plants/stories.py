# ruff: noqa: E501  (a table)
"""Why the numbers look so: a sentence for each kind of mistake, found by the plant's name."""

__all__ = ["STORIES"]

MEAN = "The loss has taken the mean already; dividing again makes every entry 1/batch of the right one."
SUM = "The loss is a mean, so its gradient is one too; without 1/batch every entry is batch times too large."
MASK = "Where the input was below zero the slope is 0, but here the upstream gradient passes untouched."
UPSTREAM = "The chain rule multiplies by what comes from behind; without it the answer is the same for any dY."
TARGET = "softmax - y without y pushes every score down, the target's too: the error is y itself, scaled."
OUTPUT = "The slope belongs to the point where the function was evaluated, the input; the output is another point."
MOMENTUM = (
    "Without the old velocity each step forgets all before it: the result does not depend on V."
)
UPHILL = "A gradient points uphill; the sign turns the step round, and the loss grows."
LR = "lr acts once, in front of dW: another factor there makes the step as many times too small or large."
TRANSPOSE = "The shapes may agree in a square layer, but each weight then answers for another pair of neurons."
TWICE = (
    "Each entry is counted twice; directions are right, so training even works, at twice the rate."
)
VARIANCE = "Mean and variance move with every pixel of the channel; taken as constants, their terms are missing."

STORIES = {
    "squared-2$|dW1-twice": TWICE,
    "mean-in|db-mean|dW-mean|loss-mean-twice|dgamma-mean": MEAN,
    "sum-in-gradient|squared-sum": SUM,
    "over-classes": "The mean runs over the samples; dividing by the classes is right only when both are as many.",
    "squared-over-batch": "This loss is a mean over all entries; divided by the batch alone it is classes times too large.",
    "squared-half": "The derivative of a square has a factor 2; without it every entry is half the right one.",
    "not-summed": "The bias serves every sample, so its gradient is a sum over them; here it is one row per sample.",
    "over-neurons": "The sum runs over the wrong axis: one number for each sample instead of one for each neuron.",
    "relu-as-leaky": "Below zero a little passes, though forward lets nothing through there.",
    "leaky-as-relu": "Below zero nothing passes, though forward lets alpha of it through.",
    "alpha-squared": "Below zero the slope is alpha once; alpha times alpha makes it a hundredth of that.",
    "alpha-everywhere": "Above zero the slope is 1; alpha everywhere makes the upper half too small.",
    "mask-forgotten-in-dX|dropout-mask|mask-forgotten|relu-no-mask": MASK,
    "mask-inverted|relu-inverted": "The slope is 1 where the input was above zero; here the other half passes.",
    "mask-of": "Whether a ReLU was on is decided by its input, not by the sign of what comes back.",
    "not-transposed": TRANSPOSE,
    "dW1-of-dA1": "W1 acts before the activation, so its gradient needs dZ1; dA1 has not passed the ReLU yet.",
    "dW2-of-Z1": "The second layer was fed A1, not Z1; wrong wherever Z1 was below zero.",
    "first-sample|last-sample": "Every sample adds to dW; only one does here, as when = stands for += in a loop.",
    "weight-decay": "A multiple of W is added, the gradient of a term that this loss does not have.",
    "db1-zero": "A gradient of zeros: the bias never learns, and nothing else shows it.",
    "swapped": "Two gradients change places: each array gets the other's, and their shapes may hide it.",
    "loss-sign|cost-sign": "The loss falls when the target's score rises, so its entry is negative; turned round, it climbs.",
    "target-forgotten": TARGET,
    "not-normalised": "exp is a probability only once it is divided by its row's sum.",
    "no-momentum": MOMENTUM,
    "update-sign": UPHILL,
    "lr-twice|update-damped|momentum-for-lr": LR,
    "accumulates": "The old gradient stays in the new one: right in the first step, too large in all others.",
    "stale-input": "backward uses what the first batch left behind: right once, wrong from the second batch on.",
    "writes-dY": "The array belongs to the layer above; writing to it changes numbers that others still need.",
    "ignores-dY": UPSTREAM,
    "sigmoid-half": "The slope is y (1 - y); one factor is missing, so the gradient times y would be right.",
    "sigmoid-plus": "The slope is y (1 - y); with a plus it is larger than 1 where it should be at most a quarter.",
    "of-output": OUTPUT,
    "tanh-of-input": "1 - y^2 is a formula in the output y; fed with the input it turns negative beyond 1.",
    "not-squared": "The slope is 1 - y^2; with y in place of y^2 it is too small above zero and too large below.",
    "abs-sign": "Below zero |x| falls; the sign turns the gradient there, and is missing.",
    "abs-times": "The slope of |x| is its sign; x itself also carries the size.",
    "skips-a-layer": "Each layer alone is right; the net does not ask one of them on the way back.",
    "kernel-flipped": "The kernel is applied upside down on the way back: right only if it is symmetric.",
    "dW-flipped": "The right numbers sit at the mirrored place of each kernel.",
    "every-winner": "Where two pixels tie, both get the whole gradient; one of them must.",
    "all-pixels": "Only the largest pixel moved the output; the others must get 0.",
    "not-divided": "A mean gives each pixel its share; without the division each gets all of it.",
    "divided-twice": "The share is taken twice: every entry is 1/window of the right one.",
    "gamma-forgotten": "gamma scaled the output, so it scales the gradient; without it each channel is off by its own.",
    "variance-for-std": "The scale is gamma / std; divided by the variance each channel is off by its own deviation.",
    "mean-constant|variance-constant|both-constant": VARIANCE,
    "not-scaled": "What was kept was doubled on the way forward, so it is on the way back.",
    "softmax-diagonal": "Each output depends on every score of its row; only the diagonal is left here.",
    "softmax-no-sum": "The sum over the row is missing: what one output gains, the others lose.",
}
