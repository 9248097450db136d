"""Writes the golden arrays: what PyTorch computes, in float64, for every layer and loss.

A development script (needs torch); the tests only read the .npz files that it wrote:

    python tests/cnn/golden/make_golden.py

Each file holds what went in (X, dY, parameters) and what came out (Y, dX, gradients), so that
the comparison needs neither PyTorch nor its random numbers. Linear weights are stored as ours,
(in, out): the transpose of PyTorch's.
"""

from pathlib import Path

import numpy as np
import torch
from torch import nn

HERE = Path(__file__).parent
NAMES = {
    nn.Linear: {"weight": "W", "bias": "b"},
    nn.Conv2d: {"weight": "W", "bias": "b"},
    nn.BatchNorm2d: {"weight": "gamma", "bias": "beta"},
}


def ours(module: nn.Module, name: str, value: torch.Tensor) -> np.ndarray:
    """A parameter or gradient in our shape: Linear W (in, out), b (1, out)."""
    array = value.detach().numpy().copy()
    if isinstance(module, nn.Linear):
        return array.T if name == "weight" else array[None]
    return array


def record(module: nn.Module, X: torch.Tensor) -> dict[str, np.ndarray]:
    """Input, parameters, output, upstream and every gradient of one module."""
    torch.manual_seed(1)
    X.requires_grad_()
    arrays = {"X": X.detach().numpy().copy()}
    names = NAMES.get(type(module), {})
    for name, short in names.items():
        parameter = getattr(module, name)
        nn.init.normal_(parameter)
        arrays[short] = ours(module, name, parameter)
    Y = module(X)
    dY = torch.randn_like(Y)
    Y.backward(dY)
    arrays |= {"Y": Y.detach().numpy(), "dY": dY.numpy(), "dX": X.grad.numpy()}
    for name, short in names.items():
        arrays["d" + short] = ours(module, name, getattr(module, name).grad)
    if isinstance(module, nn.BatchNorm2d):
        arrays["running_mean"] = module.running_mean.numpy().copy()
        arrays["running_var"] = module.running_var.numpy().copy()
        arrays["inference"] = module.eval()(X).detach().numpy()
    return arrays


def layers() -> dict[str, tuple[nn.Module, tuple[int, ...]]]:
    images = (3, 2, 7, 5)
    return {
        "linear": (nn.Linear(7, 5), (3, 7)),
        "conv": (nn.Conv2d(2, 3, 3), images),
        "conv_padding": (nn.Conv2d(2, 3, 3, padding=1), images),
        "conv_stride": (nn.Conv2d(2, 3, (3, 2), stride=(2, 1), padding=(1, 0)), images),
        "conv_same": (nn.Conv2d(2, 3, (4, 3), padding="same"), images),
        "conv_large": (nn.Conv2d(2, 3, 5, stride=3, padding=2), images),
        "max_pool": (nn.MaxPool2d(2), images),
        "max_pool_overlap": (nn.MaxPool2d(3, stride=2), images),
        "avg_pool": (nn.AvgPool2d(2), images),
        "avg_pool_overlap": (nn.AvgPool2d((3, 2), stride=(2, 1)), images),
        "batchnorm": (nn.BatchNorm2d(2), images),
        "relu": (nn.ReLU(), images),
        "leaky_relu": (nn.LeakyReLU(0.01), images),
        "sigmoid": (nn.Sigmoid(), images),
        "tanh": (nn.Tanh(), images),
        "softmax": (nn.Softmax(dim=1), (3, 5)),
    }


def losses() -> dict[str, np.ndarray]:
    X = torch.randn(4, 5).requires_grad_()
    y, labels = torch.randn(4, 5), torch.tensor([3, 0, 4, 0])
    arrays = {"X": X.detach().numpy().copy(), "y": y.numpy(), "labels": labels.numpy()}
    for name, value in (
        ("cross_entropy", nn.CrossEntropyLoss()(X, labels)),
        ("mean_square", nn.MSELoss()(X, y)),
    ):
        (dX,) = torch.autograd.grad(value, X)
        arrays |= {name: value.detach().numpy(), f"{name}_dX": dX.numpy()}
    arrays["squares"] = nn.MSELoss(reduction="none")(X, y).detach().numpy()
    return arrays


def training() -> dict[str, np.ndarray]:
    """Six momentum steps of a whole CNN: losses, and the weights before and after."""
    net = nn.Sequential(
        nn.Conv2d(1, 3, 3, padding=1), nn.MaxPool2d(2), nn.ReLU(), nn.BatchNorm2d(3),
        nn.Conv2d(3, 4, 3, stride=2), nn.LeakyReLU(), nn.AvgPool2d(2), nn.BatchNorm2d(4),
        nn.Flatten(), nn.Linear(4 * 1 * 1, 6), nn.Tanh(), nn.Linear(6, 5),
    )  # fmt: skip
    X, y = torch.randn(6, 8, 1, 11, 10), torch.randint(5, (6, 8))
    arrays = {"X": X.numpy(), "y": y.numpy()} | weights(net, "before")
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    values = []
    for batch, labels in zip(X, y, strict=True):
        optimizer.zero_grad()
        loss = nn.CrossEntropyLoss()(net(batch), labels)
        loss.backward()
        optimizer.step()
        values.append(loss.item())
    return arrays | weights(net, "after") | {"losses": np.array(values)}


def weights(net: nn.Sequential, when: str) -> dict[str, np.ndarray]:
    return {
        f"{when}/{i}/{short}": ours(module, name, getattr(module, name))
        for i, module in enumerate(net)
        for name, short in NAMES.get(type(module), {}).items()
    } | {
        f"{when}/{i}/{name}": getattr(module, name).numpy().copy()
        for i, module in enumerate(net)
        if isinstance(module, nn.BatchNorm2d)
        for name in ("running_mean", "running_var")
    }


def main() -> None:
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(0)
    arrays = {}
    for name, (module, shape) in layers().items():
        recorded = record(module, torch.randn(shape))
        arrays |= {f"{name}/{key}": value for key, value in recorded.items()}
    np.savez_compressed(HERE / "layers.npz", **arrays)
    np.savez_compressed(HERE / "losses.npz", **losses())
    np.savez_compressed(HERE / "training.npz", **training())
    print(f"wrote layers, losses and training.npz with torch {torch.__version__}")


if __name__ == "__main__":
    main()
