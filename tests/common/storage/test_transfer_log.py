from __future__ import annotations

import logging

import pytest

from common.storage import transfer_log
from common.storage.transfer_log import TransferLog


def test_a_long_transfer_tells_how_far_it_is(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    now = [0.0]
    monkeypatch.setattr(transfer_log.time, "monotonic", lambda: now[0])
    caplog.set_level(logging.INFO, logger="ghost")
    log = TransferLog("downloading x", total=30_000_000_000)
    log.add(1)
    now[0] = 10.0
    log.add(9_999_999_999)
    log.add(1)
    assert caplog.messages == ["downloading x: 10.00 of 30.00 GB at 1000 MB/s, about 20 s left"]


def test_a_file_that_is_empty_may_be_the_first_to_end(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    now = [0.0]
    monkeypatch.setattr(transfer_log.time, "monotonic", lambda: now[0])
    caplog.set_level(logging.INFO, logger="ghost")
    log = TransferLog("uploading x", total=10)
    now[0] = 11.0
    log.add(0)
    assert caplog.messages == ["uploading x: 0.00 of 0.00 GB at 0 MB/s, about 10 s left"]
