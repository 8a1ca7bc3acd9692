"""What a page says, for several test files."""


def texts(view):
    """Everything a page says, as one text."""
    return " ".join(str(getattr(part, "object", "")) for part in view.select())
