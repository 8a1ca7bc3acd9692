"""An area file in form fields: drafted in one click from a DEM and an inventory, changed, built."""

import math
from collections.abc import Callable
from html import escape
from typing import Any

import panel as pn
import panel_material_ui as pmui
import yaml

from lsm_app.factor_row import FactorRow
from lsm_app.image_fields import ImageFields
from lsm_app.layout import fault, heading, into_view, note
from lsm_app.own_files import found_if_there, found_in, words_of
from lsm_app.session import said
from lsm_core import area_draft, intake
from lsm_core.area_draft import terrain_choices
from lsm_core.errors import AreaError, CrsError, LsmError
from lsm_core.intake import Found
from lsm_core.own_sources import Entry, entries, free_name

VECTORS = ("GeoDataFrame", "DataFrame")
DRAFTED = (
    "Elevation, slope, aspect, curvatures, position (TPI), relief, wetness (TWI) and the distance "
    "to streams come from the DEM; further sources are taken for what they look like. Change what "
    "you like below, then build."
)
SENT = "Sent to be built: how far it is, and what goes wrong, stands at the top of this page."
LAID = (
    "How landslides become cells: a polygon takes the cells whose centre it holds (of polygons "
    "that overlap the smallest takes them), one that holds none the cell of a point inside it; a "
    "point takes the cell it falls in. Each counts as one landslide, whatever its size. What was "
    "left out, repaired or shares a cell is counted under “Checks”."
)
SIZES = (
    "Position compares a cell with the ground within the radius; relief is the range of elevation "
    "in a window; a stream starts where that much ground drains together."
)


class AreaForm:
    """Sources, one click for a draft, its fields, and the button that builds it."""

    def __init__(self, on_build: Callable[[str], Any]) -> None:
        self.on_build = on_build
        self.base: dict[str, Any] = {}
        self.rows: list[FactorRow] = []
        wide = {"width": 330}
        self.dem = pmui.Select(label="DEM: elevations in metres", options=[], **wide)
        self.guessed: dict[str, str | None] = {}  # by label of the list
        self.inventory = pmui.Select(label="Landslides: polygons, points or a mask", **wide)
        self.more = pmui.MultiChoice(label="Further sources, for more factors", **wide)
        self.draft = pmui.Button(label="Draft the area", variant="contained")
        self.coming = False  # whether files are being uploaded
        self.draft.on_click(self._drafted)
        self.words = into_view(pn.Column(sizing_mode="stretch_width"), "start")
        self._fields()
        self.form = pn.Column(sizing_mode="stretch_width")
        self.view = pn.Column(
            pn.FlexBox(self.dem, self.inventory, self.more, align_items="start", gap="8px"),
            note(LAID), self.draft, self.words, self.form, sizing_mode="stretch_width",
        )  # fmt: skip
        self.sources()

    def _fields(self) -> None:
        self.name = pmui.TextInput(label="Name: letters, digits, - and _", width=230)
        self.title = pmui.TextInput(label="Title, for people", width=430)
        self.crs = pmui.TextInput(label="CRS as EPSG number; empty: the DEM's", width=330)
        self.cell = pmui.FloatInput(
            label="Cell size, metres; 0: the DEM's", start=0, value=0.0, width=230
        )
        self.terrain = pmui.MultiChoice(
            label="Factors from the DEM", sizing_mode="stretch_width", max_width=900
        )
        self.radius = pmui.FloatInput(label="Radius of position, metres", start=1, width=210)
        self.window = pmui.IntInput(label="Window of relief, cells", start=3, step=2, width=190)
        self.streams = pmui.FloatInput(label="Ground of a stream, m2", start=1, width=200)
        self.others = pn.Column(sizing_mode="stretch_width")
        self.image = ImageFields(self.show_text)
        self.source = pmui.Select(label="Source of one more factor", width=330)
        self.add = pmui.Button(label="Add it", variant="outlined")
        self.add.on_click(lambda _: self.add_factor())
        self.answer = into_view(pn.Column(sizing_mode="stretch_width"))
        self.text = pn.pane.HTML("", sizing_mode="stretch_width")
        self.build = pmui.Button(label="Build this area", color="primary", variant="contained")
        self.build.on_click(lambda _: self.send())
        for field in (self.name, self.title, self.crs, self.cell, self.terrain,
                      self.radius, self.window, self.streams):  # fmt: skip
            field.param.watch(lambda _: self.show_text(), "value")
        for field in (self.dem, self.inventory):
            field.param.watch(lambda _: self.show_text(), "value")
            field.param.watch(lambda _: self.ready(), "value")

    # --------------------------------------------------------------------------- sources

    def sources(self) -> None:
        """The lists of sources as they are now; what looks like a DEM or an inventory is chosen.

        Files come one after the other: a guess gives way to a better one, a person's choice stays.
        """
        self.known = {name: entry for name, entry in entries().items() if entry.there}
        self.rasters = [e for e in self.known.values() if e.data_type == "RasterDataset"]
        vectors = [e for e in self.known.values() if e.data_type in VECTORS]
        own = {e.name: f for e in self.known.values() if e.own and (f := found_if_there(e))}
        for select, options, guess in (
            (self.dem, self.rasters, area_draft.guess_dem(own)),
            (self.inventory, [*vectors, *self.rasters], area_draft.guess_inventory(own)),
        ):
            names = {_label(entry): entry.name for entry in options}
            kept = select.value if select.value in names.values() else None
            select.options = names
            theirs = kept and kept != self.guessed.get(select.label)
            select.value = kept if theirs and own and self.known[kept].own else guess or kept
            self.guessed[select.label] = guess
        labels = {_label(entry): entry.name for entry in self.known.values()}
        self.more.options = labels
        self.source.options = labels
        used = (self.dem.value, self.inventory.value)
        self.more.value = [
            n for n, f in own.items()
            if n not in used and area_draft.factor_of(n, f, self.known[n].path)
        ]  # fmt: skip
        self.ready()

    def ready(self, coming: bool | None = None) -> None:
        """Whether a draft can be made: not while files are still `coming`; the button says why."""
        self.coming = self.coming if coming is None else coming
        lacking = "" if self.inventory.value else ": choose landslides first"
        lacking = lacking if self.dem.value else ": choose a DEM first"
        lacking = ": files are still coming" if self.coming else lacking
        self.draft.param.update(label=f"Draft the area{lacking}", disabled=bool(lacking))

    def _drafted(self, *_: Any) -> None:
        self.draft.loading = True  # files are looked at, which may take seconds
        try:
            self.make_draft()
        finally:
            self.draft.loading = False

    def make_draft(self) -> None:
        """One click: the fields filled from the chosen sources."""
        try:
            dem, slides, *more = [
                self.known[name]
                for name in (self.dem.value, self.inventory.value, *self.more.value)
            ]
            taken = set(area_draft.area_files())
            further = [(entry.name, found_in(entry), entry.path) for entry in more]
            draft = area_draft.draft_area(
                free_name(f"{_plain(dem.file)}_area", taken),
                (dem.name, found_in(dem)),
                (slides.name, found_in(slides)),
                more=further,
            )
        except LsmError as error:
            self.words[:] = [said(error)]
            return
        draft["title"] = ""
        left = area_draft.not_drafted(draft, further)
        self.load(draft)
        self.words[:] = [note(DRAFTED), *[said(AreaError(line)) for line in left]]

    def load(self, content: dict[str, Any]) -> None:
        """Fill the fields from the content of an area file; what they do not know stays."""
        self.base = {}
        self.others.clear()
        self.rows = []
        grid, dem = content["grid"], content.get("dem")
        dem = dem["source"] if isinstance(dem, dict) else dem
        self.name.value, self.title.value = content["name"], content.get("title", "")
        self.dem.value = dem if dem in self.known else None
        inventory = content["inventory"]["source"]
        self.inventory.value = inventory if inventory in self.known else None
        self.crs.value = str(grid.get("crs", ""))
        self.cell.value = grid.get("resolution", 0.0)
        choices = self._choices()
        factors = [
            f if isinstance(f, dict) else {"name": f, "derive": f} for f in content["factors"]
        ]
        plain = [f for f in factors if f["name"] in choices and _same(f, choices[f["name"]])]
        sizes = {
            key: f[key] for f in plain for key in ("radius", "window", "stream_area") if key in f
        }
        self.radius.value = sizes.get("radius", choices["tpi"]["radius"])
        self.window.value = sizes.get("window", area_draft.RELIEF_CELLS)
        streams = choices["distance_to_streams"]["stream_area"]
        self.streams.value = sizes.get("stream_area", streams)
        self.terrain.options = list(choices)
        self.terrain.value = [f["name"] for f in plain]
        self.kept = [f for f in factors if f not in plain and _source(f) not in self.known]
        for factor in factors:
            if factor not in plain and factor not in self.kept:
                self._row(factor)
        self.image.load(content.get("image", {}), self.rasters)
        self.base = content
        self.answer.clear()
        self.form[:] = self._parts()
        self.show_text()

    def _choices(self) -> dict[str, dict[str, Any]]:
        entry = self.known.get(self.dem.value or "")
        found = found_if_there(entry)
        cell = self.cell.value or (area_draft.metres(found) if found else 30.0)
        return terrain_choices(cell, area_draft.ground_of(found) if found else math.inf)

    def _parts(self) -> list[Any]:
        style = {"align_items": "start", "gap": "8px"}
        return [
            heading("The area"),
            pn.FlexBox(self.name, self.title, **style),
            pn.FlexBox(self.crs, self.cell, **style),
            heading("Its factors"),
            self.terrain,
            pn.FlexBox(self.radius, self.window, self.streams, **style),
            note(SIZES),
            self.others,
            pn.FlexBox(self.source, self.add, align_items="center", gap="8px"),
            heading("Its image, if it has one"),
            self.image.view,
            self.text,
            self.build,
            self.answer,
        ]

    # --------------------------------------------------------------------------- factors

    def add_factor(self) -> None:
        """One more factor of the chosen source."""
        entry = self.known[self.source.value]
        factor = area_draft.factor_of(
            entry.name, found_if_there(entry) or Found("vector"), entry.path
        )
        factor = factor or {"name": f"distance_to_{entry.name}", "distance_to": entry.name}
        taken = {row.name.value for row in self.rows} | set(self.terrain.value)
        self._row(factor | {"name": free_name(factor["name"], taken)})
        self.show_text()

    def _row(self, factor: dict[str, Any]) -> None:
        entry = self.known[_source(factor)]
        row = FactorRow(factor, entry, self.show_text, self._remove)
        self.rows.append(row)
        self.others.append(row.view)

    def _remove(self, row: FactorRow) -> None:
        self.rows.remove(row)
        self.others.remove(row.view)
        self.show_text()

    def content(self) -> dict[str, Any]:
        """The area file that the fields say."""
        choices = self._choices()
        sizes = {key: field.value for key, field in self._sizes().items()}
        terrain = [choices[name] for name in self.terrain.value if name in choices]
        terrain = [
            f | {k: v for k, v in sizes.items() if k in f and v is not None} for f in terrain
        ]
        dem = self.known.get(self.dem.value or "")
        found = found_if_there(dem)
        if dem is None or found is None or self.inventory.value is None:
            raise AreaError("choose a DEM and an inventory first")
        crs = self.crs.value.strip()
        crs = intake.crs_name(intake.crs_of(crs)) if crs else ""
        like = self.base.get("grid", {}).get("like") == dem.name and not crs and not self.cell.value
        grid = area_draft.grid_part(dem.name, found_in(dem), crs, self.cell.value or None)
        own = {key: self.base.get("grid", {}).get(key) for key in ("extent", "mask")}
        made = {
            "name": self.name.value.strip(),
            "title": self.title.value.strip() or self.name.value.strip(),
            "grid": ({"like": dem.name} if like else grid) | {k: v for k, v in own.items() if v},
            "dem": dem.name,
        }
        inventory = dict(self.base.get("inventory") or {})
        if inventory.get("source") != self.inventory.value:
            inventory = {"source": self.inventory.value}
        factors = [*terrain, *(row.content() for row in self.rows), *self.kept]
        return made | self.image.content() | {"inventory": inventory, "factors": factors}

    def show_text(self) -> None:
        """What is in the fields, as the file it becomes, or what is wrong with it."""
        if not self.base:
            return
        for field in (self.name, self.crs, self.cell, *self._sizes().values(), *self._of_rows(),
                      *self.image.fields().values()):  # fmt: skip
            fault(field)
        try:
            content = self.content()
            area_draft.check_draft(content)
        except LsmError as error:
            self.build.disabled = True
            self.text.object = _wrong(str(error))
            self._blame(error)
            return
        self.build.disabled = False
        self.text.object = _folded(self.known[content["dem"]], content)

    def _blame(self, error: LsmError) -> None:
        """Say below each field what is wrong with it: a person may see no more of the form."""
        if isinstance(error, CrsError):
            fault(self.crs, str(error))
        for clause in str(error).split("; "):
            place, _, words = clause.partition(" ")
            field = self._field_at(place.rstrip(":").split("."))
            if field is not None:
                fault(field, words)

    def _field_at(self, place: list[str]) -> Any:
        """The field of a place in the area file, such as factors.3.radius; None where none is."""
        fields = {"name": self.name, "grid.resolution": self.cell, "grid.crs": self.crs}
        fields |= self.image.fields()
        if place[0] != "factors" or len(place) < 3:
            return fields.get(".".join(place))
        number = int(place[1]) - len(self.terrain.value)
        if number < 0:
            return self._sizes().get(place[2])
        return getattr(self.rows[number], place[2], None) if number < len(self.rows) else None

    def _sizes(self) -> dict[str, Any]:
        """Fields that all factors from the DEM share, by their keys in the area file."""
        return {"radius": self.radius, "window": self.window, "stream_area": self.streams}

    def _of_rows(self) -> list[Any]:
        return [field for row in self.rows for field in (row.name, row.units, row.radius)]

    def send(self) -> None:
        """Write the area file, and have it built."""
        try:
            path = area_draft.save_draft(self.content())
        except LsmError as error:
            self.answer[:] = [said(error)]
            return
        self.on_build(path.stem)
        self.answer[:] = [note(SENT)]


def _label(entry: Entry) -> str:
    return f"{entry.name} ({entry.file}, yours)" if entry.own else entry.name


def _plain(file: str) -> str:
    return file.rsplit(".", 1)[0]


def _source(factor: dict[str, Any]) -> str:
    keys = ("source", "distance_to", "density_of", "interpolate")
    return str(next((factor[key] for key in keys if factor.get(key)), ""))


def _same(factor: dict[str, Any], choice: dict[str, Any]) -> bool:
    """Whether it is that choice, sizes aside."""
    return set(factor) == set(choice) and factor.get("derive") == choice.get("derive")


def _wrong(words: str) -> str:
    return f'<p role="alert" style="color:#b71c1c;margin:4px 10px">{escape(words)}</p>'


def _folded(dem: Entry, content: dict[str, Any]) -> str:
    grid = content["grid"]
    cells = f"on the DEM's own cells ({words_of(dem)})"
    if "like" not in grid:
        cells = f"in {grid['crs']}, cells of {grid['resolution']:g}"
    text = escape(yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100))
    style = "font-size:12px;max-height:320px;overflow:auto"
    return (
        f'<p style="margin:4px 10px">{len(content["factors"])} factors {escape(cells)}.</p>'
        '<details style="margin:4px 10px"><summary>The area file this becomes</summary>'
        f'<pre tabindex="0" style="{style}">{text}</pre></details>'
    )
