"""The way to large files: `panel serve app/ --plugins lsm_app.exports_route` (`lsm serve` does it).

A zip is sent from disk, piece by piece, and not through the page's own connection. Its address
holds a random folder of 128 bits, and where the server asks for a login this route asks too.
"""

import re

from panel.io.server import AuthenticatedStaticFileHandler

from lsm_core.export_bundle import exports_folder

PLACE = r"([0-9a-f]{32}/[A-Za-z0-9_.-]+\.zip)"


class Exports(AuthenticatedStaticFileHandler):
    """Files of the workspace's `exports`, to be saved and not shown."""

    def set_extra_headers(self, path: str) -> None:
        """It is a file to keep, of this visitor alone."""
        name = re.sub(r"[^A-Za-z0-9_.-]", "", path.rsplit("/", 1)[-1])
        self.set_header("Content-Disposition", f'attachment; filename="{name}"')
        self.set_header("Cache-Control", "private, no-store")
        self.set_header("X-Content-Type-Options", "nosniff")


ROUTES = [(rf"/exports/{PLACE}", Exports, {"path": str(exports_folder().resolve())})]
