#!/usr/bin/env python3
"""The drill of charts/examples/disaster-drill.yaml, command by command as its comments have them, on the cluster of kube_volume_test.py: real API
server and controllers, the operator's own objects, every pod as real processes. A whole site is cut off: its nodes, their pods, its member of
etcd, and its part of operator and CSI controller reach each other and nobody else; the other sites go on, and afterwards all is whole.

What is not real: kubelet. A node that is cut off is said to be NotReady by the test; of `kubectl exec` and `logs` it does what kubelet would.
"""

import re
import subprocess
import sys
import time

import yaml

import kube_volume_test
from cluster import BIN, EXISTS, NOT_FOUND, ROOT, UNKNOWN, UNREACHABLE, expect, say, wait_until
from csi_client import check_python, make_stubs
from kube_cluster import BUSY_WORDS, Program
from kube_csi_test import PODS
from kube_volume_test import NODES, SHIMA_VOLUMES, SITES, Bed, a_manifest_becomes_a_cluster, run_in_namespaces, the_plugins_register

EXAMPLE = ROOT / "charts/examples/disaster-drill.yaml"
CUT = "site-a"
COMMAND = re.compile(r"^#      (\S.*)$")
# As kubectl in PATH: `exec` and `logs`, for which it would ask a kubelet, by what the test keeps of each pod.
KUBECTL = """#!/bin/bash
case " $* " in
  *" exec "*)
    while [[ $1 != exec ]]; do shift; done
    pod=$2 && shift 2
    while [[ $1 != -- ]]; do shift; done
    shift && . {pods}/$pod.sh ;;
  *" logs "*) tail -n 1 {pods}/$2.log ;;
  *) exec {kubectl} --kubeconfig={config} "$@" ;;
esac
"""


def steps(text):
    """{number: [command]}"""
    found, number = {}, 0
    for line in text.splitlines():
        begins = re.match(r"^# (\d+)\. ", line)
        number = int(begins[1]) if begins else number
        command = COMMAND.match(line)
        if command:
            found.setdefault(number, []).append(command[1])
    return found


class DrillBed(Bed):
    """The site that is cut off has the most room: without a reason to go elsewhere all replicas of a Deployment would be there."""

    cpus = {**dict.fromkeys(SITES, "2"), CUT: "16"}

    def __enter__(self):
        super().__enter__()
        self.text = EXAMPLE.read_text().replace("zone-", "site-")  # the names of the sites here
        self.example, self.pods, self.programs = self.folder / "drill.yaml", self.folder / "drill", []
        self.example.write_text(self.text)
        self.steps, self.shell = steps(self.text), []
        self.pods.mkdir()
        (self.folder / "bin").mkdir()
        kubectl = self.folder / "bin/kubectl"
        kubectl.write_text(KUBECTL.format(pods=self.pods, kubectl=self.kube.programs / "kubectl", config=self.kube.admin))
        kubectl.chmod(0o755)
        return self

    def down(self):
        super().down()
        for program in getattr(self, "programs", []):  # last: a process that waits for a mount ends with the mount
            program.end()

    def shell_script(self, command):
        here = command.replace(str(EXAMPLE.relative_to(ROOT)), str(self.example)).replace("/dev/shm/", f"{self.folder}/")
        return "\n".join([f"PATH={self.folder}/bin:{BIN}:$PATH", *self.shell, here])

    def run(self, command, timeout_s=700):
        """What it printed; its exit code is 0. As people do it, who are told to repeat what was not answered."""
        begin = time.monotonic()
        done_before = NOT_FOUND if " volume delete " in command else EXISTS if " volume create " in command else None
        for number in range(5):
            line = ["bash", "-c", self.shell_script(command)]
            answer = subprocess.run(line, capture_output=True, text=True, timeout=timeout_s)
            if not (command.startswith("ctl ") and answer.returncode in (UNREACHABLE, UNKNOWN)
                    or command.startswith("kubectl ") and any(words in answer.stderr for words in BUSY_WORDS)):
                break
            say(f"  once more: {command}: {answer.stderr.strip()[-200:]}")
            time.sleep(2)
        if answer.returncode != 0 and not (number and answer.returncode == done_before):
            raise AssertionError(f"{command}: exit code {answer.returncode}: {answer.stdout[-800:]}{answer.stderr[-800:]}")
        say(f"  ok: {command}: {time.monotonic() - begin:.0f} s")
        return answer.stdout

    def step(self, number):
        """What each of the step's commands printed, but those that define a function."""
        printed = []
        for command in self.steps[number]:
            if re.match(r"^\w+\(\) ", command):
                self.shell.append(command)
            else:
                printed.append(self.run(command))
        return printed

    def acknowledged(self, name):
        return [int(line) for line in (self.pods / f"{name}.log").read_text().split()]

    def volume(self, name):
        return self.kube.get(f"{SHIMA_VOLUMES}/{name}")["status"]

    def run_pod(self, name, site):
        """kubelet's part: volume, process and status."""
        folder = self.take_up(name, name, site)
        (container,) = self.used[name][2]["spec"]["containers"]
        line = [word.replace("/data", str(folder)) for word in container["command"]]
        self.programs.append(Program(name, line, self.pods / f"{name}.log").start())
        (self.pods / f"{name}.sh").write_text(f'exec "${{@//\\/data/{folder}}}"\n')
        self.kube.patch(f"{PODS}/{name}/status", {"status": {"phase": "Running", "conditions": [
            {"type": kind, "status": "True"} for kind in ("Initialized", "ContainersReady", "Ready")]}})


def sums(printed):
    return re.findall(r"\b[0-9a-f]{64}\b", printed)


def no_site_has_all_replicas(bed):
    for start in ("shima-operator-", "shima-csi-controller-"):
        sites = [NODES[pod.node.name] for pod in bed.runner.named(start)]
        expect(len(set(sites)) == 2, f"the two pods {start}* are at different sites: {', '.join(sites)}")


def pods_write_at_two_sites(bed):
    core = bed.runner.pod("shima-core-site-b-0")
    (bed.pods / f"{core.name}.sh").write_text(f'exec nsenter --net={core.network} -- "$@"\n')
    ctl, apply, wait, *by_hand = bed.steps[1]
    bed.shell.append(ctl)
    bed.run(apply)
    for name, site in (("drill-a", "site-a"), ("drill-b", "site-b")):
        bed.run_pod(name, site)
    *_, checksum = [bed.run(command) for command in (wait, *by_hand)]
    (bed.sum,) = sums(checksum)
    bed.handles = {name: bed.used[name][1]["spec"]["csi"]["volumeHandle"] for name in bed.used}
    expect({name: (found["home"], found["ack"]) for name, found in ((name, bed.record(handle)) for name, handle in bed.handles.items())}
           == {"drill-a": ("site-a", "all"), "drill-b": ("site-b", "all")}, "each volume has its home where its first pod runs, with ack: all")


def all_is_well(bed):
    wait_until("all volumes to be shown as healthy", lambda: [one["status"].get("health") for one in bed.kube.items(SHIMA_VOLUMES)
                                                              if "status" in one] == ["Healthy"] * 3)

    def shown():
        text = bed.step(2)[1]
        return text.count("Healthy") == 3 and "Ready" in text
    wait_until("kubectl get to show a Ready cluster and three Healthy volumes", shown)
    expect(True, "kubectl get shows a Ready cluster and three Healthy volumes")
    for name in bed.handles:
        wait_until(f"{name} to write", lambda: len(bed.acknowledged(name)) >= 2, 30)


def say_ready(bed, site, status):
    """What the node controller writes when a kubelet is not heard any more, or again."""
    for node in (node for node, there in NODES.items() if there == site):
        bed.kube.patch(f"/api/v1/nodes/{node}/status", {"status": {"conditions": [
            {"type": "Ready", "status": status, "reason": "NodeStatusUnknown" if status == "Unknown" else "KubeletReady"}]}})


def a_site_is_cut_off(bed):
    bed.uids = {pod.name: pod.uid for pod in bed.runner.named("")}
    bed.cut_at = time.monotonic()
    bed.runner.cut(*(node for node, site in NODES.items() if site == CUT))
    time.sleep(5)  # Kubernetes takes 40 s to notice: what it says is not waited for
    say_ready(bed, CUT, "Unknown")
    names = [*bed.handles.values(), "drill-image"]
    bed.wait_condition("Ready", "False", timeout_s=90)
    wait_until("each volume to name who is away", lambda: all("site-a" in str(bed.volume(name).get("reasons")) for name in names), 60)

    def told():
        shown, reasons, status = bed.step(3)
        lines = sorted(reasons.splitlines())
        return ("Degraded" in shown.split("NAME")[1] and len(lines) == len(names)
                and all(name in line and "site-a" in line for name, line in zip(sorted(names), lines))
                and all(f"site-a/core-{number}" in status for number in range(2)) and lines)
    lines = wait_until("kubectl get to show it, and shimactl", told)
    expect(True, f"{time.monotonic() - bed.cut_at:.0f} s after the cut kubectl get shows a Degraded cluster, and "
           "shimactl status names the servers that are away")
    expect(True, f"volumes say why: {lines[0][:160]}")


def the_others_go_on(bed):
    count, waits = len(bed.acknowledged("drill-b")), bed.acknowledged("drill-a")
    wait_until("drill-b to go on", lambda: len(bed.acknowledged("drill-b")) > count + 2, 60)
    last, line = bed.step(4)
    expect(0 < int(last) <= int(line), f"drill-b goes on: {int(last)} lines")
    expect(bed.acknowledged("drill-a") == waits, f"drill-a waits after {len(waits)} lines")


def the_copy_is_whole(bed):
    copy, *_, rescued = bed.step(5)
    expect(sums(copy) == [bed.sum] == sums(rescued), "zone-b's copy has every byte, and so has the volume that was made of it")


def healed_all_is_whole(bed):
    before = bed.acknowledged("drill-a")
    bed.runner.heal()
    say_ready(bed, CUT, "True")
    begin = time.monotonic()
    wait_until("drill-a to go on", lambda: len(bed.acknowledged("drill-a")) > len(before), 90)
    say(f"  drill-a goes on {time.monotonic() - begin:.0f} s after the cut was healed")
    *_, checksum = bed.step(6)
    expect(sums(checksum) == [bed.sum], f"{time.monotonic() - begin:.0f} s after it the cluster is Ready, and zone-a has the image")
    wait_until("all volumes to be healthy", lambda: {
        one.get("status", {}).get("health") for one in bed.kube.items(SHIMA_VOLUMES)} == {"Healthy"})
    for program in bed.programs:
        program.end()
    for name, (client, volume, placed) in bed.used.items():
        lines = (client.seen(client.target(volume, placed)) / "lines").read_text().split()
        missing = {str(number) for number in bed.acknowledged(name)} - set(lines)
        expect(not missing, f"of the {len(bed.acknowledged(name))} lines that {name} was told to be safe none is missing {sorted(missing) or ''}")
    again = {pod.name: pod.uid for pod in bed.runner.named("")}
    servers = [name for name in again if name.startswith(("shima-core", "shima-etcd", "shima-csi-mounter"))]
    expect(all(bed.uids[name] == again[name] for name in servers), f"{len(servers)} pods of core servers, etcd and mounters are those of before")


def nothing_is_left(bed):
    for client, volume, placed in bed.used.values():
        client.unmount(volume, placed)
    bed.step(7)
    for name in bed.used:
        bed.kube.delete(f"{PODS}/{name}", grace_s=0)
    wait_until("the volumes to be gone", lambda: not bed.kube.items(SHIMA_VOLUMES), 60)
    bed.wait_condition("Ready", "True", timeout_s=120)
    expect(True, "the drill has left nothing")


if __name__ == "__main__":
    check_python()
    kube_volume_test.csi, kube_volume_test.csi_grpc = make_stubs()
    sys.exit(run_in_namespaces("the drill in kubernetes", DrillBed, [
        a_manifest_becomes_a_cluster, the_plugins_register, no_site_has_all_replicas, pods_write_at_two_sites, all_is_well, a_site_is_cut_off, the_others_go_on,
        the_copy_is_whole, healed_all_is_whole, nothing_is_left], __file__))
