"""Factor tables: values at places, categories by name, what two areas share, units too."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from lsm_core.errors import AreaError, RecipeError, SampleError
from lsm_core.factor_tables import (
    cyclic_of,
    factor_table,
    in_terms_of,
    shared_factors,
    some_places,
)

FLAGS = {"flag_values": [1, 4, 9], "flag_meanings": "Marl Shale Marl", "nodata": -32768}


def area(dims=("y", "x"), shape=(2, 3), name="here"):
    def factor(values, kind, units, **more):
        return dims, np.reshape(values, shape), {"kind": kind, "units": units} | more

    slope = factor(np.arange(6.0).astype("float32"), "continuous", "degrees")
    aspect = factor(np.float32([0, 90, np.nan, 180, 270, 350]), "cyclic", "degrees")
    rock = factor(np.int16([1, 4, 9, -32768, 7, 4]), "categorical", "1", **FLAGS)
    valid = (dims, np.ones(shape, dtype=bool))
    variables = {"slope": slope, "aspect": aspect, "rock": rock, "valid": valid}
    return xr.Dataset(variables, attrs={"name": name})


PLACES = pd.DataFrame({"row": [1, 0, 0, 1], "col": [2, 0, 2, 0]}, index=[7, 3, 5, 1])


def test_values_stand_at_their_places_and_keep_the_index():
    made = factor_table(area(), PLACES)
    assert made.index.tolist() == [7, 3, 5, 1]
    assert made["slope"].tolist() == [5, 0, 2, 3]
    assert np.isnan(made["aspect"].iloc[2])
    # two rocks of one name keep their codes; nodata is missing
    assert made["rock"].tolist()[:3] == ["Shale", "Marl (1)", "Marl (9)"]
    assert pd.isna(made["rock"].iloc[3])
    assert made["slope"].dtype == "float64"


def test_a_lazy_area_gives_the_same_and_names_choose():
    made = factor_table(area().chunk(), PLACES, ["rock", "slope"])
    pd.testing.assert_frame_equal(made, factor_table(area(), PLACES)[["rock", "slope"]])


def test_units_are_looked_up_by_row():
    made = factor_table(area(("unit",), (6,)), pd.DataFrame({"row": [5, 1], "col": [0, 0]}))
    assert made["slope"].tolist() == [5, 1]
    assert made["rock"].tolist() == ["Shale", "Shale"]


def test_a_code_without_a_name_is_missing():
    made = factor_table(area(), pd.DataFrame({"row": [1], "col": [1]}))
    assert made["rock"].isna().all()


def test_cyclic_factors_are_known():
    assert cyclic_of(area()) == ["aspect"]


def named_rocks():
    """The area once more, without the code that has no name."""
    other = area(name="there")
    other["rock"].values[other["rock"].values == 7] = 4
    return other


def test_shared_is_by_name_kind_and_units():
    other = named_rocks().drop_vars("aspect")
    other["slope"].attrs["units"] = "percent"
    shared, missing = shared_factors(area(), other)
    assert shared == ["rock"]
    assert missing == {
        "slope": "units are 'degrees' in the source, 'percent' in the target; `times:` converts",
        "aspect": "there has no factor of this name",
    }


def test_categories_that_clash_are_no_shared_factor_unless_a_mapping_says_so(tmp_path):
    """Marl is Marl under any code; a code that is other rock is never taken for the same."""
    other = named_rocks()
    assert shared_factors(area(), other)[0] == ["slope", "aspect", "rock"]
    other["rock"].attrs["flag_meanings"] = "Shale Marl Marl"
    with pytest.raises(AreaError, match=r"rock: code 1 is 'Marl'.*--mapping FILE"):
        shared_factors(area(), other)
    file = tmp_path / "map.yaml"
    file.write_text("factors:\n  rock: {codes: {1: 4, 4: 1, 9: 9}}\n")
    made, shared, missing = in_terms_of(area(), other, str(file))
    assert shared == ["slope", "aspect", "rock"]
    assert missing == {}
    assert made["rock"].to_numpy().ravel().tolist() == [4, 1, 9, -32768, 1, 1]


@pytest.mark.parametrize(("dims", "shape"), [(("y", "x"), (2, 3)), (("unit",), (6,))])
def test_some_places_are_valid_different_and_by_the_seed(dims, shape):
    ds = area(dims, shape)
    ds["valid"].values.flat[4] = False
    everything = some_places(ds, 99, np.random.default_rng(0))
    assert len(everything) == 5
    assert factor_table(ds, everything)["slope"].tolist() == [0, 1, 2, 3, 5]
    draws = [tuple(some_places(ds, 2, np.random.default_rng(s))["row"]) for s in range(20)]
    again = [tuple(some_places(ds, 2, np.random.default_rng(s))["row"]) for s in range(20)]
    assert draws == again
    assert len(set(draws)) > 1


def test_mistakes_are_named():
    with pytest.raises(RecipeError, match="no factor 'ndvi'; it has slope, aspect, rock"):
        factor_table(area(), PLACES, ["ndvi"])
    with pytest.raises(SampleError, match="1 of 4 places have a row outside 0 to 1"):
        factor_table(area(), PLACES.assign(row=[1, 0, 2, 1]))
    with pytest.raises(SampleError, match="no place to look"):
        factor_table(area(), PLACES[:0])
