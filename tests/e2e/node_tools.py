"""Node.js, the packages of tests/e2e/package.json and our scripts of tests/e2e/node, for whoever runs them."""

import functools
import os
import pathlib
import shutil

import harness

FOLDER = harness.NODE_MODULES.parent
SCRIPTS = pathlib.Path(__file__).parent / "node"


def use_pinned_node():
    """Puts the pinned Node.js first: the packages need a newer one than Debian 12 has, whose npm links no bin of it."""
    for folder in harness.NODE_MODULES.glob("node-linux-*/bin"):
        if str(folder) not in os.environ["PATH"].split(":"):
            os.environ["PATH"] = f"{folder}:{os.environ['PATH']}"


def missing():
    """Why scripts cannot run here, or None."""
    if harness.NODE_MODULES.is_dir() and shutil.which("npx"):
        return None
    return "needs node, npx and the packages of tests/e2e/package.json in build/node"


def replace(source, copy):
    """As shutil.copy2, but whoever reads the copy meanwhile, another test process for one, sees a whole file."""
    whole = f"{copy}.{os.getpid()}"
    shutil.copy2(source, whole)
    os.replace(whole, copy)


@functools.cache  # a copy that is being run stays as it is
def installed(name):
    """A script or folder of tests/e2e/node, copied to where Node.js finds the packages: beside them."""
    source, copy = SCRIPTS / name, FOLDER / name
    if source.is_dir():
        shutil.copytree(source, copy, copy_function=replace, dirs_exist_ok=True)
    else:
        replace(source, copy)
    return copy
