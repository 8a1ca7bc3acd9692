"""Figures say what the run folders hold. `make_area` and `make_run` fabricate such folders."""

import json
from types import SimpleNamespace

import holoviews as hv
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from affine import Affine
from rasterio.crs import CRS
from sklearn.metrics import auc, average_precision_score, precision_recall_curve, roc_curve

from lsm_core import figures, runs
from lsm_core.errors import RunError
from lsm_core.grid import Grid
from lsm_core.plot_style import told_apart
from lsm_core.recipe import make_recipe
from lsm_core.study_area import save_area

GRID = Grid((90, 70), Affine(30, 0, 300000, 0, -30, 3800000), CRS.from_epsg(32643))


def make_area(workspace, name="valley", grid=GRID, places=40):
    """A small study area: hills, and landslides of one cell each."""
    rng = np.random.default_rng(7)
    rows, cols = np.indices(grid.shape)
    scale = 90 / grid.shape[0]
    height = 1500 + 300 / scale * np.sin(rows * scale / 9) * np.cos(cols * scale / 11) + 5 * rows
    cells = rng.choice(rows.size, places, replace=False)
    ids = np.zeros(grid.shape, "int32")
    ids.flat[cells] = np.arange(1, places + 1)
    x, y = grid.xy(*np.unravel_index(cells, grid.shape))
    elevation = {"kind": "continuous", "units": "m", "long_name": "elevation", "source": "made"}
    ds = xr.Dataset(
        {
            "elevation": (("y", "x"), height.astype("float32"), elevation),
            "landslide": (("y", "x"), (ids > 0).astype("uint8")),
            "landslide_id": (("y", "x"), ids),
            "valid": (("y", "x"), np.ones(grid.shape, bool)),
            "place_x": ("place", x),
            "place_y": ("place", y),
        },
        {"y": grid.y, "x": grid.x, "place": np.arange(1, places + 1, dtype="int32")},
        {"name": name, "title": name.title(), "prepared": "{}", "fingerprints": "{}"},
    )
    ds.attrs["simulated"] = True
    return save_area(ds.rio.write_crs(grid.crs), workspace / "areas" / name)


def make_run(area, into, name="lsgh", *, seed=1, n=300, test_seed=1, state="done", grid=GRID):
    """A run folder as an experiment leaves it, with numbers drawn from `seed`."""
    recipe = make_recipe(
        {"name": name, "area": area.name, "title": name.upper(), "model": {"name": "cnn"}},
        [f"split.seed={test_seed}"],
    )
    path = runs.create_run(recipe, {"name": area.name, "path": str(area)}, into)
    for epoch in range(1, 6):
        runs.add_progress(path, _epoch(epoch))
    runs.set_status(path, state, "the disk is full" if state == "failed" else "")
    if state == "done":
        finish_run(path, seed, n, test_seed, grid)
    return runs.open_run(path)


def finish_run(path, seed=1, n=300, test_seed=1, grid=GRID):
    """Write what a run leaves when it is done."""
    rng = np.random.default_rng(seed)
    rows, cols = np.indices(grid.shape) * (90 / grid.shape[0])
    waves = 0.5 + 0.3 * np.sin(rows / 9 + seed) * np.cos(cols / 11)
    values = np.clip(waves + rng.normal(0, 0.1, grid.shape), 0, 1).astype("float32")
    values[:5, :5] = np.nan
    label = np.random.default_rng(test_seed).integers(0, 2, n)
    score = np.clip(0.25 * label + rng.normal(0.4, 0.2, n), 0, 1)
    runs.write_map(path / "susceptibility.tif", grid, [(0, values)])
    classes = np.nan_to_num(np.floor(values * 5) + 1).clip(0, 5)
    runs.write_map(path / "zones.tif", grid, [(0, classes)], "uint8")
    runs.write_table(path / "density_table.csv", _zoning(rng))
    runs.write_json(path / "metrics.json", _metrics(label, score, values, test_seed))
    runs.set_status(path, "done")


def _epoch(epoch):
    values = {"loss": 0.3 / epoch, "val_loss": 0.35 / epoch, "seconds": 1.0, "eta": 5.0 - epoch}
    scores = {"val_accuracy": 1 - 0.4 / epoch, "val_average_precision": 1 - 0.3 / epoch}
    return {"event": "epoch", "epoch": epoch, "epochs": 10} | values | scores


def _zoning(rng):
    rows = []
    for breaks in figures.BREAKS:
        for where in figures.WHERE:
            cells, slides = rng.dirichlet(np.ones(5)), np.sort(rng.dirichlet(np.ones(5)))
            for i in range(5):
                rows.append(
                    {
                        "breaks": breaks,
                        "where": where,
                        "zone": i + 1,
                        "from": i / 5,
                        "to": i / 5 + 0.2,
                    }
                    | {"cells": round(6000 * cells[i]), "share_of_cells": cells[i]}
                    | {"landslides": round(40 * slides[i]), "share_of_landslides": slides[i]}
                    | {"density": slides[i] / cells[i]}
                )
    return pd.DataFrame(rows)


def _metrics(label, score, values, test_seed):
    precision, recall, limits = precision_recall_curve(label, score)
    false, true, steps = roc_curve(label, score)
    count, edges = np.histogram(values[np.isfinite(values)], 50, (0, 1))
    names = ["accuracy", "precision", "recall", "specificity", "f1", "kappa", "miou", "mse"]
    scores = dict.fromkeys(names, 0.75) | {"prevalence": float(label.mean())}
    pr = {"recall": recall, "precision": precision, "threshold": limits}
    roc = {
        "false_positive_rate": false,
        "true_positive_rate": true,
        "threshold": [None, *steps[1:].tolist()],
    }
    text = {
        "protocol": "honest", "n": len(label), "landslides": int(label.sum()),
        "test_places": f"places-{test_seed}", "scores": scores, "scores_macro": scores,
        "average_precision": average_precision_score(label, score), "roc_auc": auc(false, true),
        "curves": {"pr": pr, "roc": roc}, "histogram": {"edges": edges, "count": count},
        "overlap": {"share": 0.0, "verdict": "no overlap"}, "seconds": {"training": 5.0},
    }  # fmt: skip
    return json.loads(json.dumps(text, default=lambda array: array.tolist()))


@pytest.fixture(scope="module")
def two_runs(tmp_path_factory):
    workspace = tmp_path_factory.mktemp("workspace")
    area = make_area(workspace)
    return [
        make_run(area, workspace / "runs", name, seed=i) for i, name in enumerate(("cnn", "lsgh"))
    ]


def drawn(overlay, i):
    return overlay.values()[i]


def test_area_under_the_drawn_steps_is_the_average_precision(two_runs):
    plot = hv.render(figures.curves_of(two_runs), backend="bokeh")
    for run, line in zip(two_runs, plot.renderers, strict=False):
        x, y = (line.data_source.data[getattr(line.glyph, axis)] for axis in "xy")
        assert auc(x, y) == pytest.approx(run.metrics["average_precision"], abs=1e-9)
    legend = [item.label.value for item in plot.legend[0].items]
    assert f"AP {two_runs[0].metrics['average_precision']:.3f}" in legend[0]


def test_a_curve_whose_best_guess_is_wrong_does_not_start_at_the_bottom(two_runs):
    run = runs.Run(two_runs[0].path)
    points = {"recall": [1, 0.5, 0, 0], "precision": [0.5, 0.5, 0, 1], "threshold": [1, 2, 3]}
    run.metrics["curves"]["pr"] = points
    curve = drawn(figures.curves_of([run]), 0)
    assert curve.dimension_values(0).tolist() == [0, 0.5, 1]
    assert curve.dimension_values(1).tolist() == [0.5, 0.5, 0.5]


def test_prevalence_is_the_line_of_a_model_that_knows_nothing(two_runs):
    line = drawn(figures.curves_of(two_runs), -1)
    share = two_runs[0].metrics["scores"]["prevalence"]
    assert np.allclose(line.dimension_values(1), share, atol=5e-4)
    assert f"{share:.3f}" in line.label


def test_area_under_the_drawn_roc_is_the_auc(two_runs):
    curve = drawn(figures.curves_of(two_runs, "roc"), 1)
    area = auc(curve.dimension_values(0), curve.dimension_values(1))
    assert area == pytest.approx(two_runs[1].metrics["roc_auc"], abs=1e-9)


def test_of_many_runs_the_legend_lies_over_the_plot_and_the_title_says_the_ends(two_runs):
    several = [runs.Run(two_runs[0].path) for _ in range(5)]
    for run, share in zip(several, (0.5, 0.1, 0.3, 0.0, 0.2), strict=True):
        run.metrics["overlap"]["share"] = share
    few, many = (hv.render(figures.curves_of(some), backend="bokeh")
                 for some in (several[:2], several))  # fmt: skip
    assert "\n50.0% / 10.0% of them" in few.title.text
    assert "\n0.0% to 50.0% of them" in many.title.text
    assert (few.legend[0] in few.above, many.legend[0] in many.above) == (False, True)


def test_a_long_curve_is_thinned_and_keeps_its_ends():
    order = figures._thinned(np.arange(9000))
    assert len(order) == figures.MOST_POINTS
    assert order[[0, -1]].tolist() == [0, 8999]


def test_titles_say_protocol_and_test_places(two_runs):
    title = hv.render(figures.curves_of(two_runs), backend="bokeh").title.text
    assert "honest protocol" in title
    assert "300 test places" in title
    assert "valley" in title


def test_runs_of_one_name_get_different_labels(two_runs):
    labels = figures.labels_of([two_runs[0], two_runs[0], two_runs[1]])
    assert labels[2] == "LSGH (honest)"
    assert two_runs[0].id in labels[0]


def test_repeats_are_told_apart_by_recipe_model_seed_and_fold():
    def run(seed=1, fold=1, folds=None, recipe="r", model="ann"):
        split, model = SimpleNamespace(fold=fold, folds=folds), SimpleNamespace(name=model)
        made = SimpleNamespace(seed=seed, split=split, name=recipe, model=model)
        return SimpleNamespace(id=f"at{seed}{fold}", recipe=made)

    seeds = [run(1), run(2), run(3)]
    assert told_apart(["net", "net", "forest"], seeds) == ["net, seed 1", "net, seed 2", "forest"]
    folds = [run(1, 1, 5), run(1, 2, 5)]
    assert told_apart(["net", "net"], folds) == ["net, seed 1, fold 1", "net, seed 1, fold 2"]
    assert told_apart(["net", "net"], [run(1, 3), run(1, 4)]) == ["net, at13", "net, at14"]
    recipes = [run(recipe="deep"), run(recipe="mining")]
    assert told_apart(["ANN", "ANN"], recipes) == ["ANN, deep", "ANN, mining"]
    assert told_apart(["me", "me"], [run(), run(model="svm")]) == ["me, ann", "me, svm"]
    both = [run(s, recipe=name) for name in ("deep", "mining") for s in (1, 2)]
    assert told_apart(["ANN"] * 4, both)[2] == "ANN, mining, seed 1"


def test_histogram_adds_up_to_all_cells(two_runs):
    curve = drawn(figures.histogram_of(two_runs), 0)
    assert curve.dimension_values(1).sum() == pytest.approx(100)


def test_density_bars_are_the_table_of_the_run(two_runs):
    bars = figures.density_of(two_runs, breaks="equal 0.2", where="test blocks").data
    table = two_runs[1].density_table
    table = table[(table["breaks"] == "equal 0.2") & (table["where"] == "test blocks")]
    mine = bars[bars["run"] == "LSGH (honest)"].sort_values("zone")
    assert np.allclose(mine["landslides_percent"], 100 * table["share_of_landslides"])
    assert mine["class"].tolist() == list(runs.LEVELS)


def test_density_of_unknown_breaks_names_them(two_runs):
    with pytest.raises(RunError, match="no zoning table by 'quantile'"):
        figures.density_of(two_runs, breaks="quantile")


@pytest.mark.parametrize("draw", [figures.curves_of, figures.histogram_of, figures.density_of])
def test_nothing_to_draw_is_an_error_in_words(draw):
    with pytest.raises(RunError, match="name at least one run"):
        draw([])


def test_history_draws_each_epoch_and_nothing_before_the_first(two_runs):
    runs.add_progress(two_runs[0].path, {"event": "batch", "epoch": 6, "epochs": 10, "loss": 9.0})
    layout = figures.history_of(two_runs[0])
    loss = drawn(layout.values()[0], 0)
    assert np.allclose(loss.dimension_values(1), [0.3 / e for e in range(1, 6)])
    assert len(drawn(figures.history_of([]).values()[0], 0)) == 0


def test_map_lies_where_the_raster_lies(two_runs):
    overlay = figures.map_of(two_runs[0])
    image = drawn(overlay, 0)
    assert image.bounds.lbrt() == pytest.approx(GRID.bounds)
    assert np.isnan(image.dimension_values(2, flat=False)[-1, 0])  # hv counts rows from the south
    plot = hv.render(overlay, backend="bokeh")
    scale_x = (GRID.bounds[2] - GRID.bounds[0]) / plot.frame_width
    scale_y = (GRID.bounds[3] - GRID.bounds[1]) / plot.frame_height
    assert scale_x == pytest.approx(scale_y, rel=0.01)


def test_a_map_has_one_scale_whatever_its_shape():
    for bounds in ((0, 0, 900, 300), (0, 0, 300, 900)):
        frame = figures.map_frame(bounds, 460, 400)
        assert frame["frame_width"] / bounds[2] == pytest.approx(
            frame["frame_height"] / bounds[3], rel=0.01
        )
        assert frame["frame_width"] <= 460
        assert frame["frame_height"] <= 400


def test_every_figure_renders(two_runs):
    shade = xr.DataArray(np.full((4, 3), 99.0), {"y": np.arange(4)[::-1], "x": np.arange(3)})
    places = pd.DataFrame({"x": [0.0, 1.0], "y": [0.0, 1.0]})
    made = [
        figures.curves_of(two_runs),
        figures.curves_of(two_runs, "roc"),
        figures.histogram_of(two_runs),
        figures.density_of(two_runs),
        figures.history_of(two_runs[0]),
        figures.map_of(shade / 255, shade, places),
    ]
    for figure in made:
        assert hv.render(figure, backend="bokeh")
