"""How negatives are drawn and who is tested, as widgets that write into the session."""

from collections.abc import Callable
from html import escape
from typing import Any

import panel as pn
import panel_material_ui as pmui
import xarray as xr

from lsm_app.layout import note
from lsm_app.session import Session
from lsm_core import own_code
from lsm_core.columns import columns
from lsm_core.recipe import METHODS, Split
from lsm_core.sections import AS_PUBLISHED
from lsm_core.strategy import STRATEGIES
from lsm_core.study_area import factors

NEGATIVES = {  # strategy to words and a sentence; `own` needs a file, which a recipe names
    "random": (
        "at random",
        "Any valid cell without a landslide, each with the same chance. The common choice and the "
        "hardest to learn: some of these places will slide one day.",
    ),
    "beyond_buffer": (
        "beyond a buffer",
        "Only cells farther than so many metres from every landslide that training knows. Surer "
        "to be stable, easier to tell apart; a model may learn distance in place of causes.",
    ),
    "below_slope": (
        "on gentle slopes",
        "Only cells flatter than so many degrees. Sure to be stable, but slope alone then tells "
        "the classes apart: look at its AUC below.",
    ),
    "low_heat": (
        "where heat is low",
        "Only cells where the heat of the training landslides is below a limit: off the "
        "surroundings that soft samples speak for.",
    ),
    "matched": (
        "matched by a category",
        "Categories of one factor, such as lithology, have the landslides' shares, so that this "
        "factor alone tells the classes no longer apart.",
    ),
}
SPLITS = {
    "blocks": "Whole squares of ground are held out: what a new slope beside the known ones asks.",
    "clusters": "Whole k-means clusters of landslides are held out: what another valley asks.",
    "knndm": "Folds whose test places lie as far from training as the map's cells lie from the "
    "landslides. It tries many clusters and takes some seconds.",
    "random": "Places are dealt at random, landslides of one slope to both sides: what papers do. "
    "Under honest those too near a test place are then left out, which costs most of them.",
    "stratified": "At random, with the same shares of a column's values in every part.",
    "buffered": "At random; training places nearer than so many metres to a test place are left "
    "out.",
    "area": "Whole areas that a column names are held out.",
    "image": "Whole years of the image that shows the landslide are held out.",
    "date": "The latest landslides are held out: trained on the past, tested on what came after.",
    "column": "A column says train or test itself.",
}
USED = {  # settings of a split that its method looks at
    "blocks": ("block",),
    "clusters": ("clusters",),
    "buffered": ("buffer",),
    "stratified": ("column",),
    "area": ("column",),
    "date": ("column", "cutoff"),
    "column": ("column",),
}
NUMBERS = {
    "degrees": ("Flatter than, degrees", 1.0, 45.0, 1.0),
    "metres": ("Farther than, metres", 30.0, 3000.0, 30.0),
    "heat": ("Heat below", 0.1, 1.0, 0.05),
    "diameter": ("Diameter of the circles, cells", 3.0, 60.0, 1.0),
}


def negatives_controls(session: Session, ds: xr.Dataset) -> pn.Column:
    """Strategy, its options and how many; writes `session.negatives` and `session.ratio`."""
    names = {words: name for name, (words, _) in NEGATIVES.items()}
    now = _strategy(session)
    strategy = pmui.Select(label="Drawn", options=names, value=now, width=250)
    options = pn.Column()
    words = note("")
    ratio = pmui.FloatSlider(
        label="Per landslide", start=0.5, end=5, step=0.5, value=session.ratio, width=250
    )

    def write(**changed: Any) -> None:
        session.negatives = session.negatives | changed

    def fill(*_: Any) -> None:
        name = _strategy(session)
        words.object = NEGATIVES[name][1]
        options[:] = [
            _option(ds, option, session.negatives.get(option, usual), write)
            for option, usual in STRATEGIES[name].items()
        ]

    def choose(event: Any) -> None:
        session.negatives = {"strategy": event.new} | _given(ds, event.new)
        fill()

    strategy.param.watch(choose, "value")
    ratio.param.watch(lambda e: session.param.update(ratio=e.new), "value_throttled")
    fill()
    return pn.Column(strategy, words, options, ratio, sizing_mode="stretch_width")


def split_controls(
    session: Session, ds: xr.Dataset, known: dict[str, Any] | None = None
) -> pn.Column:
    """Protocol, method and what it needs; writes `session.protocol` and `session.split`.

    The fields go to `known` by the keys of their settings, to be told what is wrong with them.
    """
    protocol = pmui.Select(
        label="Protocol", options=["honest", "paper"], value=session.protocol, width=120
    )
    method = pmui.Select(label="Split by", width=150)
    words = note("")
    fields = _split_fields(session, ds)
    if known is not None:
        known |= {f"split.{name}": field for name, field in fields.items()}
    box = pn.FlexBox(*fields.values(), gap="4px")

    def fill(*_: Any) -> None:
        own = own_code.named("split")
        method.options = list(AS_PUBLISHED if session.protocol == "paper" else (*METHODS, *own))
        now = session.split.get("method") or _usual(session.protocol)
        method.value = now if now in method.options else _usual(session.protocol)
        said = f"{own.get(method.value)}: a split of one's own."
        words.object = SPLITS.get(method.value) or escape(said)
        for name, field in fields.items():
            used = USED.get(method.value, ()) + (("apart",) if protocol.value == "honest" else ())
            field.visible = name in ("seed", "test", "validation", *used)

    def choose(event: Any) -> None:
        kept = {k: v for k, v in session.split.items() if k in ("seed", "test", "validation")}
        if event.new != session.split.get("method", _usual(session.protocol)):
            session.split = kept | {"method": event.new} | _column_for(event.new, ds)
        fill()

    def change(event: Any) -> None:
        kept = {k: v for k, v in session.split.items() if k != "method"}
        session.param.update(protocol=event.new, split=kept)
        fill()

    fill()
    method.param.watch(choose, "value")
    protocol.param.watch(change, "value")
    top = pn.FlexBox(protocol, method, gap="8px")
    return pn.Column(top, words, box, sizing_mode="stretch_width")


# ------------------------------------------------------------------------------------- behind


def _option(ds: xr.Dataset, name: str, value: Any, write: Callable[..., None]) -> Any:
    """The widget of one option of a strategy."""
    if name == "factor":
        known = factors(ds)
        field = pmui.Select(label="Factor", options=known, width=250)
        field.value = value if value in known else None
        field.param.watch(lambda e: write(factor=e.new), "value")
        return field
    label, start, end, step = NUMBERS[name]
    field = pmui.FloatSlider(label=label, start=start, end=end, step=step, value=value, width=250)
    field.param.watch(lambda e: write(**{name: e.new}), "value_throttled")
    return field


def _given(ds: xr.Dataset, strategy: str) -> dict[str, Any]:
    """Options without a usual value, from the area: its slope, its first category."""
    if "factor" not in STRATEGIES[strategy]:
        return {}
    known = factors(ds)
    slopes = [name for name in known if name.lower() == "slope"]
    kinds = [name for name in known if ds[name].attrs["kind"] == "categorical"]
    found = slopes if strategy == "below_slope" else kinds
    return {"factor": found[0]} if found else {"factor": known[0]}


def _strategy(session: Session) -> str:
    name = str(session.negatives.get("strategy", "random"))
    return name if name in NEGATIVES else "random"


def _usual(protocol: str) -> str:
    return "blocks" if protocol == "honest" else "random"


def _column_for(method: str, ds: xr.Dataset) -> dict[str, str]:
    """A column to begin with, where the method cannot do without."""
    known = columns(ds)
    return {"column": known[0]} if method in ("area", "date", "column") and known else {}


def _split_fields(session: Session, ds: xr.Dataset) -> dict[str, Any]:
    """A widget a setting; 0 or nothing leaves the setting to the recipe's usual value."""
    usual = Split()
    number: dict[str, Any] = {"width": 190}
    fields = {
        "seed": pmui.IntInput(label="Seed of the split", start=1, **number),
        "test": pmui.FloatSlider(
            label="Share tested", start=0.1, end=0.5, step=0.05, value=usual.test, **number
        ),
        "validation": pmui.FloatSlider(
            label="Share of the rest that checks", start=0.05, end=0.4, step=0.05,
            value=usual.validation, **number,
        ),
        "apart": pmui.IntInput(label="Cells apart (0: as needed)", start=0, value=0, **number),
        "block": pmui.FloatInput(
            label="Side of a block, m (0: by area)", start=0, value=0.0, **number
        ),
        "clusters": pmui.IntInput(label="Clusters (0: 20)", start=0, value=0, **number),
        "buffer": pmui.FloatInput(label="Buffer, metres", start=0, value=0.0, **number),
        "column": pmui.Select(
            label="Column", options={"none": ""} | {c: c for c in columns(ds)}, **number
        ),
        "cutoff": pmui.TextInput(label="Last date that trains", value="", **number),
    }  # fmt: skip
    fields["seed"].value = usual.seed
    for name, field in fields.items():
        if name in session.split:
            field.value = str(session.split[name]) if name == "cutoff" else session.split[name]
        at = "value_throttled" if name in ("test", "validation") else "value"
        field.param.watch(lambda e, name=name: _write(session, name, e.new), at)
    return fields


def _write(session: Session, name: str, value: Any) -> None:
    split = {k: v for k, v in session.split.items() if k != name}
    session.split = split | ({name: value} if value else {})
