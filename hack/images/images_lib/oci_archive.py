"""An image of folders, one a layer: an OCI layout (image-spec 1.0) made by umoci, in a tar, with the manifest.json that `docker load`
reads. Files are root's, sorted, and of the times they are given, so that the same folders give the same digest.
"""

import dataclasses
import datetime
import hashlib
import json
import os
import pathlib
import subprocess

from .contents import USER

SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclasses.dataclass(frozen=True)
class Image:
    """`created`: seconds since 1970."""
    name: str
    version: str
    revision: str
    created: int

    @property
    def tag(self):
        return self.name.rpartition(":")[2]

    @property
    def time(self):
        return datetime.datetime.fromtimestamp(self.created, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")

    def labels(self):
        return {"title": "shima", "description": "Shima: storage for virtual machines that live in several sites", "version": self.version,
                "revision": self.revision, "created": self.time, "licenses": "Apache-2.0", "vendor": "Shima"}


def write_tar(folder, out, time):
    subprocess.run(["tar", "--create", f"--file={out}", f"--directory={folder}", "--sort=name", "--numeric-owner", "--owner=0", "--group=0",
                    "--format=gnu", "--mode=u+rwX,go+rX,go-w,a-st", f"--mtime=@{time}", "."], check=True)


def umoci(*arguments):
    subprocess.run(["umoci", *map(str, arguments)], check=True, stdout=subprocess.DEVNULL)


def make_layout(folder, layers, image):
    layout = folder / "layout"
    there = f"{layout}:{image.tag}"
    umoci("init", "--layout", layout)
    umoci("new", "--image", there)
    for number, (root, time, story) in enumerate(layers):
        write_tar(root, folder / f"{number}.tar", time)
        umoci("raw", "add-layer", f"--image={there}", f"--history.created={image.time}", f"--history.created_by=hack/images/build: {story}",
              folder / f"{number}.tar")
    labels = [f"--config.label=org.opencontainers.image.{key}={value}" for key, value in image.labels().items()]
    umoci("config", f"--image={there}", f"--config.user={USER}:{USER}", f"--config.env=PATH={SEARCH_PATH}", "--config.workingdir=/",
          "--config.cmd=shimactl", "--config.cmd=--help", f"--created={image.time}", "--no-history", *labels)
    umoci("gc", "--layout", layout)
    return layout


def blob(layout, digest):
    return layout / "blobs" / digest.replace(":", "/")


def name_it(layout, image):
    """What containerd and docker call the image; umoci writes its tag alone. Returns the manifest's digest."""
    index = json.loads((layout / "index.json").read_text())
    only, = index["manifests"]
    registry = image.name.partition("/")[0]
    whole = image.name if "/" in image.name and ("." in registry or ":" in registry) else \
        f"docker.io/{image.name if '/' in image.name else 'library/' + image.name}"
    only["annotations"] = {"io.containerd.image.name": whole, "org.opencontainers.image.ref.name": image.tag}
    (layout / "index.json").write_text(json.dumps(index, sort_keys=True))
    manifest = json.loads(blob(layout, only["digest"]).read_text())
    for part in [manifest["config"], *manifest["layers"]]:
        assert f"sha256:{hashlib.sha256(blob(layout, part['digest']).read_bytes()).hexdigest()}" == part["digest"], part
    told = [{"Config": f"blobs/{manifest['config']['digest'].replace(':', '/')}", "RepoTags": [image.name],
             "Layers": [f"blobs/{layer['digest'].replace(':', '/')}" for layer in manifest["layers"]]}]
    (layout / "manifest.json").write_text(json.dumps(told))
    return only["digest"]


def write(folder, layers, image, archive):
    """Returns the image's digest, and the number and bytes of its files."""
    layout = make_layout(folder, layers, image)
    digest = name_it(layout, image)
    new = pathlib.Path(f"{archive}.new")
    write_tar(layout, new, image.created)
    os.replace(new, archive)
    files = [path for root, _, _ in layers for path in root.rglob("*") if path.is_file() and not path.is_symlink()]
    return {"digest": digest, "files": len(files), "bytes": sum(path.stat().st_size for path in files)}
