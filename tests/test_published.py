"""What the papers print: typed as printed, and held beside a run's own numbers."""

import numpy as np
import pandas as pd
import pytest

from lsm_core import published
from lsm_core.errors import RecipeError

PRINTED = {  # of the paper's text, in per cent
    "lsgh_net": ("001_", ["accuracy", "precision", "specificity", "recall", "f1"]),
}


def ours(**rows):
    """A table of scores of a study."""
    return pd.DataFrame([{"variant": name} | values for name, values in rows.items()])


def test_scores_of_a_balanced_test_belong_together():
    """Accuracy is the mean of specificity and sensitivity, F1 of precision and sensitivity."""
    table = published.scores("lsgh_net").dropna(subset=["accuracy"])
    assert len(table) == 4
    np.testing.assert_allclose(
        table["accuracy"], (table["specificity"] + table["recall"]) / 2, atol=1e-4
    )
    both = 2 * table["precision"] * table["recall"] / (table["precision"] + table["recall"])
    np.testing.assert_allclose(table["f1"], both, atol=2e-4)


@pytest.mark.parametrize("model", ["lsgh_net", "cnn"])
def test_zones_hold_all_cells_and_landslides_and_one_density(model):
    """Density is the ratio of the shares, times the landslides a cell of the whole area."""
    zones = {
        name: np.array(v) for name, v in published.papers()["lsgh_net"]["zones"][model].items()
    }
    assert zones["share_of_cells"].sum() == pytest.approx(1, abs=0.002)
    assert zones["share_of_landslides"].sum() == pytest.approx(1, abs=0.002)
    whole = zones["density"] * zones["share_of_cells"] / zones["share_of_landslides"]
    assert np.ptp(whole) < 0.001  # as far as rounding goes
    assert whole.mean() == pytest.approx(3592 * 900 / 208e6, rel=0.06)


def test_the_landslides_of_the_three_transfers_are_as_many():
    zones = published.papers()["mining_transfer"]["zones"]
    assert {sum(zone["landslides"]) for zone in zones.values()} == {163}
    for zone in zones.values():
        assert sum(zone["share_of_cells"]) == pytest.approx(1, abs=0.002)


def test_numbers_stand_in_the_text_of_the_paper(shared_data):
    found = next((shared_data.parent / "papers").glob("001_*.txt"), None)
    if found is None:
        pytest.skip("no text of the papers beside the data")
    text = found.read_text("utf-8")
    table = published.scores("lsgh_net").dropna(subset=["accuracy"])
    for value in table.drop(columns=["mse", "ap"]).to_numpy().ravel():
        assert f"{100 * value:.2f}%" in text
    assert all(f"{value:.4f}" in text for value in table["mse"])


def test_ours_stand_below_each_row_and_what_the_paper_has_not_at_the_end():
    made = published.scores_beside(
        "multiscale_cnn3d",
        {
            "hill, honest": ours(small={"auc": 0.7, "ap": 0.6}, forest={"auc": 0.8}),
            "hill, paper": ours(small={"auc": 0.9}),
        },
    )
    assert made.index.tolist()[:3] == [
        ("small", "published: Zhangjiajie"), ("small", "hill, honest"), ("small", "hill, paper"),
    ]  # fmt: skip
    assert made.index[-1] == ("forest", "hill, honest")
    assert list(made) == ["accuracy", "precision", "sensitivity", "F1", "AUC", "AP"]
    assert made["AUC"].tolist()[:3] == [0.9262, 0.7, 0.9]
    assert np.isnan(made.loc[("small", "published: Zhangjiajie"), "AP"])


def test_zones_in_per_cent_lowest_first():
    zones = pd.DataFrame(
        {
            "variant": "cnn", "breaks": "equal 0.2", "where": "whole map", "zone": [2, 1, 3, 4, 5],
            "share_of_cells": [0.2, 0.1, 0.3, 0.2, 0.2], "share_of_landslides": 0.2,
            "density": 0.01,
        }
    )  # fmt: skip
    made = published.zones_beside("lsgh_net", {"hill": zones})
    assert made.loc[("cnn", "share_of_cells", "hill")].tolist() == [10, 20, 30, 20, 20]
    assert made.loc[("cnn", "density", "published: Jiuzhaigou"), "zone 5"] == pytest.approx(2.79)
    assert ("lsgh_net", "density", "hill") not in made.index  # no such run of ours


def test_mcnemar_of_the_paper_and_ours():
    own = pd.DataFrame([{"against": "large", "statistic": 4.0, "p_value": 0.04, "holm": 0.08}])
    made = published.mcnemar_beside("multiscale_cnn3d", {"hill": own})
    assert made.loc[("large", "hill")].tolist() == [4.0, 0.04, 0.08]
    assert made.loc[("gbdt_lr", "published: Zhangjiajie"), "chi-squared"] == 12.397


def test_a_paper_nobody_typed_is_told():
    with pytest.raises(RecipeError, match=r"no published numbers for .lsgh_nett.; .*lsgh_net"):
        published.scores("lsgh_nett")
    with pytest.raises(RecipeError, match="prints no mcnemar"):
        published.mcnemar_beside("ssgan", {})
