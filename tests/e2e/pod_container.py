"""A container of a pod, made of namespaces alone (unshare, mount, chroot, setpriv): what the tests of whole pods run instead of containerd.

Its root file system is one image for all: this machine's /usr, with our programs and those of hack/kube-tools in /usr/bin, as in a product
image, and next to nothing in /etc. What a pod asks for is done for real: command, arguments and environment, user, group and capabilities,
a root file system that is read-only, volumes with their mount propagation, a process tree of its own that ends with its first process.
Not made: cgroups, system call filters. What a pod asks for and this file does not know ends the test.
"""

import os
import pathlib
import shlex

from cluster import BIN

OUR_USER = 10700  # of shima's image, where a pod names none; other images' is root
FILES_OF_ETC = ("passwd", "group", "ld.so.cache", "localtime")
DEVICES = ("null", "zero", "full", "random", "urandom")
USUAL_CAPABILITIES = ("chown", "dac_override", "fowner", "fsetid", "kill", "setgid", "setuid", "setpcap", "net_bind_service", "sys_chroot")
SECURITY_FIELDS = {"privileged", "allowPrivilegeEscalation", "readOnlyRootFilesystem", "capabilities", "runAsUser", "runAsGroup",
                   "runAsNonRoot", "seccompProfile", "fsGroup", "fsGroupChangePolicy"}
# rprivate, rslave, rshared: as kubelet tells the runtime.
PROPAGATION = {"None": "rprivate", "HostToContainer": "rslave", "Bidirectional": "rshared"}


class Image:
    """The root file system, made once; `kube`: the folder of Kubernetes' programs, which go before this machine's."""

    def __init__(self, folder, kube, hosts):
        self.folder, self.kube = pathlib.Path(folder), pathlib.Path(kube)
        programs, skeleton = self.folder / "bin", self.folder / "skeleton"
        for path in (programs, skeleton / "etc", *(skeleton / name for name in (
                "proc", "dev", "run", "tmp", "var/lib", "opt/host", "opt/shima", "opt/kube", "usr/bin"))):
            path.mkdir(parents=True)
        for place, source in (("/opt/host", pathlib.Path("/usr/bin")), ("/opt/shima", BIN), ("/opt/kube", self.kube)):
            for program in source.iterdir():
                link = programs / program.name
                link.unlink(missing_ok=True)
                link.symlink_to(f"{place}/{program.name}")
        for path in pathlib.Path("/").iterdir():
            if path.is_symlink() and str(path.readlink()).startswith("usr/"):
                (skeleton / path.name).symlink_to(path.readlink())
        (skeleton / "var/run").symlink_to("../run")  # not absolute: mount points are made from outside
        (skeleton / "etc/mtab").symlink_to("/proc/self/mounts")
        (skeleton / "etc/hosts").symlink_to("/opt/hosts")
        (skeleton / "opt/hosts").touch()
        (skeleton / "etc/nsswitch.conf").write_text("passwd: files\ngroup: files\nhosts: files\n")
        (skeleton / "etc/resolv.conf").write_text("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")  # refuses at once: there is none
        for name in FILES_OF_ETC:
            if (pathlib.Path("/etc") / name).exists():
                (skeleton / "etc" / name).write_bytes((pathlib.Path("/etc") / name).read_bytes())
        self.hosts = hosts
        self.of_usr = [path.name for path in pathlib.Path("/usr").iterdir() if path.is_dir() and path.name != "bin"
                       and path.name.startswith(("lib", "sbin", "share"))]
        for name in self.of_usr:
            (skeleton / "usr" / name).mkdir(exist_ok=True)

    def lines(self, root, privileged):
        """Shell lines that put it together at `root`, writable."""
        yield f"mount -t tmpfs -o mode=755 tmpfs {root}"
        yield f"cp -a {self.folder}/skeleton/. {root}/ && chmod 1777 {root}/tmp"
        for source, place in ((self.folder / "bin", "usr/bin"), ("/usr/bin", "opt/host"), (BIN, "opt/shima"), (self.kube, "opt/kube"),
                              (self.hosts, "opt/hosts"), *((f"/usr/{name}", f"usr/{name}") for name in self.of_usr)):
            yield f"mount --bind {source} {root}/{place} && mount -o remount,bind,ro {root}/{place}"
        yield f"mount -t proc proc {root}/proc"
        if privileged:
            yield f"mount --rbind /dev {root}/dev && mount --make-rprivate {root}/dev"
        else:
            for name in DEVICES:
                yield f"touch {root}/dev/{name} && mount --bind /dev/{name} {root}/dev/{name}"


def security_of(pod, container):
    """Of the pod, and above it the container's own."""
    merged = {**pod["spec"].get("securityContext", {}), **container.get("securityContext", {})}
    unknown = set(merged) - SECURITY_FIELDS
    assert not unknown, f"{pod['metadata']['name']}: what is securityContext.{unknown}?"
    user = merged.get("runAsUser", OUR_USER if container["image"].startswith("shima/") else 0)
    assert not (merged.get("runAsNonRoot") and user == 0), f"container {container['name']} has runAsNonRoot, and would be root"
    return {**merged, "runAsUser": user}


def privileges(security):
    """The command that gives the rights up."""
    user = security["runAsUser"]
    group = security.get("runAsGroup", user)
    groups = f"--groups={security['fsGroup']}" if "fsGroup" in security else "--clear-groups"
    line = ["setpriv", f"--reuid={user}", f"--regid={group}", groups]
    if security.get("allowPrivilegeEscalation") is False:
        line.append("--no-new-privs")
    if security.get("privileged"):
        return line
    asked = security.get("capabilities", {})
    kept = [] if "ALL" in asked.get("drop", []) else list(USUAL_CAPABILITIES)
    kept += [name.lower() for name in asked.get("add", [])]
    return [*line, "--inh-caps=-all", "--bounding-set=-all" + "".join(f",+{name}" for name in kept)]


def mount_lines(root, mount, source):
    """Of one of the container's volumeMounts; `source`: what the volume is on this machine."""
    unknown = set(mount) - {"name", "mountPath", "readOnly", "mountPropagation"}
    assert not unknown, f"what is volumeMounts.{unknown}?"
    place = f"{root}{os.path.normpath(mount['mountPath'])}"
    yield f"mkdir -p {place} && mount --rbind {shlex.quote(str(source))} {place}"
    yield f"mount --make-{PROPAGATION[mount.get('mountPropagation', 'None')]} {place}"
    if mount.get("readOnly"):
        yield f"mount -o remount,bind,ro {place}"


def entry_of(container):
    """Images of others have an entry point by the name of the program."""
    name = container["image"].rsplit("/", 1)[-1].split(":")[0]
    return [*container.get("command", [name]), *container.get("args", [])]


def container_command(image, root, network, host_name, pod, container, sources, environment):
    """The command line that runs the container's first process, in the network namespace `network` (a path). `sources`: what each volume is on
    this machine. The folder `root` is empty, and below no mount that is shared."""
    security = security_of(pod, container)
    lines = ["set -e", f"hostname {host_name}", *image.lines(root, security.get("privileged", False))]
    for mount in container.get("volumeMounts", []):
        lines += mount_lines(root, mount, sources[mount["name"]])
    if security.get("readOnlyRootFilesystem"):
        lines.append(f"mount -o remount,ro {root}")
    words = []
    for word in entry_of(container):
        for name, value in environment.items():
            word = word.replace(f"$({name})", value)
        assert "$(" not in word, f"{pod['metadata']['name']}: nothing gives {word} its value"
        words.append(word.replace("$$", "$"))
    lines.append(f"cd / && exec env -i PATH=/usr/bin:/usr/sbin {' '.join(shlex.quote(f'{k}={v}') for k, v in environment.items())} "
                 f"chroot {root} {shlex.join([*privileges(security), *words])}")
    return ["nsenter", f"--net={network}", "unshare", "--mount", "--propagation", "unchanged", "--uts", "--pid", "--fork", "--kill-child",
            "sh", "-c", "\n".join(lines)]
