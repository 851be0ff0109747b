"""Tests of the body backends."""
