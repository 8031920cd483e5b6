"""csi-sanity for the tests that run it: the program, what of it may be left out, and what its report says."""

import pathlib
import subprocess
import xml.etree.ElementTree as ElementTree

from cluster import MIB, ROOT, expect, say, skip

SKIPS = pathlib.Path(__file__).with_name("csi_sanity_skips.txt")
VOLUME_BYTES, EXPANDED_BYTES = 64 * MIB, 128 * MIB


def sanity_program():
    """Its path; the test is skipped where it cannot be had."""
    built = subprocess.run([ROOT / "hack/kube-tools", "csi-sanity"], stdout=subprocess.PIPE, text=True)
    if built.returncode == 77:
        skip("csi-sanity cannot be had here (see hack/kube-tools)")
    assert built.returncode == 0, f"hack/kube-tools: exit code {built.returncode}"
    return pathlib.Path(built.stdout.strip()) / "csi-sanity"


def expected_skips(section=None):
    """[part of a test's name] of the file's first lines, which are for all runs, and of its [section]."""
    names, current = [], None
    for line in SKIPS.read_text().splitlines():
        if line.startswith("[") and line.endswith("]"):
            current = line[1:-1]
        elif line.strip() and not line.startswith("#"):
            name, _, reason = (part.strip() for part in line.partition(": "))
            assert name and reason, f"{SKIPS.name}: '{line}' is not PART OF THE TEST'S NAME: REASON"
            names += [name] if current in (None, section) else []
    return names


def sanity_flags(endpoint, mount_folder, staging_folder, access_type, report):
    return ["-ginkgo.no-color", "-csi.endpoint", endpoint, "-csi.mountdir", mount_folder, "-csi.stagingdir", staging_folder,
            "-csi.testvolumesize", str(VOLUME_BYTES), "-csi.testvolumeexpandsize", str(EXPANDED_BYTES),
            "-csi.testvolumeaccesstype", access_type, "-ginkgo.junit-report", report]


def judge(title, code, report, output, section=None):
    """Fails unless all tests of the run passed or are left out for a reason that is written down. `report`: JUnit's XML, empty
    where there is none. Tests that -ginkgo.focus and the like have filtered out are not of the run."""
    cases = [case for case in ElementTree.fromstring(report).iter("testcase") if not is_filtered(case)] if report else []
    skipped = [case.get("name") for case in cases if case.find("skipped") is not None]
    failed = [case for case in cases if case.find("failure") is not None or case.find("error") is not None]
    reasons = "".join(f"\n    {case.get('name')}: {reason_of(case)}" for case in failed)
    if code != 0 and not failed:
        say(output[-3000:])
    known = expected_skips(section)
    unknown = [name for name in skipped if not any(part in name for part in known)]
    passed = len(cases) - len(skipped) - len(failed)
    expect(not unknown, f"what is left out has its reason in {SKIPS.name}" + "".join(f"\n    {name}" for name in unknown))
    expect(code == 0 and not failed and passed > 0,
           f"{title}: {passed} tests passed, {len(failed)} failed, {len(skipped)} left out{reasons}")


def reason_of(failed):
    reason = failed.find("failure") if failed.find("failure") is not None else failed.find("error")
    return (reason.get("message") or reason.text or "")[:1500]


def is_filtered(case):
    skipped = case.find("skipped")
    return skipped is not None and skipped.get("message") == "skipped"  # others are pending, or say "skipped - why"
