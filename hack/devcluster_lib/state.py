"""The state file of a cluster, DIR/devcluster.json, and the lock that lets one command at a time change it."""

import contextlib
import fcntl
import json
import os

from . import ClusterError
from .plan import MAGIC, VERSION

FILE_NAME = "devcluster.json"


def path_of(directory):
    return os.path.join(directory, FILE_NAME)


def load(directory):
    """The state, or None where no cluster was ever made in this directory."""
    try:
        with open(path_of(directory), encoding="utf-8") as file:
            state = json.load(file)
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise ClusterError(f"{path_of(directory)} is not JSON ({error}); remove the directory by hand") from error
    if state.get("magic") != MAGIC or state.get("version") != VERSION:
        raise ClusterError(f"{path_of(directory)} has magic '{state.get('magic')}' and version {state.get('version')}, "
                           f"wanted '{MAGIC}' and {VERSION}; end that cluster with the devcluster that made it")
    return state


def load_existing(directory):
    state = load(directory)
    if state is None:
        raise ClusterError(f"there is no cluster in {directory}; make one with: hack/devcluster up --dir {directory}")
    return state


def save(state):
    """Replaces the file at once, so that a command that is killed leaves the old state or the new one."""
    path = path_of(state["dir"])
    with open(path + ".new", "w", encoding="utf-8") as file:
        json.dump(state, file, indent=1)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    os.replace(path + ".new", path)


@contextlib.contextmanager
def locked(directory):
    """Held while a command changes the cluster; others wait."""
    descriptor = os.open(os.path.join(directory, "lock"), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
