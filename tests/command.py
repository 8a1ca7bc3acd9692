"""A command of `lsm`, for several test files."""

import sys

from lsm_core import cli


def lsm(*words, monkeypatch, capsys):
    """Run a command in this process: exit status, what it printed, what it complained."""
    monkeypatch.setattr(sys, "argv", ["lsm", *words])
    try:
        cli.main()
        status = 0
    except SystemExit as leave:
        status = leave.code or 0
    printed = capsys.readouterr()
    return status, printed.out, printed.err
