"""A machine on which only some packages are installed: a process that cannot import the others."""

from collections.abc import Collection
from pathlib import Path

# Read by Python as it starts: what is not installed can neither be imported nor found.
SITECUSTOMIZE = """
import re, sys
from importlib import metadata
from importlib.machinery import PathFinder

def closure(names):
    known, queue = set(), list(names)
    while queue:
        name = re.sub(r"[-_.]+", "-", queue.pop()).lower()
        if name in known:
            continue
        known.add(name)
        try:
            required = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            continue
        queue += [re.match(r"[\\w.-]+", line)[0] for line in required if "extra ==" not in line]
    return known

there = closure(THERE) | {name.lower() for name in ALONE}
owners = metadata.packages_distributions()

class Bare:
    finders = list(sys.meta_path)

    def find_distributions(self, context):
        for found in PathFinder.find_distributions(context):
            if re.sub(r"[-_.]+", "-", found.metadata["Name"]).lower() in there:
                yield found

    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        of = {re.sub(r"[-_.]+", "-", owner).lower() for owner in owners.get(top, [])}
        if of and not of & there and top not in ("foveate", "foveate_command"):
            return None
        found = (finder.find_spec(name, path, target) for finder in self.finders)
        return next((spec for spec in found if spec is not None), None)

sys.meta_path[:] = [Bare()]
"""


def hide_all_but(folder: Path, there: Collection[str], alone: Collection[str] = ()) -> Path:
    """Write into `folder`, which belongs on PYTHONPATH, what hides other packages; returns the folder.

    What `there` requires is installed too, what `alone` requires is not. foveate itself always is.
    """
    names = f"THERE, ALONE = {tuple(there)!r}, {tuple(alone)!r}\n"
    (folder / "sitecustomize.py").write_text(names + SITECUSTOMIZE)
    return folder
