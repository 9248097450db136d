"""Bytes on disk, whole or not at all: HDF5 files, weights, checkpoints."""
