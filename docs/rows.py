"""What the page says: one row for each step of training, in the order of a step.

Text is ASCII: `code` between backquotes, $formula$ between dollars (mathml.py reads it).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["COLUMNS", "INTRODUCTION", "ROWS", "Row", "Symbol", "paragraphs"]

COLUMNS = {  # implementation -> what it is
    "functional_net": "pure functions, samples are rows",
    "net": "objects, samples are columns",
    "cnn": "modules, samples are rows",
}


@dataclass(frozen=True)
class Symbol:
    """A letter of the formula, and how the three implementations spell it.

    Spellings that differ within one cell stand between bars, "dW2 | dW1"; "return" means that
    the code gives it no name. A test finds every spelling in its cell, so that renaming a
    variable without the page is noticed.
    """

    key: str
    meaning: str
    rows: str  # its shape when samples are rows
    columns: str  # and when they are columns
    functional_net: str
    net: str
    cnn: str
    letter: str = ""  # of one entry in a formula; else the key with a small letter

    def spellings(self, column: str) -> list[str]:
        return getattr(self, column).split(" | ")

    @property
    def names(self) -> dict[str, str]:
        """How formulas and worked numbers write it -> the symbol."""
        spelled = [word.rpartition(".")[2] for word in self.spellings("functional_net")]
        return dict.fromkeys([self.letter or self.key.lower(), *spelled, self.key], self.key)


@dataclass(frozen=True)
class Row:
    """One step. cells: for each implementation the pieces to cut, "path::owner" (see cells.cut)."""

    key: str
    title: str
    formulas: dict[str, str]
    why: str
    table: str  # the symbols: key, meaning, rows, columns, functional_net, net, cnn, letter
    cells: Mapping[str, tuple[str, ...]]
    worked: list[str]  # lines of numbers (see worked.py)
    told: str  # what to look at in them
    checked: str = ""  # the gradient whose error is shown
    common: tuple[str, ...] = ()  # code that serves all three, below the cells

    @property
    def symbols(self) -> list[Symbol]:
        """The symbols of the table; two spaces or more part its columns."""
        lines = self.table.strip().splitlines()
        return [Symbol(*re.split(r"\s{2,}", line.strip())) for line in lines]

    @property
    def equation(self) -> str:
        """ "E5", or nothing for the sections around the equations."""
        return self.key if self.key.startswith("E") else ""


def paragraphs(text: str) -> list[str]:
    """Each on a line of its own."""
    return [" ".join(part.split()) for part in text.strip().split("\n\n")]


INTRODUCTION = """
    A network learns by repeating one step: put a few samples, a batch, through it (forward),
    measure how wrong the answers are (loss), find out for every weight whether more of it would
    have made matters better or worse (backward), and move all weights a little (update). This
    page walks through one such step, equation by equation, in three programs that do the same:
    `functional_net.py` in pure functions, `net.py` in objects, `cnn/` in modules.

    The loss is a single number. $dV$ is short for the derivative of the loss with respect to $V$:
    one number for each entry of $V$, which says how fast the loss grows when this entry grows. So
    $dV$ has the shape of $V$, always, and where you are not sure about a transpose, the shapes
    often leave only one possibility. Backpropagation asks each layer one question: if this is
    $dY$, the gradient of your output, what are the gradients of your input and weights?

    In `functional_net.py` and `cnn/` a sample is a row of an array, in `net.py` a column.
    Transposing a product turns its order round, $(X W)' = W' X'$, and that is all the difference.
    Shapes are told in letters: N samples, D inputs of a layer and H outputs, K classes; the small
    letters n, d, h, k count them.
"""

DENSE = {  # where the fully connected layer has its code
    "functional_net": ("functional_net.py",),
    "net": ("net.py::FullyConnectedLayer",),
    "cnn": ("cnn::Linear",),
}
REMEMBERED = {**DENSE, "cnn": ("cnn::Linear.training_pass", "cnn::Linear")}

ROWS = [
    Row(
        key="init",
        title="Initial weights",
        formulas={
            "in front of a ReLU": "w = sqrt(2 / fan_in) g",
            "elsewhere": "w = sqrt(1 / fan_in) g",
            "biases": "b = 0",
        },
        why="""
        Neurons that start with equal weights compute the same, get the same gradient and stay
        equal for ever; so each weight is $g$, a random number from the normal distribution,
        times a scale. Biases may start at 0: the weights already tell the neurons apart.

        The scale keeps signals alive. A neuron adds up fan_in terms, as many as it has
        inputs, and the variance of such a sum is fan_in times that of a term: weights of
        variance 1 / fan_in pass a signal on at the size it had. A ReLU sets one half of it to
        zero, and with it half of the mean square; twice the variance makes up for that.
        """,
        table="""
        W  weights  (D, H)  (H, D)  W1 | W2  self.W | below.W  W | "W"
        b  bias     (1, H)  (H, 1)  b1 | b2  self.b            "b"
        """,
        cells={
            "functional_net": ("functional_net.py::init",),
            "net": (
                "net.py::FullyConnectedLayer.build",
                "net.py::FeedForwardNet._widen",
            ),
            "cnn": ("cnn::Linear.__init__",),
        },
        worked=["X, y", "W1, b1, W2, b2"],
        told="""
        A net with 3 inputs, 2 hidden neurons and 2 classes, and two samples of the classes 0
        and 1 (the 1 in each row of `y` marks the target). Instead of random weights it gets
        short ones, so that you can follow every number with a pencil; where a result is long,
        four decimals are shown.
        """,
    ),
    Row(
        key="E1",
        title="A fully connected layer",
        formulas={
            "rows": "Y = X W + b",
            "columns": "Y = W X + b",
            "one entry": "y_nh = sum_d x_nd w_dh + b_h",
        },
        why="""
        Every neuron weighs all inputs, adds them up and adds a number of its own, the bias.
        Entry $y_nh$ is what neuron h makes of sample n: row n of $X$ times column h of $W$.
        That is what a matrix product computes in every place, so one product serves all
        neurons and all samples of the batch.

        $b$ has one row only, and NumPy adds it to each row of the product (it broadcasts).
        One number used N times: keep that in mind for E6. A convolution is this layer once more,
        with the windows of the images for samples: `Conv2D` carries the same numbers.
        """,
        table="""
        X  input    (N, D)  (D, N)  X | A1                 X | self.X  X
        W  weights  (D, H)  (H, D)  params.W1 | params.W2  self.W      self.params["W"]
        b  bias     (1, H)  (H, 1)  params.b1 | params.b2  self.b      self.params["b"]
        Y  output   (N, H)  (H, N)  Z1 | logits            return      return
        """,
        cells=DENSE,
        worked=["Z1 = X @ W1 + b1", "logits = A1 @ W2 + b2"],
        told="""
        The second line is the second layer: its input `A1` is made from `Z1` in the next row.
        """,
    ),
    Row(
        key="E2",
        title="An activation: ReLU",
        formulas={
            "rows and columns": "Y = f(X)",
            "one entry": "f(x) = max(x, 0)",
        },
        why="""
        Two layers without anything between them are one: $(X W_1) W_2 = X (W_1 W_2)$, a
        single product with a single matrix. A function that is not a straight line keeps them
        apart, and the simplest one has a single bend: the rectified linear unit lets positive
        numbers pass and puts 0 in place of the rest.

        It looks at each entry alone. That is why its way back, E8, multiplies entry by entry,
        where that of E1 needs matrix products.
        """,
        table="""
        X  input         (N, H)  (H, N)  Z1          X | self.X  X
        Y  output        (N, H)  (H, N)  A1          return      return
        f  each entry    (N, H)  (H, N)  np.maximum  np.maximum  relu | np.maximum
        """,
        cells={
            "functional_net": ("functional_net.py",),
            "net": ("net.py::ReLuLayer",),
            "cnn": (
                "cnn::ReLU",
                "cnn::relu",
            ),
        },
        worked=["A1 = max(Z1, 0)"],
        told="""
        For the first sample the second neuron is off, since its sum was -1.5. Follow that 0.
        """,
    ),
    Row(
        key="E3",
        title="The loss: softmax and cross-entropy",
        formulas={
            "probability": "p_k = exp_k / total",
            "with": "exp_k = exp(s_k) , total = sum_k exp_k",
            "one sample": "- log(p_t) = log(total) - s_t",
            "the batch": "loss = 1 / N sum_n ( log(total_n) - s_nt )",
        },
        why="""
        The last layer gives each class a score $s_k$, called logit, which may be any number.
        Softmax makes them positive, and divides by their sum so that they add up to 1: the
        probabilities. The loss of a sample is minus the logarithm of the probability of its
        target t: nothing if the net is sure and right, and the more, the less it gave to the
        truth.

        A number taken away from all scores of a sample cancels in the fraction. The code
        takes the largest of them (`shifted`), so that the largest power is $exp(0) = 1$ and
        none can overflow.

        The loss of the batch is the mean over its samples. It is taken here and nowhere else,
        so that a learning rate means the same at any batch size.
        """,
        table="""
        logits  scores       (N, K)    (K, N)    logits  Y           X           s
        y       targets      (N, K)    (K, N)    y       y | self.y  y | labels
        exp     powers       (N, K)    (K, N)    exp     exp         exp
        total   their sum    (N, 1)    (N,)      total   total       total
        loss    mean over n  a number  a number  loss    loss        loss
        """,
        cells={
            "functional_net": ("functional_net.py::cross_entropy",),
            "net": ("net.py::SoftmaxCrossEntropy",),
            "cnn": ("cnn::CrossEntropyLoss",),
        },
        worked=["P = softmax(logits)", "p_t = sum_k(P * y)", "loss = mean(-log(p_t))"],
        told="""
        Both samples score class 0 higher by 1, hence the same probabilities: e / (e + 1) and
        1 / (e + 1), with e = 2.7183. The first sample is right and costs 0.3133, the second
        is wrong and costs 1.3133.
        """,
    ),
    Row(
        key="E4",
        title="The gradient of the loss",
        formulas={
            "rows and columns": "dlogits = (P - y) / N",
            "one entry": "ds_nk = (p_nk - y_nk) / N",
        },
        why="""
        Here the way back begins. The loss of one sample is $log(total) - s_t$. Raise the
        score $s_k$ a little. Its power $exp_k$ grows at the rate $exp_k$, and a logarithm at
        one over what stands in it: so the first part grows at the rate $exp_k / total$, which is
        $p_k$ again. The second part takes away 1 if k is the target, and nothing otherwise.
        Together: $p_k - y_k$.

        So the gradient is the mistake itself: what the net said less what it should have
        said. It adds up to 0 for each sample, since one class can gain only what others lose.
        The 1 / N is the mean's; every gradient that follows inherits it, so nobody divides
        again.
        """,
        table="""
        dlogits  gradient       (N, K)    (K, N)    dlogits      return           dX           ds
        P        probabilities  (N, K)    (K, N)    exp / total  self.P           exp / total
        y        targets        (N, K)    (K, N)    y            self.y           y | labels
        N        samples        a number  a number  N            self.y.shape[1]  len(X)       N
        """,
        cells={
            "functional_net": ("functional_net.py::cross_entropy",),
            "net": ("net.py::SoftmaxCrossEntropy",),
            "cnn": ("cnn::CrossEntropyLoss",),
        },
        worked=["dlogits = (P - y) / N"],
        told="""
        The second sample was wrong, and its numbers are e = 2.7183 times as large: it pulls
        harder. A negative entry says: more of this score, please.
        """,
        checked="dlogits",
    ),
    Row(
        key="E5",
        title="The gradient of the weights",
        formulas={
            "rows": "dW = X' dY",
            "columns": "dW = dY X'",
            "one entry": "dw_dh = sum_n x_nd dy_nh",
        },
        why="""
        Where does $w_dh$ act? In E1 it stands in $y_nh$, once for each sample n, multiplied
        by $x_nd$. Raise it by a little $eps$: each of these $y_nh$ rises by $x_nd eps$, and
        the loss by $dy_nh$ times that. The effects of all samples add up: $dw_dh = sum_n x_nd
        dy_nh$.

        Now read the sum as a matrix product. A product adds over the index that its factors
        share in the middle; this sum runs over n, which comes first in both, so $X$ has to be
        turned for n to get there: $X' dY$. The transpose says no more than which index is
        summed. In columns n comes last in both, and it is the second factor that is turned:
        $dY X'$.

        A weight learns only where its input is not 0, and where its output matters.
        """,
        table="""
        X   the layer's input        (N, D)  (D, N)  A1 | X         self.X   X | self.local["W"]
        dY  output gradient          (N, H)  (H, N)  dlogits | dZ1  dY       dY
        dW  weight gradient          (D, H)  (H, D)  dW2 | dW1      self.dW  dW
        """,
        cells=REMEMBERED,
        worked=["dW2 = A1.T @ dlogits", "dW1 = X.T @ dZ1"],
        told="""
        In `dW1` the weight from input 0 to neuron 1 gets a 0: the only sample in which that
        input is not 0 is the first, and there the neuron was off.
        """,
        checked="dW",
    ),
    Row(
        key="E6",
        title="The gradient of the bias",
        formulas={
            "rows": "db = sum_n dY",
            "columns": "db = sum_n dY",
            "one entry": "db_h = sum_n dy_nh",
        },
        why="""
        $b_h$ was added to the output of neuron h for every sample. Raise it by $eps$ and all
        these outputs rise by $eps$: their effects on the loss add up. What was broadcast on
        the way forward is summed on the way back.

        You may also read the bias as the weight of one more input that is always 1. Put 1 for
        $x_nd$ in E5, and E6 is what you get. In rows the samples lie along axis 0, in columns
        along axis 1; `keepdims=True` keeps the shape of $b$.
        """,
        table="""
        dY  output gradient  (N, H)  (H, N)  dlogits | dZ1  dY       dY
        db  bias gradient    (1, H)  (H, 1)  db2 | db1      self.db  db
        """,
        cells=DENSE,
        worked=["db2 = sum_n(dlogits)", "db1 = sum_n(dZ1)"],
        told="""
        The samples want opposite things of `b2`; the one that was wrong wins.
        """,
        checked="db",
    ),
    Row(
        key="E7",
        title="The gradient of the input",
        formulas={
            "rows": "dX = dY W'",
            "columns": "dX = W' dY",
            "one entry": "dx_nd = sum_h dy_nh w_dh",
        },
        why="""
        $x_nd$ goes into all H neurons, weighed with $w_dh$ each time. Raise it by $eps$:
        $y_nh$ rises by $w_dh eps$ for every h, and the loss by the sum of $dy_nh w_dh eps$.
        This time the sum runs over h, the last index of both factors, so $W$ is the one to be
        turned: $dY W'$. In columns h comes first in both: $W' dY$.

        Forward, a neuron collects what the inputs send along its weights; backward, an input
        collects what the neurons send back along the same weights. And here the chain closes:
        the $dX$ of a layer is the $dY$ of the layer below. That is the whole of the chain
        rule for networks, and the reason why a layer needs to know nothing about the others.
        """,
        table="""
        dY  output gradient  (N, H)  (H, N)  dlogits    dY      dY
        W   weights          (D, H)  (H, D)  params.W2  self.W  self.local["X"] | self.params["W"]
        dX  input gradient   (N, D)  (D, N)  dA1        return  return
        """,
        cells=REMEMBERED,
        worked=["dA1 = dlogits @ W2.T"],
        told="""
        The first layer could do the same with `W1`, but nobody trains the pixels: training
        leaves it out.
        """,
        checked="dX",
    ),
    Row(
        key="E8",
        title="Back through the activation",
        formulas={
            "rows and columns": "dX = dY * f'(X)",
            "one entry": "f'(x) = 1 if x > 0 , else 0",
        },
        why="""
        $f$ takes each entry alone, so the chain rule from school is enough: raise $x$ by
        $eps$ and $y$ rises by $f'(x) eps$, the loss by $dy f'(x) eps$. For ReLU the slope is
        1 above zero and 0 below: the gradient passes where the signal passed, and stops where
        it was stopped.

        Note what is asked for its sign: the *input* $X$ of the activation. Exactly at 0 there
        is a corner and no slope; any value from 0 to 1 would do, and all three programs take
        0.
        """,
        table="""
        dY  output gradient  (N, H)  (H, N)  dA1       dY            dY
        f'  slopes                  (N, H)  (H, N)  (Z1 > 0)  (self.X > 0)  self.local["X"] | X > 0
        dX  input gradient   (N, H)  (H, N)  dZ1       return        return
        """,
        cells={
            "functional_net": ("functional_net.py",),
            "net": ("net.py::ReLuLayer",),
            "cnn": (
                "cnn::ReLU.training_pass",
                "cnn::Activation",
            ),
        },
        worked=["on = Z1 > 0", "dZ1 = dA1 * on"],
        told="""
        There it is again, the neuron that was off: it gets no blame, and through E5 its
        weights learn nothing from the first sample.
        """,
        checked="dX",
    ),
    Row(
        key="E9",
        title="The update: momentum",
        formulas={
            "velocity": "V <- momentum V - lr dW",
            "weights": "W <- W + V",
        },
        why="""
        $dW$ points to where the loss grows fastest, so the step goes the other way; the
        learning rate says how far. The gradient is right for small steps only: too large a
        rate, and the step lands beyond the valley.

        Momentum takes a share of the last step again. Steps that keep their direction grow,
        at most to $1 / (1 - momentum)$ times their size, while those that go to and fro
        cancel. There is no N here: the mean was taken in E3. Biases move by the same rule.
        """,
        table="""
        W         weights                 (D, H)    (H, D)    W         self.W    W
        V         velocity                (D, H)    (H, D)    V         self.V    V
        dW        gradient                (D, H)    (H, D)    dW        self.dW   layer.grads[name]
        lr        learning rate           a number  a number  lr        lr        lr
        momentum  share of the last step  a number  a number  momentum  momentum  momentum
        """,
        cells={
            "functional_net": (
                "functional_net.py::update",
                "functional_net.py",
            ),
            "net": ("net.py::FeedForwardNet.update", "net.py::FeedForwardNet"),
            "cnn": ("cnn::Net",),
        },
        worked=[
            "V_new = momentum * V - lr * dW2",
            "W2_new = W2 + V_new",
            "V_new_next = momentum * V_new - lr * dW2_next",
        ],
        told="""
        The velocity starts at 0, so the first step is plain descent. In the second step, with
        the gradient at the new weights, the top row keeps more from the old velocity than the
        new gradient adds.
        """,
        checked="W, V",
    ),
    Row(
        key="train",
        title="The training loop",
        formulas={
            "forward": "X -> Z1 -> A1 -> logits -> loss",
            "backward": "dZ1 <- dA1 <- dlogits",
        },
        why="""
        The four parts in a row, once per batch; an epoch is one pass through all samples in a
        fresh random order. The gradient of a small batch only estimates that of all samples,
        but it comes a thousand times sooner, and its errors cancel over the steps.

        Two of them multiply `lr` into the gradient of the scores: the way back is linear, so
        what arrives at the weights is the step, lr times the gradient.

        The loops differ in where the weights live. In `functional_net.py` they go into each
        call and new ones come out; in the other two the objects keep them and change them in
        place.
        """,
        table="""
        forward   E1, E2    (N, D) to (N, K)  (D, N) to (K, N)  forward   self.forward   self(X)
        loss      E3, E4    to a number       to a number       loss      self.loss      self.loss
        backward  E4 to E8  as weights  as weights  backward  self.backward  self.backward
        update    E9        as weights  as weights  move      self.move      self.update_weights
        """,
        cells={
            "functional_net": ("functional_net.py::train_epoch",),
            "net": ("net.py::FeedForwardNet.train_epoch",),
            "cnn": ("cnn::Net.train_epoch",),
        },
        worked=["losses"],
        told="""
        Six steps with the same two samples: the loss goes down each time.
        """,
    ),
    Row(
        key="accuracy",
        title="Accuracy",
        formulas={
            "one sample": "guess_n = argmax_k(s_nk)",
            "all": "accuracy = 1 / N sum_n (guess_n = t_n)",
        },
        why="""
        The answer is the class with the highest score; softmax would not change which that
        is. Accuracy is the share of answers that are the target (the bracket counts 1 where it
        holds, else 0). It is what we want, but nothing to train on: a small change of a weight
        changes no answer at all, until one of them flips. The slope is 0 almost everywhere, and
        a gradient would say nothing. The loss is its smooth stand-in.
        """,
        table="""
        logits  scores         (N, K)  (K, N)  logits           Y                out              s
        y       targets        (N, K)  (K, N)  y                y                y                t
        argmax  highest place  (N,)    (N,)    .argmax(axis=1)  .argmax(axis=0)  .argmax(axis=1)
        """,
        cells={
            "functional_net": (
                "functional_net.py::hits",
                "functional_net.py::accuracy",
            ),
            "net": (
                "net.py::FeedForwardNet.hits",
                "net.py::FeedForwardNet.evaluate",
            ),
            "cnn": (
                "cnn::hits",
                "cnn::Net.accuracy",
            ),
        },
        worked=[
            "guess = argmax(logits)",
            "target = argmax(y)",
            "accuracy = mean(guess == target)",
            "logits_next",
        ],
        told="""
        One of two. After one step the scores are those of the last line: now both are right.
        """,
    ),
    Row(
        key="check",
        title="Is all of this right? The gradient check",
        formulas={
            "central difference": "dp = (loss(p + h) - loss(p - h)) / (2 h)",
        },
        why="""
        A gradient claims what the loss does when one number moves a little. So move it, and
        look. For each entry p of each weight, bias and input the checker computes the loss
        twice, on both sides of p, and compares the slope between them with what
        backpropagation says.

        Both sides, because then the bend of the curve cancels and the error shrinks with the
        square of h. But h must not be too small: the two losses become nearly equal, and
        their difference is left with few digits. In float64 the best h is about 0.00001; a
        right gradient then agrees to seven digits or more, while a wrong transpose, a
        forgotten sum or a factor of N shows at once.

        The functions below complete the way back to $dX$ for the checker. The error under
        each implementation is the worst of all its arrays, measured when this page was made.
        """,
        table="""
        dlogits  the start  (N, K)  (K, N)  dlogits  self.cost.backward()  self.loss.backward()
        dX       the end    (N, D)  (D, N)  return   return                return
        """,
        cells={
            "functional_net": ("functional_net.py::input_gradient",),
            "net": ("net.py::FeedForwardNet.input_gradient",),
            "cnn": ("cnn::Net.input_gradient",),
        },
        worked=[
            "slope_far = (up_far - down_far) / (2 * h_far)",
            "slope_near = (up_near - down_near) / (2 * h_near)",
            "backprop",
            "dX",
        ],
        told="""
        Here p is `W2[0, 0]`, moved by 0.5 and then by 0.1: a fifth of h leaves a twenty-fifth of
        the error. The third line is what E5 found, the last where the way back ends.
        """,
        checked="all arrays",
        common=("gradcheck/core.py::shifted", "gradcheck/core.py::compare"),
    ),
]
