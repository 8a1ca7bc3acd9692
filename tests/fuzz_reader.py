"""Reads files as strangers made them, one after the other; a process of its own that may be lost.

`python fuzz_reader.py LIST FROM`: paths of LIST from number FROM on. One line is printed before
each file and one after: its number and "right", "refused", or the name of the program's own error.
"""

import signal
import sys
import warnings
from pathlib import Path

warnings.simplefilter("ignore")
MOST_MEMORY, LONGEST = 3_000_000_000, 10  # bytes, seconds of the processor for each file


def read(path):
    """What the program does with such a file."""
    from lsm_core import intake, study_area
    from lsm_core.area_file import read_area_file
    from lsm_core.inventory import read_points
    from lsm_core.recipe import load_recipe

    if path.is_dir():
        study_area.open_area(path).load()
    elif path.name.endswith("area.yaml"):
        read_area_file(path)
    elif path.suffix == ".yaml":
        load_recipe(path)
    else:
        found = intake.look_at(path)
        if found.kind != "raster":
            read_points(path, intake.crs_of("32643"))


def main(listed, first):
    import resource

    from lsm_core.errors import LsmError

    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    signal.signal(signal.SIGPROF, lambda *_: (_ for _ in ()).throw(TimeoutError("too long")))
    paths = Path(listed).read_text().splitlines()
    for number in range(first, len(paths)):
        print(f"{number} begun", flush=True)
        signal.setitimer(signal.ITIMER_PROF, LONGEST)
        try:
            read(Path(paths[number]))
            told = "right"
        except LsmError as error:
            print(error, file=sys.stderr)
            told = "refused" if str(error) and "\n" not in str(error) else "error of many lines"
        except BaseException as error:
            told = f"{type(error).__name__}: {' '.join(str(error).split())[:150]}"
        signal.setitimer(signal.ITIMER_PROF, 0)
        print(f"{number} {told}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
