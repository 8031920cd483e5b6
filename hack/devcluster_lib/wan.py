"""The wide-area network between the sites: shima-wanem, its settings and the cuts."""

import itertools
import os
import socket
import time

from . import ClusterError, namespaces, processes
from .plan import find_site

SETTINGS = {"rtt": "rtt_ms", "rate": "rate_mbit", "loss": "loss_pct", "jitter": "jitter_ms"}
MIN_QUEUE_KIB = 8192


def refuse_without_namespaces(state, verb):
    if state["mode"] != "namespaces":
        raise ClusterError(f"{verb}: this cluster is on 127.0.0.1 ({state.get('loopback_reason', 'without namespaces')}), so "
                           "its sites have no network between them to change; run `up` as root for one that has")


def queue_kib(wan):
    """A drop-tail queue of one bandwidth-delay product, which a sender needs to fill the link."""
    return int(max(MIN_QUEUE_KIB, wan["rate_mbit"] * 1e6 / 8 * wan["rtt_ms"] / 1e3 / 1024))


def link_options(wan):
    return (f"delay={wan['rtt_ms'] / 2} rate={wan['rate_mbit']} loss={wan['loss_pct']} jitter={wan['jitter_ms']} "
            f"queue={queue_kib(wan)}")


def socket_path(state):
    return os.path.join(state["dir"], "wanem.sock")


def command(state, binary):
    wan = state["wan"]
    arguments = [binary, *(["-g"] if wan["offload"] else []), "-c", socket_path(state), "-d", str(wan["rtt_ms"] / 2),
                 "-r", str(wan["rate_mbit"]), "-l", str(wan["loss_pct"]), "-j", str(wan["jitter_ms"]),
                 "-q", str(queue_kib(wan))]
    for site in state["sites"]:
        arguments += ["-s", f"{site['name']}:{site['namespace']}:{namespaces.DEVICE}:{site['cidr']}"]
    return arguments


def ask(state, message, timeout_s=60):
    """Sends one control message to the emulator and returns its answer."""
    if not processes.is_running(state["emulator"]):
        raise ClusterError("the WAN emulator is not running; run `up` again to start it")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as connection:
        connection.bind("")  # an abstract name of the kernel's choice, to be answered at
        connection.settimeout(timeout_s)
        try:
            connection.sendto(message.encode(), socket_path(state))
            answer = connection.recv(65536).decode()
        except OSError as error:
            raise ClusterError(f"the WAN emulator does not answer '{message}': {error}") from error
    if answer.startswith("error"):
        raise ClusterError(f"the WAN emulator refused '{message}': {answer}")
    return answer


def start(state, binary):
    """Starts the emulator where it does not run, with the settings and cuts of the state."""
    if processes.is_running(state["emulator"]):
        return False
    if len(socket_path(state)) > 100:
        raise ClusterError(f"--dir: {state['dir']} is too long a path for a socket in it; choose one under 90 characters")
    log = os.path.join(state["dir"], "wanem.log")
    state["emulator"] = processes.spawn(command(state, binary), log, dict(os.environ))
    deadline = time.monotonic() + 60
    while True:
        try:
            ask(state, "stats", timeout_s=1)
            break
        except ClusterError as error:
            if not processes.is_running(state["emulator"]) or time.monotonic() > deadline:
                raise ClusterError(f"the WAN emulator did not start; the end of {log}:\n"
                                   f"{processes.end_of_log(log)}") from error
            time.sleep(0.05)
    for first, second in state["cuts"]:
        ask(state, f"cut {first} {second}")
    return True


def pairs_of(state, target):
    """'site-a': it with every other site; 'site-a,site-b': these two; 'all': every pair."""
    names = [site["name"] for site in state["sites"]]
    if target == "all":
        return [list(pair) for pair in itertools.combinations(sorted(names), 2)]
    chosen = target.split(",")
    for name in chosen:
        find_site(state, name)
    if len(chosen) > 2 or len(set(chosen)) != len(chosen):
        raise ClusterError(f"'{target}' is neither SITE nor SITE,SITE nor all")
    others = chosen[1:] or [name for name in names if name != chosen[0]]
    return [sorted((chosen[0], other)) for other in others]


def cut(state, target):
    refuse_without_namespaces(state, "cut")
    for pair in pairs_of(state, target):
        ask(state, f"cut {pair[0]} {pair[1]}")
        if pair not in state["cuts"]:
            state["cuts"].append(pair)


def heal(state, target):
    refuse_without_namespaces(state, "heal")
    for pair in pairs_of(state, target):
        ask(state, f"heal {pair[0]} {pair[1]}")
        if pair in state["cuts"]:
            state["cuts"].remove(pair)


def parse_settings(words):
    changes = {}
    for word in words:
        key, _, text = word.partition("=")
        if key not in SETTINGS:
            raise ClusterError(f"wan: '{word}' is not known; write {', '.join(k + '=NUMBER' for k in SETTINGS)}")
        try:
            value = float(text)
        except ValueError as error:
            raise ClusterError(f"wan: '{text}' in '{word}' is not a number") from error
        if not 0 <= value <= (100 if key == "loss" else 1e6):
            raise ClusterError(f"wan: {word} is out of range (loss is in percent, rate in Mbit/s, rtt and jitter in ms)")
        changes[SETTINGS[key]] = int(value) if value == int(value) else value
    return changes


def change(state, words):
    refuse_without_namespaces(state, "wan")
    state["wan"].update(parse_settings(words))
    ask(state, f"all {link_options(state['wan'])}")
