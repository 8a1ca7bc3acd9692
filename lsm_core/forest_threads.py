"""The threads of a forest leave the process's filters of warnings as they are.

scikit-learn 1.9 sets these filters anew in each thread, and puts the old ones back after. Threads
share one list of them, so that two that do it at once can empty it for good: every forest from then
on warns that it was called wrongly, and what was to be an error is none. A thread sees the filters
of its process anyway; scikit-learn's own settings are handed on as before.
"""

from typing import Any

from sklearn import config_context
from sklearn.utils import parallel


def keep_warning_filters() -> None:
    """From now on no thread of scikit-learn's changes what this process does with warnings."""
    parallel._FuncWrapper.__call__ = _call


def _call(self: Any, *args: Any, **kwargs: Any) -> Any:
    with config_context(**getattr(self, "config", None) or {}):
        return self.function(*args, **kwargs)
