"""What the core's commands tell, in processes beside the server: answers that take seconds.

Where both want the machine, such a process waits for the server: whoever clicks comes first.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from lsm_core.errors import LsmError

LSM = [sys.executable, "-m", "lsm_core.cli"]
AFTER_OTHERS = ["nice", "-n", "10"] if shutil.which("nice") else []


def say(words: Sequence[str], longest: float) -> str:
    """What `lsm` prints of these words, within `longest` seconds.

    Errors: it refuses or fails, in its own last words, or takes longer (LsmError).
    """
    command = [*AFTER_OTHERS, *LSM, *words]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=longest
        )
    except subprocess.TimeoutExpired:
        told = f"it took longer than {longest:g} s and was ended; the machine may be busy"
        raise LsmError(told) from None
    except OSError as error:
        raise LsmError(f"it could not be started: {error}") from error
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise LsmError(last.removeprefix("error: "))
    return done.stdout


def tell(words: Sequence[str], longest: float) -> dict[str, Any]:
    """The same for words that ask for JSON. Errors: besides, it is none (LsmError)."""
    printed = say(words, longest)
    try:
        return dict(json.loads(printed))
    except ValueError as error:
        raise LsmError(f"the answer could not be read: {error}") from error
