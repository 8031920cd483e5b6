"""One network namespace a site: made, entered and removed. Only as root."""

import contextlib
import ctypes
import os
import socket
import subprocess

from . import ClusterError

CLONE_NEWNET = 0x40000000
DEVICE = "wan0"
MTU = 1500

# Per-namespace settings for long fat pipes: 1 Gbit/s at 200 ms RTT has 25 MB in flight, and about half of a receive
# buffer is window. Connections here idle and burst, so neither restart slowly nor learn from their predecessors.
TCP_SETTINGS = {
    "net/ipv4/tcp_rmem": "4096 131072 67108864",
    "net/ipv4/tcp_wmem": "4096 131072 67108864",
    "net/ipv4/tcp_slow_start_after_idle": "0",
    "net/ipv4/tcp_no_metrics_save": "1",
}

CONGESTION_CONTROL = "net/ipv4/tcp_congestion_control"

_libc = ctypes.CDLL(None, use_errno=True)


def usable():
    """None, or the reason why this machine and user cannot have namespaces."""
    if os.geteuid() != 0:
        return "not root"
    if not os.path.exists("/dev/net/tun"):
        return "the kernel offers no /dev/net/tun"
    return None


def path_of(namespace):
    return f"/run/netns/{namespace}"


def _enter(descriptor):
    if _libc.setns(descriptor, CLONE_NEWNET) != 0:
        error = ctypes.get_errno()
        raise ClusterError(f"cannot enter a network namespace: {os.strerror(error)}")


@contextlib.contextmanager
def inside(namespace):
    """Runs the body in a namespace (None: where we are). A socket made inside stays there afterwards."""
    if namespace is None:
        yield
        return
    home = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        try:
            target = os.open(path_of(namespace), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError as error:
            raise ClusterError(f"namespace {namespace} is gone; run `up` again to make it") from error
        try:
            _enter(target)
        finally:
            os.close(target)
        try:
            yield
        finally:
            _enter(home)
    finally:
        os.close(home)


def connect(namespace, address, port, timeout_s):
    with inside(namespace):
        connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    connection.settimeout(timeout_s)
    try:
        connection.connect((address, port))
    except OSError:
        connection.close()
        raise
    return connection


def command_prefix(namespace):
    """To put before a command; it keeps its pid, since nsenter becomes the command."""
    return [] if namespace is None else ["nsenter", f"--net={path_of(namespace)}"]


def _ip(*arguments):
    result = subprocess.run(["ip", *arguments], capture_output=True, text=True)
    if result.returncode != 0:
        raise ClusterError(f"`ip {' '.join(arguments)}` failed: {result.stderr.strip()}")


def _set_tcp(namespace, congestion_control):
    """congestion_control: a name, or 'auto' for bbr where the kernel offers it and its default elsewhere."""
    settings = {**TCP_SETTINGS, CONGESTION_CONTROL: "bbr" if congestion_control == "auto" else congestion_control}
    with inside(namespace):
        for name, value in settings.items():
            try:
                with open(f"/proc/sys/{name}", "w", encoding="ascii") as file:
                    file.write(value)
            except OSError as error:
                if name == CONGESTION_CONTROL and congestion_control == "auto":
                    continue
                raise ClusterError(f"cannot set /proc/sys/{name} to '{value}': {error.strerror}; inside a namespace the kernel "
                                   "takes what net.ipv4.tcp_allowed_congestion_control lists") from error


def make(site, addresses, network, congestion_control):
    """Makes a site's namespace with its TUN device and addresses; does nothing where it exists."""
    namespace = site["namespace"]
    if os.path.exists(path_of(namespace)):
        return False
    _ip("netns", "add", namespace)
    _ip("-n", namespace, "link", "set", "lo", "up")
    for address in addresses:
        _ip("-n", namespace, "address", "add", f"{address}/32", "dev", "lo")
    _ip("-n", namespace, "tuntap", "add", DEVICE, "mode", "tun")
    _ip("-n", namespace, "address", "add", f"{site['router']}/32", "dev", DEVICE)
    _ip("-n", namespace, "link", "set", DEVICE, "mtu", str(MTU), "txqueuelen", "10000", "up")
    _ip("-n", namespace, "route", "add", network, "dev", DEVICE, "src", site["router"])
    _set_tcp(namespace, congestion_control)
    return True


def remove(namespace):
    """Removes a namespace and its device. Processes that someone else started in there are left alone and returned."""
    if not os.path.exists(path_of(namespace)):
        return []
    listed = subprocess.run(["ip", "netns", "pids", namespace], capture_output=True, text=True)
    subprocess.run(["ip", "-n", namespace, "link", "del", DEVICE], capture_output=True)
    _ip("netns", "del", namespace)
    return [int(pid) for pid in listed.stdout.split()]
