"""Debian's packages, unpacked into a folder by mmdebstrap: from this machine's Debian mirrors, checked by their signatures, without
running a package's scripts, and without what nobody asked for.
"""

import os
import pathlib
import shlex
import subprocess
import sys

from . import ImageError

KEYS = "/usr/share/keyrings/debian-archive-keyring.gpg"
# Debian's own layout since release 12: /bin, /lib and so on are links to those of /usr.
MERGE_USR = 'for d in bin sbin lib lib64; do mkdir -p "$1/usr/$d" && ln -s "usr/$d" "$1/$d"; done'


def release():
    """Of this machine, whose libraries our programs are linked with."""
    words = dict(line.split("=", 1) for line in pathlib.Path("/etc/os-release").read_text().splitlines() if "=" in line)
    name = words.get("VERSION_CODENAME", "").strip('"')
    if words.get("ID", "").strip('"') != "debian" or not name:
        raise ImageError("the image is made of the Debian release that the programs were built on, and /etc/os-release does not tell of one")
    return name


def mirrors_known_to_apt(suite):
    """Lines of sources.list: what apt uses of Debian itself here, and neither others' archives nor components beside main."""
    shown = subprocess.run(["apt-get", "indextargets", "--format", "$(ORIGIN)|$(COMPONENT)|$(REPO_URI)|$(RELEASE)", "Created-By: Packages"],
                           check=True, stdout=subprocess.PIPE, text=True).stdout
    lines = []
    for target in shown.splitlines():
        origin, component, address, name = target.split("|")
        line = f"deb [signed-by={KEYS}] {address} {name} {component}"
        if origin == "Debian" and component == "main" and name.startswith(suite) and line not in lines:
            lines.append(line)
    return lines


def mirrors(suite):
    """apt knows whose an archive is once it has seen its index."""
    lines = mirrors_known_to_apt(suite)
    if not lines:
        subprocess.run(["apt-get", "update"], check=True, stdout=sys.stderr)
        lines = mirrors_known_to_apt(suite)
    if not lines:
        raise ImageError(f"apt has no archive of Debian {suite} (apt-get indextargets); see to /etc/apt/sources.list")
    return lines


def proxies():
    """apt's settings that mmdebstrap's own apt needs as well."""
    shown = subprocess.run(["apt-config", "dump"], check=True, stdout=subprocess.PIPE, text=True).stdout
    return [f"--aptopt={line}" for line in shown.splitlines() if line.startswith(("Acquire::http::Proxy", "Acquire::https::Proxy"))]


def unpack(folder, packages):
    """Packages with what they depend on: (root folder, folder of the .deb files)."""
    suite, root, debs, log = release(), folder / "debian", folder / "debs", folder / "mmdebstrap.log"
    debs.mkdir()
    sources = folder / "debian.list"
    sources.write_text("\n".join(mirrors(suite)) + "\n")
    command = ["mmdebstrap", "--mode=root", "--variant=extract", "--format=directory", f"--include={','.join(packages)}",
               f"--setup-hook={MERGE_USR}", f'--extract-hook=cp "$1"/var/cache/apt/archives/*.deb {shlex.quote(str(debs))}/', *proxies(),
               suite, root, sources]
    with open(log, "w") as out:
        done = subprocess.run(command, stdout=out, stderr=out, stdin=subprocess.DEVNULL,
                              env={**os.environ, "SOURCE_DATE_EPOCH": "1", "LC_ALL": "C.UTF-8"})
    if done.returncode != 0:
        print(*log.read_text(errors="replace").splitlines()[-25:], sep="\n", file=sys.stderr)
        raise ImageError("mmdebstrap did not succeed; the end of what it said is above. Can the Debian mirror be reached, and does it have "
                         "all of hack/images/packages?")
    return root, sorted(debs.glob("*.deb"))
