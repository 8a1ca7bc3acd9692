"""Every error a user can cause.

LsmError
├── CatalogError      a name or an entry of the data catalogue
├── SourceError       a file that is missing, unreadable or not what it should be
│   └── CrsError      no coordinate reference system, or one in degrees
├── GridError         rasters that do not share a grid, or do not overlap
├── AreaError         a study area, or an area file, that breaks its contract
│   └── InventoryError    no landslides, or none where they are needed
├── SampleError       too few places, or only one class of them
├── RecipeError       a setting that is unknown or out of range
├── RunError          a run folder that is missing, incomplete or not comparable
├── ServeError        the dashboard cannot be served as asked
└── Stopped           not a mistake: the user stopped a run

A message says what is wrong, what was got, and what to do, in one line. The command line prints it
and exits with status 2; the dashboard shows it.
"""


class LsmError(Exception):
    """Something the user can put right; the message says how."""


class CatalogError(LsmError):
    """The catalogue has no such entry, or the entry cannot be read."""


class SourceError(LsmError):
    """A source file is missing, unreadable, or not of the kind that was asked for."""


class CrsError(SourceError):
    """The coordinate reference system is missing or has the wrong units."""


class GridError(LsmError):
    """Rasters do not share a grid, or do not overlap."""


class AreaError(LsmError):
    """A study area, or the file that describes it, breaks its contract."""


class InventoryError(AreaError):
    """The inventory holds no landslide where one is needed."""


class SampleError(LsmError):
    """More places were asked for than exist, or they are all of one class."""


class RecipeError(LsmError):
    """A recipe names something unknown or gives a value out of range."""


class RunError(LsmError):
    """A run folder is missing, incomplete, or cannot be compared with another."""


class ServeError(LsmError):
    """The dashboard would be open to people whom nobody let in, or cannot be served."""


class Stopped(LsmError):
    """The user stopped the run; what was written so far stays readable."""
