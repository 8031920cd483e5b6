"""What is in the image, and that it is all that is needed and nothing else: our programs, the shared libraries that the dynamic linker
finds for them, the paths that hack/images/packages names, copyrights, accounts.
"""

import fnmatch
import os
import pathlib
import re
import shutil
import subprocess

from . import HERE, ROOT, ImageError

BIN = ROOT / "build/release/bin"
USER = 10700  # kServerUser of operator/desired/pod_parts.h
MERGED = ("/bin/", "/sbin/", "/lib/", "/lib64/")
MOUNT_POINTS = ("dev", "proc", "sys", "run", "etc", "var")


def _lines(name):
    stripped = (line.partition("#")[0].split() for line in (HERE / name).read_text().splitlines())
    return [words for words in stripped if words]


def read_programs():
    return [words[0] for words in _lines("programs")]


def read_packages():
    """{package: [pattern of a path...]}"""
    return {words[0]: words[1:] for words in _lines("packages")}


def add_programs(folder, programs):
    """Into the folder of our layer, which is returned."""
    target = folder / "usr/bin"
    target.mkdir(parents=True)
    for name in programs:
        subprocess.run(["strip", "--strip-all", "-o", target / name, BIN / name], check=True)
        (target / name).chmod(0o755)
    (target / "chown").symlink_to("busybox")
    copyright_file = folder / "usr/share/doc/shima/copyright"
    copyright_file.parent.mkdir(parents=True)
    shutil.copyfile(ROOT / "LICENSE", copyright_file)
    return folder


def write_accounts(root):
    files = {"etc/passwd": "root:x:0:0:root:/:/usr/sbin/nologin\n"
                           f"shima:x:{USER}:{USER}:Shima's servers:/:/usr/sbin/nologin\n"
                           "nobody:x:65534:65534:nobody:/:/usr/sbin/nologin\n",
             "etc/group": f"root:x:0:\nshima:x:{USER}:\nnogroup:x:65534:\n",
             "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\nservices: files\n"}
    for name, text in files.items():
        (root / name).write_text(text)
        (root / name).chmod(0o644)


def merged(path):
    """The path with /usr, as it is since /bin, /lib and so on are links."""
    return f"/usr{path}" if path.startswith(MERGED) else path


def resolve(root, path):
    """Every path inside the root that the path goes through because of links, and where it ends."""
    path, seen = merged(path), []
    while path not in seen:
        seen.append(path)
        target = root / path.lstrip("/")
        if not target.is_symlink():
            return seen
        path = merged(os.path.normpath(os.path.join(os.path.dirname(path), os.readlink(target))))
    raise ImageError(f"{path} of Debian's packages is a link to itself")


def libraries_of(root, program):
    """Paths that the dynamic linker of the root takes for a program; the program is at its place there."""
    headers = subprocess.run(["readelf", "--program-headers", root / program.lstrip("/")], check=True, stdout=subprocess.PIPE,
                             text=True).stdout
    interpreter = re.search(r"interpreter: (\S+)\]", headers)
    if not interpreter:
        return []
    done = subprocess.run(["chroot", root, interpreter.group(1), "--list", program], capture_output=True, text=True)
    missing = re.findall(r"(\S+) => not found|(\S+): cannot open shared object file", done.stdout + done.stderr)
    if missing or done.returncode != 0:
        names = " ".join(sorted({one or other for one, other in missing})) or done.stderr.strip()
        raise ImageError(f"{program} needs {names}, which no package of hack/images/packages has; find out which package has it (dpkg -S) "
                         "and add that")
    return [interpreter.group(1), *re.findall(r"^\s*\S+ => (/\S+) \(0x", done.stdout, re.MULTILINE)]


def needed_paths(root, ours):
    """Files of Debian's packages that our programs need. They are put into the root for as long as that is found out."""
    needed = set()
    programs = sorted(path for path in (ours / "usr/bin").iterdir() if not path.is_symlink())
    for path in programs:
        inside = root / "usr/bin" / path.name
        shutil.copy2(path, inside)
        for library in libraries_of(root, f"/usr/bin/{path.name}"):
            needed.update(resolve(root, library))
        inside.unlink()
    return needed


def owners(deb_files):
    """{path: package} and {package: its control file}"""
    owner, control = {}, {}
    for deb in deb_files:
        name = deb.name.partition("_")[0]
        control[name] = subprocess.run(["dpkg-deb", "--field", deb], check=True, stdout=subprocess.PIPE, text=True).stdout
        listed = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", deb], stdout=subprocess.PIPE)
        paths = subprocess.run(["tar", "--list"], stdin=listed.stdout, check=True, stdout=subprocess.PIPE, text=True).stdout
        if listed.wait() != 0:
            raise ImageError(f"{deb.name} cannot be read by dpkg-deb; try again")
        owner.update({merged(path.removeprefix(".")): name for path in paths.splitlines() if not path.endswith("/")})
    return owner, control


def named_paths(packages, owner):
    """The paths that hack/images/packages asks for."""
    found = set()
    for package, patterns in packages.items():
        for pattern in patterns:
            matching = [path for path, name in owner.items() if name == package and fnmatch.fnmatchcase(path, pattern)]
            if not matching:
                raise ImageError(f"hack/images/packages: package {package} has no file {pattern}")
            found.update(matching)
    return found


def copyright_of(root, package):
    """Its folder may be a link to that of another package of the same source."""
    folders = resolve(root, f"/usr/share/doc/{package}")
    path = f"{folders[-1]}/copyright"
    if not (root / path.lstrip("/")).is_file():
        raise ImageError(f"package {package} has no copyright at {path}, and the image must not be without it")
    return {*folders, path}


def keep_what_is_needed(root, ours, deb_files, packages):
    """Removes everything else from the root; returns the packages that something stays of, which are those that were asked for."""
    owner, control = owners(deb_files)
    kept = needed_paths(root, ours) | named_paths(packages, owner)
    used = {owner[path] for path in kept if path in owner}
    for name in sorted(used - set(packages)):
        example = min(path for path in kept if owner.get(path) == name)
        raise ImageError(f"the programs need {example} of package {name}; add it to hack/images/packages")
    for name in sorted(set(packages) - used):
        raise ImageError(f"nothing needs package {name}; take it out of hack/images/packages")
    for name in used:
        kept |= copyright_of(root, name)
    remove_others(root, kept)
    # Where scanners look for the packages of an image that has no dpkg.
    status = root / "var/lib/dpkg/status.d"
    status.mkdir(parents=True)
    for name in used:
        (status / name).write_text(control[name])
    return used


def remove_others(root, kept):
    for folder, folders, files in os.walk(root, topdown=False):
        here = pathlib.Path(folder)
        for name in [*files, *folders]:
            path = here / name
            inside = f"/{path.relative_to(root)}"
            if path.is_dir() and not path.is_symlink():
                if not any(path.iterdir()):
                    path.rmdir()
            elif inside not in kept and inside + "/" not in MERGED:
                path.unlink()
    for name in MOUNT_POINTS:
        (root / name).mkdir(exist_ok=True)
