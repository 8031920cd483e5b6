#!/usr/bin/env python3
"""What the pods of charts/examples/one-node-trial.yaml run, run as kubelet would, without Kubernetes: the commands, arguments, environment and
configuration that shima-operator-render prints for etcd, core server and access server, in a network of their own in which the pods' names are
127.0.0.1. They find each other, a volume is made, and a file that is written over NFS is read again. Directories are elsewhere; images and rights are not
tested here.
"""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile

from cluster import BIN, DONE, EXISTS, ROOT, Answer, check_machine, expect, say, sha256_of, wait_until
from kube_cluster import Program, kube_programs

PROGRAMS = ("shima-operator-render", "shima-coreserver", "shima-accessserver", "shimactl", "shima-nfsclient")
INSIDE = "SHIMA_TEST_IN_NETWORK"
NODE = {"apiVersion": "v1", "kind": "Node",
        "metadata": {"name": "only", "labels": {"kubernetes.io/hostname": "only", "topology.kubernetes.io/zone": "home"}}}


def address(ordinal):
    return f"127.0.0.{ordinal + 1}"


class Trial:
    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="shima-trial-"))
        self.etcd, self.running = kube_programs("etcd") / "etcd", []
        nodes = self.folder / "nodes.json"
        nodes.write_text(json.dumps(NODE))
        made = subprocess.run([BIN / "shima-operator-render", "--cluster", ROOT / "charts/examples/one-node-trial.yaml", "--nodes", nodes],
                              check=True, stdout=subprocess.PIPE, text=True)
        self.objects = {(one["kind"], one["metadata"]["name"]): one for one in json.loads(made.stdout)["items"]}

    def __enter__(self):
        """Each pod has an address of the loopback interface: the ordinal's."""
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        lines = ["127.0.0.1 localhost"]
        for (kind, name), one in self.objects.items():
            if kind == "StatefulSet":
                lines += [f"{address(i)} {name}-{i}.{name}.shima-system.svc" for i in range(one["spec"]["replicas"])]
        hosts = self.folder / "hosts"
        hosts.write_text("\n".join(lines) + "\n")
        subprocess.run(["mount", "--bind", hosts, "/etc/hosts"], check=True)
        return self

    def __exit__(self, kind, error, trace):
        for program in reversed(self.running):
            if error is not None:
                print(f"--- the end of {program.log_path}", program.log()[-2000:], sep="\n", flush=True)
            program.end()
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self, name):
        """All pods of a StatefulSet."""
        found = self.objects["StatefulSet", name]
        container = found["spec"]["template"]["spec"]["containers"][0]
        config = self.objects.get(("ConfigMap", name), {"data": {}})["data"]
        for ordinal in range(found["spec"]["replicas"]):
            pod = f"{name}-{ordinal}"
            fields = {"metadata.name": pod, "metadata.labels['apps.kubernetes.io/pod-index']": str(ordinal), "status.podIP": address(ordinal),
                      "spec.nodeName": "only"}
            values = {one["name"]: fields[one["valueFrom"]["fieldRef"]["fieldPath"]] for one in container["env"] if "fieldRef" in one["valueFrom"]}
            values["ETCD_STATE"] = "new"  # as the operator has it in ConfigMap shima-etcd-begun until all members have begun
            for mount in container.get("volumeMounts", []):
                (self.folder / pod / mount["mountPath"].lstrip("/")).mkdir(parents=True, exist_ok=True)
            for file, text in config.items():
                (self.folder / pod / "etc/shima" / file).write_text(self._moved(pod, text))
            line = [self.etcd if container["command"] == ["etcd"] else BIN / container["command"][0]]
            for argument in container["args"]:
                for key, value in values.items():
                    argument = argument.replace(f"$({key})", value)
                assert "$(" not in argument, f"{pod}: {argument}"
                line.append(self._moved(pod, argument))
            self.running.append(Program(pod, line, self.folder / f"{pod}.log").start())

    def _moved(self, pod, text):
        for directory in ("/etc/shima", "/disks/", "/var/lib/etcd"):
            text = text.replace(directory, f"{self.folder / pod}{directory}")
        return text

    def ctl(self, *arguments):
        return subprocess.run([BIN / "shimactl", "--endpoints=127.0.0.1:7000", "--output=json", *arguments], capture_output=True, text=True)

    def check(self):
        for program in self.running:
            program.check()
        return True


def nfs(trial, *arguments):
    """Again until the access server serves it."""
    line = [BIN / "shima-nfsclient", f"--server={address(0)}:2049", "--volume=trial", *arguments]

    def done():
        answer = Answer(line, subprocess.run(line, capture_output=True, text=True))
        last[:] = [answer]
        return trial.check() and answer.code == DONE
    last = []
    try:
        wait_until(f"shima-nfsclient {arguments[0]}", done)
    except AssertionError as error:
        raise AssertionError(f"{error}; {last[0]!r}") from None
    return last[0].json


def run(trial):
    for name in ("shima-etcd-home", "shima-core-home", "shima-access-home"):
        trial.start(name)
    wait_until("the core servers to answer", lambda: trial.check() and trial.ctl("status").returncode == 0)
    expect(True, f"{', '.join(one.name for one in trial.running)} run as their pods would")
    wait_until("a volume to be made", lambda: trial.check() and trial.ctl(
        "volume", "create", "trial", "--size=64MiB").returncode in (DONE, EXISTS))
    content = trial.folder / "content"
    content.write_bytes(os.urandom(1 << 20))
    nfs(trial, "put", str(content), "/file")
    read = nfs(trial, "get", "/file")
    expect(sha256_of(content) in json.dumps(read), "a file that was written over NFS is read again")
    trial.check()


def main():
    check_machine(PROGRAMS)
    if os.environ.get(INSIDE) != "1":
        line = ["unshare", "--net", "--mount", "--propagation", "private", sys.executable, __file__]
        os.execvpe(line[0], line, {**os.environ, INSIDE: "1"})  # so that it is this process that is asked to end
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with Trial() as trial:
        run(trial)
    say("a one-node trial: passed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
