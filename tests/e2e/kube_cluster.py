"""A real Kubernetes control plane for tests: etcd, kube-apiserver, kube-controller-manager and kube-scheduler as hack/kube-tools
builds them, on 127.0.0.1, with RBAC, the usual admission, service accounts and an audit log. Nodes are objects without a kubelet:
pods are made, scheduled and attached for, but nothing runs in them unless a test runs it, as_pod(). With `kwok`, pods say that they run and
are ready (KWOK_STAGES), and end when they are deleted.

    with KubeCluster() as kube:
        kube.add_node("node-a", {"topology.kubernetes.io/zone": "site-a"})
        kube.kubectl("apply", "-f", "charts/csi")
        kube.wait_for("the claim to be bound", "/api/v1/namespaces/default/persistentvolumeclaims/one",
                      lambda claim: claim["status"]["phase"] == "Bound")

Requests are made as an administrator unless a kubeconfig of somebody else is given (kubeconfig()). requests() tells who asked for what,
and what was refused. SHIMA_TEST_KEEP=1 leaves the files where they are.
"""

import contextlib
import http.client
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request

from cluster import ROOT, Answer, expect, say, skip, wait_until

CONTROL_PLANE = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl")
ACCOUNT_FILES = "/run/secrets/kubernetes.io/serviceaccount"  # /var/run is a link to /run
READY_S = 120  # a cold start on a busy machine of two cores
MOST_CALLS_AN_HOUR, MOST_WATCHES = 5_000, 60  # of an operator at rest
BUSY, BUSY_TRIES = (429, 500, 503, 504), 20  # what an API server says that cannot keep up
# The same by kubectl and helm; etcd gives a write up after 7 s, and clients a TLS handshake after 10 s.
BUSY_WORDS = ("etcdserver: ", "TLS handshake timeout", "(InternalError)", "(ServerTimeout)", "(ServiceUnavailable)",
              "(Timeout)", "request did not complete within", "storage is (re)initializing",
              "currently unable to handle the request", "the server was unable to return a response", "i/o timeout",
              "connection refused", "connection reset by peer")
# A kind that has just been defined is not in all lists at once.
NEW_KIND_WORDS = ("no matches for kind", "doesn't have a resource type", "could not find the requested resource")
PORTS = range(12_000, 20_000)  # below those that the kernel gives to outgoing connections, and devcluster's
reserved_ports = []

# Who did what with which result; the control plane itself would be most of it.
AUDIT_POLICY = {
    "apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived"], "rules": [
        {"level": "None", "users": ["system:apiserver", "system:kube-controller-manager", "system:kube-scheduler", "kwok"]},
        {"level": "None", "userGroups": ["system:serviceaccounts:kube-system"]},
        {"level": "None", "nonResourceURLs": ["/*"]},
        {"level": "Metadata"}]}

# What kwok does to pods that have a node: they run and are ready at once, unless they bear the annotation, and they end when they are deleted.
HOLD_BACK = "kube-test/hold-back"
READY_STATUS = """
{{ $now := Now | Quote }}
phase: Running
startTime: {{ $now }}
conditions:
{{ range (list "Initialized" "ContainersReady" "Ready") }}
- {type: {{ . }}, status: "True", lastTransitionTime: {{ $now }}}
{{ end }}
containerStatuses:
{{ range .spec.containers }}
- {name: {{ .name | Quote }}, image: {{ .image | Quote }}, imageID: none, ready: true, started: true, restartCount: 0,
   state: {running: {startedAt: {{ $now }}}}}
{{ end }}
podIPs:
{{ range PodIPsWith .spec.nodeName (or .spec.hostNetwork false) .metadata.uid .metadata.name .metadata.namespace }}
- {ip: {{ . | Quote }}}
{{ end }}
"""


def kwok_stage(name, kind, change, *conditions):
    return {"apiVersion": "kwok.x-k8s.io/v1alpha1", "kind": "Stage", "metadata": {"name": name}, "spec": {
        "resourceRef": {"apiGroup": "v1", "kind": kind}, "next": change,
        "selector": {"matchExpressions": [dict(zip(("key", "operator", "values"), condition)) for condition in conditions]}}}


KWOK_STAGES = [
    # Without a stage for nodes kwok looks at no node; this one never happens: a node is what a test says it is.
    kwok_stage("node-stays", "Node", {"statusTemplate": "{}"}, (".metadata.name", "In", ["-"])),
    kwok_stage("pod-runs", "Pod", {"statusTemplate": READY_STATUS}, (".metadata.deletionTimestamp", "DoesNotExist"),
              (".status.phase", "In", ["Pending"]), (f'.metadata.annotations["{HOLD_BACK}"]', "DoesNotExist")),
    kwok_stage("pod-ends", "Pod", {"delete": True}, (".metadata.deletionTimestamp", "Exists"))]


def kube_programs(*names):
    """The folder that holds these programs; the test is skipped where they cannot be had."""
    built = subprocess.run([ROOT / "hack/kube-tools", *names], stdout=subprocess.PIPE, text=True)
    if built.returncode == 77:
        skip(f"{', '.join(names)} cannot be had here (see hack/kube-tools)")
    assert built.returncode == 0, f"hack/kube-tools: exit code {built.returncode}"
    return pathlib.Path(built.stdout.strip())


def more_than(verbs, requests):
    """Those with other verbs, but for leases."""
    return [one for one in requests if one["verb"] not in verbs and one["resource"] != "leases"]


def requests_at_rest(kube, user, seconds, verbs):
    """(what a user asked for in a window of time, its seconds): of ten windows the first with no other verbs than
    these, and few calls. What went before may last longer on a busy machine than one waits, and a stall is news."""
    for number in range(1, 11):
        before, begin = len(kube.requests(user)), time.monotonic()
        time.sleep(seconds)
        asked, took_s = kube.requests(user, before), time.monotonic() - begin
        if not more_than(verbs, asked) and are_few(asked, took_s):
            break
        more = len(more_than(verbs, asked))
        say(f"  window {number}: {len(asked)} calls, {more} that do more than {', '.join(verbs)}")
    return asked, took_s


def are_few(asked, seconds):
    """Watches are not of the rate: each lasts 300 s, and all may end and begin anew in one window."""
    calls = [one for one in asked if one["verb"] != "watch"]
    return len(calls) * 3600 / seconds < MOST_CALLS_AN_HOUR and len(asked) - len(calls) <= MOST_WATCHES


def expect_few_calls(asked, seconds):
    """In a window at rest."""
    watches = sum(one["verb"] == "watch" for one in asked)
    expect(are_few(asked, seconds), f"{len(asked) - watches} calls in {seconds:.0f} s, and {watches} watches")


def free_port():
    """This process's to its end, also while nobody listens there: no test beside it chooses it, and no connection."""
    while True:
        port, mark = random.choice(PORTS), socket.socket(socket.AF_UNIX)
        with contextlib.suppress(OSError), socket.socket() as probe:
            mark.bind(f"\0shima-test-port-{port}")  # of the network namespace, as the port
            probe.bind(("127.0.0.1", port))
            reserved_ports.append(mark)
            return port
        mark.close()


class ApiError(Exception):
    """What the API server refuses; its Status object is `status`."""

    def __init__(self, method, path, code, status):
        self.code, self.status = code, status
        super().__init__(f"{method} {path}: {code} {status.get('reason', '')}: {status.get('message', status)}")


class Authority:
    """Keys and certificates of one cluster."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir()
        self.ca = folder / "ca.crt"
        self._openssl("ca", "/CN=kube-test-ca", "-addext", "basicConstraints=critical,CA:TRUE",
                      "-addext", "keyUsage=critical,keyCertSign")
        self.account_key = folder / "service-accounts.key"
        subprocess.run(["openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", self.account_key],
                       check=True, stderr=subprocess.DEVNULL)

    def _openssl(self, name, subject, *options):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "3",
                        "-subj", subject, "-keyout", self.folder / f"{name}.key", "-out", self.folder / f"{name}.crt", *options],
                       check=True, stderr=subprocess.DEVNULL)

    def issue(self, name, subject, usage, *extensions):
        """(certificate, key)"""
        self._openssl(name, subject, "-CA", self.ca, "-CAkey", self.folder / "ca.key", "-addext", f"extendedKeyUsage={usage}",
                      *(word for extension in extensions for word in ("-addext", extension)))
        return self.folder / f"{name}.crt", self.folder / f"{name}.key"


class Program:
    """A process that writes a log, and is started and ended as a test wants. `restarts`: how often keep() found it ended."""

    def __init__(self, name, command, log, environment=None):
        self.name, self.command, self.log_path, self.environment, self.process = name, command, log, environment, None
        self.restarts, self.kept, self.guard = 0, False, threading.Lock()

    def keep(self):
        """Starts it, and again a second after it has ended, as kubelet does with a container, until end()."""
        self.start()
        self.kept = True
        threading.Thread(target=self._keep, daemon=True).start()
        return self

    def _keep(self):
        while True:
            with self.guard:
                if not self.kept:
                    return
                if self.process.poll() is not None:
                    self.restarts += 1
                    self.start()
            time.sleep(1)

    def start(self):
        with open(self.log_path, "a", encoding="utf-8") as log:
            self.process = subprocess.Popen([*map(str, self.command)], stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                                            env=self.environment, start_new_session=True)
        return self

    def check(self):
        if self.process.poll() is not None:
            raise AssertionError(f"{self.name} ended with code {self.process.returncode}: {self.log()[-3000:]}")

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def end(self, how=signal.SIGKILL, timeout_s=20):
        """The process and its children."""
        with self.guard:
            self.kept = False
        if self.process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, how)
        try:
            self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


class KubeCluster:
    """`controllers`, `scheduler`, `kwok`: whether these run as well. `api_flags`: more flags of kube-apiserver."""

    def __init__(self, controllers=True, scheduler=True, kwok=False, api_flags=()):
        self.programs = kube_programs(*CONTROL_PLANE, *(["kwok"] if kwok else []))
        self.with_controllers, self.with_scheduler, self.with_kwok, self.api_flags = controllers, scheduler, kwok, api_flags
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="shima-kube-"))
        self.running, self.ended = [], False

    # ---- life ----------------------------------------------------------------------------------------------------

    def __enter__(self):
        try:
            self._prepare()
            self.etcd.start()
            self.start_api()
            for program in self.others:
                program.keep()  # kube-scheduler ends itself when it finds that it has missed more than it can make up for
        except BaseException:
            self.print_logs()
            self.down()
            raise
        return self

    def __exit__(self, kind, error, trace):
        if error is not None and not isinstance(error, SystemExit):
            self.print_logs()
        self.down()

    def down(self):
        if self.ended:
            return
        self.ended = True
        for program in reversed(self.running):
            program.end()
        if os.environ.get("SHIMA_TEST_KEEP") == "1":
            say(f"files of Kubernetes are kept in {self.folder}")
        else:
            shutil.rmtree(self.folder, ignore_errors=True)

    def print_logs(self, lines=12):
        for log in sorted(self.folder.glob("*.log")):
            if log.name != "audit.log":
                print(f"--- the end of {log}", *log.read_text(errors="replace").splitlines()[-lines:], sep="\n", flush=True)

    def program(self, name, command, environment=None):
        """A Program of this cluster: its log is in `folder`, and it ends with the cluster."""
        self.running.append(Program(name, command, self.folder / f"{name}.log", environment))
        return self.running[-1]

    def _prepare(self):
        self.port, etcd_client, etcd_peer = free_port(), free_port(), free_port()
        self.url = f"https://127.0.0.1:{self.port}"
        self.keys = Authority(self.folder / "keys")
        self.admin = self._certificate_config("admin", "/O=system:masters/CN=kube-test-admin")
        certificate = self._issued["admin"]
        self._context = ssl.create_default_context(cafile=str(self.keys.ca))
        self._context.load_cert_chain(*map(str, certificate))
        etcd_url, peer_url = f"http://127.0.0.1:{etcd_client}", f"http://127.0.0.1:{etcd_peer}"
        self.etcd = self.program("etcd", [
            self.programs / "etcd", "--data-dir", self.folder / "etcd", "--name", "one", "--unsafe-no-fsync", "--log-level", "warn",
            "--listen-client-urls", etcd_url, "--advertise-client-urls", etcd_url, "--listen-peer-urls", peer_url,
            "--initial-advertise-peer-urls", peer_url, "--initial-cluster", f"one={peer_url}"])
        self.api = self.program("kube-apiserver", [self.programs / "kube-apiserver", *self._api_flags(etcd_url), *self.api_flags])
        self.others = []
        if self.with_controllers:
            self.others.append(self.program("kube-controller-manager", [
                self.programs / "kube-controller-manager", "--leader-elect=false", "--secure-port=0",
                "--use-service-account-credentials", f"--service-account-private-key-file={self.keys.account_key}",
                f"--root-ca-file={self.keys.ca}", "--kube-api-qps=200", "--kube-api-burst=400",
                "--node-monitor-grace-period=24h",  # nobody sends heartbeats: a node is what its status says
                f"--kubeconfig={self._certificate_config('kube-controller-manager', '/CN=system:kube-controller-manager')}"]))
        if self.with_scheduler:
            self.others.append(self.program("kube-scheduler", [
                self.programs / "kube-scheduler", "--leader-elect=false", "--secure-port=0",
                f"--kubeconfig={self._certificate_config('kube-scheduler', '/CN=system:kube-scheduler')}"]))

        if self.with_kwok:
            stages = self.folder / "kwok.yaml"
            stages.write_text("\n---\n".join(map(json.dumps, KWOK_STAGES)))
            self.others.append(self.program("kwok", [
                self.programs / "kwok", f"--kubeconfig={self._certificate_config('kwok', '/O=system:masters/CN=kwok')}",
                "--manage-all-nodes=true", "--node-lease-duration-seconds=0", f"--config={stages}"]))

    def _api_flags(self, etcd_url):
        self.audit = self.folder / "audit.log"
        policy = self.folder / "audit-policy.json"
        policy.write_text(json.dumps(AUDIT_POLICY))
        certificate, key = self.keys.issue("kube-apiserver", "/CN=kube-apiserver", "serverAuth",
                                           "subjectAltName=IP:127.0.0.1,DNS:localhost,DNS:kubernetes.default.svc")
        return [f"--etcd-servers={etcd_url}", "--bind-address=127.0.0.1", f"--secure-port={self.port}",
                f"--tls-cert-file={certificate}", f"--tls-private-key-file={key}", f"--client-ca-file={self.keys.ca}",
                "--service-account-issuer=https://kubernetes.default.svc", f"--service-account-key-file={self.keys.account_key}",
                f"--service-account-signing-key-file={self.keys.account_key}", "--service-cluster-ip-range=10.96.0.0/16",
                "--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction", "--allow-privileged=true",
                "--endpoint-reconciler-type=none",  # 127.0.0.1 cannot be an endpoint of Service kubernetes
                # Pods of a node that is said to be away stay, however long a test takes.
                "--default-unreachable-toleration-seconds=86400", "--default-not-ready-toleration-seconds=86400",
                f"--audit-policy-file={policy}", f"--audit-log-path={self.audit}", "--audit-log-maxsize=4096"]

    def start_api(self):
        """Returns when it is ready; also after stop_api(): nothing is lost."""
        begin = time.monotonic()
        self.api.start()

        starts = 0

        def ready():
            nonlocal starts
            self.etcd.check()
            # It ends if etcd is too slow for its first 30 s; kubelet starts it again.
            if self.api.process.poll() is not None and starts < 3:
                starts += 1
                say(f"kube-apiserver ended with code {self.api.process.returncode}, and is started again")
                self.api.start()
            self.api.check()
            try:
                return self.request("GET", "/readyz", raw=True) == "ok"
            except (ApiError, OSError, http.client.HTTPException):
                return False
        wait_until("kube-apiserver to be ready", ready, READY_S, 0.1)
        say(f"kube-apiserver is ready after {time.monotonic() - begin:.1f} s: {self.url}")

    def stop_api(self, how=signal.SIGKILL):
        self.api.end(how)

    # ---- credentials ---------------------------------------------------------------------------------------------

    _issued = None

    def _certificate_config(self, name, subject):
        self._issued = self._issued or {}
        self._issued[name] = certificate, key = self.keys.issue(name, subject, "clientAuth")
        return self._write_config(name, {"client-certificate": str(certificate), "client-key": str(key)})

    def _write_config(self, name, user):
        path = self.folder / f"{name}.kubeconfig"
        path.write_text(json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "clusters": [{"name": "test", "cluster": {"server": self.url, "certificate-authority": str(self.keys.ca)}}],
            "users": [{"name": name, "user": user}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": name}}]}))
        return path

    def token(self, namespace, account, seconds=3600):
        """Of a service account, as a pod of it has one."""
        answer = self.request("POST", f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token",
                              {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": seconds}})
        return answer["status"]["token"]

    def kubeconfig(self, namespace, account):
        """Path of a kubeconfig of the service account: it may do what RBAC lets it."""
        return self._write_config(f"{namespace}-{account}", {"token": self.token(namespace, account)})

    def as_pod(self, namespace, account, *command, environment=None):
        """The command line that runs a program with what Kubernetes gives to a pod of the service account: where the API server is, and
        the three files, which only this program sees, in a mount namespace of its own. Below /run it sees nothing else."""
        folder = self.folder / f"pod-{namespace}-{account}"
        folder.mkdir(exist_ok=True)
        for name, text in {"token": self.token(namespace, account), "ca.crt": self.keys.ca.read_text(), "namespace": namespace}.items():
            (folder / f"{name}.new").write_text(text)
            os.replace(folder / f"{name}.new", folder / name)  # another pod of the account may read it right now
        variables = {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(self.port), **(environment or {})}
        script = (f'mount -t tmpfs tmpfs /run && mkdir -p "{ACCOUNT_FILES}" && '
                  f'mount --bind "{folder}" "{ACCOUNT_FILES}" && exec "$@"')
        return ["unshare", "--mount", "--propagation", "private", "env", *(f"{key}={value}" for key, value in variables.items()),
                "sh", "-c", script, "sh", *map(str, command)]

    # ---- objects -------------------------------------------------------------------------------------------------

    def request(self, method, path, body=None, content="application/json", raw=False):
        """As administrator. The answer's JSON; ApiError if it is refused, OSError if nobody answers. It is asked for
        again while the API server says that it cannot keep up. What was made or deleted by a request that got such an
        answer is taken for done."""
        name = ((body or {}).get("metadata") or {}).get("name") if method == "POST" else None
        for tries_left in reversed(range(1 if raw else BUSY_TRIES)):
            try:
                return self._request(method, path, body, content, raw)
            except ApiError as error:
                again = tries_left < BUSY_TRIES - 1
                if again and error.code == 404 and method == "DELETE":
                    return error.status
                if again and error.code == 409 and name and error.status.get("reason") == "AlreadyExists":
                    return self.request("GET", f"{path.partition('?')[0]}/{name}")
                budget = error.code == 429 and path.endswith("/eviction")  # it is that which says so
                if error.code not in BUSY or not tries_left or budget:
                    raise
            time.sleep(1)

    def _request(self, method, path, body, content, raw):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, {"Content-Type": content}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30, context=self._context) as answer:
                text = answer.read().decode()
        except urllib.error.HTTPError as error:
            text = error.read().decode(errors="replace")
            try:
                status = json.loads(text)
            except ValueError:
                status = {"message": text}
            raise ApiError(method, path, error.code, status) from None
        return text if raw else json.loads(text)

    def get(self, path):
        return self.request("GET", path)

    def find(self, path):
        """None if there is no such object."""
        try:
            return self.get(path)
        except ApiError as error:
            if error.code == 404:
                return None
            raise

    def items(self, path):
        return self.get(path)["items"]

    def create(self, path, body):
        return self.request("POST", path, body)

    def patch(self, path, body):
        """A JSON merge patch."""
        return self.request("PATCH", path, body, "application/merge-patch+json")

    def delete(self, path, grace_s=None):
        options = None if grace_s is None else {"apiVersion": "v1", "kind": "DeleteOptions", "gracePeriodSeconds": grace_s}
        return self.request("DELETE", path, options)

    def _answer(self, path):
        """(whether it was answered, the object or None). An API server that is too busy to answer says nothing about the object."""
        try:
            return True, self.find(path)
        except (OSError, http.client.HTTPException):
            return False, None
        except ApiError as error:
            if error.code != 429 and error.code < 500:
                raise
            return False, None

    def wait_for(self, what, path, condition=lambda found: True, timeout_s=60):
        """Until the object is there and condition(object) is true; the object."""
        def look():
            _, found = self._answer(path)
            return found if found is not None and condition(found) else None
        try:
            return wait_until(what, look, timeout_s)
        except AssertionError as error:
            raise AssertionError(f"{error}; now it is {self._brief(path)}") from None

    def _brief(self, path):
        answered, found = self._answer(path)
        if found is None:
            return "not there" if answered else "not told: the API server does not answer"
        found["metadata"].pop("managedFields", None)
        found["metadata"].get("annotations", {}).pop("kubectl.kubernetes.io/last-applied-configuration", None)
        return json.dumps(found)[:3000]

    def wait_for_definition(self, name):
        """Until objects of a CRD, PLURAL.GROUP, are served, a moment after the condition that says so, and kubectl
        knows them. The CRD."""
        path = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}"
        found = self.wait_for(f"{name} to be served", path, lambda one: any(
            condition["type"] == "Established" and condition["status"] == "True"
            for condition in one.get("status", {}).get("conditions") or []))
        wait_until(f"kubectl to know {name}", lambda: self.try_kubectl("get", name, "-A").code == 0)
        return found

    def may(self, user, verb, group, resource, namespace=None, name=None):
        """What the API server's roles say now of a user."""
        account = user.split(":")
        groups = ["system:authenticated"]
        if len(account) == 4:
            groups += ["system:serviceaccounts", f"system:serviceaccounts:{account[2]}"]
        kind, _, part = resource.partition("/")
        asked = {"verb": verb, "group": group, "resource": kind, "subresource": part, "namespace": namespace or "",
                 "name": name or ""}
        answer = self.request("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", {
            "apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview",
            "spec": {"user": user, "groups": groups, "resourceAttributes": asked}})
        return answer["status"]["allowed"]

    def wait_for_rights(self, namespace, account):
        """Until the API server has heard of all roles of a service account: it learns of new ones by watches."""
        root, user, missing = "/apis/rbac.authorization.k8s.io/v1", f"system:serviceaccount:{namespace}:{account}", []
        for kind in ("clusterrolebindings", "rolebindings"):
            for one in self.items(f"{root}/{kind}"):
                subjects = [(subject.get("namespace"), subject.get("name")) for subject in one.get("subjects") or []]
                if (namespace, account) not in subjects:
                    continue
                where, role = one["metadata"].get("namespace"), one["roleRef"]
                place = f"{root}/clusterroles" if role["kind"] == "ClusterRole" else f"{root}/namespaces/{where}/roles"
                missing += [(user, rule["verbs"][0], rule["apiGroups"][0], rule["resources"][0], where,
                             (rule.get("resourceNames") or [None])[0])
                            for rule in self.get(f"{place}/{role['name']}").get("rules") or [] if rule.get("resources")]
        assert missing, f"{user} has no rights"

        def known():
            missing[:] = [right for right in missing if not self.may(*right)]
            return not missing
        wait_until(f"the rights of {user} to be known", known)

    def wait_gone(self, what, path, timeout_s=60):
        wait_until(f"{what} to be gone", lambda: self._answer(path) == (True, None), timeout_s)

    def events(self, kind, name, namespace="default"):
        """[(reason, message)] of an object, the oldest first."""
        found = [event for event in self.items(f"/api/v1/namespaces/{namespace}/events")
                 if event["involvedObject"].get("kind") == kind and event["involvedObject"].get("name") == name]
        return [(event["reason"], event["message"]) for event in found]

    def try_kubectl(self, *arguments, config=None, stdin=None, timeout_s=120):
        """Again while the API server cannot keep up, as people do it."""
        return self._kubectl(arguments, config, stdin, timeout_s, BUSY_WORDS)

    def kubectl(self, *arguments, config=None, stdin=None, timeout_s=120):
        answer = self._kubectl(arguments, config, stdin, timeout_s, BUSY_WORDS + NEW_KIND_WORDS)
        if answer.code != 0:
            raise AssertionError(repr(answer))
        return answer

    def _kubectl(self, arguments, config, stdin, timeout_s, passing):
        line = [str(self.programs / "kubectl"), f"--kubeconfig={config or self.admin}", *map(str, arguments)]
        for tries_left in reversed(range(BUSY_TRIES)):
            done = subprocess.run(line, input=stdin, capture_output=True, text=True, timeout=timeout_s,
                                  env={**os.environ, "HOME": str(self.folder)})
            answer = Answer(["kubectl", *arguments], done)
            if answer.code == 0 or not tries_left or not any(words in answer.err for words in passing):
                return answer
            say(f"  kubectl {arguments[0]}, once more: {answer.err.strip()[-200:]}")
            if "delete" in arguments and "--ignore-not-found" not in line:
                line.append("--ignore-not-found")  # some of it may be done
            time.sleep(1)

    def apply(self, *objects):
        """Objects as kubectl applies them, every field checked; whoever gives a list of paths uses kubectl()."""
        return self.kubectl("apply", "--validate=strict", "-f", "-",
                            stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))

    def add_node(self, name, labels=None, cpu="8", memory="32Gi", pods="250"):
        """A node that is ready and has room. It stays so until a test says otherwise in its status."""
        room = {"cpu": cpu, "memory": memory, "pods": pods, "ephemeral-storage": "100Gi"}
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        ready = {"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "", "lastHeartbeatTime": now, "lastTransitionTime": now}
        self.create("/api/v1/nodes", {
            "apiVersion": "v1", "kind": "Node",
            "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", **(labels or {})},
                         "annotations": {"volumes.kubernetes.io/controller-managed-attach-detach": "true"}},
            "status": {"capacity": room, "allocatable": room, "conditions": [ready],
                       "nodeInfo": {key: "" for key in ("machineID", "systemUUID", "bootID", "kernelVersion", "osImage", "kubeletVersion",
                                                        "containerRuntimeVersion", "kubeProxyVersion")} |
                       {"operatingSystem": "linux", "architecture": "amd64"}}})
        if not self.with_controllers:  # the admission's taint would stay for ever
            self.patch(f"/api/v1/nodes/{name}", {"spec": {"taints": None}})

    def wait_for_free_nodes(self):
        """A new node is tainted until the controllers have seen it; who is scheduled before sees only some of the nodes."""
        wait_until("the nodes to take pods", lambda: not [one for one in self.items("/api/v1/nodes") if one["spec"].get("taints")])

    # ---- who asked for what --------------------------------------------------------------------------------------

    def requests(self, user=None, since=0):
        """[{user, verb, resource, namespace, name, code}], those of a user (as in system:serviceaccount:NAMESPACE:NAME), without the first
        `since`. A watch counts when it begins."""
        found = {}
        for line in self.audit.read_text().splitlines():
            with contextlib.suppress(ValueError):  # the last line may be half written
                event = json.loads(line)
                subject = event.get("objectRef", {})
                if user not in (None, event["user"].get("username")) or event["auditID"] in found:
                    continue
                resource = "/".join(part for part in (subject.get("resource"), subject.get("subresource")) if part)
                found[event["auditID"]] = {
                    "user": event["user"].get("username"), "verb": event["verb"], "resource": resource,
                    "group": subject.get("apiGroup", ""), "namespace": subject.get("namespace"), "name": subject.get("name"),
                    "code": event.get("responseStatus", {}).get("code"), "at": event["requestReceivedTimestamp"],
                    "uri": event["requestURI"],
                    "forbidden": event.get("annotations", {}).get("authorization.k8s.io/decision") == "forbid"}
        return list(found.values())[since:]

    def refused(self, user, since=0):
        """Requests that RBAC refused to a user and refuses still, each once, as 'verb group/resource'. For a moment an
        API server refuses what it allows later: it has not heard of roles that are new, or has just begun."""
        asked = {(one["verb"], one["group"], one["resource"], one["namespace"], one["name"], one["forbidden"])
                 for one in self.requests(user, since) if one["code"] == 403}
        return sorted({f"{verb} {group}/{resource}" for verb, group, resource, namespace, name, forbidden in asked
                       if not forbidden or not self.may(user, verb, group, resource, namespace, name)})
