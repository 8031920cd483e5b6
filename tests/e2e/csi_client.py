"""CSI calls from tests: Python stubs of api/csi/v1/csi.proto, made by protoc at the test's time, and processes of shima-csi.

A call that fails raises grpc.RpcError; expect_code() says which code a test wants.
"""

import contextlib
import importlib
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile

from cluster import BIN, ROOT, expect, say, skip, wait_until

DEBIANS_PYTHON = "/usr/bin/python3"
# What the specification lets an orchestrator answer with the same call again, a little later.
AGAIN = ("UNAVAILABLE", "DEADLINE_EXCEEDED", "ABORTED")

try:
    import grpc
except ImportError:
    grpc = None
    # The packages are Debian's; another python3 may be first in PATH.
    if os.path.exists(DEBIANS_PYTHON) and os.path.realpath(sys.executable) != os.path.realpath(DEBIANS_PYTHON):
        os.execv(DEBIANS_PYTHON, [DEBIANS_PYTHON, *sys.argv])


def check_python():
    plugin = shutil.which("grpc_python_plugin")
    if grpc is None or plugin is None or shutil.which("protoc") is None:
        skip("CSI tests need python3-grpcio, python3-protobuf, protobuf-compiler and protobuf-compiler-grpc (hack/deps)")
    return plugin


def make_stubs():
    """The modules csi_pb2 and csi_pb2_grpc."""
    plugin = check_python()
    folder = tempfile.mkdtemp(prefix="shima-csi-stubs-")
    try:
        subprocess.run(["protoc", f"--plugin=protoc-gen-grpc={plugin}", f"--python_out={folder}", f"--grpc_out={folder}",
                        f"-I{ROOT / 'api'}", str(ROOT / "api/csi/v1/csi.proto")], check=True)
        sys.path.insert(0, folder)
        return importlib.import_module("csi.v1.csi_pb2"), importlib.import_module("csi.v1.csi_pb2_grpc")
    finally:
        if folder in sys.path:
            sys.path.remove(folder)
        shutil.rmtree(folder, ignore_errors=True)


class Driver:
    """A process of shima-csi in a site of a cluster, and its services. Its folder stays when it is killed. `programs`: the folder of the build
    that the next start() runs."""

    def __init__(self, cluster, site, name, folder, *flags, ready_s=30):
        self.cluster, self.site, self.name, self.flags, self.ready_s = cluster, site, name, flags, ready_s
        self.programs, self.folder = BIN, pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.socket = self.folder / f"{name}.sock"
        self.log_path = self.folder / f"{name}.log"
        self.process = self.channel = None

    @property
    def endpoint(self):
        return f"unix://{self.socket}"

    def start(self):
        core = ",".join(server["endpoint"] for server in
                        sorted(self.cluster.servers(), key=lambda server: server["site"] != self.site))
        with open(self.log_path, "a", encoding="utf-8") as log:
            self.process = self.cluster.popen(self.site, self.programs / "shima-csi", "--endpoint", self.endpoint, "--core", core,
                                              *self.flags, stdout=log, stderr=log)
        wait_until(f"{self.name} listens", self._listens, self.ready_s, 0.05)
        return self

    def _listens(self):
        if self.process.poll() is not None:
            raise AssertionError(f"{self.name} ended with code {self.process.returncode}: {self.log()[-2000:]}")
        with contextlib.suppress(OSError):
            with socket.socket(socket.AF_UNIX) as probe:
                probe.connect(str(self.socket))
                return True
        return False

    def connect(self, stub):
        """A stub of one of the generated classes, on a new channel: the old one may wait for a process that was killed."""
        if self.channel:
            self.channel.close()
        self.channel = grpc.insecure_channel(f"unix:{self.socket}")
        return stub(self.channel)

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
        if self.process:
            self.process.wait()

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(90)
            except subprocess.TimeoutExpired:
                self.kill()
                raise AssertionError(f"{self.name} does not end: {self.log()[-2000:]}") from None

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""


def insistently(what, call, timeout_s=60):
    """As an orchestrator makes a call: again, while the answer says that this may help. Other errors are raised."""
    def attempt():
        try:
            return [call()]
        except grpc.RpcError as error:
            if error.code().name not in AGAIN:
                raise
            return say(f"    {what}: {error.code().name}, so again ({error.details()[:140]})")
    return wait_until(what, attempt, timeout_s, 0.5)[0]


def well(stats):
    """What NodeGetVolumeStats answers, or None where it is abnormal: a look that lasts too long is, and tells of no inodes."""
    return None if stats.volume_condition.abnormal else stats


def expect_code(code, what, call, text=""):
    """The call fails with this gRPC code, and with this text in its message."""
    try:
        call()
    except grpc.RpcError as error:
        expect(error.code().name == code and text in error.details(),
               f"{what}: {code}" + (f", found {error.code().name}" if error.code().name != code else "")
               + f" ({error.details()[:160]})")
        return error.details()
    raise AssertionError(f"{what}: wanted {code}, but the call went well")
