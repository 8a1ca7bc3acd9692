"""Paragraphs on how a run was made: each kind of run says what it took, and nothing else."""

import pytest
from small_runs import small_run

from lsm_core.methods_text import methods_of

FOREST = {"model": {"name": "random_forest", "options": {"n_estimators": 5}}}


def told(run):
    return " ".join(methods_of(run))


def test_the_split_is_told_in_full(sample_workspace, tmp_path):
    words = told(small_run(tmp_path, **FOREST))
    assert "Blocks are squares of 6,000 m" in words
    assert "About 30% of the landslides were held out, 15% of the others for validation" in words
    fold = told(small_run(tmp_path, **FOREST, split={"block": 6000.0, "folds": 4, "fold": 2}))
    assert "Fold 2 of 4 was tested" in fold
    assert "About 30%" not in fold
    usual = small_run(tmp_path, **FOREST, split={})
    side = usual.metrics["counts"]["side of a block, m"]
    assert f"Blocks are squares of {side:,} m" in told(usual)


def test_a_network_says_heat_scales_and_epochs(sample_workspace, tmp_path):
    network = {
        "input": {"form": "window", "sizes": [5, 7]},
        "model": {"name": "cnn3d", "options": {"maps": 2, "dense": 4}},
        "samples": {"heatmap": {"diameter": 5, "per_interval": 0.1}},
        "training": {"epochs": 2, "batch": 64},
    }
    words = told(small_run(tmp_path, **network))
    assert "1 at a landslide and 0.1 at 2.5 cells from it, 0.1 for each landslide" in words
    assert "soft samples with heat 0.2-0.4" in words
    assert "Of each place it was shown windows of 5 and 7 cells around it, resampled to" in words
    assert "trained for 2 epochs (at most 2) in batches of 64" in words
    # A window of 7 and a radius of 2.5: so far are training places from those under test.
    assert "Training places lie at least 10 cells from test places" in words


@pytest.mark.torture
def test_chips_say_how_they_lie(sample_workspace, tmp_path):
    unet = {
        "input": {"form": "chip", "size": 16, "factors": [], "bands": ["red", "nir"]},
        "model": {"name": "attention_unet", "options": {"base": 2}},
        "training": {"epochs": 1, "batch": 4},
        "chips": {"empty": 0.5},
        "split": {},
    }
    words = told(small_run(tmp_path, **unet))
    assert "was given no factors and 2 bands of the image (red, nir)" in words
    assert "a chip of 16 x 16 cells" in words
    assert "Chips lie 16 cells from one to the next" in words
    assert "turned and mirrored at random" in words
    assert "of the training chips without a landslide 50% were kept" in words
    assert "strategy" not in words
    assert "chips with landslides" in words


@pytest.mark.torture
def test_an_ssgan_says_its_places_without_a_label(sample_workspace, tmp_path):
    ssgan = {
        "samples": {"unlabelled": 2, "labelled": 40},
        "input": {"form": "window", "size": 9, "factors": ["slope"], "bands": ["red", "ndvi"]},
        "model": {"name": "ssgan", "options": {"width": 4, "noise": 8}},
        "training": {"epochs": 1, "batch": 16, "patience": None, "loss": "binary_crossentropy"},
    }
    words = told(small_run(tmp_path, **ssgan))
    assert "given 1 factor (slope) and 2 bands of the image (red, ndvi)" in words
    assert "40 places whose label was not looked at" in words
    assert "Only 40 training places kept their label" in words
