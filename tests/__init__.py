"""The tests mirror the code: what `common/x.py` does is tested in `tests/common/test_x.py`."""
