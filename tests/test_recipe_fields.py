"""The list that forms are made from: every setting is there, says what it is and what it takes."""

import inspect
import subprocess
import sys

import pytest
from pydantic import Field

from lsm_core import model_options, models, own_code
from lsm_core.errors import RecipeError
from lsm_core.recipe import make_recipe
from lsm_core.recipe_fields import Setting, settings, words_of
from lsm_core.sections import Section

ALL = {found.key: found for found in settings()}


def test_a_new_setting_appears_by_itself():
    class Inner(Section):
        depth: int = Field(3, ge=1, lt=9, description="levels")

    class Outer(Section):
        inner: Inner = Inner()
        maybe: Inner | None = None

    found = settings(Outer)
    assert [s.key for s in found] == ["inner.depth", "maybe", "maybe.depth"]
    assert found[0].allowed == "from 1, below 9"
    assert (found[1].kind, found[1].empty) == ("section", True)


def test_every_setting_says_what_it_means():
    assert not [key for key, found in ALL.items() if not found.meaning]


def test_every_default_is_the_recipes():
    """What the list calls a default is what a recipe has that says nothing."""
    plain = make_recipe({"name": "r", "model": {"name": "cnn"}}).model_dump(mode="python")
    for key, found in ALL.items():
        value = plain
        for name in key.split("."):
            value = value[name] if isinstance(value, dict) else None
        if key not in ("name", "model.name") and value is not None:
            assert value == found.default, key


@pytest.mark.parametrize("key", [k for k, s in ALL.items() if s.low or s.high])
def test_limits_are_those_that_are_refused(key):
    """Just beyond a limit the recipe complains of this very key."""
    found = ALL[key]
    for limit, away in ((found.low, -1), (found.high, 1)):
        if limit is None:
            continue
        value = limit[0] + away if limit[1] else limit[0]
        value = int(value) if found.kind == "whole" else value
        base = {"name": "r", "model": {"name": "cnn"}}
        more = ["transfer.how=scratch"] * key.startswith("transfer.")
        more += ["inventory.run=r"] * key.startswith("inventory.")
        more += ["input.breaks.method=natural"] * key.startswith("input.breaks")
        with pytest.raises(RecipeError, match=key.replace(".", r"\.")):
            make_recipe(base, [*more, f"{key}={value}"])


def test_sections_have_words():
    assert "early stopping" in words_of("training") or "patience" in words_of("training")
    assert words_of("model") != words_of("samples")


@pytest.mark.parametrize("name", models.MENU)
def test_options_are_those_of_the_builder(name):
    """Read from the source, they are what Python itself says of the imported builder."""
    found = {s.name: s for s in model_options.options(name)}
    told = inspect.signature(models._builder(name)).parameters
    assert set(found) == set(told) - {"input_shape", "seed", "scales"}
    for key, setting in found.items():
        assert setting.default == told[key].default, key
        assert setting.meaning, key


def test_no_library_is_loaded_to_read_options():
    code = (
        "import sys; from lsm_core import model_options as o\n"
        "[o.options(n) for n in o.MENU]\n"
        "print([m for m in ('keras', 'tensorflow', 'sklearn', 'pandas') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_options_of_ones_own_are_read_and_not_run(tmp_path, monkeypatch):
    path = tmp_path / "own.py"
    path.write_text(
        "raise SystemExit('it was run')\n"
        "def wide(input_shape, *, width: int | None = 4, seed=None):\n"
        "    '''A wide one.\n\n    Parameters\n    ----------\n    width : of it.\n    '''\n"
    )
    monkeypatch.setenv(own_code.VARIABLE, str(path))
    assert model_options.own_models() == {"wide": "A wide one"}
    assert model_options.options("wide") == [
        Setting("model.options.width", "whole", 4, "of it", empty=True)
    ]


def test_an_unknown_model_is_said():
    with pytest.raises(RecipeError, match="no model 'nothing'"):
        model_options.options("nothing")
