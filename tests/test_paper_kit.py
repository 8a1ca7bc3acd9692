"""The report of runs: what a paper says of them, on a page and as LaTeX."""

import html
import re

import pandas as pd
import pytest
from small_runs import small_run

from lsm_core import export_bundle, paper_kit, paper_tables
from lsm_core.methods_text import _stopped, limits_of, methods_of
from lsm_core.print_style import Look
from lsm_core.report import choice_in_words
from lsm_core.safe_tables import long_latex_of
from lsm_core.sections import Training

FOREST = {
    "model": {"name": "random_forest", "options": {"n_estimators": 5}},
    "input": {"form": "table"},
    "map": True,
}
LOGISTIC = {"model": {"name": "logistic_regression"}, "map": False, "name": "logistic"}
EVIL = "<script>alert(1)</script> 5% of a_b & {c}"


@pytest.fixture(scope="module")
def runs(sample_workspace, tmp_path_factory):
    into = tmp_path_factory.mktemp("runs")
    return [
        small_run(into, title=EVIL, **FOREST),
        small_run(into, **FOREST | LOGISTIC, title="Logistic"),
    ]


@pytest.fixture(scope="module")
def report(runs, tmp_path_factory):
    told = []
    page = paper_kit.write_report(runs, tmp_path_factory.mktemp("r"), Look(dpi=100), told.append)
    return page.parent, told


def test_the_page_has_area_methods_scores_figures_and_limits(runs, report):
    folder, told = report
    page = (folder / "report.html").read_text("utf-8")
    for run in runs:
        assert f"{run.metrics['roc_auc']:.3f}" in page
        assert f"lsm reproduce {run.id}" in page
    assert "Data and licences" in page
    assert "simulated" in page
    pictures = re.findall(r'src="(figures/[^"]+)"', page)
    assert len(pictures) > 6
    assert {"figures/susceptibility.png", "figures/curves.png"} <= set(pictures)
    assert all((folder / name).exists() for name in pictures)
    assert all((folder / name).with_suffix(".json").exists() for name in pictures)
    # The map is of the one run that has one, and that is said.
    assert any(words.startswith("susceptibility of 2 runs: ") for words in told)
    assert (folder / "tables" / "scores.csv").exists()


def test_names_cannot_write_html_nor_latex(report):
    folder, _ = report
    page, source = ((folder / f"report.{end}").read_text("utf-8") for end in ("html", "tex"))
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert r"5\% of a\_b \& \{c\}" in source
    assert "5% of" not in source


def test_the_source_is_whole(report):
    folder, _ = report
    source = (folder / "report.tex").read_text("utf-8")
    for name in ("document", "longtable", "figure", "itemize"):
        begun, ended = (source.count(rf"\{mark}{{{name}}}") for mark in ("begin", "end"))
        assert begun == ended > 0
    drawn = re.findall(r"\{(figures/[^}]+)\}", source)
    assert drawn
    assert all((folder / name).exists() for name in drawn)
    assert "<<" not in source
    assert "<%" not in source


def test_the_source_has_no_special_sign_that_is_not_meant(report):
    """All of a report's words may come from strangers: names of areas, factors, files, runs."""
    folder, _ = report
    source = (folder / "report.tex").read_text("utf-8")
    body = source.split(r"\begin{document}")[1]
    plain = re.sub(r"\\[#$%&_{}]|\\drawn{[^}]*}", "", body)
    assert not re.findall(r"[#$%~^_]", plain)
    for table in re.findall(r"\\begin{longtable}.*?\\end{longtable}", plain, re.DOTALL):
        rows = [line for line in table.splitlines() if line.endswith(r" \\")]
        assert len({row.count("&") for row in rows}) == 1
        assert not [row for row in rows if row.startswith(("[", "*"))]


@pytest.mark.parametrize("first", ["[0, 0.2)", "* all", "a & b", "50 % of #1"])
def test_a_row_may_begin_with_any_sign(first):
    text = long_latex_of(pd.DataFrame({"class": [first, "x"], "n": [1, 2]}), "Classes")
    (row,) = [line for line in text.splitlines() if line.endswith(r"1 \\")]
    assert row.startswith(("{[}0, 0.2)", "{*} all", r"a \& b", r"50 \% of \#1"))


def test_long_words_share_the_width_of_a_line():
    words = pd.DataFrame({"what was left out, and why": ["because " * 40], "n": [3], "file": ["a"]})
    columns = long_latex_of(words, "Left out").splitlines()[0]
    widths = [float(w) for w in re.findall(r"p{([\d.]+)\\linewidth}", columns)]
    assert len(widths) == 3
    assert widths[0] > 0.5 > widths[1]
    assert sum(widths) <= 0.962  # the rest is between the columns
    assert "p{" not in long_latex_of(words[["n", "file"]], "Short").splitlines()[0]


def test_methods_say_what_the_run_did(runs):
    forest, logistic = (" ".join(methods_of(run)) for run in runs)
    m, counts = runs[0].metrics, runs[0].samples.groupby("split").size()
    assert f"tested on {m['n']:,} places, {m['landslides']:,} of them landslides" in forest
    assert "whole blocks are tested" in forest
    assert "random_forest (n_estimators = 5; otherwise the program's defaults), seed 1" in forest
    assert re.search(r"Tested on: [\d,]+ landslides, [\d,]+ places drawn at random", forest)
    assert "The map has 5 classes by natural breaks" in forest
    assert "No map was made" in logistic
    numbers = re.search(r"Learnt from: (.*?)\.", forest).group(1)
    assert (
        sum(
            int(n.replace(",", ""))
            for n in re.findall(r"[\d,]+(?= (?:landslides|places))", numbers)
        )
        == (counts["train"])
    )


@pytest.fixture(scope="module")
def paper(sample_workspace, tmp_path_factory):
    into = tmp_path_factory.mktemp("paper")
    return small_run(into, **FOREST | {"map": False}, protocol="paper", title="Published")


def test_runs_of_both_protocols_have_a_table_each(runs, paper):
    told = []
    tables = export_bundle.tables_of([*runs, paper], told.append)
    assert [len(tables[name]) for name in ("scores_1", "scores_2")] == [2, 1]
    assert len(tables["pairs_1"]) == 1
    words = next(words for words in told if words.startswith("one table"))
    assert "2 sets of test places, and each has tables of its own" in words
    parts = paper_tables.tables_shown([*runs, paper], tables)
    scores = [part for part in parts if part.caption.startswith("Scores on test places")]
    assert [("honest" in part.caption, len(part.table)) for part in scores] == [
        (True, 2),
        (False, 1),
    ]
    assert scores[0].table["run"].tolist() == [EVIL, "Logistic"]
    first, second = paper_tables.results_of(tables, [*runs, paper])
    for run, words in zip([*runs, paper], (first, first, second), strict=True):
        assert re.search(
            rf"{re.escape(run.title)} has AP {run.metrics['average_precision']:.3f} \(", words
        )
    assert f"On {paper.metrics['n']:,} test places (paper protocol) Published has AP" in second
    assert "slope alone 0." in first
    assert f"{EVIL} − Logistic: " in first


def test_classes_are_those_of_the_map_here_and_where_it_was_tested(runs):
    tables = export_bundle.tables_of(runs)
    whole, tested = (
        part
        for part in paper_tables.tables_shown(runs, tables)
        if part.caption.startswith("Susceptibility classes")
    )
    assert (
        "natural breaks of each map, whole map (landslides learnt from count too)" in whole.caption
    )
    assert "test blocks (ground nobody trained on)" in tested.caption
    dense = whole.table["landslides per 1,000 cells"]
    per_cell = whole.table["landslides"] / whole.table["cells"]
    assert dense.tolist() == pytest.approx((1000 * per_cell).tolist())


@pytest.fixture(scope="module")
def chosen(sample_workspace, tmp_path_factory):
    """Two models whose rules dropped the same factors, one that was told by hand, one of all."""
    into = tmp_path_factory.mktemp("chosen")
    few = {"factors": ["slope", "elevation", "twi", "lithology"], "form": "table"}
    by_rule = {"selection": {"pearson": 0.2, "importance": None, "vif": None}}
    told = {"factors": ["slope", "lithology"], "left_out": {"elevation": "5% of <b>guesses</b>"}}
    return [
        small_run(into, **FOREST | {"map": False, "input": few} | by_rule, title="Forest"),
        small_run(into, **LOGISTIC | {"input": few} | by_rule, title="Logistic"),
        small_run(into, **FOREST | {"map": False, "input": told}, title="By hand"),
        small_run(into, **FOREST | {"map": False}, title="All of them"),
    ]


def test_factors_kept_and_dropped_stand_in_a_table(chosen):
    rules, by_hand = paper_kit._choices(chosen)
    assert rules.caption == "Factors kept and dropped: Forest / Logistic"
    selection = chosen[0].selection
    assert selection["dropped"]
    assert dict(rules.table.to_numpy()) == (
        dict.fromkeys(selection["kept"], "kept") | selection["dropped"]
    )
    assert by_hand.caption == "Factors kept and dropped: By hand"
    assert dict(by_hand.table.to_numpy()) == {
        "slope": "kept",
        "lithology": "kept",
        "elevation": "left out by hand: 5% of <b>guesses</b>",
    }
    assert "Left out by hand: elevation (5% of <b>guesses</b>)" in " ".join(methods_of(chosen[2]))
    assert "\n  elevation left out by hand: 5%" in choice_in_words(chosen[2])


def test_the_choice_is_on_the_page_and_in_the_source(chosen, tmp_path, monkeypatch):
    monkeypatch.setattr(paper_kit, "_figures", lambda *_: [])
    folder = paper_kit.write_report(chosen, tmp_path, Look()).parent
    page, source = ((folder / f"report.{end}").read_text("utf-8") for end in ("html", "tex"))
    for text in (page, source):
        assert text.count("Factors kept and dropped: ") == 2
    for why in chosen[0].selection["dropped"].values():
        assert html.escape(why, quote=False) in page
    assert "5% of &lt;b&gt;guesses" in page
    assert r"5\% of" in source


def test_repeats_are_one_section_and_one_mean(runs, tmp_path):
    again = small_run(tmp_path, title="Logistic", **FOREST | LOGISTIC, seed=2)
    both = [runs[1], again]
    ((name, _, _, paragraphs),) = paper_kit._methods(both)
    assert name == "Logistic"
    assert "run 2 times (seeds 1, 2)" in paragraphs[-1]
    parts = {
        p.caption: p.table for p in paper_tables.tables_shown(both, export_bundle.tables_of(both))
    }
    (mean,) = [table for caption, table in parts.items() if caption.startswith("Means over")]
    values = [run.metrics["roc_auc"] for run in both]
    assert mean["AUC"].tolist() == [pytest.approx(sum(values) / 2)]
    assert mean["model"].tolist() == ["Logistic"]
    assert not any("trained once" in words for words in limits_of(both))


@pytest.mark.parametrize(
    ("patience", "epochs", "says"),
    [
        (None, 60, "nothing stopped it early, and its last weights were kept"),
        (15, 60, "the weights of the epoch with the best validation average precision were kept"),
        (15, 21, "15 epochs without a better validation average precision ended it, and the"),
    ],
)
def test_why_a_network_stopped_is_said(patience, epochs, says):
    training = Training(epochs=60, patience=patience, watch="average_precision")
    assert _stopped(training, epochs).startswith(says)


def test_limits_are_said_once_and_of_whom(runs, paper):
    together = limits_of([*runs, paper])
    assert len(together) == len(set(together))
    mine = [words for words in together if "new ground" in words]
    assert [words.split(":")[0] for words in mine] == ["Published (paper)"]
    assert not any("new ground" in words for words in limits_of(runs))
    assert any("trained once" in words for words in together)
    assert not any("trained once" in words for words in limits_of([runs[0], runs[0]]))
