"""A trained network as an ONNX model, by the onnx package."""

from pathlib import Path
from typing import Any

from datasets.export.network import EPSILON, Step
from datasets.store.files import atomic

__all__ = ["write_onnx"]

# Read by every onnxruntime since 2022.
OPSET, IR_VERSION = 17, 8
OPERATORS = {
    "convolution": ("Conv", ("W", "b")),
    "max pool": ("MaxPool", ()),
    "relu": ("Relu", ()),
    "batch norm": ("BatchNormalization", ("gamma", "beta", "running_mean", "running_var")),
    "flatten": ("Flatten", ()),
    "linear": ("Gemm", ("W", "b")),
}


def write_onnx(found: list[Step], shape: tuple[int, ...], path: str | Path) -> None:
    """Write the network for inputs (N, *shape): X in, scores (N, K) out, before the softmax.

    Raises ModuleNotFoundError without the onnx package, OSError where path cannot be written.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    nodes, arrays, last = [], [], "X"
    for i, step in enumerate(found, 1):
        operator, names = OPERATORS[step.kind]
        inputs = [f"{i}/{name}" for name in names]
        arrays += [numpy_helper.from_array(step.arrays[name], f"{i}/{name}") for name in names]
        out = "scores" if i == len(found) else f"{i}/Y"
        nodes.append(helper.make_node(operator, [last, *inputs], [out], **_settings(step)))
        last = out
    K = found[-1].sizes[1]
    X = helper.make_tensor_value_info("X", TensorProto.FLOAT, ["N", *shape])
    Y = helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["N", K])
    graph = helper.make_graph(nodes, "network", [X], [Y], arrays)
    opset = helper.make_opsetid("", OPSET)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=IR_VERSION)
    onnx.checker.check_model(model, full_check=True)
    with atomic(path) as name:
        Path(name).write_bytes(model.SerializeToString())


def _settings(step: Step) -> dict[str, Any]:
    if step.kind == "max pool":
        return {"kernel_shape": [2, 2], "strides": [2, 2]}
    if step.kind == "batch norm":
        return {"epsilon": EPSILON}
    if step.kind == "convolution":
        KH, KW = step.arrays["W"].shape[2:]
        return {"pads": [(KH - 1) // 2, (KW - 1) // 2, KH // 2, KW // 2]}
    return {}
