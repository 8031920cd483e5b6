"""A raw ext4 disk image of at least 256 MiB of files that Debian ships."""

import glob
import hashlib
import json
import os
import re
import shutil
import subprocess

from quickstart_lib import QuickstartError, cluster, screen

WANTED_BYTES = 288 << 20  # of files, so that the data in the image is well over 256 MiB
MIN_DATA_BYTES = 256 << 20
SLACK_BYTES = 128 << 20  # of the image, for ext4's own structures, and so that it has holes


def tree_bytes(folder):
    total = 0
    for path, _, names in os.walk(folder):
        for name in names:
            status = os.lstat(os.path.join(path, name))
            total += (status.st_size + 4095) // 4096 * 4096
    return total


def attempt(command, folder, log):
    """The output of a command that may well fail: without a network, or where there is no apt. None if it does."""
    try:
        done = subprocess.run(command, cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, timeout=180)
    except (OSError, subprocess.TimeoutExpired) as error:
        log.write(f"$ {' '.join(command)}\n{error}")
        return None
    log.write(f"$ {' '.join(command)}\n{done.stdout}")
    return done.stdout if done.returncode == 0 else None


def unpack_kernel(work, log):
    """Downloads Debian's kernel package and unpacks it into work/files; its name, or None if that was not possible."""
    architecture = attempt(["dpkg", "--print-architecture"], work, log) or "amd64"
    depends = attempt(["apt-cache", "depends", f"linux-image-{architecture.strip()}"], work, log) or ""
    package = re.search(r"Depends: (linux-image-[0-9]\S+)", depends)
    if package is None:
        return None
    attempt(["apt-get", "download", "-o", "APT::Sandbox::User=root", package.group(1)], work, log)
    files = glob.glob(os.path.join(work, "*.deb"))
    if not files:
        return None
    cluster.run(log, ["dpkg-deb", "-x", files[0], os.path.join(work, "files")], "unpacking the kernel package")
    return os.path.basename(files[0])


def copy_installed(target, wanted):
    """Copies installed files until there are `wanted` bytes of them; the folders they came from."""
    sources, copied = [], 0
    for folder in ("/usr/lib", "/usr/share", "/usr/bin", "/usr/include"):
        for path, folders, names in os.walk(folder):
            folders.sort()
            for name in sorted(names):
                if copied >= wanted:
                    return sources
                source = os.path.join(path, name)
                if os.path.islink(source) or not os.access(source, os.R_OK):
                    continue
                place = os.path.join(target, source.lstrip("/"))
                os.makedirs(os.path.dirname(place), exist_ok=True)
                shutil.copyfile(source, place)
                copied += os.path.getsize(source)
                if folder not in sources:
                    sources.append(folder)
    if copied < wanted:
        raise QuickstartError(f"wanted {screen.size(wanted)} of files for the image, found {screen.size(copied)} under /usr and no "
                              "kernel package to download; connect the machine to a Debian mirror")
    return sources


def checksum(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while piece := file.read(4 << 20):
            digest.update(piece)
    return digest.hexdigest()


def mke2fs():
    program = shutil.which("mke2fs", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if program is None:
        raise QuickstartError("mke2fs is not installed; run hack/deps as root")
    return program


def make(directory, log):
    """The image, made if an earlier run has not left it: {path, sha256, bytes, data_bytes, source}."""
    path, note = os.path.join(directory, "image.raw"), os.path.join(directory, "image.json")
    if os.path.exists(path) and os.path.exists(note):
        with open(note, encoding="utf-8") as file:
            known = json.load(file)
        if known.get("version") == 1 and known["bytes"] == os.path.getsize(path) and known["sha256"] == checksum(path):
            return {**known, "path": path}
    work = os.path.join(directory, "image-files")
    shutil.rmtree(work, ignore_errors=True)
    files = os.path.join(work, "files")
    os.makedirs(files)
    screen.passing("downloading Debian's kernel package ...")
    package = unpack_kernel(work, log)
    screen.passing("making an ext4 file system of it ...")
    missing = WANTED_BYTES - tree_bytes(files)
    sources = copy_installed(files, missing) if missing > 0 else []
    if package is None:
        screen.clear_passing()
        screen.say("Debian's kernel package cannot be downloaded here; installed files are taken")
    source = " and ".join(([package] if package else []) + ([f"installed files of {', '.join(sources)}"] if sources else []))
    size_bytes = (tree_bytes(files) + SLACK_BYTES) >> 20 << 20
    with open(path, "wb") as file:
        file.truncate(size_bytes)
    cluster.run(log, [mke2fs(), "-q", "-F", "-t", "ext4", "-E", "root_owner=0:0", "-d", files, path], "mke2fs")
    shutil.rmtree(work)
    screen.clear_passing()
    made = {"version": 1, "path": path, "sha256": checksum(path), "bytes": size_bytes,
            "data_bytes": os.stat(path).st_blocks * 512, "source": source}
    if made["data_bytes"] < MIN_DATA_BYTES:
        raise QuickstartError(f"the image has only {screen.size(made['data_bytes'])} of data, wanted {screen.size(MIN_DATA_BYTES)}; "
                              f"delete {directory} and run again")
    with open(note, "w", encoding="utf-8") as file:
        json.dump(made, file, indent=1)
    return made
