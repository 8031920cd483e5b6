"""A Kubernetes cluster in which pods really run: the control plane of kube_cluster.py, and this machine as its only node, by containerd, runc, kubelet,
kube-proxy (nftables), CoreDNS and CNI's bridge.

Everything is in namespaces of its own (in_own_namespaces()): when the process ends, however it ends, the kernel ends all containers and takes
all mounts and networks away. What remains is removed by the one outside: cgroups, files, and the kernel's settings that kubelet writes.

    def main():
        return in_own_namespaces(__file__, lambda: run())

The node's own paths are those of any node: /var is an overlay whose changes are thrown away, /run is empty. Where the machine differs from others: cgroups are v1,
and oom_score_adj cannot be lowered (CAP_SYS_RESOURCE is missing), so containerd is told not to.
"""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import traceback

from cluster import say, skip, wait_until
from kube_cluster import KubeCluster, kube_programs

NODE, NODE_IP, API_SERVICE_IP, POD_NETWORK = "node-1", "10.77.0.1", "10.96.0.1", "10.244.0.0/24"
SERVICE_NETWORK = "10.96.0.0/16"
INSIDE = "SHIMA_TEST_IN_NODE"  # the scratch folder, for who runs inside
CNI_PROGRAMS = pathlib.Path("/usr/lib/cni")
CGROUPS = pathlib.Path("/sys/fs/cgroup")
# Kubelet writes these of the whole machine.
KERNEL_SETTINGS = ("vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops", "kernel/keys/root_maxkeys", "kernel/keys/root_maxbytes")
PAUSE_IMAGE = "registry.k8s.io/pause:3.10.2"

CONTAINERD_CONFIG = """
version = 3
root = "{folder}/containerd"
state = "/run/containerd"
disabled_plugins = ["io.containerd.nri.v1.nri"]
[plugins."io.containerd.cri.v1.images".pinned_images]
  sandbox = "{pause}"
[plugins."io.containerd.cri.v1.runtime"]
  restrict_oom_score_adj = true
[plugins."io.containerd.cri.v1.runtime".cni]
  bin_dirs = ["{cni}"]
  conf_dir = "{folder}/cni"
[plugins."io.containerd.internal.v1.opt"]
  path = "{folder}/opt"
"""

COREDNS_CONFIG = """
.:53 {{
  errors
  kubernetes cluster.local {{
    kubeconfig {kubeconfig}
    ttl 1
  }}
  template ANY ANY {{
    rcode NXDOMAIN
  }}
}}
"""


# ---- outside ---------------------------------------------------------------------------------------------------------


def check_node_programs():
    """Skips the test where the machine has not what a node needs."""
    if os.geteuid() != 0:
        skip("a kubelet takes root")
    missing = [name for name in ("runc", "nft", "ip", "unshare", "mount") if shutil.which(name) is None]
    missing += [f"CNI plug-in {name}" for name in ("bridge", "host-local", "loopback") if not (CNI_PROGRAMS / name).exists()]
    if missing:
        skip(f"a node needs {', '.join(missing)}: run hack/deps --kubelet")
    if not (CGROUPS / "memory").is_dir():
        skip("cgroups are not v1 here, as this test's node wants them")


def in_own_namespaces(script, run):
    """Calls run() in this script, run again in mount, process and network namespaces; returns its exit code. Cleans up after it."""
    if INSIDE in os.environ:
        return _init(run)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the following cleans up
    folder = pathlib.Path(tempfile.mkdtemp(prefix="shima-node-"))
    settings = {one: pathlib.Path("/proc/sys", one).read_text() for one in KERNEL_SETTINGS if pathlib.Path("/proc/sys", one).exists()}
    try:
        return subprocess.run(["unshare", "--net", "--mount", "--pid", "--ipc", "--uts", "--fork", "--kill-child", "--mount-proc", "--propagation", "private",
                               sys.executable, script, *sys.argv[1:]], env={**os.environ, INSIDE: str(folder), "TMPDIR": str(folder)}).returncode
    finally:
        for one, value in settings.items():
            pathlib.Path("/proc/sys", one).write_text(value)
        _detach_loop_devices()
        for controller in CGROUPS.iterdir():
            _remove_cgroup(controller / folder.name)
        if os.environ.get("SHIMA_TEST_KEEP") == "1":
            say(f"files of the node are kept in {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)


def _init(run):
    """Process 1 of the namespace: all that lose their parent become its children, and it only waits."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            folder = pathlib.Path(os.environ[INSIDE])
            _make_paths(folder)
            _make_network(folder)
            code = run()
        except SystemExit as ending:
            code = ending.code
        except BaseException:
            traceback.print_exc()
        sys.stdout.flush()
        os._exit(code)
    while True:
        pid, status = os.wait()
        if pid == child:
            return os.waitstatus_to_exitcode(status)


def _detach_loop_devices():
    """Of block volumes that were in use to the end."""
    for found in pathlib.Path("/sys/block").glob("loop*/loop/backing_file"):
        with contextlib.suppress(OSError):
            if found.read_text().startswith(("/var/lib/kubelet/", "/run/shima/")):
                subprocess.run(["losetup", "--detach", f"/dev/{found.parts[3]}"], check=False)


def _remove_cgroup(path):
    """Its processes have ended with their namespace."""
    if path.is_dir():
        for below, _, _ in os.walk(path, topdown=False):
            wait_until(f"{below} to be empty", lambda: _removed(below), 30)


def _removed(path):
    with contextlib.suppress(OSError):
        os.rmdir(path)
    return not os.path.exists(path)


# ---- inside ----------------------------------------------------------------------------------------------------------


def _make_paths(folder):
    """A shared root, as systemd makes it: what a pod mounts with Bidirectional propagation is seen by the others."""
    for name in ("var", "var-work", "cni", "kubelet", "shima"):
        (folder / name).mkdir()
    for line in (["mount", "--make-rshared", "/"],
                 ["mount", "-t", "overlay", "overlay", "-o", f"lowerdir=/var,upperdir={folder}/var,workdir={folder}/var-work", "/var"],
                 ["mount", "-t", "tmpfs", "tmpfs", "/run"]):
        subprocess.run(line, check=True)
    for name in ("kubelet", "shima"):  # not on the overlay, which lacks what a disk's file system has
        where = pathlib.Path("/var/lib", name)
        where.mkdir(parents=True, exist_ok=True)
        subprocess.run(["mount", "--bind", folder / name, where], check=True)


def _make_network(folder):
    # The services' route only chooses a source address; kube-proxy's rules say where a packet goes.
    for line in (["ip", "link", "set", "lo", "up"], ["ip", "address", "add", f"{NODE_IP}/32", "dev", "lo"],
                 ["ip", "route", "add", SERVICE_NETWORK, "dev", "lo", "src", NODE_IP]):
        subprocess.run(line, check=True)
    pathlib.Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
    (folder / "cni/10-pods.conflist").write_text(json.dumps({"cniVersion": "1.0.0", "name": "pods", "plugins": [{
        "type": "bridge", "bridge": "cni0", "isGateway": True, "hairpinMode": True,
        "ipam": {"type": "host-local", "ranges": [[{"subnet": POD_NETWORK}]], "routes": [{"dst": "0.0.0.0/0"}]}}]}))
    (folder / "resolv.conf").write_text(f"nameserver {NODE_IP}\n")


class ControlPlane(KubeCluster):
    """That of kube_cluster.py, where pods reach it: as Service `kubernetes`."""

    def _api_flags(self, etcd_url):
        certificate, key = self.keys.issue("kube-apiserver-of-pods", "/CN=kube-apiserver", "serverAuth", "subjectAltName=DNS:localhost," +
                                           f"DNS:kubernetes.default.svc,IP:127.0.0.1,IP:{NODE_IP},IP:{API_SERVICE_IP}")
        client_certificate, client_key = self._issued["admin"]
        # The last one of two flags counts.
        return [*super()._api_flags(etcd_url), "--bind-address=0.0.0.0", f"--advertise-address={NODE_IP}", "--endpoint-reconciler-type=lease", "--kubelet-preferred-address-types=InternalIP",
                f"--tls-cert-file={certificate}", f"--tls-private-key-file={key}",
                f"--kubelet-client-certificate={client_certificate}", f"--kubelet-client-key={client_key}"]


class Node:
    """`images`: archives that containerd has before kubelet begins."""

    def __init__(self, kube, images):
        self.kube, self.images, self.folder = kube, images, pathlib.Path(os.environ[INSIDE])
        self.containers, self.programs = self.programs_are_there()

    @staticmethod
    def programs_are_there():
        """(folder of containerd's, folder of kubelet's), built if they are not there."""
        return kube_programs("containerd", "containerd-shim-runc-v2", "ctr"), kube_programs("kubelet", "kube-proxy", "coredns")

    def start(self):
        self._start_containerd()
        self.kubelet = self._start_kubelet()
        proxy = self._start_proxy_and_dns()
        self.kube.wait_for("the node to be ready", f"/api/v1/nodes/{NODE}", lambda node: self._check(self.kubelet, *proxy) and any(
            one["type"] == "Ready" and one["status"] == "True" for one in node["status"]["conditions"]))
        return self

    @staticmethod
    def _check(*programs):
        for program in programs:
            program.check()
        return True

    def ctr(self, *arguments):
        done = subprocess.run([self.containers / "ctr", "--namespace", "k8s.io", *map(str, arguments)], capture_output=True, text=True)
        assert done.returncode == 0, f"ctr {' '.join(map(str, arguments))}: {done.stdout}{done.stderr}"
        return done.stdout

    def _start_containerd(self):
        config = self.folder / "containerd.toml"
        config.write_text(CONTAINERD_CONFIG.format(folder=self.folder, cni=CNI_PROGRAMS, pause=PAUSE_IMAGE))
        path = f"{self.containers}:{os.environ['PATH']}"  # where the shim is
        containerd = self.kube.program("containerd", [self.containers / "containerd", "--config", config], {**os.environ, "PATH": path}).start()

        def answers():
            containerd.check()
            return subprocess.run([self.containers / "ctr", "version"], capture_output=True).returncode == 0
        wait_until("containerd to answer", answers)
        for archive in self.images:
            self.ctr("images", "import", archive)
            say(f"  image {pathlib.Path(archive).name} is there")

    def _start_kubelet(self):
        for controller in CGROUPS.iterdir():
            if (controller / "cgroup.procs").exists():
                (controller / self.folder.name).mkdir(exist_ok=True)
        config = self.folder / "kubelet.json"
        config.write_text(json.dumps({
            "apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration",
            "authentication": {"anonymous": {"enabled": False}, "webhook": {"enabled": False}, "x509": {"clientCAFile": str(self.kube.keys.ca)}},
            "authorization": {"mode": "AlwaysAllow"}, "cgroupDriver": "cgroupfs", "cgroupRoot": f"/{self.folder.name}", "failCgroupV1": False,
            "clusterDNS": [NODE_IP], "clusterDomain": "cluster.local", "resolvConf": str(self.folder / "resolv.conf"), "oomScoreAdj": 0,
            "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock", "failSwapOn": False, "nodeStatusUpdateFrequency": "5s",
            "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"}, "imageGCHighThresholdPercent": 100}))
        return self.kube.program("kubelet", [
            self.programs / "kubelet", f"--config={config}", f"--hostname-override={NODE}", f"--node-ip={NODE_IP}", "--v=2",
            f"--kubeconfig={self.kube._certificate_config('kubelet', f'/O=system:nodes/CN=system:node:{NODE}')}"]).start()

    def _start_proxy_and_dns(self):
        config = self.folder / "kube-proxy.json"
        config.write_text(json.dumps({
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1", "kind": "KubeProxyConfiguration", "mode": "nftables", "clusterCIDR": POD_NETWORK,
            "hostnameOverride": NODE, "bindAddress": NODE_IP, "conntrack": {"maxPerCore": 0, "min": 0},
            "clientConnection": {"kubeconfig": str(self.kube._certificate_config("kube-proxy", "/CN=system:kube-proxy"))}}))
        names = self.folder / "Corefile"
        names.write_text(COREDNS_CONFIG.format(kubeconfig=self.kube.admin))
        return (self.kube.program("kube-proxy", [self.programs / "kube-proxy", f"--config={config}"]).start(),
                self.kube.program("coredns", [self.programs / "coredns", "-conf", names]).start())
