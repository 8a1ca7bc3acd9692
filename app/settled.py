"""What Bokeh works out again and again about its models, worked out once.

The default of a property is worked out anew whenever a page is walked through, drawn or sent, for
every property of every model, and the arguments of every callback are counted: about half of what
a widget costs the server. What all instances of a class share does not change while it runs, so it
is kept; what only a programmer would be told is not looked for. Whenever a part is put on a page,
all its models are walked through: what holds no other model by itself is passed over.
"""

import functools
from collections.abc import Callable
from typing import Any

import bokeh.model.util
from bokeh.core.has_props import HasProps
from bokeh.core.property.descriptors import PropertyDescriptor
from bokeh.settings import settings

PLAIN = PropertyDescriptor.instance_default
PLAIN_UNSTABLE = PropertyDescriptor.has_unstable_default
PLAIN_VISIT = bokeh.model.util.visit_immediate_value_references

_defaults: dict[tuple[type, str], Any] = {}
_unstable: dict[tuple[type, str], bool] = {}
_bare: dict[tuple[type, str], bool] = {}


def settle() -> None:
    """Have Bokeh keep it, in all of this process; a second call changes nothing."""
    settings.perform_error_diagnostics = False
    settings.perform_document_validation = False
    if PropertyDescriptor.instance_default is PLAIN:
        overridden = HasProps._overridden_defaults.__func__  # type: ignore[attr-defined]
        HasProps._overridden_defaults = classmethod(functools.cache(overridden))  # type: ignore[assignment]
        PropertyDescriptor.instance_default = _default  # type: ignore[method-assign]
        PropertyDescriptor.has_unstable_default = _has_unstable  # type: ignore[method-assign]
        HasProps.themed_values = _themed_values  # type: ignore[method-assign]
        bokeh.model.util.visit_immediate_value_references = _visit


def _themed_values(self: HasProps) -> dict[str, Any] | None:
    """Looked up where it would be: most have none, and Bokeh then says which names there are."""
    return self.__dict__.get("__themed_values__")


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


def _visit(value: Any, visitor: Callable[[Any], None]) -> None:
    """The models that a model holds itself, as Bokeh finds them."""
    if not isinstance(value, HasProps):
        bokeh.model.util.visit_value_and_its_immediate_references(value, visitor)
        return
    known, defaults = value._property_values, value._unstable_default_values
    for name in value.properties_with_refs():
        if name in known or name in defaults or not _is_bare(value, name):
            held = getattr(value, name)
            bokeh.model.util.visit_value_and_its_immediate_references(held, visitor)


def _is_bare(obj: HasProps, name: str) -> bool:
    """Whether a property holds no model as long as nobody has set it."""
    key = (type(obj), name)
    if key not in _bare:
        default = PLAIN(type(obj).lookup(name), obj)
        _bare[key] = default is None or type(default) in (bool, int, float, str) or default == []
        _bare[key] |= isinstance(default, dict | set | tuple) and not default
    return _bare[key]
