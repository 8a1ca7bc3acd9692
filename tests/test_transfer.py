"""A model carried to another area: what it takes along, and what it says of it."""

import numpy as np
import pandas as pd
import pytest
from regions import ANN, FOREST, ROCKS, carried, run

from lsm_core import applicability, study_area, transfer
from lsm_core.arrival import arrive
from lsm_core.encoding import Encoder, encode
from lsm_core.errors import AreaError, RecipeError, RunError, SampleError
from lsm_core.protocol import draw_places
from lsm_core.recipe import make_recipe
from lsm_core.target_labels import keep_labels


@pytest.fixture(scope="module")
def forest(areas):
    return run(FOREST, "here", areas / "runs")


# --------------------------------------------------------------------------------- self-training


def test_the_surest_of_both_classes_are_taken_equally_many():
    score = np.array([0.99, 0.2, 0.97, 0.93, 0.01, 0.5, 0.08])
    index, label = transfer.confident(score, 0.9, 5)
    assert index.tolist() == [0, 2, 4, 6]
    assert label.tolist() == [1, 1, 0, 0]
    assert transfer.confident(score, 0.9, 1)[0].tolist() == [0, 4]
    assert transfer.confident(score, 0.985, 5)[0].tolist() == [0, 4]
    assert not len(transfer.confident(np.array([0.99, 0.95, 0.6]), 0.9, 5)[0])
    assert transfer.confident(np.array([0.9, 0.1, 0.1]), 0.9, 5)[0].tolist() == [0, 1]


def test_each_round_answers_anew_for_more_of_the_pool():
    answers = iter([np.linspace(0, 1, 20), np.linspace(1, 0, 20), np.full(20, 0.99)])
    taught = []
    news = transfer.self_train(
        lambda: next(answers), lambda i, label: taught.append((len(i), int(i[0]))), share=0.05
    )
    assert taught == [(2, 19), (4, 0)]
    assert [row["taken"] for row in news] == [2, 4, 0]


# ------------------------------------------------------------------------------------- labels


def places_of(areas, n, seed=1, **more):
    settings = ANN | {"transfer": {"how": "scratch", "labels": n} | more, "seed": seed}
    recipe = make_recipe(settings, ["area=there"])
    ds = study_area.open_area(study_area.area_path("there"))
    whole = draw_places(ds, recipe)
    return whole.samples, keep_labels(ds, recipe, whole).samples


def test_n_labels_are_looked_at_and_the_test_part_is_not_touched(areas):
    whole, kept = places_of(areas, 30)
    told = kept[(kept["split"] != "test") & (kept["label"] >= 0)]
    assert len(told) == 30
    share = whole.loc[whole["split"] != "test", "label"].mean()
    assert told["label"].sum() == round(30 * share)
    assert told.groupby("split")["label"].nunique().to_dict() == {"train": 2, "validation": 2}
    assert (told["split"] == "validation").sum() == pytest.approx(6, abs=1)
    before, after = (frame[frame["split"] == "test"] for frame in (whole, kept))
    pd.testing.assert_frame_equal(
        before.reset_index(drop=True), after.reset_index(drop=True), check_like=True
    )


def test_the_others_stay_without_label_and_without_target(areas):
    whole, kept = places_of(areas, 30)
    assert len(kept) == len(whole)
    hidden = kept[kept["origin"] == "unlabelled"]
    assert len(hidden) == (whole["split"] != "test").sum() - 30
    assert (hidden["label"] == -1).all()
    assert hidden["target"].isna().all()
    assert (hidden["split"] == "train").all()


def test_more_labels_hold_the_fewer_and_another_seed_draws_others(areas):
    rows = [set(told["row"]) for n in (10, 30) for told in [labelled(places_of(areas, n)[1])]]
    assert rows[0] < rows[1]
    assert set(labelled(places_of(areas, 30, seed=2)[1])["row"]) != rows[1]


def labelled(samples):
    return samples[(samples["split"] != "test") & (samples["label"] >= 0)]


def test_labels_of_a_region_lie_together_and_the_rest_is_left_out(areas):
    whole, kept = places_of(areas, 40, region=True)
    assert (kept["label"] >= 0).all()
    told = labelled(kept)
    spread = told[["x", "y"]].std().max()
    assert spread < 0.6 * labelled(whole)[["x", "y"]].std().max()


def test_more_labels_than_there_are_is_an_error(areas):
    with pytest.raises(SampleError, match=r"lower transfer\.labels"):
        places_of(areas, 5000)
    with pytest.raises(RecipeError, match="4 at least"):
        places_of(areas, 3)


# --------------------------------------------------------------------------------------- runs


def test_direct_is_the_sources_model_on_the_targets_places(forest, areas):
    done = carried(forest, "there", areas / "runs", "direct", FOREST)
    model, encoder = transfer.direct(forest), Encoder.from_json(forest.encoder)
    assert done.encoder == forest.encoder
    ds = study_area.open_area(study_area.area_path("there"))
    x = encode(ds, encoder).to_numpy()[done.scores["row"], 0]
    np.testing.assert_allclose(done.scores["score"], model.predict_proba(x)[:, 1], atol=1e-6)
    assert set(done.scores["split"]) == {"test"}
    assert (done.samples.loc[done.samples["split"] == "train", "label"] == -1).all()
    assert done.metrics["validation"] is None
    check = forest.metrics["thresholds"]["youden"]["threshold"]
    assert done.metrics["thresholds"]["youden"]["threshold"] == pytest.approx(check)
    assert done.metrics["roc_auc"] > 0.85


def test_all_ways_are_judged_on_the_same_places_and_differ(forest, areas):
    ways = [("direct", {}), ("self", {}), ("pooled", {"labels": 60}), ("scratch", {"labels": 60})]
    into = areas / "runs"
    done = {how: carried(forest, "there", into, how, FOREST, **more) for how, more in ways}
    assert len({run.metrics["test_places"] for run in done.values()}) == 1
    scores = [tuple(run.scores.query("split == 'test'")["score"]) for run in done.values()]
    assert len(set(scores)) == 4
    taught = done["self"].metrics["transfer"]["rounds"]
    assert taught[0]["taken"] > 0
    assert taught[0]["landslides"] * 2 == taught[0]["taken"]
    assert done["pooled"].metrics["transfer"]["target_labels"] == 60
    kept = {how: run.encoder == forest.encoder for how, run in done.items()}
    assert kept == {"direct": True, "self": True, "pooled": True, "scratch": False}
    assert all(run.metrics["roc_auc"] > 0.8 for run in done.values())


def test_a_forest_cannot_be_fine_tuned(forest, areas):
    with pytest.raises(RecipeError, match=r"random_forest cannot be fine-tuned.*pooled"):
        carried(forest, "there", areas / "runs", "inductive", FOREST, labels=60)


def test_a_source_must_be_done_be_the_same_model_and_have_chosen_already(forest, areas):
    into = areas / "runs"
    with pytest.raises(RecipeError, match="model is"):
        carried(forest, "there", into, "direct", ANN)
    with pytest.raises(RecipeError, match="leave the section selection out"):
        carried(forest, "there", into, "direct", FOREST | {"selection": {}})
    with pytest.raises(RunError):
        run(ANN, "there", into, how="direct", source="nobody")
    with pytest.raises(RecipeError, match=r"needs transfer\.source"):
        run(ANN, "there", into, how="pooled")


# --------------------------------------------------------------------------------- other meanings


def test_a_clash_is_refused_before_a_run_and_a_mapping_makes_an_area_of_its_own(
    forest, areas, tmp_path
):
    into = areas / "runs"
    with pytest.raises(AreaError, match="code 1 is 'Hard' in the source, 'Soft'"):
        carried(forest, "clash", into, "direct", FOREST)
    file = tmp_path / "map.yaml"
    file.write_text("factors:\n  rock: {codes: names}\n")
    done = carried(forest, "clash", into, "direct", FOREST, mapping=file)
    assert done.area["name"] == "clash_as_here"
    rock = study_area.open_area(done.area_path)["rock"]
    raw = study_area.open_area(study_area.area_path("clash"))["rock"].to_numpy()
    np.testing.assert_array_equal(rock, np.array([0, 2, 1, 3])[raw])
    assert study_area.categories(rock) == ROCKS
    made = (done.area_path / "variables.json").stat().st_mtime_ns
    arrive(done.recipe)
    assert (done.area_path / "variables.json").stat().st_mtime_ns == made
    file.write_text("factors:\n  rock: {codes: same}\n")
    other = arrive(done.recipe).ds["rock"]
    np.testing.assert_array_equal(other, raw)


# ----------------------------------------------------------------------------- where to trust it


def test_the_domain_of_a_carried_model_is_that_of_its_source(forest, areas):
    done = carried(forest, "there", areas / "runs", "direct", FOREST)
    fitted = applicability.applicability_of(done, repeats=1)
    own = applicability.applicability_of(forest, repeats=1)
    assert fitted.weights == own.weights
    np.testing.assert_array_equal(fitted.index.places, own.index.places)
    ds = study_area.open_area(forest.area_path)
    train = forest.samples[forest.samples["split"] == "train"]
    index = applicability.dissimilarity_at(fitted, ds, train["row"], train["col"])
    assert index.max() == 0
    found = applicability.area_of_applicability(done)
    assert 0 < found["share_inside"] < 1
    assert sum(found["test"][part]["places"] for part in ("inside", "outside")) == done.metrics["n"]
    assert (done.path / "applicability.csv").is_file()


def test_labels_of_the_target_widen_the_domain(forest, areas):
    pooled = carried(forest, "there", areas / "runs", "pooled", FOREST, labels=100)
    fitted = applicability.applicability_of(pooled, repeats=1)
    theirs = int((forest.samples["split"] == "train").sum())
    assert len(fitted.index.places) == theirs + 80
