"""Tests of benchmarks/sync."""
