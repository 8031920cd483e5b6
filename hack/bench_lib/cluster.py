"""The devcluster that is measured: started where none runs, asked, and given a volume."""

import json
import os
import subprocess
import sys

from . import fail

REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
DEVCLUSTER = os.path.join(REPOSITORY, "hack", "devcluster")
OWN_DIR = "/tmp/shima-bench"


def program(name):
    path = os.path.join(REPOSITORY, "build", os.environ.get("SHIMA_PRESET", "release"), "bin", name)
    if not os.access(path, os.X_OK):
        fail(f"{path} is not built; run hack/build release {name}")
    return path


def devcluster(directory, *arguments, **options):
    return subprocess.run([DEVCLUSTER, "--dir", directory, *arguments], text=True, check=False, **options)


def status_of(directory):
    asked = devcluster(directory, "status", "-o", "json", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    return json.loads(asked.stdout) if asked.returncode == 0 else None


def ensure_cluster(directory, rtt_ms=None, up_options=()):
    """The status of a cluster that runs whole, and whether it was started here."""
    status = status_of(directory)
    if status and all(server["state"] == "running" for server in status["servers"]):
        return status, False
    options = [*up_options, *([] if rtt_ms is None else ["--rtt-ms", str(rtt_ms)])]
    if devcluster(directory, "up", *options, stdout=sys.stderr).returncode != 0:
        fail(f"hack/devcluster up --dir {directory} failed; see above")
    return status_of(directory), True


def shimactl(directory, site, *arguments):
    return devcluster(directory, "exec", site, "--", program("shimactl"), *arguments,
                      stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def ensure_volume(directory, site, arguments):
    """Makes the volume if there is none; its home site."""
    name = arguments.volume
    shown = shimactl(directory, site, "volume", "show", name, "-o", "json")
    if shown.returncode == 0:
        return json.loads(shown.stdout).get("home", site)
    made = shimactl(directory, site, "volume", "create", name, "--home", site, "--size", arguments.size,
                    "--ack", arguments.ack)
    if made.returncode != 0:
        fail(f"volume {name} can be neither shown nor made: {made.stderr.strip() or shown.stderr.strip()}")
    return site
