"""Tests of common.weights."""
