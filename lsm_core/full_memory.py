"""Memory that runs out: how libraries say it, what is told, and threads that end of it."""

import errno
import re
import signal
import sys
import threading
from typing import Any

SAID = re.compile(  # as JAX, Python, oneDNN, Arrow and the readers of files say it
    "RESOURCE_EXHAUSTED|can't start new thread|could not create a primitive|bad_alloc"
    "|launch worker thread|malloc of size|cannot allocate memory|out of memory"
    "|failed to map segment",
    re.IGNORECASE,
)
RESERVE = 2**24  # bytes
_kept: list[bytearray] = []


def ran_out(error: BaseException) -> bool:
    """Whether it is an error of memory that ran out, of the machine or of a GPU; or came of one."""
    return _lack(error) is not None


def _lack(error: BaseException) -> BaseException | None:
    """The error of memory: what was being put right when it came, and so on, or else itself."""
    first = None if error.__context__ is None else _lack(error.__context__)
    names = {kind.__name__ for kind in type(error).__mro__}
    by_name = names & {"MemoryError", "ResourceExhaustedError", "OutOfMemoryError"}
    by_number = isinstance(error, OSError) and error.errno == errno.ENOMEM
    itself = error if by_name or by_number or SAID.search(str(error)) else None
    return first or itself


def full_in_words(error: BaseException) -> str:
    """What is wrong and what to do where `ran_out`, in a line."""
    lack = _lack(error) or error
    first = next(iter(str(lack).splitlines()), "")[:200] or type(lack).__name__
    return (
        f"memory ran out ({first}): end other programs, take a smaller training.batch or window, "
        "or a machine with more"
    )


def end_with_threads() -> None:
    """From now on a thread that ends for want of memory ends the command, with a MemoryError.

    Zarr reads in a thread of its own: who asks one that has ended, or never began, waits for ever.
    So that there is room for that, some is kept from the start.
    """
    _kept[:] = [bytearray(RESERVE)]
    here = threading.current_thread() is threading.main_thread()
    if here and hasattr(signal, "pthread_kill"):  # not on Windows
        signal.signal(signal.SIGUSR2, _raise)
        threading.excepthook = _heard(threading.excepthook)
        sys.unraisablehook = _heard(sys.unraisablehook)  # of a thread that never began


def _heard(usual: Any) -> Any:
    """The hook, but for errors of memory in other threads."""
    main = threading.main_thread().ident

    def hook(told: Any) -> None:
        error = told.exc_value
        if issubclass(told.exc_type, MemoryError):
            _kept.clear()
        if main in (None, threading.get_ident()) or error is None or not ran_out(error):
            usual(told)
        else:
            signal.pthread_kill(main, signal.SIGUSR2)

    usual = getattr(usual, "usual", usual)  # of a hook that is there already
    hook.__dict__["usual"] = usual
    return hook


def _raise(*_: Any) -> None:
    raise MemoryError("a thread found none")
