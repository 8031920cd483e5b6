"""What a program needs to run in the guest beside itself: its loader and its shared libraries, as ldd finds them here."""

import os
import re
import subprocess

from . import GuestError

LINE = re.compile(r"^\s*(?:(?P<name>\S+) => )?(?P<path>/\S+|not found)(?: \(0x[0-9a-f]+\))?$")


def parse_ldd(program, text):
    """Paths of what ldd lists, links not followed: the guest gets each file under the name that the loader opens."""
    paths = []
    for line in text.splitlines():
        found = LINE.match(line)
        if found is None:
            continue  # linux-vdso comes with the kernel; "statically linked"
        if found["path"] == "not found":
            raise GuestError(f"{program} needs {found['name']}, which is not on this machine; install it (hack/deps)")
        paths.append(found["path"])
    return paths


def libraries(program):
    """Of an executable file of any kind; none of a static one or a script."""
    with open(program, "rb") as file:
        if file.read(4) != b"\x7fELF":
            return []
    result = subprocess.run(["ldd", program], capture_output=True, text=True, timeout=60, check=False)
    if result.returncode != 0 and "not a dynamic executable" not in result.stdout + result.stderr:
        raise GuestError(f"ldd {program} ended with {result.returncode}: {result.stderr.strip()[-300:]}")
    return parse_ldd(program, result.stdout)


def closure(programs):
    """All that the programs need, each path once."""
    return sorted({os.path.normpath(path) for program in programs for path in libraries(program)})
