"""The kinds of interface that a checker met in public code, each with a small layer of our own.

The numbers are those of the list of kinds: what was silently left out, misread or refused.
"""

import textwrap

import numpy as np
import pytest

from gradcheck import CannotCheck, check_function, check_layer
from gradcheck.__main__ import check_file
from gradcheck.case import Constant
from gradcheck.yours import Options

RNG = np.random.default_rng(0)


def names(report):
    return [row.name for row in report.rows]


@pytest.fixture
def file(tmp_path, monkeypatch):
    """Write a file and check what is named in it, as the command does."""
    monkeypatch.setattr("sys.path", __import__("sys").path[:])

    def check(source, name, *inputs, path="mine.py", args=None, **options):
        target = tmp_path / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text("import numpy as np\n" + textwrap.dedent(source))
        return check_file(f"{target}:{name}", list(inputs), args, Options(**options), False)

    return check


class Affine:
    def __init__(self, d=3, k=4):
        self.W, self.b = RNG.normal(size=(d, k)), np.zeros(k)

    def forward(self, x):
        self.x = x
        return x @ self.W + self.b

    def backward(self, dy):
        self.dW, self.db = self.x.T @ dy, dy.sum(0)
        return dy @ self.W.T


# --- 1: what the first call builds --------------------------------------------


class Recurrent:
    """Everything is built in the first call, under names of its own."""

    def __init__(self, factor=1):
        self.made, self.grad_of, self.factor = {}, {}, factor

    def forward(self, x):
        if not self.made:
            self.made = {"Uxh": RNG.normal(size=(x.shape[1], 4)), "ch": np.zeros(4)}
        self.x = x
        self.h = np.tanh(x @ self.made["Uxh"] + self.made["ch"])
        return self.h

    def backward(self, dy):
        d = dy * (1 - self.h**2)
        self.grad_of = {"Uxh": self.factor * self.x.T @ d, "ch": d.sum(0)}
        return d @ self.made["Uxh"].T


def test_1_what_the_first_call_builds_is_checked_whatever_its_name():
    assert names(check_layer(Recurrent(), (5, 3))) == ["X", "Uxh", "ch"]
    assert check_layer(Recurrent(), (5, 3))
    assert not check_layer(Recurrent(2), (5, 3))["Uxh"].ok


def test_1_what_forward_remembers_is_no_parameter():
    assert names(check_layer(Affine(), (5, 3))) == ["X", "W", "b"]


# --- 2, 3, 13, 21, 28: pairs of functions and their arguments -----------------


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


@pytest.mark.parametrize(
    "slope",
    [
        lambda x: sigmoid(x) * (1 - sigmoid(x)),
        lambda z: sigmoid(z) * (1 - sigmoid(z)),
        lambda out: out * (1 - out),
        lambda x, scale=1.0: scale * sigmoid(x) * (1 - sigmoid(x)),
        lambda dy, x: dy * sigmoid(x) * (1 - sigmoid(x)),
        lambda x, dy: dy * sigmoid(x) * (1 - sigmoid(x)),
    ],
    ids=["x", "z", "of the output", "default", "dy, x", "x, dy"],
)
def test_2_a_function_and_its_derivative_however_written(slope):
    assert check_function(sigmoid, slope, (5, 3))


def test_2_a_wrong_derivative_is_wrong_under_every_reading():
    assert not check_function(sigmoid, lambda x: sigmoid(x) * (1 - sigmoid(x)) / 2, (5, 3))
    assert not check_function(sigmoid, lambda x: 1 - sigmoid(x), (5, 3))


def test_2_the_verdict_says_how_it_was_read():
    report = check_function(sigmoid, lambda x: sigmoid(x) * (1 - sigmoid(x)), (5, 3))
    assert "read as f and f': the gradient is upstream x f'" in str(report)


def half_square(y, t):
    return 0.5 * ((y - t) ** 2).sum()


def test_3_of_two_weak_names_the_last_is_the_label_and_that_is_said():
    report = check_function(half_square, lambda y, t: y - t, (5, 3), (5, 3))
    assert names(report) == ["y"] and report and "t is taken for the label" in str(report)
    wrong = check_function(half_square, lambda y, t: 2 * (y - t), (5, 3), (5, 3))
    assert not wrong


def test_3_a_gradient_that_comes_back_for_both_is_checked_for_both():
    def both(y, t):
        return y - t, 2 * (t - y)

    report = check_function(half_square, both, (5, 3), (5, 3))
    assert [row.ok for row in report.rows] == [True, False]


def test_13_arguments_of_forward_are_no_flags_and_no_rates():
    def leaky(x, alpha=0.3):
        return np.where(x > 0, x, alpha * x)

    def slope(x, alpha=0.3):
        return np.where(x > 0, 1.0, alpha)

    assert check_function(leaky, slope, (5, 3))
    assert check_function(leaky, slope, (5, 3), 0.2)

    class Squares:
        def loss(self, predict, test):
            return ((predict - test) ** 2).mean()

        def gradient(self, predict, test):
            return 2 * (predict - test) / test.size

    assert check_layer(Squares(), (5, 3), (5, 3))


STRIDED = """
    def every(x, step): return x[:, ::step], (x.shape, step)
    def every_backward(dy, cache):
        shape, step = cache
        dx = np.zeros(shape)
        dx[:, ::step] = dy
        return dx
"""


def test_21_a_number_as_input(file):
    for number in ("=2", "step=2"):
        assert file(STRIDED, "every,every_backward", "5,6", number)
    with pytest.raises(CannotCheck, match=r"a whole number\? --input =2"):
        file(STRIDED, "every,every_backward", "5,6", "2")


def test_28_backward_gets_the_defaults_of_forward():
    def power(x, p=3):
        return x**p

    assert check_function(power, lambda dy, x, p: dy * p * x ** (p - 1), (5, 3))


# --- 4, 18, 19, 20: losses and whole nets -------------------------------------


class Net:
    def __init__(self, factor=1):
        self.params, self.factor = {"W": RNG.normal(size=(3, 4))}, factor

    def loss(self, X, y=None):
        z = X @ self.params["W"]
        p = np.exp(z) / np.exp(z).sum(1, keepdims=True)
        n = np.arange(len(y))
        value = -np.log(p[n, y]).mean()
        p[n, y] -= 1
        return value, {"W": self.factor * X.T @ p / len(y)}


def test_4_a_net_gives_no_gradient_of_its_data_and_that_is_a_note():
    labels = RNG.integers(4, size=5)
    report = check_layer(Net(), (5, 3), labels)
    assert report and names(report) == ["W"]
    assert "no gradient for X came back: not checked" in str(report)
    assert not check_layer(Net(2), (5, 3), labels)


class Weighted:
    """Class weights move the loss, and have no gradient."""

    weights = None

    def __init__(self):
        self.weights = np.array([1.0, 2.0, 0.5])

    def forward(self, logits, labels):
        e = np.exp(logits)
        self.p, self.y = e / e.sum(1, keepdims=True), labels
        return -(self.weights[labels] * np.log(self.p[np.arange(len(labels)), labels])).mean()

    def backward(self):
        d = self.p - np.eye(3)[self.y]
        return d * self.weights[self.y][:, None] / len(self.y)


def test_18_constants_of_a_loss_are_a_note():
    report = check_layer(Weighted(), (5, 3))
    assert report and "weights (3,) moves the output and has no gradient" in str(report)


class CrossEntropy:
    """Of probabilities, as a softmax layer gives them (the word is no softmax)."""

    def forward(self, p, y_true):
        self.p, self.y = np.clip(p, 1e-12, 1), y_true
        return -(y_true * np.log(self.p)).sum() / len(p)

    def backward(self):
        return -self.y / self.p / len(self.p)


def test_19_a_loss_that_clips_wants_probabilities():
    report = check_layer(CrossEntropy(), (5, 3))
    assert report and "inputs are taken from (0, 1)" in str(report)


def test_20_what_does_not_come_back_is_not_diagnosed():
    class Forgets(Affine):
        def backward(self, dy):
            super().backward(dy)

    report = check_layer(Forgets(), (5, 3))
    assert not report and "nothing came back for X: a forgotten return?" in str(report)
    assert "nan" not in str(report)


# --- 5, 12, 14, 22: what is handed over, and what comes back ------------------


class InPlace:
    def forward(self, x):
        return 3 * x

    def backward(self, dy):
        dy *= 3
        return dy


def test_5_a_spoilt_upstream_spoils_no_later_difference():
    report = check_layer(InPlace(), (5, 3))
    assert report and "dX is written into dY" in str(report)

    class Spoils(Affine):
        def backward(self, dy):
            dx = super().backward(dy)
            dy[...] = 0
            return dx

    report = check_layer(Spoils(), (5, 3))
    assert all(row.ok for row in report.rows) and "upstream gradient is written to" in str(report)


def hidden(f):
    return lambda *args, **keywords: f(*args, **keywords)


def test_12_decorated_methods_and_optional_upstreams():
    class Hidden(Affine):
        forward, backward = hidden(Affine.forward), hidden(Affine.backward)

    class Optional:
        def forward(self, x):
            self.y = np.tanh(x)
            return self.y

        def backward(self, grad=None):
            return grad * (1 - self.y**2)

    assert check_layer(Hidden(), (5, 3)) and names(check_layer(Hidden(), (5, 3)))[1:] == ["W", "b"]
    assert check_layer(Optional(), (5, 3))


def test_14_what_is_no_array_is_no_output():
    def forward(x, W):
        return x @ W, {"kept": (x, W)}

    def backward(dout, anything):
        x, W = anything["kept"]
        return {"dx": dout @ W.T, "dW": x.T @ dout}

    assert check_function(forward, backward, (5, 3), (3, 4))

    class Named(Affine):
        def forward(self, x):
            return {"out": super().forward(x)}

    assert check_layer(Named(), (5, 3))


def test_22_the_names_in_the_return_statement_tell_the_order():
    def forward(mean, spread):
        return (mean**2 * np.exp(spread)).sum(), (mean, spread)

    def backward(dout, cache):
        mean, spread = cache
        dmean, dspread = 2 * dout * mean * np.exp(spread), dout * mean**2 * np.exp(spread)
        return dspread, dmean

    assert check_function(forward, backward, (5, 3), (5, 3))


# --- 6 to 11, 27: files, packages, errors -------------------------------------

SCALE = """
    class Scale:
        def forward(self, x): return 3 * x
        def backward(self, dy): return 3 * dy
"""


def test_6_an_error_with_a_chained_cause_names_their_line(file):
    source = """
        class Chained:
            def forward(self, x):
                try:
                    return x.nothing
                except AttributeError as error:
                    raise RuntimeError("no such thing") from error
            def backward(self, dy): return dy
    """
    with pytest.raises(CannotCheck, match=r"forward raised .*\(mine.py:\d+: return x.nothing\)"):
        file(source, "Chained", "5,3")


@pytest.mark.parametrize("size", [1e-7, 1e-5])
def test_7_an_epsilon_is_told_by_what_it_does(size):
    class Loss:
        def forward(self, z, ts):
            self.p, self.ts = sigmoid(z), ts
            return -np.log(np.where(ts == 1, self.p, 1 - self.p) + size).mean()

        def backward(self, dout=1.0):
            return dout * (self.p - self.ts) / self.ts.size

    report = check_layer(Loss(), (5, 3), RNG.integers(2, size=(5, 3)))
    assert report and "it leaves out an epsilon of the loss" in str(report)


@pytest.mark.parametrize("factor", [1.0001, 0.9999])
def test_7_a_factor_near_1_is_no_epsilon(factor):
    class Loss:
        def forward(self, z, ts):
            self.d = z - ts
            return (self.d**2).sum()

        def backward(self):
            return 2 * factor * self.d

    assert not check_layer(Loss(), (5, 3), RNG.integers(2, size=(5, 3)))


def test_8_a_sum_that_cancels_is_no_float32():
    assert check_function(lambda W: abs(W).sum(), lambda dy, W: dy * np.sign(W), (3, 4))


def test_9_float32_is_read_as_float64_inside_of_packages_and_imports(file, tmp_path):
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg" / "__init__.py").write_text("")
    (tmp_path / "pkg" / "kind.py").write_text("import numpy as np\nKIND = np.float32\n")
    source = """
        from .kind import KIND
        class Scale:
            def forward(self, x): return (3 * x).astype(KIND)
            def backward(self, dy): return 3 * dy
    """
    report = file(source, "Scale", "5,3", path="pkg/layers9.py")
    assert report and "float32 in kind.py is read as float64" in str(report)


def test_10_packages_that_only_plot_may_be_missing(file):
    source = """
        import not_installed_anywhere
        from no_such_plots.axes import Axes
        @not_installed_anywhere.jit
        def three(x): return 3 * x
        class Scale(Axes):
            def forward(self, x): return three(x)
            def backward(self, dy): return 3 * dy
    """
    report = file(source, "Scale", "5,3")
    assert report and "not_installed_anywhere, no_such_plots" in str(report)
    used = (
        "import no_such_numbers\ndef f(x): return no_such_numbers.tanh(x) * 2\ndef g(dy): return dy"
    )
    with pytest.raises(CannotCheck, match=r"pip install .*no_such_numbers"):
        file(used, "f,g", "5,3", path="used.py")


def test_10_an_import_that_may_fail_still_fails(file):
    source = """
        try:
            import no_such_gpu as xp
        except ImportError:
            xp = np
        def double(x): return 2 * xp.abs(x)
        def double_back(dy, x): return 2 * xp.sign(x) * dy
    """
    assert file(source, "double,double_back", "5,3")


def test_11_a_module_may_bear_the_name_of_its_package(file, tmp_path):
    (tmp_path / "twin").mkdir()
    for name, text in (("__init__", ""), ("twin", "nothing = 0"), ("tools", "three = 3")):
        (tmp_path / "twin" / f"{name}.py").write_text(text)
    source = "from twin.tools import three\nclass S:\n    def forward(self, x): return three * x\n"
    source += "    def backward(self, dy): return three * dy\n"
    assert file(source, "S", "5,3", path="twin/layers11.py")


def test_27_forward_and_backward_in_two_files(file, tmp_path):
    (tmp_path / "back.py").write_text("def b(dy): return 3 * dy\n")
    assert file("def f(x): return 3 * x\n", f"f,{tmp_path / 'back.py'}:b", "5,3")


# --- 15 to 17, 23 to 26: objects ----------------------------------------------


class Collects:
    """Built by the first call, together with a dictionary of lists that forward fills."""

    def __init__(self):
        self.p, self.g, self.seen = {}, {}, {}

    def forward(self, x):
        if not self.p:
            self.p, self.seen = {"W": RNG.normal(size=(x.shape[1], 4))}, {"x": []}
        self.seen["x"].append(x)
        return x @ self.p["W"]

    def backward(self, dy):
        self.g = {"W": self.seen["x"][-1].T @ dy}
        return dy @ self.p["W"].T


def test_15_what_forward_collects_is_emptied_and_its_keys_are_kept():
    report = check_layer(Collects(), (5, 3))
    assert report and names(report) == ["X", "W"]


class Aliased(Affine):
    def __init__(self):
        super().__init__()
        self.params = [self.W, self.b]


class Tied:
    """One array in two layers: its gradients add up."""

    def __init__(self, factor=1):
        self.one = Affine(4, 4)
        self.two, self.factor = Affine(4, 4), factor
        self.two.W = self.one.W

    def forward(self, x):
        return self.two.forward(np.tanh(self.one.forward(x)))

    def backward(self, dy):
        d = self.two.backward(dy) * (1 - self.two.x**2)
        self.two.dW *= self.factor
        return self.one.backward(d)


def test_16_an_array_under_two_names_is_checked_once():
    report = check_layer(Aliased(), (5, 3))
    assert report and names(report) == ["X", "W", "b"] and "not checked" not in str(report)


def test_17_gradients_of_one_array_add_up():
    assert check_layer(Tied(), (5, 4))
    assert not check_layer(Tied(2), (5, 4))["one.W"].ok


class Resets(Affine):
    """As in PyTorch: gradients add up until zero_grad is called."""

    def __init__(self, reset=True):
        super().__init__()
        self.dW, self.db = np.zeros_like(self.W), np.zeros_like(self.b)
        if not reset:
            self.zero_grad = None

    def zero_grad(self):
        self.dW, self.db = np.zeros_like(self.W), np.zeros_like(self.b)

    def backward(self, dy):
        self.dW += self.x.T @ dy
        self.db += dy.sum(0)
        return dy @ self.W.T


def test_24_growth_is_no_news_where_the_object_can_reset_itself():
    assert check_layer(Resets(), (5, 3))
    assert "dW, db grows from call to call" in str(check_layer(Resets(False), (5, 3)))


def test_23_a_rule_that_cannot_be_tried_is_a_note():
    class Once(Affine):
        def forward(self, x):
            if hasattr(self, "x"):
                raise RuntimeError("once only")
            return super().forward(x)

    report = check_layer(Once(), (5, 3))
    assert report and "a rule could not be tried (twice)" in str(report)


def test_25_a_generator_made_inside_of_forward():
    class Dropout:
        def forward(self, x):
            self.mask = np.random.default_rng().random(x.shape) > 0.5
            return x * self.mask

        def backward(self, dy):
            return dy * self.mask

    assert check_layer(Dropout(), (5, 3))


def test_26_of_wrong_readings_the_simplest_is_told():
    def mae(y_pred, y_true):
        return abs(y_pred - y_true).mean(axis=1)

    def mae_backward(dvalues, y_true):
        return -np.sign(dvalues - y_true) / y_true.size

    report = check_function(mae, mae_backward, (5, 3), (5, 3))
    assert "every entry is -1 times the right one: the sign" in str(report)


# --- 29, 30 and code ----------------------------------------------------------


class Tensor:
    def __init__(self, data, parents=(), back=lambda g: ()):
        self.data, self.grad = np.asarray(data, float), np.zeros(np.shape(data))
        self.parents, self.back = parents, back

    def __matmul__(self, o):
        return Tensor(self.data @ o.data, (self, o), lambda g: (g @ o.data.T, self.data.T @ g))

    def __mul__(self, o):
        return Tensor(self.data * o.data, (self, o), lambda g: (g * o.data, g * self.data))

    def sum(self):
        return Tensor(self.data.sum(), (self,), lambda g: (g * np.ones_like(self.data),))

    def backward(self, g=1.0):
        self.grad = self.grad + g
        for parent, d in zip(self.parents, self.back(g), strict=True):
            parent.backward(d)


class Differentiates:
    def __init__(self):
        self.W = Tensor(RNG.normal(size=(3, 4)))

    def __call__(self, x):
        return x @ self.W


def test_29_an_autograd_is_checked_as_the_message_says(monkeypatch):
    with pytest.raises(CannotCheck, match=r"no backward method.*of a Tensor, say forward='layer"):
        check_layer(Differentiates(), (5, 3))
    code = {
        "forward": "layer(Tensor(X)).data",
        "backward": "(layer(Tensor(X)) * Tensor(dY)).sum().backward()",
    }
    X = RNG.normal(size=(5, 3)).view(Constant)
    report = check_layer(Differentiates(), X, accumulates=True, **code)
    assert report and names(report) == ["W"]
    right = Tensor.__matmul__

    def wrong(self, o):
        out = right(self, o)
        return Tensor(out.data, out.parents, lambda g: (g @ o.data.T, self.data.T @ g / len(g)))

    monkeypatch.setattr(Tensor, "__matmul__", wrong)
    assert not check_layer(Differentiates(), X, accumulates=True, **code)["W"].ok


def test_code_says_what_cannot_be_guessed(file):
    source = """
        class Odd:
            def __init__(self): self.W = np.ones((3, 4))
            def build(self, n): self.n = n
            def go(self, x, times):
                self.x = x
                return self.n * times * (x @ self.W)
            def ret(self, d, times):
                self.down = self.n * times * self.x.T @ d
                return self.n * times * d @ self.W.T
    """
    code = {"forward": "layer.go(X, 2).mean()", "backward": "layer.ret(np.ones((5, 4)) / 20, 2)"}
    report = file(source, "Odd", "5,3", setup="layer.build(3)", **code)
    assert report and names(report) == ["X", "W"]
    code["backward"] = "layer.ret(np.ones((5, 4)), 2)"
    assert not file(source, "Odd", "5,3", setup="layer.build(3)", **code)
    with pytest.raises(CannotCheck, match=r"built by another call\? --setup 'layer.build\(3\)'"):
        file(source, "Odd", "5,3", **code)


def test_two_layers_of_one_class_keep_their_gradients_apart():
    class Two:
        def __init__(self):
            self.layers = [Affine(3, 3), Affine(3, 3)]

        def forward(self, x):
            for layer in self.layers:
                x = np.tanh(layer.forward(x))
                layer.y = x
            return x

        def backward(self, dy):
            for layer in reversed(self.layers):
                dy = layer.backward(dy * (1 - layer.y**2))
            self.layers[1].dW = self.layers[1].dW * self.factor
            return dy

        factor = 1

    report = check_layer(Two(), (5, 3))
    assert report and "layers[1].W" in names(report)
    Two.factor = 2
    wrong = check_layer(Two(), (5, 3))
    assert [row.name for row in wrong.rows if not row.ok] == ["layers[1].W"]
