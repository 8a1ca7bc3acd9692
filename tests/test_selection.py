"""Choosing factors: every rule drops what it should and says why; test places have no say."""

import json

import numpy as np
import pandas as pd
import pytest

from lsm_core import selection
from lsm_core.errors import RecipeError
from lsm_core.recipe import Selection, make_recipe
from lsm_core.selection import choose_factors, keep_factors

OFF = {"pearson": None, "cramers_v": None, "vif": None, "importance": None, "trees": 60}


def rules(**on):
    return Selection(**(OFF | on))


@pytest.fixture
def places():
    """Slope decides; relief is nearly slope; rock and soil nearly one; elevation helps a little."""
    rng = np.random.default_rng(31)
    n = 600
    slope = rng.normal(28, 9, n)
    elevation = rng.normal(2000, 300, n)
    rock = rng.choice(["marl", "shale", "lime"], n)
    logit = (slope - 28) / 4 + (elevation - 2000) / 500 + (rock == "shale")
    label = (rng.random(n) < 1 / (1 + np.exp(-logit))).astype(int)
    table = pd.DataFrame(
        {
            "relief": slope + rng.normal(0, 4, n),
            "slope": slope,
            "elevation": elevation,
            "rock": rock,
            "soil": np.where(rng.random(n) < 0.05, "x", np.char.add("on ", rock)),
            "noise": rng.normal(size=n),
            "datum": 4.0,
        }
    )
    return table, label


def keep(places, seed=1, **on):
    options = {k: on.pop(k) for k in ("cyclic", "target", "target_name") if k in on}
    return keep_factors(*places, rules(**on), np.random.default_rng(seed), **options)


def test_without_rules_only_what_says_nothing_goes(places):
    table, label = places
    choice = keep((table.assign(gone=np.nan), label))
    assert choice.dropped == {
        "datum": "dropped: the same value at all 600 places",
        "gone": "dropped: no value at all 600 places",
    }
    assert choice.kept == ("relief", "slope", "elevation", "rock", "soil", "noise")


def test_of_two_alike_the_less_important_goes_and_the_words_say_so(places):
    choice = keep(places, pearson=0.7)
    r = abs(places[0][["relief", "slope"]].corr().iloc[0, 1])
    words = choice.dropped["relief"]
    assert words.startswith(
        f"dropped: |r| = {r:.2f} with slope, which has the higher share of impurity ("
    )
    more, less = (float(w) for w in words.rstrip(")").split("(")[1].split(" against "))
    assert more > less
    assert "slope" in choice.kept


def test_of_two_copies_the_later_goes(places):
    table, label = places
    choice = keep((table[["slope", "elevation"]].assign(copy=table["slope"]), label), pearson=0.7)
    assert len({"slope", "copy"} & set(choice.kept)) == 1
    assert "|r| = 1.00" in next(iter(choice.dropped.values()))


def test_one_that_is_gone_takes_no_other_with_it():
    """A sum is like both its parts, and says less: it goes, and both parts stay."""
    rng = np.random.default_rng(3)
    a, b = rng.normal(size=(2, 600))
    table = pd.DataFrame({"a": a, "sum": a + b, "b": b})
    choice = keep((table, (a > b).astype(int)), pearson=0.6)
    assert choice.kept == ("a", "b")


def test_of_equals_the_later_goes(places):
    table, label = places
    table = table[["slope"]].assign(copy=table["slope"])
    judge = selection._Judge(table, label, rules(), np.random.default_rng(0), ())
    judge._share = pd.Series({"slope": 0.5, "copy": 0.5})
    judge.alike(selection.pearson(table), 0.7, "|r|")
    assert judge.names == ["slope"]


def test_categories_alike_go_by_cramers_v(places):
    choice = keep(places, cramers_v=0.7)
    gone = set(choice.dropped) & {"rock", "soil"}
    assert len(gone) == 1
    assert "Cramér's V = 0.9" in choice.dropped[gone.pop()]


def test_inflation_finds_what_no_pair_shows(places):
    """A sum of three is far from each of them, but they make it up together."""
    table, label = places
    rng = np.random.default_rng(0)
    parts = pd.DataFrame(rng.normal(size=(600, 3)), columns=["a", "b", "c"])
    table = parts.assign(total=parts.sum(axis=1) + rng.normal(0, 0.2, 600), slope=table["slope"])
    assert not keep((table, label), pearson=0.7).dropped
    choice = keep((table, label), vif=10.0)
    assert list(choice.dropped) == ["total"]
    assert choice.dropped["total"].startswith("dropped: variance inflation ")
    assert choice.dropped["total"].endswith(", above 10 (tolerance 0.01)")
    assert max(choice.evidence["vif"].values()) < 1.1
    highest = max(keep((table, label), vif=1e9).evidence["vif"].values())
    assert not keep((table, label), vif=1.01 * highest).dropped
    assert list(keep((table, label), vif=0.99 * highest).dropped) == ["total"]


def test_of_two_equally_inflated_the_less_important_goes(places):
    table, label = places
    assert list(keep((table[["slope", "relief"]], label), vif=3.0).dropped) == ["relief"]
    assert list(keep((table[["relief", "slope"]], label), vif=3.0).dropped) == ["relief"]


def test_p_value_and_importance_drop_the_noise(places):
    table, label = places
    choice = keep((table.drop(columns=["relief", "soil"]), label), p_value=0.05)
    assert list(choice.dropped) == ["datum", "noise"]
    assert "in a regression of its own, not below 0.05" in choice.dropped["noise"]
    choice = keep((table.drop(columns=["relief", "soil"]), label), importance=0.005)
    assert "noise" in choice.dropped
    assert "of its accuracy, not more than 0.005" in choice.dropped["noise"]
    assert choice.evidence["importance"]["slope"] > 0.05
    assert choice.evidence["forest"]["oob_auc"] > 0.7


def test_what_the_other_area_lacks_or_has_otherwise_goes(places):
    table, label = places
    rng = np.random.default_rng(2)
    target = pd.DataFrame(
        {
            "slope": rng.normal(28, 9, 800),
            "elevation": rng.normal(500, 100, 800),
            "rock": rng.choice(["marl", "shale", "lime"], 800),
        }
    )
    choice = keep((table, label), target=target, target_name="fenxi")
    assert choice.dropped["noise"] == "dropped: fenxi lacks it"
    assert choice.kept == ("slope", "elevation", "rock")
    choice = keep(
        (table, label), against="fenxi", divergence=0.67, target=target, target_name="fenxi"
    )
    assert choice.kept == ("slope", "rock")
    kl = choice.evidence["divergence"]["elevation"]
    words = f"dropped: KL divergence {kl:.2f} from here to fenxi, above 0.67"
    assert choice.dropped["elevation"] == words


def test_always_protects_what_the_other_area_lacks(places):
    table, label = places
    target = table[["slope", "elevation"]]
    choice = keep((table, label), always=("noise",), target=target, target_name="fenxi")
    assert choice.kept == ("slope", "elevation", "noise")


def test_divergence_takes_places_without_landslide_only(places):
    """Landslides crowd on steep ground; that alone must not make an area look unlike itself."""
    table, label = places
    own = table[label == 0]
    choice = keep((table, label), target=own)
    assert set(choice.evidence["divergence"].values()) == {0.0}


def test_always_protects_against_every_rule(places):
    table, label = places
    always = ("relief", "noise", "datum", "soil")
    on = {"pearson": 0.7, "cramers_v": 0.7, "vif": 1.01, "p_value": 1e-9, "importance": 0.5}
    choice = keep((table.drop(columns="datum"), label), always=always[:2] + always[3:], **on)
    assert set(choice.kept) == {"relief", "noise", "soil"}
    assert choice.dropped["slope"].endswith("with relief, which is always kept")
    with pytest.raises(RecipeError, match="always names 'sloep'"):
        keep(places, always=("sloep",))


def test_always_protects_from_inflation(places):
    table, label = places
    table = table[["slope", "elevation"]].assign(copy=table["slope"])
    for name, other in (("slope", "copy"), ("copy", "slope")):
        assert list(keep((table, label), vif=10.0, always=(name,)).dropped) == [other]


def test_rules_that_leave_nothing_are_refused(places):
    with pytest.raises(RecipeError, match="leave no factor of 7"):
        keep(places, importance=0.9)


def test_same_seed_same_choice(places):
    a, b = (keep(places, pearson=0.7, importance=0.0, seed=s) for s in (1, 1))
    assert a == b


def test_recipe_section_says_what_is_wrong():
    settings = {"name": "rf", "model": {"name": "random_forest"}}
    made = make_recipe(settings, ["selection.pearson=0.8", "selection.p_value=0.05"])
    assert (made.selection.pearson, made.selection.vif) == (0.8, 10)
    assert make_recipe(settings).selection is None
    with pytest.raises(RecipeError, match="pearsn is not a setting; did you mean pearson"):
        make_recipe(settings, ["selection.pearsn=0.8"])
    with pytest.raises(RecipeError, match="divergence needs selection"):
        make_recipe(settings, ["selection.divergence=0.8"])


# ------------------------------------------------------------------------------------- in a run


@pytest.fixture(scope="module")
def run_parts(sample_workspace):
    from lsm_core.protocol import draw_places
    from lsm_core.study_area import area_path, open_area

    settings = {
        "name": "rf",
        "area": "sample",
        "model": {"name": "random_forest"},
        "split": {"apart": 2},
        "selection": {"pearson": 0.6, "importance": 0.002, "trees": 40},
    }
    recipe = make_recipe(settings)
    ds = open_area(area_path("sample")).load()
    return ds, recipe, draw_places(ds, recipe).samples


def train_of(samples):
    return samples[samples["split"] == "train"]


def test_a_run_without_the_section_chooses_nothing(run_parts):
    ds, recipe, samples = run_parts
    recipe = recipe.model_copy(update={"selection": None})
    assert choose_factors(ds, recipe, fit_on=train_of(samples)) is None


def test_a_runs_choice_is_whole_and_goes_to_json(run_parts):
    ds, recipe, samples = run_parts
    made = choose_factors(ds, recipe, fit_on=train_of(samples))
    assert json.loads(json.dumps(made)) == made
    from lsm_core.study_area import factors

    assert set(made["kept"]) | set(made["dropped"]) == set(factors(ds))
    assert made["places"] == len(train_of(samples))
    assert made["rules"]["pearson"] == 0.6


def test_a_runs_choice_follows_the_seed_of_its_recipe(run_parts):
    ds, recipe, samples = run_parts
    found = {
        seed: choose_factors(
            ds, recipe.model_copy(update={"seed": seed}), fit_on=train_of(samples)
        )["evidence"]
        for seed in (recipe.seed, recipe.seed + 1)
    }
    again = choose_factors(ds, recipe, fit_on=train_of(samples))["evidence"]
    assert found[recipe.seed] == again != found[recipe.seed + 1]


def test_test_places_have_no_say(run_parts):
    """Whatever happens to the values at test and validation places, the choice stays."""
    ds, recipe, samples = run_parts
    before = choose_factors(ds, recipe, fit_on=train_of(samples))
    train = train_of(samples)
    wild = ds.copy(deep=True)
    elsewhere = np.ones(ds["valid"].shape, dtype=bool)
    elsewhere[train["row"], train["col"]] = False
    for name in ("slope", "elevation"):
        wild[name].values[elsewhere] = 1e6
    assert choose_factors(wild, recipe, fit_on=train) == before
    # and training places do have one
    wild["elevation"].values[~elsewhere] = wild["slope"].values[~elsewhere]
    assert choose_factors(wild, recipe, fit_on=train) != before


def test_places_without_a_label_have_no_say(run_parts):
    ds, recipe, samples = run_parts
    train = train_of(samples)
    soft = samples[samples["split"] == "test"].assign(label=-1, split="train")
    made = choose_factors(ds, recipe, fit_on=pd.concat([train, soft], ignore_index=True))
    assert made == choose_factors(ds, recipe, fit_on=train)


def test_candidates_are_those_of_the_input(run_parts):
    ds, recipe, samples = run_parts
    some = recipe.input.model_copy(update={"factors": ("slope", "elevation")})
    recipe = recipe.model_copy(update={"input": some})
    made = choose_factors(ds, recipe, fit_on=train_of(samples))
    assert set(made["kept"]) | set(made["dropped"]) == {"slope", "elevation"}


def test_against_an_area_by_name_and_units(run_parts):
    """Against itself: nothing is unlike, and a factor in other units is said to be so."""
    ds, recipe, samples = run_parts
    rules = recipe.selection.model_copy(update={"against": "sample", "divergence": 0.67})
    recipe = recipe.model_copy(update={"selection": rules})
    feet = ds.copy()
    feet["elevation"] = ds["elevation"].assign_attrs(units="feet")
    made = choose_factors(feet, recipe, fit_on=train_of(samples))
    assert made["dropped"]["elevation"] == (
        "dropped: units are 'feet' in the source, 'm' in the target; `times:` converts"
    )
    assert max(made["evidence"]["divergence"].values()) < 0.3


def test_every_tool_can_be_had_from_the_room():
    assert all(callable(getattr(selection, name)) for name in selection.__all__)


def test_a_run_keeps_its_choice_and_learns_from_no_other_factor(run_parts, tmp_path):
    """The folder says what was kept and why; the encoder knows nothing else; without it no file."""
    from lsm_core import experiment

    _, recipe, _ = run_parts
    changes = {"n_estimators": 20}
    recipe = recipe.model_copy(
        update={"model": recipe.model.model_copy(update={"options": changes})}
    )
    run = experiment.run_experiment(recipe, tmp_path)
    made = json.loads((run.path / "selection.json").read_text())
    assert made == run.selection
    assert made["dropped"]
    assert [f["name"] for f in run.encoder["factors"]] == made["kept"]
    plain = recipe.model_copy(update={"selection": None})
    path = experiment.run_experiment(plain, tmp_path).path
    assert not (path / "selection.json").exists()
