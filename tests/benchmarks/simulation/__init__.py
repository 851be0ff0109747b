"""Tests of the made-up people and cameras."""
