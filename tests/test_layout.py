"""What the pages are laid out with."""

import gc

from lsm_app.layout import weakly


class Page:
    def __init__(self):
        self.heard = []

    def hear(self, *given):
        self.heard.append(given)


def test_what_is_called_weakly_is_called_while_it_lives_and_not_kept():
    page = Page()
    call = weakly(page.hear, "roc")
    call(1, 2)
    assert page.heard == [("roc", 1, 2)]
    heard = page.heard
    del page
    gc.collect()
    call(3)
    assert heard == [("roc", 1, 2)]
