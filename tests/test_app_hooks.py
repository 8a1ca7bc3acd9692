"""What the server does when visitors go: memory that they had goes back to the system."""

import sys
import threading

import psutil

from lsm_app import app_hooks


def test_memory_below_what_is_still_used_is_given_back():
    process = psutil.Process()
    blocks = [bytes(1500) + bytes([i % 256]) for i in range(100_000)]
    blocks[:-1] = []  # the last one lies above, so the library keeps the rest
    kept = process.memory_info().rss
    app_hooks.give_back()
    assert kept - process.memory_info().rss > 100e6
    assert len(blocks) == 1


def test_of_many_who_go_at_once_memory_is_given_back_once(monkeypatch):
    times, done = [], threading.Event()
    monkeypatch.setattr(app_hooks, "LATER", 0.05)
    monkeypatch.setattr(app_hooks.ctypes, "CDLL", lambda _: times.append(1) or done.set())
    monkeypatch.setattr(sys, "platform", "linux")
    for _ in range(5):
        app_hooks.on_session_destroyed(None)
    assert done.wait(5)
    assert len(times) == 1
    done.clear()
    app_hooks.on_session_destroyed(None)
    assert done.wait(5)
