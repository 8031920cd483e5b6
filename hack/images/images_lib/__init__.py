"""What hack/images/build consists of: root_folder (Debian's packages, unpacked), contents (what of them stays, our programs),
oci_archive (layers, configuration, the archive)."""

import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parents[1]
ROOT = HERE.parents[1]


class ImageError(Exception):
    """Why there is no image, and what to do."""


def say(text):
    print(f"hack/images/build: {text}", file=sys.stderr, flush=True)
