"""Tables of points that are not what they say, added as data and read as an inventory."""

from functools import partial

from bad_rasters import LIE
from strangers import add, equal, refused, right

from lsm_core import inventory as inventories
from lsm_core.intake import crs_of
from lsm_core.own_sources import add_source


def table(place, text):
    """A table that comes, and is told its CRS."""
    path = place.write("points.csv", text)
    return lambda: add_source(path, crs="32643")


TABLES = {  # the words, and what the file holds
    "an_empty_table": (LIE, ""),
    "a_table_of_a_byte_order_mark_only": (LIE, b"\xef\xbb\xbf"),
    "a_table_of_one_column": ("1 columns .* parted by commas", "x\n1\n"),
    "a_table_parted_by_semicolons": ("1 columns .* parted by commas", "x;y\n1,5;2,5\n"),
    "a_table_of_a_million_columns": (
        "1,000,000 columns|first line of points.csv is longer",
        ",".join(map(str, range(1_000_000))) + "\n",
    ),
    "a_table_of_three_thousand_columns": (
        "3,000 columns",
        ",".join(f"c{i}" for i in range(3000)) + "\n1,2\n",
    ),
    "a_table_without_line_ends": ("first line of points.csv is longer", "1,2," * 400_000),
    "a_table_in_latin_1": (
        "cannot be read as a CSV in UTF-8",
        "x,y,größe\n1,2,3\n".encode("latin-1"),
    ),
    "a_table_in_utf_16": (LIE, "x,y\n1,2\n".encode("utf-16")),
    "a_table_with_nul_bytes": (LIE, b"x,y\n1,\0\n"),
}

for _name, (_words, _content) in TABLES.items():
    add(_name, partial(table, text=_content), _words)


@right
def a_table_with_a_byte_order_mark(place):
    send = table(place, b"\xef\xbb\xbfx,y\n1,2\n")
    return lambda: equal(send().look().fields, ("x", "y"))


@right
def a_table_whose_last_line_does_not_end(place):
    send = table(place, "x,y\n1,2\n3,4")
    return lambda: equal(send().look().features, 2)


@refused("points.csv cannot be read|no readable row|no point|no finite|cannot be read")
def points_with_decimal_commas(place):
    path = place.write("points.csv", 'x,y\n"500010,5","3999990,5"\n')
    return lambda: inventories.read_points(path, crs_of("32643"))


@refused("cannot be read")
def points_whose_quote_never_ends(place):
    path = place.write("points.csv", 'x,y\n"500010,3999990\n1,2\n')
    return lambda: inventories.read_points(path, crs_of("32643"))


@right
def points_that_are_nowhere_are_counted(place):
    path = place.write("points.csv", "x,y\n1,2\ninf,2\nnan,1\n-,1\n")
    return lambda: equal(inventories.read_points(path, crs_of("32643")).attrs["left_out"], 3)


@refused(LIE)
def points_that_are_a_list_of_another_file(place):
    path = place.write("points.gpkg", "<OGRVRTDataSource/>")
    return lambda: inventories.read_points(path, crs_of("32643"))
