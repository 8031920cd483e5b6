#!/usr/bin/env python3
"""The image of hack/images: what is in it, and that everything of a one-node trial runs in containers of it, with the commands, users, rights
and directories of the operator's pods: a cluster, shimactl, NFS, and the CSI driver, which mounts a volume for a pod. kubelet, containerd and
the pods' network are not tested here.
"""

import contextlib
import json
import os
import pathlib
import re
import shutil
import stat
import subprocess
import sys
import tarfile
import tempfile

from cluster import (BIN, DONE, EXISTS, MIB, ROOT, check_machine, expect, make_image, run_scenarios, say, sha256_of,
                     wait_until)
from csi_client import check_python, grpc, make_stubs
from image_container import Image
from kube_cluster import Program, kube_programs

sys.path.insert(0, str(ROOT / "hack/images"))
import images_lib  # noqa: E402  (needs the path above)
import images_lib.contents  # noqa: E402

PROGRAMS = ("shima-nfsclient",)  # beside those of the image: it is a tool of tests
ARCHIVE = "SHIMA_TEST_IMAGE"  # the image's archive, for the test in a network of its own, out of which no mirror can be reached
SITE, NAMESPACE, USER = "home", "shima-system", 10700
NODE = {"apiVersion": "v1", "kind": "Node",
        "metadata": {"name": "only", "labels": {"kubernetes.io/hostname": "only", "topology.kubernetes.io/zone": SITE}}}
IMAGE = "shima/shima:0.1.0"
# 15 % over what was measured when this was written.
LARGEST_PACKED, LARGEST_UNPACKED = 33_000_000, 83_000_000
KUBELET = "/var/lib/kubelet"


def listed(name):
    return list({"programs": images_lib.contents.read_programs, "packages": images_lib.contents.read_packages}[name]())


def build(*arguments):
    done = subprocess.run([ROOT / "hack/images/build", *arguments], stdout=subprocess.PIPE, text=True)
    expect(done.returncode == 0, f"hack/images/build {' '.join(map(str, arguments))}")
    return done.stdout


def address(ordinal):
    return f"127.0.0.{ordinal + 1}"


class Trial:
    """The image, unpacked, and what the operator makes of charts/examples/one-node-trial.yaml, in containers of it. Each pod of a
    StatefulSet has an address of the loopback interface: the ordinal's.
    """

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="shima-images-"))
        self.etcd, self.containers, self.objects, self.ctl_calls = kube_programs("etcd") / "etcd", [], {}, 0
        self.archive = pathlib.Path(os.environ[ARCHIVE])
        self.image = Image(self.archive, self.folder)

    def __enter__(self):
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        # Mounts that the CSI driver makes in its container are to be seen here. The containers' root must be on another mount: runc takes
        # that one out of all sharing.
        self.host = self.folder / "host"
        self.host.mkdir()
        subprocess.run(["mount", "--bind", self.host, self.host], check=True)
        subprocess.run(["mount", "--make-rshared", self.host], check=True)
        return self

    def __exit__(self, kind, error, trace):
        for one in reversed(self.containers):
            if error is not None:
                print(f"--- the end of {one.name}'s log", one.log()[-2500:], sep="\n", flush=True)
            one.end()
        self.image.close()
        subprocess.run(["umount", "--lazy", "--recursive", self.host], check=False)
        shutil.rmtree(self.folder, ignore_errors=True)

    def directory(self, *parts, mode=0o755):
        """Of the host; a new one is root's."""
        path = self.host.joinpath(*parts)
        if not path.exists():
            path.mkdir(parents=True)
            path.chmod(mode)
        return path

    def start(self, container):
        self.containers.append(container)
        return container.start()

    def check(self):
        for one in self.containers:
            one.check()
        return True

    def object(self, kind, name):
        return self.objects[kind, name]

    def write_names(self):
        """/etc/hosts; and a resolv.conf whose server has no route, as there is no other: asked for an IPv6 address, it fails at once."""
        lines = ["127.0.0.1 localhost"]
        for (kind, name), one in self.objects.items():
            if kind == "StatefulSet":
                lines += [f"{address(i)} {name}-{i}.{name}.{NAMESPACE}.svc" for i in range(one["spec"]["replicas"])]
                lines.append(f"{address(0)} {name}.{NAMESPACE}.svc")
        hosts, resolver = self.folder / "hosts", self.folder / "resolv.conf"
        hosts.write_text("\n".join(lines) + "\n")
        resolver.write_text("nameserver 192.0.2.1\n")
        self.names = {"/etc/hosts": (hosts, "ro"), "/etc/resolv.conf": (resolver, "ro")}
        subprocess.run(["mount", "--bind", hosts, "/etc/hosts"], check=True)

    def ctl(self, *arguments):
        """shimactl, in a container of its own."""
        self.ctl_calls += 1
        return self.image.run(f"ctl-{self.ctl_calls}", ["shimactl", f"--endpoints={address(0)}:7000", "--output=json", *arguments],
                              mounts=self.names)


# ---- what is in it ---------------------------------------------------------------------------------------------------


def it_is_small_and_says_what_it_is(trial):
    packed = trial.archive.stat().st_size
    files = [path for path in trial.image.root.rglob("*") if path.is_file() and not path.is_symlink()]
    unpacked = sum(path.stat().st_size for path in files)
    expect(packed < LARGEST_PACKED and unpacked < LARGEST_UNPACKED,
           f"packed {packed / 1e6:.1f} MB, unpacked {unpacked / 1e6:.1f} MB in {len(files)} files")
    config, labels = trial.image.config, trial.image.config["Labels"]
    expect(config["User"] == f"{USER}:{USER}", f"its user is {config['User']}")
    wanted = {f"org.opencontainers.image.{key}" for key in ("title", "version", "revision", "created", "licenses")}
    expect(wanted <= set(labels) and labels["org.opencontainers.image.version"] == "0.1.0", f"its labels: {sorted(labels)}")
    only, = trial.image.index["manifests"]
    told, = json.loads((trial.image.layout / "manifest.json").read_text())
    expect(only["annotations"]["io.containerd.image.name"] == f"docker.io/{IMAGE}" and told["RepoTags"] == [IMAGE],
           f"containerd and docker call it {IMAGE}, as the operator does")
    layers = [trial.image.blob(layer["digest"]) for layer in trial.image.manifest["layers"]]
    expect(layers == [trial.image.layout / path for path in told["Layers"]], "both read the same layers")


def nothing_in_it_is_a_danger(trial):
    for path in trial.image.root.rglob("*"):
        found, name = path.lstat(), path.relative_to(trial.image.root)
        if stat.S_ISLNK(found.st_mode):
            assert trial.image.root in (trial.image.root / os.path.normpath(path.parent / os.readlink(path)).lstrip("/")).parents, name
            continue
        assert stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode), f"{name} is neither a file nor a directory"
        assert not found.st_mode & (stat.S_ISUID | stat.S_ISGID), f"{name} is setuid or setgid"
        assert not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH), f"{name} may be written by others than root"
        assert found.st_uid == found.st_gid == 0, f"{name} is not root's"
    expect(True, "nothing is setuid, writable by others, somebody else's, or a device")
    there = {str(path.relative_to(trial.image.root)) for path in trial.image.root.rglob("*")}
    unwanted = re.compile(r"^(var/lib/apt|var/cache|usr/include|usr/share/(man|locale|info)|root|home)|(\.a|\.h|\.deb|\.py)$|"
                          r"bin/(sh|dpkg|apt.*|perl.*|gcc.*)$")
    expect(not [name for name in there if unwanted.search(name)], "no package lists, manuals, locales, headers, compilers, shells")
    docs = {name for name in there if name.startswith("usr/share/doc/") and not os.path.isdir(trial.image.root / name)}
    expect(docs and all(name.endswith("/copyright") for name in docs), "of documents, the copyrights alone")
    packages = set(os.listdir(trial.image.root / "var/lib/dpkg/status.d"))
    expect(packages == set(listed("packages")), f"its {len(packages)} packages are those of the list")


def each_program_runs_locked_up(trial):
    programs = listed("programs")
    in_image = {path.name for path in (trial.image.root / "usr/bin").iterdir()}
    expect(in_image == {*programs, "busybox", "chown"}, f"it has {', '.join(programs)}")
    for program in programs:
        answer = trial.image.run(program, [program, "--help"])
        assert answer.code == 0 and answer.out.strip(), answer
        answer = trial.image.run(program, [program, "--version"])
        assert answer.code == 0 and answer.out.strip() == f"{program} {trial.image.config['Labels']['org.opencontainers.image.version']}", answer
        sections = subprocess.run(["readelf", "--section-headers", "--wide", trial.image.root / "usr/bin" / program], check=True,
                                  stdout=subprocess.PIPE, text=True).stdout
        assert ".text" in sections and ".debug_info" not in sections and ".symtab" not in sections, f"{program} is not stripped"
    expect(True, f"user {USER}, no capabilities, no new privileges, read-only root: --help and --version of each; none has debug symbols")
    status = trial.image.run("status", ["busybox", "cat", "/proc/self/status"]).out
    found = dict(re.findall(r"^(Uid|CapEff|CapBnd|NoNewPrivs):\s+(\w+)", status, re.MULTILINE))
    expect(found == {"Uid": str(USER), "CapEff": "0" * 16, "CapBnd": "0" * 16, "NoNewPrivs": "1"}, f"the kernel says so too: {found}")
    answer = trial.image.run("touch", ["busybox", "touch", "/usr/x"])
    expect(answer.code != 0 and "Read-only" in answer.err, "and nothing can be written")


def what_is_missing_is_told(trial):
    """A program's library that no package of the list has: the build says which, and stops."""
    root = trial.folder / "incomplete"
    shutil.copytree(trial.image.root, root, symlinks=True)
    expect(len(images_lib.contents.libraries_of(root, "/usr/bin/shima-accessserver")) > 10, "the libraries of a program are found")
    for path in (root / "usr/lib").glob("*/libfuse3.so*"):
        path.unlink()
    try:
        images_lib.contents.libraries_of(root, "/usr/bin/shima-accessserver")
        raise AssertionError("nobody missed libfuse3")
    except images_lib.ImageError as error:
        expect("libfuse3.so.3" in str(error) and "hack/images/packages" in str(error), f"one that is missing is named: {error}")
    for line, text in ((("--tag", "Not/Allowed"), "--tag"), (("--cached", "--output", "x"), "--output")):
        done = subprocess.run([ROOT / "hack/images/build", *line], capture_output=True, text=True)
        expect(done.returncode == 2 and text in done.stderr, f"build {' '.join(line)}: {done.stderr.splitlines()[-1]}")


def the_dockerfile_makes_the_same(trial):
    """It cannot be run here; what it takes is taken from the lists that the image was made of."""
    text = (ROOT / "hack/images/Dockerfile").read_text()
    lines = re.sub(r"\\\n", " ", re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE)).splitlines()
    build_stage, last = [i for i, line in enumerate(lines) if line.startswith("FROM ")]
    expect(lines[build_stage] == "FROM debian:12 AS build" and lines[last] == "FROM debian:12-slim", "two stages, of one Debian")
    for stage, name in ((lines[:last], "programs"), (lines[last:], "packages")):
        assert any(f"hack/images/{name}" in line for line in stage), f"the Dockerfile does not read hack/images/{name}"
    instructions = "\n".join(line for line in lines if not line.startswith("CMD "))
    named = [word for word in (*listed("programs"), *listed("packages"))
             if re.search(rf"(?<![\w.-]){re.escape(word)}(?![\w.-])", instructions)]
    expect(not named, "packages and programs are those of the lists: it names none")
    expect(f"USER {USER}:{USER}" in lines and f"ENV {trial.image.config['Env'][0]}" in lines, "user and PATH are the image's")
    copied = [word for line in lines if line.startswith("COPY ") and "--from" not in line for word in line.split()[1:-1]]
    expect(copied and all((ROOT / word).exists() for word in copied), f"what it copies is there: {copied}")


# ---- in containers ---------------------------------------------------------------------------------------------------


def the_operator_renders_pods(trial):
    nodes = trial.folder / "nodes.json"
    nodes.write_text(json.dumps(NODE))
    answer = trial.image.run("render", ["shima-operator-render", "--cluster=/in/one-node-trial.yaml", "--nodes=/nodes.json"],
                             mounts={"/in": (ROOT / "charts/examples", "ro"), "/nodes.json": (nodes, "ro")})
    expect(answer.code == 0 and answer.json["items"], f"shima-operator-render prints its objects {answer.err}")
    trial.objects = {(one["kind"], one["metadata"]["name"]): one for one in answer.json["items"]}
    # The operator makes it when etcd has no member yet.
    trial.objects.setdefault(("ConfigMap", "shima-etcd-begun"), {"data": {"initial-cluster-state": "new"}})
    trial.write_names()
    pods = [one["spec"]["template"]["spec"] for (kind, _), one in trial.objects.items() if kind in ("StatefulSet", "DaemonSet", "Deployment")]
    ours = [one for pod in pods for one in (*pod["containers"], *pod.get("initContainers", [])) if one["image"] == IMAGE]
    commands = sorted({one["command"][0] for one in ours})
    missing = [name for name in commands if not (trial.image.root / "usr/bin" / name).exists()]
    expect(ours and not missing, f"the image has what their {len(ours)} containers of it run: {', '.join(commands)}")


def security_of(pod, container):
    below = {key: value for key, value in pod.get("securityContext", {}).items() if key in ("runAsUser", "runAsGroup", "fsGroup")}
    return {**below, **container.get("securityContext", {})}


def arguments_of(container, values):
    line = list(container["command"])
    for argument in container.get("args", []):
        for key, value in values.items():
            argument = argument.replace(f"$({key})", value)
        assert "$(" not in argument, argument
        line.append(argument)
    return line


def environment_of(trial, container, pod, ordinal):
    fields = {"metadata.name": pod, "metadata.labels['apps.kubernetes.io/pod-index']": str(ordinal), "status.podIP": address(ordinal),
              "status.hostIP": address(ordinal), "spec.nodeName": "only"}
    values = {}
    for one in container.get("env", []):
        source = one["valueFrom"]
        if "configMapKeyRef" in source:
            values[one["name"]] = trial.object("ConfigMap", source["configMapKeyRef"]["name"])["data"][source["configMapKeyRef"]["key"]]
        else:
            values[one["name"]] = fields[source["fieldRef"]["fieldPath"]]
    return values


def server_mounts(trial, spec, pod, container):
    """Of a server's pod: its ConfigMaps, and directories of the host for its claims."""
    mounts = dict(trial.names)
    maps = {volume["name"]: volume["configMap"]["name"] for volume in spec.get("volumes", [])}
    for mount in container.get("volumeMounts", []):
        outside = trial.directory(pod, mount["name"])
        for file, text in trial.object("ConfigMap", maps[mount["name"]])["data"].items() if mount["name"] in maps else []:
            (outside / file).write_text(text)
        mounts[mount["mountPath"]] = (outside, "ro" if mount.get("readOnly") else "rw")
    return mounts


def start_servers(trial, name):
    """All pods of a StatefulSet, their init containers first."""
    found = trial.object("StatefulSet", name)
    spec = found["spec"]["template"]["spec"]
    for ordinal in range(found["spec"]["replicas"]):
        pod = f"{name}-{ordinal}"
        for init in spec.get("initContainers", []):
            mounts = server_mounts(trial, spec, pod, init)
            answer = trial.image.run(f"{pod}-{init['name']}", arguments_of(init, environment_of(trial, init, pod, ordinal)),
                                     security=security_of(spec, init), mounts=mounts)
            assert answer.code == 0, answer
            owners = {os.stat(outside).st_uid for outside, mode in mounts.values() if mode == "rw"}
            expect(owners == {USER}, f"{pod}: init container {init['name']} runs with its rights")
        container = spec["containers"][0]
        start_server(trial, spec, container, pod, arguments_of(container, environment_of(trial, container, pod, ordinal)))


def start_server(trial, spec, container, pod, line):
    mounts = server_mounts(trial, spec, pod, container)
    if container["image"] == IMAGE:
        trial.start(trial.image.container(pod, line, security=security_of(spec, container), mounts=mounts))
        return
    assert line[0] == "etcd", f"{pod}: {line[0]} is of another image"
    for inside, (outside, mode) in mounts.items():
        line = [argument.replace(inside, str(outside)) if mode == "rw" else argument for argument in line]
    trial.start(Program(pod, [trial.etcd, *line[1:]], trial.folder / f"{pod}.log"))


def a_cluster_runs(trial):
    for name in (f"shima-etcd-{SITE}", f"shima-core-{SITE}", f"shima-access-{SITE}"):
        start_servers(trial, name)
    wait_until("the core servers to answer", lambda: trial.check() and trial.ctl("status").code == 0)
    wait_until("a volume to be made", lambda: trial.check() and trial.ctl(
        "volume", "create", "trial", "--size=64MiB").code in (DONE, EXISTS))
    expect(True, f"{', '.join(one.name for one in trial.containers)} run; shimactl makes a volume")


def a_file_goes_through_nfs(trial):
    def nfs(*arguments):
        return subprocess.run([BIN / "shima-nfsclient", f"--server={address(0)}:2049", "--volume=trial", *arguments],
                              capture_output=True, text=True)
    content = make_image(trial.folder / "content", 1, seed=6)
    wait_until("the access server to serve it", lambda: trial.check() and nfs("put", content, "/file").returncode == 0)
    read = wait_until("it to be read", lambda: (done := nfs("get", "/file")).returncode == 0 and done.stdout)
    expect(sha256_of(content) in read, "a file that was written over NFS is read again, with the same sha256")


def csi_container(trial, kind, name, host_paths):
    pod = trial.object(kind, name)["spec"]["template"]["spec"]
    container, = [one for one in pod["containers"] if one["image"] == IMAGE]
    mounts = dict(trial.names)
    for mount in container["volumeMounts"]:
        mounts[mount["mountPath"]] = (host_paths[mount["mountPath"]], "shared" if mount.get("mountPropagation") == "Bidirectional" else "rw")
    return trial.start(trial.image.container(name, arguments_of(container, environment_of(trial, container, name, 0)),
                                             security=security_of(pod, container), mounts=mounts))


def start_csi(trial):
    """Sockets of the controller and of the node plug-in."""
    run, kubelet = trial.directory("run"), trial.directory("kubelet")
    controller, plugin = trial.directory("controller", mode=0o777), trial.directory("plugin")
    csi_container(trial, "Deployment", "shima-csi-controller", {"/csi": controller})
    on_node = {"/run/shima": run, KUBELET: kubelet, "/dev": "/dev", "/csi": plugin}
    csi_container(trial, "DaemonSet", f"shima-csi-mounter-{SITE}", on_node)
    csi_container(trial, "DaemonSet", f"shima-csi-node-{SITE}", on_node)
    return controller / "csi.sock", plugin / "csi.sock"


def the_csi_driver_mounts_a_volume(trial):
    sockets = start_csi(trial)
    wait_until("the CSI driver to listen", lambda: trial.check() and all(path.exists() for path in sockets), 60)
    with contextlib.ExitStack() as stack:
        channels = [stack.enter_context(grpc.insecure_channel(f"unix:{path}")) for path in sockets]
        controller, node = csi_grpc.ControllerStub(channels[0]), csi_grpc.NodeStub(channels[1])
        for channel in channels:
            identity = csi_grpc.IdentityStub(channel)
            wait_until("the CSI driver to be ready", lambda: trial.check() and is_ready(identity), 60)
        use_a_volume(trial, controller, node)


def is_ready(identity):
    with contextlib.suppress(grpc.RpcError):
        return identity.Probe(csi.ProbeRequest(), timeout=10).ready.value


def repeated(call, request, timeout_s=120):
    """As sidecars and kubelet repeat a call that a driver cannot carry out now."""
    def answered():
        try:
            return call(request, timeout=timeout_s)
        except grpc.RpcError as error:
            if error.code().name not in ("UNAVAILABLE", "ABORTED", "DEADLINE_EXCEEDED"):
                raise
            say(f"  once more: {error.details()[:200]}")
    return wait_until(type(request).__name__, answered, interval_s=1)


def use_a_volume(trial, controller, node):
    use = csi.VolumeCapability(mount=csi.VolumeCapability.MountVolume(),
                               access_mode=csi.VolumeCapability.AccessMode(mode=csi.VolumeCapability.AccessMode.MULTI_NODE_MULTI_WRITER))
    info = repeated(node.NodeGetInfo, csi.NodeGetInfoRequest())
    made = repeated(controller.CreateVolume, csi.CreateVolumeRequest(
        name="pvc-in-containers", capacity_range=csi.CapacityRange(required_bytes=64 * MIB), volume_capabilities=[use],
        accessibility_requirements=csi.TopologyRequirement(preferred=[info.accessible_topology]))).volume
    published = repeated(controller.ControllerPublishVolume, csi.ControllerPublishVolumeRequest(
        volume_id=made.volume_id, node_id=info.node_id, volume_capability=use,
        volume_context=made.volume_context)).publish_context
    expect(True, f"{made.volume_id} is made and published to {info.node_id}")
    (trial.host / "kubelet/pods").mkdir(exist_ok=True)
    (trial.host / "kubelet/staging").mkdir(exist_ok=True)
    ids = {"volume_id": made.volume_id, "staging_target_path": f"{KUBELET}/staging"}
    how = {"volume_capability": use, "publish_context": published, "volume_context": made.volume_context}
    repeated(node.NodeStageVolume, csi.NodeStageVolumeRequest(**ids, **how))
    repeated(node.NodePublishVolume, csi.NodePublishVolumeRequest(**ids, **how, target_path=f"{KUBELET}/pods/one"))
    target = trial.host / "kubelet/pods/one"
    mounts = [line for line in pathlib.Path("/proc/self/mounts").read_text().splitlines() if f" {target} fuse" in line]
    expect(len(mounts) == 1, f"FUSE of the mounter's container is mounted where a pod would see it: {mounts}")
    content = trial.folder / "content"
    shutil.copyfile(content, target / "file")
    answer = trial.image.run("pod", ["busybox", "sha256sum", "/data/file"], security={"runAsUser": 0}, mounts={"/data": (target, "ro")})
    expect(answer.out.split()[:1] == [sha256_of(content)], "a pod reads the file that was written to it, with the same sha256")
    repeated(node.NodeUnpublishVolume, csi.NodeUnpublishVolumeRequest(
        volume_id=made.volume_id, target_path=f"{KUBELET}/pods/one"))
    repeated(node.NodeUnstageVolume, csi.NodeUnstageVolumeRequest(**ids))
    repeated(controller.ControllerUnpublishVolume, csi.ControllerUnpublishVolumeRequest(
        volume_id=made.volume_id, node_id=info.node_id))
    repeated(controller.DeleteVolume, csi.DeleteVolumeRequest(volume_id=made.volume_id))
    expect(str(target) not in pathlib.Path("/proc/self/mounts").read_text(), "unpublished, unstaged, deleted: no mount is left")


# ---- before them -----------------------------------------------------------------------------------------------------


def make_archive():
    """From the cache, if the same inputs made one before. A second build gives the same digest, unless the mirror has newer packages than
    the cache: then two builds of now are compared.
    """
    archive = pathlib.Path(build("--cached").strip())
    with tarfile.open(archive) as tar:
        index = json.load(tar.extractfile("./index.json"))
    digests = [index["manifests"][0]["digest"]]
    with tempfile.TemporaryDirectory(prefix="shima-images-") as folder:
        while len(digests) < 2 or len(digests) == 2 and digests[0] != digests[1]:
            printed = build("--output", pathlib.Path(folder) / "again.tar")
            digests.append(re.search(r"^digest\s+(sha256:[0-9a-f]{64})$", printed, re.MULTILINE).group(1))
    expect(digests[-1] == digests[-2], f"another build gives the same digest: {' '.join(digests)}")
    return archive


SCENARIOS = (it_is_small_and_says_what_it_is, nothing_in_it_is_a_danger, what_is_missing_is_told, the_dockerfile_makes_the_same,
             each_program_runs_locked_up, the_operator_renders_pods, a_cluster_runs, a_file_goes_through_nfs, the_csi_driver_mounts_a_volume)


def main():
    check_machine(PROGRAMS)
    if ARCHIVE not in os.environ:
        kube_programs("etcd")
        archive = make_archive()
        return subprocess.run(["unshare", "--net", "--mount", "--propagation", "private", sys.executable, __file__, *sys.argv[1:]],
                              env={**os.environ, ARCHIVE: str(archive)}).returncode
    return run_scenarios("images", Trial, SCENARIOS, PROGRAMS)


if __name__ == "__main__":
    csi, csi_grpc = make_stubs()
    sys.exit(main())
