"""Containers of the image that hack/images/build makes, run by runc as containerd would run them for kubelet: the user, rights and root file
system that a pod asks for, its directories, and the network of the process that starts them.
"""

import contextlib
import json
import pathlib
import subprocess
import tarfile

from cluster import Answer, wait_until
from kube_cluster import Program

# By number, as in linux/capability.h.
CAPABILITIES = """CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE NET_BROADCAST
    NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME
    SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF
    CHECKPOINT_RESTORE""".split()
LOCKED = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}


def own_capabilities():
    """All that this process may give away."""
    status = dict(line.split(":\t", 1) for line in pathlib.Path("/proc/self/status").read_text().splitlines() if ":\t" in line)
    return [f"CAP_{name}" for bit, name in enumerate(CAPABILITIES) if int(status["CapBnd"], 16) >> bit & 1]


def _removed(path):
    with contextlib.suppress(OSError):
        path.rmdir()
    return not path.exists()


class Image:
    """An archive, unpacked by umoci, which checks all digests. `config`: what the image says of user, environment, labels."""

    def __init__(self, archive, folder):
        self.folder, self.state = pathlib.Path(folder), pathlib.Path(folder) / "runc"
        self.control_group = f"shima-images-{self.folder.name}"
        self.layout, self.bundle = self.folder / "layout", self.folder / "bundle"
        with tarfile.open(archive) as tar:
            tar.extractall(self.layout)
        self.index = json.loads((self.layout / "index.json").read_text())
        only, = self.index["manifests"]
        self.digest = only["digest"]
        tag = only["annotations"]["org.opencontainers.image.ref.name"]
        subprocess.run(["umoci", "unpack", f"--image={self.layout}:{tag}", self.bundle], check=True, stdout=subprocess.DEVNULL)
        self.manifest = json.loads(self.blob(self.digest).read_text())
        self.config = json.loads(self.blob(self.manifest["config"]["digest"]).read_text())["config"]
        self.root = self.bundle / "rootfs"

    def blob(self, digest):
        return self.layout / "blobs" / digest.replace(":", "/")

    def close(self):
        """What runc leaves of its containers' control groups."""
        for path in pathlib.Path("/sys/fs/cgroup").glob(f"*/{self.control_group}"):
            wait_until(f"{path} to be empty", lambda: _removed(path), 20)

    def container(self, name, command, **pod):
        return Container(self, name, command, **pod)

    def run(self, name, command, timeout_s=60, **pod):
        """To its end: an Answer."""
        container = self.container(name, command, **pod)
        try:
            done = subprocess.run(container.line, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=timeout_s)
        finally:
            container.delete()
        return Answer(command, done)


class Container:
    """`security`: a container's securityContext with its pod's below. `mounts`: {path inside: (path outside, "ro", "rw" or "shared")}."""

    def __init__(self, image, name, command, security=None, mounts=None):
        self.image, self.name, self.command = image, name, command
        self.security = {**LOCKED, **(security or {})}
        self.bundle = image.folder / "bundles" / name
        self.bundle.mkdir(parents=True, exist_ok=True)
        (self.bundle / "config.json").write_text(json.dumps(self._spec(mounts or {}), indent=1))
        self.line = [*self._runc("run"), "--bundle", str(self.bundle), name]
        self.log_path = self.bundle / "log"
        self.program = Program(name, self.line, self.log_path)

    def _runc(self, command):
        return ["runc", "--root", str(self.image.state), command]

    def _user(self):
        uid, _, gid = self.image.config["User"].partition(":")
        user = {"uid": self.security.get("runAsUser", int(uid)), "gid": self.security.get("runAsGroup", int(gid))}
        if user["uid"] == 0:
            user["gid"] = self.security.get("runAsGroup", 0)
        if "fsGroup" in self.security:
            user["additionalGids"] = [self.security["fsGroup"]]
        return user

    def _rights(self):
        if self.security.get("privileged"):
            names = own_capabilities()
        else:
            assert self.security["capabilities"]["drop"] == ["ALL"], f"{self.name}: keeps capabilities: {self.security}"
            names = [f"CAP_{name}" for name in self.security["capabilities"].get("add", [])]
        inherited = names if self._user()["uid"] == 0 else []
        return {"bounding": names, "permitted": inherited, "effective": inherited}

    def _mounts(self, wanted):
        privileged = self.security.get("privileged", False)
        of_sys = ["nosuid", "noexec", "nodev", *([] if privileged else ["ro"])]
        mounts = [{"destination": "/proc", "type": "proc", "source": "proc"},
                  {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": of_sys}]
        if "/dev" not in wanted:
            mounts.append({"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
                           "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]})
        how = {"ro": ["rbind", "rprivate", "ro"], "rw": ["rbind", "rprivate", "rw"], "shared": ["rbind", "rshared", "rw"]}
        mounts += [{"destination": inside, "type": "bind", "source": str(outside), "options": how[mode]}
                   for inside, (outside, mode) in wanted.items()]
        return mounts

    def _spec(self, mounts):
        linux = {"namespaces": [{"type": kind} for kind in ("pid", "ipc", "uts", "mount")],
                 "cgroupsPath": f"/{self.image.control_group}/{self.name}"}
        if any(mode == "shared" for _, mode in mounts.values()):
            linux["rootfsPropagation"] = "rshared"
        if self.security.get("privileged"):
            linux["resources"] = {"devices": [{"allow": True, "access": "rwm"}]}
        else:
            linux["maskedPaths"] = ["/proc/kcore", "/proc/keys", "/proc/timer_list", "/sys/firmware"]
            linux["readonlyPaths"] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]
        return {"ociVersion": "1.0.2", "hostname": self.name,
                "root": {"path": str(self.image.root), "readonly": self.security["readOnlyRootFilesystem"]},
                "process": {"terminal": False, "user": self._user(), "args": self.command, "env": self.image.config["Env"], "cwd": "/",
                            "capabilities": self._rights(), "noNewPrivileges": not self.security.get("privileged", False)},
                "mounts": self._mounts(mounts), "linux": linux}

    def start(self):
        self.program.start()
        return self

    def check(self):
        self.program.check()

    def log(self):
        return self.program.log()

    def end(self):
        if self.program.process is None:
            return
        subprocess.run([*self._runc("kill"), self.name, "KILL"], capture_output=True, check=False)
        wait_until(f"{self.name} to end", lambda: self.program.process.poll() is not None, 20)
        self.delete()

    def delete(self):
        subprocess.run([*self._runc("delete"), "--force", self.name], capture_output=True, check=False)
