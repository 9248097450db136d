"""Trained networks for other tools: ONNX, PyTorch."""
