"""Debian's stock kernel: fetched with apt-get, unpacked into the cache, never installed."""

import contextlib
import glob
import os
import re
import shutil
import subprocess

from . import NotAvailable

# What the guest loads, in any order; what they depend on comes along. The rest of it is built in.
WANTED_MODULES = ("virtio_pci", "virtio_net", "virtio_rng", "virtio_blk", "nfs", "nfsv3", "loop")


def run(what, *command, cwd=None):
    try:
        result = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=600, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotAvailable(f"{what}: {error}") from error
    if result.returncode != 0:
        raise NotAvailable(f"{what}: {' '.join(command)} ended with {result.returncode}: {result.stderr.strip()[-500:]}")
    return result.stdout


def newest_package():
    """The package that linux-image-amd64 stands for now, such as linux-image-6.1.0-56-amd64."""
    out = run("asking apt for Debian's kernel", "apt-cache", "depends", "linux-image-amd64")
    found = re.search(r"Depends: (linux-image-[0-9][\w.+-]*-amd64)\s", out)
    if not found:
        raise NotAvailable("apt knows no linux-image-amd64; try apt-get update (as root), on Debian 12 or later, x86-64")
    return found.group(1)


def unpacked(cache):
    """Folders of kernels in the cache, the newest last."""
    return sorted((os.path.dirname(path) for path in glob.glob(os.path.join(cache, "linux-image-*", "complete"))),
                  key=os.path.getmtime)


def ensure(cache, say):
    """The folder of an unpacked kernel package; one that is in the cache is good enough, whatever apt has by now."""
    for there in reversed(unpacked(cache)):
        with contextlib.suppress(NotAvailable):  # made when other modules were wanted
            modules_in_order(there)
            return there
    package = newest_package()
    folder, fresh = os.path.join(cache, package), os.path.join(cache, package + ".new")
    shutil.rmtree(fresh, ignore_errors=True)
    os.makedirs(fresh)
    say(f"fetching {package} (about 70 MB) with apt-get download")
    run("fetching the kernel", "apt-get", "-q", "download", package, cwd=fresh)
    archive = glob.glob(os.path.join(fresh, "*.deb"))[0]
    say("unpacking it; it is not installed")
    run("unpacking the kernel", "dpkg-deb", "-x", archive, fresh)
    keep_only(fresh, [kernel_of(fresh), *modules_in_order(fresh)])
    with open(os.path.join(fresh, "complete"), "w", encoding="ascii") as file:
        file.write(package + "\n")
    shutil.rmtree(folder, ignore_errors=True)
    os.rename(fresh, folder)
    return folder


def keep_only(folder, wanted):
    """The whole package takes 400 MB, what is wanted of it 14."""
    for path, _, names in os.walk(folder):
        for name in names:
            if os.path.join(path, name) not in wanted:
                os.remove(os.path.join(path, name))


def kernel_of(folder):
    return glob.glob(os.path.join(folder, "boot", "vmlinuz-*"))[0]


def modules_in_order(folder):
    """Paths of the modules to load, each after those that it depends on."""
    paths = {}
    for path in glob.glob(os.path.join(folder, "lib/modules/*/kernel/**/*.ko"), recursive=True):
        paths[os.path.basename(path)[:-3].replace("-", "_")] = path
    ordered = []

    def add(name):
        if name not in paths:
            raise NotAvailable(f"the kernel in {folder} has no module {name}.ko (compressed modules are not supported)")
        with open(paths[name], "rb") as file:
            # .modinfo is made of KEY=VALUE strings that end with a zero.
            depends = re.search(rb"(?:^|\0)depends=([\w,-]*)\0", file.read()).group(1).decode()
        for other in filter(None, depends.split(",")):
            add(other.replace("-", "_"))
        if paths[name] not in ordered:
            ordered.append(paths[name])

    for wanted in WANTED_MODULES:
        add(wanted)
    return ordered
