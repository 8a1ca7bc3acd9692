"""The form of a recipe: each setting a field, changes in the address, mistakes beside the field."""

import panel as pn
import pytest
from page_text import texts
from test_figures import make_area

from lsm_app import recipe_form, session
from lsm_app.fields import Field, text_of, value_of
from lsm_core.errors import RecipeError
from lsm_core.recipe_fields import Setting

pn.extension()


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("workspace")
    make_area(root)
    return root


def form_of(**chosen):
    return recipe_form.RecipeForm(session.Session(page="Training", area="valley", **chosen))


def open_all(form):
    form.parts.active = list(range(len(form.names)))
    return form


def test_every_setting_of_the_schema_is_a_field(workspace):
    form = open_all(form_of(recipe="multiscale_cnn3d"))
    left_out = {"name", "title", "model.options"}
    assert set(form.known) - set(form.fields) == left_out
    assert "model.options.dropout" in form.fields
    assert all(field.hint.object for field in form.fields.values())


def test_a_field_says_meaning_range_and_default(workspace):
    form = open_all(form_of(recipe="lsgh_net"))
    words = form.fields["training.epochs"].hint.object
    assert "times all places are learnt from" in words
    assert "from 1" in words
    assert "recipe 60" in words
    assert "default 200" in words


def test_a_change_is_marked_goes_to_the_address_and_is_forgotten(workspace):
    form = open_all(form_of(recipe="lsgh_net"))
    form.fields["training.epochs"].widget.value = "7"
    assert form.recipe().training.epochs == 7
    assert form.session.changes == ["training.epochs=7"]
    assert form.fields["training.epochs"].hint.object.startswith("<b>changed</b>")
    form.fields["training.epochs"].widget.value = "60"
    assert form.session.changes == []


def test_an_address_opens_the_form_as_it_was_left(workspace):
    form = form_of(recipe="lsgh_net", changes=["size=demo", "samples.heatmap.diameter=9"])
    recipe = form.recipe()
    assert (recipe.size, recipe.training.epochs) == ("demo", 12)
    assert recipe.samples.heatmap.diameter == 9
    assert recipe.area == "valley"


def test_a_mistake_is_said_beside_its_field(workspace):
    told = []
    form = open_all(form_of(recipe="lsgh_net"))
    form.on_change = told.append
    form.fields["training.epochs"].widget.value = "-3"
    assert "training.epochs takes numbers from 1" in form.fields["training.epochs"].hint.object
    assert form.fields["training.epochs"].widget.error_state
    assert "training.epochs takes numbers from 1" in texts(form.wrong)
    assert "training.epochs" in told[-1]
    form.fields["training.epochs"].widget.value = "5"
    assert told[-1] == ""
    assert not form.fields["training.epochs"].widget.error_state


def test_a_mistake_between_settings_is_said_at_the_one_it_names(workspace):
    form = open_all(form_of(recipe="lsgh_net"))
    form.fields["split.apart"].widget.value = "3"
    assert "split.apart is 3 cells" in form.fields["split.apart"].hint.object


def test_an_option_of_the_wrong_kind_is_a_mistake(workspace):
    form = open_all(form_of(recipe="lsgh_net"))
    form.fields["model.options.dropout"].widget.value = "much"
    with pytest.raises(RecipeError, match="dropout takes a number, got 'much'"):
        form.recipe()
    assert "takes a number" in form.fields["model.options.dropout"].hint.object


def test_another_model_brings_its_options_and_an_input_it_takes(workspace):
    form = open_all(form_of(recipe="lsgh_net"))
    form.fields["model.name"].widget.value = "ann"
    recipe = form.recipe()
    assert (recipe.model.name, recipe.model.options, recipe.input.form) == ("ann", {}, "table")
    assert "model.options.hidden" in form.fields
    form.fields["model.name"].widget.value = "lsgh_net"
    assert form.recipe().model.options == {"scse": True, "dropout": 0.5}
    assert form.session.changes == []


def test_a_factor_that_the_area_lacks_is_said_before_the_start(workspace):
    form = form_of(recipe="lsgh_net", changes=["input.factors=[elevation, slop]"])
    assert "the area has no factor &#x27;slop&#x27;" in texts(form.wrong)


def test_a_section_that_may_be_left_out_is_a_box_to_tick(workspace):
    form = open_all(form_of(recipe="lsgh_net"))
    form.fields["samples.heatmap"].widget.value = False
    assert form.recipe().samples.heatmap is None
    form.fields["samples.heatmap"].widget.value = True
    assert form.recipe().samples.heatmap is not None


def test_an_unknown_recipe_is_said(workspace):
    assert "no recipe &#x27;nothing&#x27;" in texts(form_of(recipe="nothing").view)
    assert "not the name of a folder" in texts(form_of(recipe="run: ../../x").view)


@pytest.mark.parametrize("value", [None, "blocks", (8, 12), 0.001, 1e-5, {"a": 1}, True, 3])
def test_what_is_shown_is_read_back(value):
    setting = Setting("a.b", "free", None, "", empty=True)
    back = value_of(setting, text_of(value))
    assert back == (list(value) if isinstance(value, tuple) else value)


def test_a_value_that_is_put_there_is_no_change():
    heard = []
    field = Field(Setting("a.b", "whole", 3, "of it"), lambda *told: heard.append(told))
    field.show(5, 3)
    assert heard == []
    field.widget.value = "6"
    assert heard == [("a.b", 6)]


def test_fields_come_on_the_page_with_their_values(workspace, monkeypatch):
    """What comes while a browser draws them, the browser misses."""
    monkeypatch.setattr(recipe_form.RecipeForm, "_check", lambda form: None)
    form = form_of(recipe="random_forest")
    assert form.fields["size"].widget.value == "bench"
    assert "honest" in form.fields["protocol"].hint.object
    form.parts.active = [form.names.index("training")]
    assert form.fields["training.epochs"].widget.value


def test_another_size_than_the_recipes_own_is_marked(workspace):
    form = form_of(recipe="lsgh_net")
    form.change("size", "demo")
    assert "changed" in form.fields["size"].hint.object
    assert "recipe bench" in form.fields["size"].hint.object
