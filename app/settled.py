"""What Bokeh works out again and again about its models, worked out once.

The default of a property is worked out anew whenever a page is walked through, drawn or sent, for
every property of every model, and the arguments of every callback are counted: about half of what
a widget costs the server. What all instances of a class share does not change while it runs, so it
is kept; what only a programmer would be told is not looked for.
"""

import functools
from typing import Any

from bokeh.core.has_props import HasProps
from bokeh.core.property.descriptors import PropertyDescriptor
from bokeh.settings import settings

PLAIN = PropertyDescriptor.instance_default
PLAIN_UNSTABLE = PropertyDescriptor.has_unstable_default

_defaults: dict[tuple[type, str], Any] = {}
_unstable: dict[tuple[type, str], bool] = {}


def settle() -> None:
    """Have Bokeh keep it, in all of this process; a second call changes nothing."""
    settings.perform_error_diagnostics = False
    settings.perform_document_validation = False
    if PropertyDescriptor.instance_default is PLAIN:
        overridden = HasProps._overridden_defaults.__func__  # type: ignore[attr-defined]
        HasProps._overridden_defaults = classmethod(functools.cache(overridden))  # type: ignore[assignment]
        PropertyDescriptor.instance_default = _default  # type: ignore[method-assign]
        PropertyDescriptor.has_unstable_default = _has_unstable  # type: ignore[method-assign]


def _default(self: PropertyDescriptor[Any], obj: HasProps) -> Any:
    themed = obj.themed_values()
    if (themed is not None and self.name in themed) or _has_unstable(self, obj):
        return PLAIN(self, obj)
    key = (type(obj), self.name)
    if key not in _defaults:
        _defaults[key] = PLAIN(self, obj)
    return _defaults[key]


def _has_unstable(self: PropertyDescriptor[Any], obj: HasProps) -> bool:
    """Whether each instance has a default of its own, such as a list."""
    key = (type(obj), self.name)
    if key not in _unstable:
        _unstable[key] = PLAIN_UNSTABLE(self, obj)
    return _unstable[key]
