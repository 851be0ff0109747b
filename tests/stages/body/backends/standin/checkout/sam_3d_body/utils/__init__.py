"""Moves batches between devices, by the names that the official code uses."""

import torch


def recursive_to(x, target):
    if isinstance(x, dict):
        return {key: recursive_to(value, target) for key, value in x.items()}
    if isinstance(x, torch.Tensor):
        return x.numpy() if target == "numpy" else x.to(target)
    return x
