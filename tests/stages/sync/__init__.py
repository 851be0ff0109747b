"""Tests of start times and identities."""
