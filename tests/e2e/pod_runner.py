"""What runs the pods of a namespace instead of kubelet and containerd: PodRunner starts, as real processes, what the API server's pod objects
say, as soon as the scheduler has given them a node, probes them, writes their status, starts containers again that end, and ends the pods
that are deleted. A node is a network namespace and a folder that stands for its file system; pods have networks of their own, all at one bridge.

Names of pods and Services are in one hosts file. Addresses go by the pod's name, so they stay the same over a pod's lives, which Kubernetes does
not promise.
"""

import base64
import contextlib
import http.client
import itertools
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request

from cluster import say, wait_until
from kube_cluster import ApiError, Program
from pod_container import Image, container_command

BRIDGE, BRIDGE_ADDRESS = "shima-pods", "10.200.0.1"
CUT_BRIDGE = "shima-cut"  # of nodes that are cut off, and their pods
# Sidecars that cannot be had (docs/decisions/0013); whoever runs a test does what they do.
NOT_TO_BE_HAD = ("node-driver-registrar", "liveness-probe")
OF_THE_MACHINE = ("/dev", "/sys", "/proc")
KUBELET = "var/lib/kubelet"
SLOW_END_S = 5
NOT_READY_AFTER = 3  # failures in a row: kubelet's failureThreshold, unless a container says otherwise


def run(*line):
    subprocess.run([*map(str, line)], check=True, stdout=subprocess.DEVNULL)


def make_network(name, number, address):
    """A network namespace at the bridge; its path, and the interface that joins it."""
    link = f"v{number}"
    run("ip", "netns", "add", name)
    run("ip", "link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", name)
    run("ip", "link", "set", link, "up", "master", BRIDGE)
    for line in (("link", "set", "lo", "up"), ("addr", "add", f"{address}/16", "dev", "eth0"), ("link", "set", "eth0", "up")):
        run("ip", "-n", name, *line)
    return f"/run/netns/{name}", link


class Node:
    """A machine: network and file system. `folder` is its /."""

    def __init__(self, name, number, folder):
        self.name, self.folder, self.address = name, folder, f"10.200.0.{number + 10}"
        for part in ("plugins_registry", "plugins", "pods"):
            (folder / KUBELET / part).mkdir(parents=True)
        self.network, self.link = make_network(name, number, self.address)

    def path(self, host_path):
        """What a path of the machine's file system is here."""
        inside = os.path.normpath(host_path)
        return pathlib.Path(inside) if inside.startswith(OF_THE_MACHINE) else self.folder / inside.lstrip("/")


class RunningPod:
    def __init__(self, runner, pod):
        self.runner, self.pod, self.name, self.uid = runner, pod, pod["metadata"]["name"], pod["metadata"]["uid"]
        self.node = runner.nodes[pod["spec"]["nodeName"]]
        self.address, self.network, self.link = self.node.address, self.node.network, self.node.link
        if not pod["spec"].get("hostNetwork"):
            self.address = runner.address(self.name)
            number = next(runner.numbers)
            self.network, self.link = make_network(f"pod-{number}", 1000 + number, self.address)
        self.folder = runner.folder / "pods" / f"{self.name}-{next(runner.numbers)}"
        self.containers, self.ready, self.told, self.held, self.next_look = {}, False, None, False, 0.0
        self.initialized = self.begun = False
        self.restarts_seen = self.failures = 0
        self.sources = {volume["name"]: self._source(volume) for volume in pod["spec"].get("volumes", [])}

    # ---- volumes -------------------------------------------------------------------------------------------------

    def _source(self, volume):
        kinds = set(volume) - {"name"}
        assert len(kinds) == 1, f"{self.name}: volume {volume}"
        kind = kinds.pop()
        return getattr(self, f"_source_{kind}")(volume["name"], volume[kind])

    def _own(self, name):
        path = self.folder / "volumes" / name
        path.mkdir(parents=True)
        return path

    def _source_emptyDir(self, name, _):
        path = self._own(name)
        path.chmod(0o777)
        return path

    def _source_hostPath(self, _, spec):
        path = self.node.path(spec["path"])
        if spec.get("type") == "DirectoryOrCreate":
            path.mkdir(parents=True, exist_ok=True)
        assert path.is_dir(), f"{self.name}: {spec} is no directory of {self.node.name}"
        return path

    def _source_configMap(self, name, spec):
        assert set(spec) <= {"name", "defaultMode", "optional"}, f"{self.name}: what is {spec}?"
        path = self._own(name)
        found = self.runner.kube.find(f"/api/v1/namespaces/{self.runner.namespace}/configmaps/{spec['name']}")
        assert found is not None or spec.get("optional"), f"{self.name}: there is no ConfigMap {spec['name']}"
        for file, text in (found or {}).get("data", {}).items():
            (path / file).write_text(text)
        for file, text in (found or {}).get("binaryData", {}).items():
            (path / file).write_bytes(base64.b64decode(text))
        return path

    def _source_persistentVolumeClaim(self, _, spec):
        kube = self.runner.kube
        claim = kube.get(f"/api/v1/namespaces/{self.runner.namespace}/persistentvolumeclaims/{spec['claimName']}")
        volume = kube.get(f"/api/v1/persistentvolumes/{claim['spec']['volumeName']}")
        return self._source_hostPath(None, volume["spec"]["hostPath"])

    def _source_projected(self, name, spec):
        """The account's token, as the API server's admission adds it."""
        path, kube = self._own(name), self.runner.kube
        account = self.pod["spec"]["serviceAccountName"]
        texts = {"serviceAccountToken": lambda: kube.token(self.runner.namespace, account), "configMap": kube.keys.ca.read_text,
                 "downwardAPI": lambda: self.runner.namespace}
        files = {"serviceAccountToken": "token", "configMap": "ca.crt", "downwardAPI": "namespace"}
        for source in spec["sources"]:
            (kind,) = source
            (path / files[kind]).write_text(texts[kind]())
        return path

    # ---- processes -----------------------------------------------------------------------------------------------

    def _environment(self, container):
        labels = self.pod["metadata"].get("labels", {})
        fields = {"metadata.name": self.name, "metadata.namespace": self.runner.namespace, "status.podIP": self.address,
                  "spec.nodeName": self.node.name, "status.hostIP": self.node.address, "metadata.uid": self.uid,
                  **{f"metadata.labels['{key}']": value for key, value in labels.items()}}
        given = {"KUBERNETES_SERVICE_HOST": "kubernetes.default.svc", "KUBERNETES_SERVICE_PORT": str(self.runner.kube.port)}
        assert "envFrom" not in container, f"{self.name}: envFrom"
        for one in container.get("env", []):
            given[one["name"]] = one["value"] if "value" in one else self._value_from(one["valueFrom"], fields)
        return given

    def _value_from(self, source, fields):
        if "configMapKeyRef" not in source:
            return fields[source["fieldRef"]["fieldPath"]]
        wanted = source["configMapKeyRef"]
        return self.runner.kube.get(f"/api/v1/namespaces/{self.runner.namespace}/configmaps/{wanted['name']}")["data"][wanted["key"]]

    def _program(self, container):
        root = self.folder / "roots" / container["name"]
        root.mkdir(parents=True, exist_ok=True)
        host_name = self.node.name if self.pod["spec"].get("hostNetwork") else self.name
        line = container_command(self.runner.image, root, self.network, host_name, self.pod, container, self.sources,
                                 self._environment(container))
        return Program(f"{self.name}/{container['name']}", line, self.folder / f"{container['name']}.log")

    def start(self):
        for container in self.pod["spec"].get("initContainers", []):
            program = self._program(container)
            code = program.start().process.wait(60)
            if code != 0:
                raise AssertionError(f"{program.name} ended with code {code}: {program.log()[-1500:]}")
        self.initialized = True
        for container in self.pod["spec"]["containers"]:
            if container["name"] not in NOT_TO_BE_HAD:
                self.containers[container["name"]] = self._program(container).keep()
        self.begun = True

    def end(self, how=signal.SIGTERM, timeout_s=20):
        for program in reversed(self.containers.values()):
            program.end(how, timeout_s)

    def kill(self):
        """SIGKILL to all its processes, and kubelet does not start them again until release()."""
        self.held, self.ready = True, False
        self.end(signal.SIGKILL)
        self.runner.tell(self)

    def release(self):
        for program in self.containers.values():
            program.keep()
        self.held = False

    def restarts(self):
        return sum(program.restarts for program in self.containers.values())

    def log(self, container):
        return self.containers[container].log()

    # ---- status --------------------------------------------------------------------------------------------------

    def probe(self):
        """Whether every container runs, and has since the last look, and those that name a readiness probe pass it. One that was ready may fail
        some in a row, as with kubelet."""
        restarts = self.restarts()
        steady, self.restarts_seen = restarts == self.restarts_seen, restarts
        there = [one for one in self.pod["spec"]["containers"] if one["name"] in self.containers]
        if not (steady and self.begun and not self.held and all(self.containers[one["name"]].process.poll() is None for one in there)):
            return False
        passed = all(self._passes(one, one.get("readinessProbe")) for one in there)
        self.failures = 0 if passed else self.failures + 1
        return passed or (self.ready and self.failures < NOT_READY_AFTER)

    def _passes(self, container, probe):
        if probe is None:
            return True
        (kind,) = set(probe) & {"tcpSocket", "httpGet"}
        port = next((one["containerPort"] for one in container["ports"] if one["name"] == probe[kind]["port"]), probe[kind]["port"])
        asked = self._liveness_socket(port)
        if asked is not None:
            return self.runner.driver_is_ready(asked)
        with contextlib.suppress(OSError, urllib.error.URLError):
            if kind == "httpGet":
                return urllib.request.urlopen(f"http://{self.address}:{port}{probe[kind]['path']}", timeout=2).status == 200
            with socket.create_connection((self.address, port), 2):
                return True
        return False

    def _liveness_socket(self, port):
        """The driver's socket, if it is the liveness probe that would answer at this port."""
        found = [one for one in self.pod["spec"]["containers"] if one["name"] == "liveness-probe"]
        flags = dict(flag.split("=", 1) for one in found for flag in one["args"])
        if flags.get("--http-endpoint") != f":{port}":
            return None
        folder, name = os.path.split(flags["--csi-address"])
        (volume,) = [one["name"] for one in found[0]["volumeMounts"] if one["mountPath"] == folder]
        return self.sources[volume] / name

    def status(self):
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        truth = {"PodScheduled": True, "Initialized": self.initialized, "ContainersReady": self.ready, "Ready": self.ready}
        containers = [{"name": one["name"], "image": one["image"], "imageID": "", "ready": self.ready, "started": self.begun,
                       "restartCount": self.containers[one["name"]].restarts if one["name"] in self.containers else 0,
                       "state": {"running": {"startedAt": now}}} for one in self.pod["spec"]["containers"]]
        return {"phase": "Running" if self.begun else "Pending", "podIP": self.address, "podIPs": [{"ip": self.address}],
                "hostIP": self.node.address, "hostIPs": [{"ip": self.node.address}], "startTime": now,
                "conditions": [{"type": kind, "status": str(value), "lastTransitionTime": now} for kind, value in truth.items()],
                **({"containerStatuses": containers} if self.begun else {})}


class PodRunner(threading.Thread):
    """`programs`: the folder of Kubernetes' programs; `nodes`: names; `driver_is_ready`: what the liveness probe beside a CSI driver would learn
    at a socket."""

    def __init__(self, kube, programs, folder, namespace, nodes, driver_is_ready):
        super().__init__(daemon=True)
        self.driver_is_ready, self.numbers = driver_is_ready, itertools.count()
        self.kube, self.folder, self.namespace = kube, folder, namespace
        self.ending, self.lock = threading.Event(), threading.RLock()
        self.pods, self.leaving, self.addresses, self.trouble = {}, {}, {}, {}  # the first two by uid, the others by name
        self.away = frozenset()  # names of nodes that are cut off: their kubelets do nothing that the API server asks for
        machines = folder / "nodes"
        machines.mkdir()
        run("mount", "--bind", machines, machines)  # as a host's / is under systemd: what is mounted is seen by those who share it
        run("mount", "--make-shared", machines)
        run("ip", "link", "add", BRIDGE, "type", "bridge")
        run("ip", "addr", "add", f"{BRIDGE_ADDRESS}/16", "dev", BRIDGE)
        run("ip", "link", "set", BRIDGE, "up")
        self.nodes = {name: Node(name, number, machines / name) for number, name in enumerate(nodes)}
        self.hosts = folder / "hosts"
        self.hosts.write_text(f"127.0.0.1 localhost\n{BRIDGE_ADDRESS} kubernetes.default.svc\n")
        self.image = Image(folder / "image", programs, self.hosts)

    def address(self, pod):
        """The pod's, from before it exists."""
        number = self.addresses.setdefault(pod, len(self.addresses))
        return f"10.200.{1 + number // 250}.{1 + number % 250}"

    def know(self, pod, *names):
        """Names that a DNS server would know as the pod's."""
        with open(self.hosts, "a", encoding="utf-8") as file:
            file.write("".join(f"{self.address(pod)} {name}\n" for name in names))

    # ---- the loop ------------------------------------------------------------------------------------------------

    def run(self):
        while not self.ending.wait(0.2):
            # The API server may be away.
            with contextlib.suppress(ApiError, OSError, ValueError, http.client.HTTPException,
                                     subprocess.SubprocessError):
                self._look(self.kube.items(f"/api/v1/namespaces/{self.namespace}/pods"))

    def stop(self):
        self.ending.set()
        if self.is_alive():
            self.join(60)
        for pod in list(self.pods.values()):
            pod.end(signal.SIGKILL)

    def _look(self, found):
        there = {pod["metadata"]["uid"] for pod in found}
        for uid, running in list(self.pods.items()):
            if uid not in there and running.node.name not in self.away:  # deleted by force
                self._end(uid)
        for pod in found:
            try:
                self._look_after(pod)
            except ApiError:
                raise
            except Exception as error:
                name = pod["metadata"]["name"]
                if self.trouble.get(name) != str(error):
                    say(f"  pod {name} does not start: {error}")
                self.trouble[name] = str(error)
                self._end(pod["metadata"]["uid"])  # and again at the next look

    def _look_after(self, pod):
        uid = pod["metadata"]["uid"]
        if pod["spec"].get("nodeName") in self.away:
            return
        if "deletionTimestamp" in pod["metadata"]:
            if uid not in self.leaving:
                self.leaving[uid] = threading.Thread(target=self._leave, args=(pod,), daemon=True)
                self.leaving[uid].start()
        elif uid not in self.pods and pod["spec"].get("nodeName"):
            self.pods[uid] = RunningPod(self, pod)
            self.pods[uid].start()
            self.trouble.pop(pod["metadata"]["name"], None)
            self.tell(self.pods[uid])
        elif uid in self.pods and time.monotonic() > self.pods[uid].next_look:
            self._probe(self.pods[uid])

    def _probe(self, running):
        running.ready = running.probe()
        running.next_look = time.monotonic() + (2 if running.ready else 0.3)
        self.tell(running)

    def _leave(self, pod):
        """Each in its own time, as on nodes of their own."""
        self._end(pod["metadata"]["uid"], pod["metadata"].get("deletionGracePeriodSeconds", 30))
        path = f"/api/v1/namespaces/{self.namespace}/pods/{pod['metadata']['name']}"
        wait_until("the API server to take it", lambda: self._told_gone(path, pod["metadata"]["uid"]))

    def _told_gone(self, path, uid):
        try:
            self.kube.request("DELETE", path, {"apiVersion": "v1", "kind": "DeleteOptions", "gracePeriodSeconds": 0, "preconditions": {"uid": uid}})
        except ApiError as error:
            return error.code in (404, 409)  # it has gone, and 409: another one has its name
        except (OSError, http.client.HTTPException):  # the API server is away
            return False
        return True

    def _end(self, uid, grace_s=0):
        running = self.pods.pop(uid, None)
        if running is not None:
            begin = time.monotonic()
            running.end(signal.SIGTERM if grace_s else signal.SIGKILL, max(grace_s, 1))
            took = time.monotonic() - begin
            if took > SLOW_END_S:
                say(f"  pod {running.name} took {took:.0f} s to end")
            if running.network != running.node.network:
                run("ip", "netns", "delete", os.path.basename(running.network))
            shutil.rmtree(running.folder / "volumes", ignore_errors=True)

    def tell(self, running):
        """Writes the pod's status, if there is anything new; with the next probe where the API server is away."""
        with self.lock, contextlib.suppress(OSError, http.client.HTTPException):
            news = (running.ready, running.begun, running.restarts())
            if news != running.told:
                self.kube.patch(f"/api/v1/namespaces/{self.namespace}/pods/{running.name}/status", {"status": running.status()})
                running.told = news

    # ---- for tests -----------------------------------------------------------------------------------------------

    def cut(self, *nodes):
        """These nodes and their pods reach each other and nobody else, until heal()."""
        self.away = frozenset(nodes)
        run("ip", "link", "add", CUT_BRIDGE, "type", "bridge")
        run("ip", "link", "set", CUT_BRIDGE, "up")
        self._join(CUT_BRIDGE)

    def heal(self):
        self._join(BRIDGE)
        run("ip", "link", "delete", CUT_BRIDGE)
        for pod in list(self.pods.values()):
            if pod.node.name in self.away:
                pod.told = None  # others may have said in its status what they thought of it
        self.away = frozenset()

    def _join(self, bridge):
        links = {self.nodes[name].link for name in self.away} | {pod.link for pod in list(self.pods.values()) if pod.node.name in self.away}
        for link in sorted(links):
            run("ip", "link", "set", link, "master", bridge)

    def pod(self, name):
        return next(pod for pod in list(self.pods.values()) if pod.name == name)

    def named(self, start, node=None):
        return sorted((pod for pod in list(self.pods.values()) if pod.name.startswith(start) and node in (None, pod.node.name)),
                      key=lambda pod: pod.name)

    def print_logs(self, end=1500):
        for name, error in self.trouble.items():
            print(f"--- pod {name} did not start: {error}", flush=True)
        for pod in list(self.pods.values()):
            for program in pod.containers.values():
                print(f"--- the end of {program.name}'s log ({program.restarts} restarts)", program.log()[-end:], sep="\n", flush=True)


