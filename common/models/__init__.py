"""Thin wrappers around the models that run on a CPU: arrays in, frozen dataclasses of arrays out."""
