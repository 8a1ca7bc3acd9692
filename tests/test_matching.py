"""Two regions whose tables look alike: what is the same is matched, what is not is refused."""

import numpy as np
import pytest
import xarray as xr

from lsm_core import matching, study_area
from lsm_core.errors import AreaError, RecipeError
from lsm_core.mapping_draft import draft
from lsm_core.matching import FactorMapping, as_source, known_of, load_mapping, match, refuse

N = 40


def region(factors, name="there", prints="b"):
    """A table of units: factor to (values, attributes)."""
    made = {n: ("unit", values, attrs) for n, (values, attrs) in factors.items()}
    made["landslide"] = ("unit", (np.arange(N) % 2).astype("uint8"))
    made["valid"] = ("unit", np.ones(N, bool))
    attrs = {"name": name, "fingerprints": f'{{"{name}": "{prints}"}}'}
    return xr.Dataset(made, {"unit": np.arange(1, N + 1, dtype="int32")}, attrs)


def number(values=None, units="degrees", kind="continuous"):
    values = np.linspace(0, 40, N) if values is None else values
    return np.asarray(values, "float32"), {"kind": kind, "units": units}


def rock(codes, names):
    legend = {"kind": "categorical", "units": "1", "nodata": -32768} | study_area.flags(names)
    return np.resize(np.array(codes, "int16"), N), legend


SOURCE = {"slope": number(), "rock": rock([1, 2, 3], {1: "Granite", 2: "Tuff", 3: "Shale"})}


def against(target, mapping=None, source=SOURCE, same_origin=False):
    known = known_of(region(source, "here", "a"))
    return known, match(known, region(target), mapping, same_origin=same_origin)


def test_the_same_factors_match_whatever_their_order():
    _, found = against(dict(reversed(SOURCE.items())))
    assert found.whole
    assert found.pairs == {"slope": "slope", "rock": "rock"}
    refuse(found, "here", "there")


def test_a_factor_that_is_lacking_is_refused_though_nothing_clashes():
    _, found = against({"slope": number()})
    assert not found.clashes
    assert not found.whole
    with pytest.raises(AreaError, match="rock is missing"):
        refuse(found, "here", "there")
    with pytest.raises(AreaError, match="factors that do not match: 1"):
        refuse(found, "here", "there", listed=True)


@pytest.mark.parametrize(
    ("target", "words"),
    [
        (
            {"rock": rock([1, 2, 3], {1: "Tuff", 2: "Granite", 3: "Shale"})},
            "code 1 is 'Granite' in",
        ),
        ({"rock": rock([1, 4], {1: "Granite", 4: "Tuff"})}, "never seen code 4"),
        (
            {"rock": rock([1], {1: "Granite", 2: "Basalt", 3: "Shale"})},
            "code 2 is 'Tuff' in the source, 'Basalt'",
        ),
        ({"rock": rock([1], {1: "Granite", 5: "Tuff"})}, "'Tuff' is code 2 in the source, 5"),
        ({"slope": number(units="1/100")}, "units are 'degrees' in the source, '1/100'"),
        ({"slope": number(kind="cyclic")}, "kind is 'continuous' in the source, 'cyclic'"),
        ({"rock": number(units="1")}, "kind is 'categorical' in the source, 'continuous'"),
    ],
)
def test_one_name_for_two_things_is_refused(target, words):
    _, found = against(SOURCE | target)
    with pytest.raises(AreaError, match="cannot be carried") as told:
        refuse(found, "here", "there")
    assert words in str(told.value)
    assert list(found.clashes) == list(target)


def test_two_tables_with_other_suffixes_and_clashing_codes_are_not_joined_in_silence():
    """As two people would send them: slope_deg and slope_x, codes without a legend."""
    here = {"slope_deg": number(), "lith": rock([1, 2], {1: "class 1", 2: "class 2"})}
    there = {"slope_x": number(), "lith": rock([1, 2], {1: "class 1", 2: "class 2"})}
    _, found = against(there, source=here)
    assert found.pairs == {}
    assert list(found.missing) == ["slope_deg"]
    assert "slope_x: the same? then map it" in found.missing["slope_deg"]
    assert "codes have no names" in found.clashes["lith"]
    assert found.unused == ("slope_x",)
    said = {"slope_deg": FactorMapping(name="slope_x"), "lith": FactorMapping(codes={1: 2, 2: 1})}
    known, found = against(there, said, source=here)
    assert found.whole
    made = as_source(region(there), known, said)
    assert study_area.factors(made) == ["slope_deg", "lith"]
    np.testing.assert_array_equal(made["lith"], 3 - there["lith"][0])
    np.testing.assert_array_equal(made["slope_deg"], there["slope_x"][0])
    study_area.check_area(made)


def test_codes_without_a_name_are_the_same_only_of_one_file_or_on_someones_word():
    bare = {"rock": rock([1, 2], {1: "class 1", 2: "class 2"})}
    assert "rock" in against(bare, source=bare)[1].clashes
    assert against(bare, source=bare, same_origin=True)[1].whole
    assert against(bare, {"rock": FactorMapping(codes="same")}, source=bare)[1].whole
    a, b = {"x": "12", "y": ""}, {"z": "12"}
    assert matching.shared_origin(a, b)
    assert not matching.shared_origin({"y": ""}, {"z": ""})


def test_a_mapping_renames_converts_and_recodes():
    there = {
        "steep": number(np.arange(N), units="ft"),
        "rock": rock([7, 8, 9], {7: "Tuff", 8: "granite", 9: "Water"}),
    }
    said = {
        "slope": FactorMapping(name="steep", times=0.5, plus=1),
        "rock": FactorMapping(codes={7: 2, 8: 1, 9: "missing"}),
    }
    known, found = against(there, said)
    assert found.whole
    made = as_source(region(there), known, said)
    np.testing.assert_allclose(made["slope"], np.arange(N) * 0.5 + 1)
    assert made["slope"].attrs["units"] == "degrees"
    assert made["rock"].values[:3].tolist() == [2, 1, -32768]
    assert study_area.categories(made["rock"]) == {1: "Granite", 2: "Tuff", 3: "Shale"}
    study_area.check_area(made)


def test_codes_go_by_their_names_if_asked():
    there = SOURCE | {"rock": rock([2, 1], {2: "granite", 1: "TUFF"})}
    said = {"rock": FactorMapping(codes="names")}
    known, found = against(there, said)
    assert found.whole
    assert as_source(region(there), known, said)["rock"].values[:2].tolist() == [1, 2]
    there = SOURCE | {"rock": rock([5], {5: "Gneiss"})}
    assert "no Gneiss" in against(there, said)[1].clashes["rock"]


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"rock": FactorMapping(codes={1: 1})}, "says nothing of the target's code 2, 3"),
        ({"rock": FactorMapping(codes={1: 1, 2: 9, 3: 3})}, "leads to code 9"),
        ({"rock": FactorMapping(times=2)}, "categories cannot be multiplied"),
        ({"slope": FactorMapping(codes={1: 2})}, "no codes to map"),
    ],
)
def test_a_mapping_that_does_not_fit_is_a_clash(said, words):
    assert words in next(iter(against(SOURCE, said)[1].clashes.values()))


def test_a_mapping_names_factors_that_are_there():
    with pytest.raises(RecipeError, match="'slop', no factor of the source"):
        against(SOURCE, {"slop": FactorMapping(name="slope")})
    with pytest.raises(RecipeError, match="takes slope from 'steep', which the area lacks"):
        against(SOURCE, {"slope": FactorMapping(name="steep")})
    twice = {"slope": FactorMapping(name="rock"), "rock": FactorMapping(codes="same")}
    with pytest.raises(RecipeError, match="two factors from 'rock'"):
        against(SOURCE, twice)


def test_a_mapping_file_is_read_and_checked(tmp_path):
    file = tmp_path / "map.yaml"
    file.write_text(
        "factors:\n  slope: steep\n  h: {from: z, times: 0.3048}\n"
        "  rock: {codes: {1: 4, 9: missing}}\n"
    )
    said = load_mapping(file)
    assert said["slope"].name == "steep"
    assert said["h"].times == 0.3048
    assert said["rock"].codes == {1: 4, 9: "missing"}
    for text, words in (
        ("factors:\n  slope: {form: steep}\n", "form"),
        ("slope: steep\n", "factors"),
        ("factors: [", "not readable YAML"),
    ):
        file.write_text(text)
        with pytest.raises(RecipeError, match=words):
            load_mapping(file)
    with pytest.raises(RecipeError, match="no mapping file"):
        load_mapping(tmp_path / "none.yaml")


def test_values_in_other_units_under_the_same_name_are_noticed():
    """Metres against feet times a thousand, units said alike: nothing proves it, so it is said."""
    known = {"slope": matching.Known("slope", "continuous", "m", mean=20.0, std=5.0)}
    found = match(known, region({"slope": number(np.full(N, 2000.0), units="m")}))
    assert found.whole
    assert "are these the same units?" in found.notes[0]
    assert not match(known, region({"slope": number(np.full(N, 22.0), units="m")})).notes
    bare = {"slope": matching.Known("slope", "continuous", "1", mean=20.0, std=50.0)}
    found = match(bare, region({"slope": number(units="1")}))
    assert "states no units" in found.notes[0]


def test_a_draft_pairs_what_is_certain_and_leaves_the_rest_to_a_person(tmp_path):
    """Slope under another name, feet, a legend in another order with one rock nobody knows."""
    here = SOURCE | {"elev_m": number(units="m"), "wetness": number(units="1")}
    there = {
        "slope_deg": number(),
        "elev_ft": number(units="ft"),
        "rock": rock([1, 2, 3], {1: "TUFF", 2: "granite", 3: "class 3"}),
    }
    known, found = against(there, source=here)
    text = draft(known, region(there), found)
    assert "  slope: {from: slope_deg}\n" in text
    assert "  elev_m: {from: elev_ft, times: 0.3048}" in text
    assert "codes: {1: 2, 2: 1, 3: FILL_IN}" in text
    assert "  # wetness: nothing there is called like it" in text
    file = tmp_path / "map.yaml"
    file.write_text(text)
    with pytest.raises(RecipeError, match="FILL_IN stands at rock, code 3 of the target"):
        load_mapping(file)
    file.write_text(text.replace("3: FILL_IN", "3: missing"))
    known, found = against(there, load_mapping(file), source=here)
    assert list(found.missing) == ["wetness"]
    assert not found.clashes


def test_a_second_draft_keeps_what_is_said_already():
    """One rock named by hand, by code 0; the units that were forgotten are added."""
    here = {"rock_a": rock([0, 2], {0: "Marl", 2: "Tuff"}), "height_a": number(units="m")}
    there = {"rock_b": rock([7, 5], {7: "chalk", 5: "other"}), "height_b": number(units="ft")}
    said = {"rock_a": FactorMapping(name="rock_b", codes={7: 0})}
    said["height_a"] = FactorMapping(name="height_b")
    known, found = against(there, said, source=here)
    text = draft(known, region(there), found, said)
    assert "rock_a: {from: rock_b, codes: {5: FILL_IN, 7: 0}}" in text
    assert "height_a: {from: height_b, times: 0.3048}" in text
    said["rock_a"] = FactorMapping(name="rock_b", codes={5: "missing", 7: 0})
    known, found = against(there, said, source=here)
    text = draft(known, region(there), found, said)
    assert "  rock_a: {from: rock_b, codes: {5: missing, 7: 0}}\n" in text


def test_an_ending_that_all_columns_share_does_not_part_names():
    have = ["relief_19b", "wet_19b", "rock_2"]
    beside = ["gradient_upper07", "wet_upper07"]
    assert matching.near_names("wet_upper07", have, beside) == ["wet_19b"]
    assert matching.near_names("gradient_upper07", have, beside) == []
    found = against(dict.fromkeys(have, number()), source=dict.fromkeys(beside, number()))[1]
    assert found.missing == {
        "gradient_upper07": "",
        "wet_upper07": " (it has wet_19b: the same? then map it)",
    }
    units = ["slope_mean", "slope_std", "height_mean", "height_std"]
    assert [matching.near_names(name, units, units)[0] for name in units] == units


def test_a_mapped_area_is_known_by_what_it_depends_on():
    known = known_of(region(SOURCE))
    said = {"slope": FactorMapping(name="steep")}
    first = matching.stamp(known, said, {"f": "1"})
    assert first == matching.stamp(known, dict(said), {"f": "1"})
    assert first != matching.stamp(known, said, {"f": "2"})
    assert first != matching.stamp(known, {"slope": FactorMapping(name="other")}, {"f": "1"})
    other = known_of(region(SOURCE | {"rock": rock([1], {1: "Granite", 2: "Tuff", 3: "Marl"})}))
    assert first != matching.stamp(other, said, {"f": "1"})
