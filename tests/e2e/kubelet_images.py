"""Images for the containers of a test, made from files of this machine: OCI image layouts of one layer in a tar (OCI image specification 1.1), as `ctr images
import` reads them. Nothing is pulled: registries cannot be had.
"""

import hashlib
import io
import json
import pathlib
import tarfile

PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
LAYER = "application/vnd.oci.image.layer.v1.tar"
CONFIG = "application/vnd.oci.image.config.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"


def _layer(path, files, links, folders):
    """Files {inside: outside}, links {inside: target}, folders {inside: mode}, all of root."""
    with tarfile.open(path, "w") as layer:
        for inside, mode in folders.items():
            entry = tarfile.TarInfo(inside.lstrip("/"))
            entry.type, entry.mode = tarfile.DIRTYPE, mode
            layer.addfile(entry)
        for inside, outside in files.items():
            entry = tarfile.TarInfo(inside.lstrip("/"))
            entry.size, entry.mode = pathlib.Path(outside).stat().st_size, 0o755
            with open(outside, "rb") as content:
                layer.addfile(entry, content)
        for inside, target in links.items():
            entry = tarfile.TarInfo(inside.lstrip("/"))
            entry.type, entry.linkname = tarfile.SYMTYPE, target
            layer.addfile(entry)


def _digest(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def write_image(archive, name, files, entrypoint=(), links=None, folders=None):
    """An archive with the image `name` (with its registry: docker.io/library/x:1). Its user is root, as that of the sidecars' images."""
    layer = pathlib.Path(f"{archive}.layer")
    _layer(layer, files, links or {}, folders or {"/tmp": 0o1777})
    layer_digest = _digest(layer)
    blobs = {}

    def blob(media, content):
        text = json.dumps(content).encode()
        digest = hashlib.sha256(text).hexdigest()
        blobs[digest] = text
        return {"mediaType": media, "digest": f"sha256:{digest}", "size": len(text)}

    config = blob(CONFIG, {"architecture": "amd64", "os": "linux", "config": {"Env": [PATH], "Entrypoint": list(entrypoint)},
                           "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer_digest}"]}, "history": [{"created_by": "test"}]})
    manifest = blob(MANIFEST, {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [
        {"mediaType": LAYER, "digest": f"sha256:{layer_digest}", "size": layer.stat().st_size}]})
    manifest["annotations"] = {"io.containerd.image.name": name}
    with tarfile.open(archive, "w") as whole:
        for inside, text in (("oci-layout", b'{"imageLayoutVersion":"1.0.0"}'),
                             ("index.json", json.dumps({"schemaVersion": 2, "manifests": [manifest]}).encode()),
                             *((f"blobs/sha256/{digest}", text) for digest, text in blobs.items())):
            entry = tarfile.TarInfo(inside)
            entry.size = len(text)
            whole.addfile(entry, io.BytesIO(text))
        whole.add(layer, f"blobs/sha256/{layer_digest}")
    layer.unlink()
    return archive
