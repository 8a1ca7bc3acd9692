"""Names and colours of classes, from every file that may hold them."""

import numpy as np
import pytest
import rasterio

from lsm_core.errors import SourceError
from lsm_core.legend import category_names, flag_colors, legend_of

TABLE = """<PAMDataset><PAMRasterBand band="1"><GDALRasterAttributeTable>
<FieldDefn index="0"><Name>Value</Name><Type>1</Type></FieldDefn>
<FieldDefn index="1"><Name>rock</Name><Type>2</Type></FieldDefn>
<FieldDefn index="2"><Name>age</Name><Type>2</Type></FieldDefn>
<Row index="0"><F>2</F><F>Marl &amp; lime</F><F>old</F></Row>
<Row index="1"><F>5.0</F><F>Sand</F><F>young</F></Row>
</GDALRasterAttributeTable></PAMRasterBand></PAMDataset>"""

COLOURED = """<PAMDataset><PAMRasterBand band="1"><GDALRasterAttributeTable>
<FieldDefn index="0"><Name>VALUE</Name><Type>0</Type></FieldDefn>
<FieldDefn index="1"><Name>name</Name><Type>2</Type></FieldDefn>
<FieldDefn index="2"><Name>Red</Name><Type>0</Type></FieldDefn>
<FieldDefn index="3"><Name>Green</Name><Type>0</Type></FieldDefn>
<FieldDefn index="4"><Name>Blue</Name><Type>0</Type></FieldDefn>
<Row index="0"><F>2</F><F>Marl</F><F>255</F><F>0</F><F>16</F></Row>
</GDALRasterAttributeTable></PAMRasterBand></PAMDataset>"""

STYLE = """<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>
<qgis><pipe><rasterrenderer type="paletted"><colorPalette>
<paletteEntry value="2" color="#00FF00" label="Forest" alpha="255"/>
<paletteEntry value="7" color="#0000ff" label="" alpha="255"/>
</colorPalette></rasterrenderer></pipe></qgis>"""


def write(path, colormap=None):
    profile = {"height": 2, "width": 2, "count": 1, "dtype": "uint8", "driver": "GTiff"}
    transform = rasterio.transform.from_origin(500000, 4000000, 10, 10)
    with rasterio.open(path, "w", crs="EPSG:32643", transform=transform, **profile) as file:
        file.write(np.array([[2, 5], [7, 9]], "uint8"), 1)
        if colormap:
            file.write_colormap(1, colormap)
    return path


def test_category_names_from_the_attribute_table(tmp_path):
    raster, table = tmp_path / "a.tif", tmp_path / "a.tif.aux.xml"
    assert category_names(raster) == {}
    table.write_text(TABLE)
    assert category_names(raster) == {2: "Marl & lime", 5: "Sand"}
    assert category_names(raster, "age") == {2: "old", 5: "young"}
    with pytest.raises(SourceError, match="lacks VALUE or colour: it holds Value, rock, age"):
        category_names(raster, "colour")
    table.write_text('<!DOCTYPE x [<!ENTITY a "b">]>' + TABLE)
    with pytest.raises(SourceError, match="declares a document type"):
        category_names(raster)
    table.write_text("<PAM")
    with pytest.raises(SourceError, match="not readable XML"):
        category_names(raster)
    table.write_text(
        "<PAM><CategoryNames><Category/><Category>Ice</Category></CategoryNames></PAM>"
    )
    assert category_names(raster) == {1: "Ice"}


def test_no_legend_at_all(tmp_path):
    assert legend_of(write(tmp_path / "a.tif")) == ({}, {}, [])


def test_colour_table_of_the_raster(tmp_path):
    legend = legend_of(write(tmp_path / "a.tif", {2: (1, 2, 3, 255), 9: (255, 255, 255, 255)}))
    assert (legend.colours[2], legend.colours[9]) == ("#010203", "#ffffff")
    assert legend.files == ["the colour table of a.tif"]


def test_the_first_file_that_knows_a_code_counts(tmp_path):
    """Attribute table before style before colour file before colour table, code by code."""
    path = write(tmp_path / "a.tif", dict.fromkeys((2, 7, 8, 9), (9, 9, 9, 255)))
    (tmp_path / "a.tif.aux.xml").write_text(COLOURED)
    (tmp_path / "a.qml").write_text(STYLE)
    (tmp_path / "a.clr").write_text("# comment\n7 1 1 1 Ash tree\n8 16 0 0 255 Bog\n")
    legend = legend_of(path)
    assert legend.names == {2: "Marl", 7: "Ash tree", 8: "Bog"}
    assert [legend.colours[c] for c in (2, 7, 8, 9)] == ["#ff0010", "#0000ff", "#100000", "#090909"]
    assert legend.files[:3] == ["a.tif.aux.xml", "a.qml", "a.clr"]


def test_colours_as_shares(tmp_path):
    (tmp_path / "a.tif.aux.xml").write_text(COLOURED.replace("255", "1").replace("16", "0.5"))
    assert legend_of(write(tmp_path / "a.tif")).colours == {2: "#ff0080"}


def test_styles_and_colour_files_as_others_write_them(tmp_path):
    """A style of ranges, colours with opacity; commas and a byte order mark; too much of a red."""
    path = write(tmp_path / "a.tif")
    entry = '<paletteEntry value="2.5" color="#0a0b0c" label="to 2.5"/></colorPalette>'
    style = STYLE.replace("#00FF00", "#00FF0080").replace("</colorPalette>", entry)
    (tmp_path / "a.qml").write_text(style)
    (tmp_path / "a.clr").write_text("8,300,-5,7,Ash\n9,1,2,3\n", encoding="utf-8-sig")
    legend = legend_of(path)
    assert legend.names == {2: "Forest", 8: "Ash"}
    assert legend.colours == {2: "#00ff00", 7: "#0000ff", 8: "#ff0007", 9: "#010203"}


def test_comments_and_quoted_text_in_a_table_are_no_entities(tmp_path):
    table = TABLE.replace("Sand", "<![CDATA[Sand & silt]]>")
    (tmp_path / "a.tif.aux.xml").write_text("<!-- by hand -->" + table)
    assert category_names(tmp_path / "a.tif")[5] == "Sand & silt"


def test_broken_colour_files(tmp_path):
    path = write(tmp_path / "a.tif")
    (tmp_path / "a.clr").write_text("water blue\n")
    with pytest.raises(SourceError, match=r"no colour file: a line is .*'water blue'"):
        legend_of(path)
    (tmp_path / "a.clr").unlink()
    (tmp_path / "a.qml").write_text('<!DOCTYPE x [<!ENTITY a "b">]><qgis/>')
    with pytest.raises(SourceError, match="declares a document type"):
        legend_of(path)


def test_flag_colors():
    assert flag_colors([1, 2], {}) == {}
    assert flag_colors([1, 2], {2: "#00ff00"}) == {"flag_colors": "#808080 #00ff00"}
