"""Tests of the body stage."""
