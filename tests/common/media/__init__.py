"""Tests of common.media."""
