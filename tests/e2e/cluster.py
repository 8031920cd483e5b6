"""What the end-to-end tests share: a cluster in a temporary directory that always goes down again, shimactl with its
JSON, waiting with progress, and writers that remember what was acknowledged.

A test is a list of scenarios, functions of a Cluster, run in order by run_scenarios(); each says what it checked.
SHIMA_TEST_KEEP=1 leaves the cluster's files where they are.
"""

import contextlib
import hashlib
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback

ROOT = pathlib.Path(__file__).resolve().parents[2]
DEVCLUSTER = str(ROOT / "hack/devcluster")
BIN = ROOT / "build" / os.environ.get("SHIMA_PRESET", "release") / "bin"
PROGRAMS = ("shima-coreserver", "shimactl", "shima-wanem", "shima-dump", "shima-blockwriter")
FILE_PROGRAMS = (*PROGRAMS, "shima-accessserver", "shima-nfsclient")
SKIPPED = 77
LONG = os.environ.get("SHIMA_TEST_LONG") == "1"
BEGIN = time.monotonic()
PATIENCE = 3  # of wait_until()
ASK_AGAIN_S = 90  # where nobody has answered
DUMP_TRIES = 10  # beside a server that deletes old files
MIB = 1 << 20

# What shimactl's exit code says.
DONE, REFUSED, USAGE, UNREACHABLE, NOT_FOUND, EXISTS, PRECONDITION, NO_SPACE, UNKNOWN, CORRUPT, FILE = range(11)


def say(text):
    print(f"[{time.monotonic() - BEGIN:6.1f} s] {text}", flush=True)


def expect(condition, text):
    """Says what was checked, or ends the test."""
    if not condition:
        raise AssertionError(text)
    say(f"  ok: {text}")


def skip(reason):
    """Ends the test as skipped."""
    print(reason)
    sys.exit(SKIPPED)


class ScenarioSkipped(Exception):
    """By skip_scenario()."""


skipped_parts = []


def skip_part(reason):
    """Says what a scenario leaves out; hack/test counts these lines (hack/count-tests --skipped)."""
    skipped_parts.append(reason)
    say(f"  skipped: {reason}")


def skip_scenario(reason):
    """Ends the scenario, which does not count as passed."""
    skip_part(reason)
    raise ScenarioSkipped(reason)


def wait_until(what, condition, timeout_s=60, interval_s=0.25, exact=False):
    """Calls condition() until it returns something true, which is returned; what it returned last is in the error.

    `timeout_s` is what it may take with two processors of its own. Where others use them as well it takes longer, and that says nothing of the
    product, so it is given up PATIENCE times later; at the time itself if that is what the test claims: `exact`.
    """
    timeout_s *= 1 if exact else PATIENCE
    begin = last_word = time.monotonic()
    while True:
        value = condition()
        if value:
            return value
        now = time.monotonic()
        if now - begin > timeout_s:
            raise AssertionError(f"waited {timeout_s} s for: {what}; the last look gave {value!r}")
        if now - last_word > 5:
            say(f"  still waiting for: {what}")
            last_word = now
        time.sleep(interval_s)


def sha256_of(path, size=None):
    """Of the file, and zeros up to the size."""
    digest, count = hashlib.sha256(), 0
    with open(path, "rb") as file:
        while piece := file.read(MIB):
            digest.update(piece)
            count += len(piece)
    while size is not None and count < size:
        piece = bytes(min(MIB, size - count))
        digest.update(piece)
        count += len(piece)
    return digest.hexdigest()


def make_image(path, size_mib, seed):
    """Bytes that do not compress, the same for a seed."""
    source = random.Random(seed)
    with open(path, "wb") as file:
        for _ in range(size_mib):
            file.write(source.randbytes(MIB))
    return str(path)


class Answer:
    """Of a program: exit code, what it printed, and that as JSON."""

    def __init__(self, arguments, result):
        self.arguments, self.code, self.out, self.err = arguments, result.returncode, result.stdout, result.stderr

    @property
    def json(self):
        return json.loads(self.out)

    def __repr__(self):
        return f"{' '.join(map(str, self.arguments))}: exit code {self.code}\n{self.out[-1500:]}{self.err[-1500:]}"


class Writer:
    """A shima-blockwriter at work; its lines are read as they come."""

    def __init__(self, process):
        self.process, self.seconds, self.total = process, [], None
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            entry = json.loads(line)
            if entry.get("total"):
                self.total = entry
            else:
                took_s = entry["at_s"] - (self.seconds[-1]["at_s"] if self.seconds else 0)
                self.seconds.append({**entry, "took_s": took_s, "now": time.monotonic()})

    def seconds_within(self, begin, end):
        """The whole seconds that lie within [begin, end] of time.monotonic(); on a busy machine one may take longer."""
        return [entry for entry in list(self.seconds) if begin + entry["took_s"] <= entry["now"] <= end]

    def rate(self, begin, end):
        """ACKs a second, of the whole seconds within [begin, end]."""
        counted = self.seconds_within(begin, end)
        return sum(entry["acks"] for entry in counted) / sum(entry["took_s"] for entry in counted) if counted else 0.0

    def ask_to_end(self):
        """Before its time, in good order; its sums."""
        self.process.terminate()
        return self.wait()

    def wait(self, timeout_s=180):
        code = self.process.wait(timeout_s)
        self.reader.join(60)
        if code != 0 or self.total is None:
            raise AssertionError(f"shima-blockwriter ended with code {code}: {self.process.stderr.read()}")
        return self.total

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


class Cluster:
    """A devcluster of its own; `with Cluster(...) as cluster`. `access`: access servers a site, as `up` takes them."""

    def __init__(self, *up, home="site-a", access="0"):
        self.home = home
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="shima-e2e-"))
        self.dir = str(self.folder / "cluster")
        self.up_options = (*up, "--access", access)
        self.writers, self.mounts, self.ended = [], {}, False

    def __enter__(self):
        try:
            say(f"cluster up in {self.dir} {' '.join(self.up_options)}")
            self.devcluster("up", *self.up_options)
            self.status = json.loads(self.devcluster("status", "-o", "json").out)
            self.wait_joined()
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
        for writer in self.writers:
            writer.end()
        keep = os.environ.get("SHIMA_TEST_KEEP") == "1"
        try:
            self.devcluster("kill", "*", check=False)  # much faster than an orderly end
        finally:
            subprocess.run([DEVCLUSTER, "down", *([] if keep else ["--purge"]), "--dir", self.dir], timeout=300,
                           stdout=subprocess.DEVNULL)
        say(f"cluster down{', files are kept in ' + str(self.folder) if keep else ''}")
        if not keep:
            shutil.rmtree(self.folder, ignore_errors=True)

    def print_logs(self, lines=8):
        for log in sorted(log for kind in ("core", "access", "mount") for log in pathlib.Path(self.dir).glob(f"*/{kind}-*/log")):
            text = log.read_text(errors="replace").splitlines()
            print(f"--- the end of {log}", *text[-lines:], sep="\n", flush=True)

    def devcluster(self, command, *arguments, check=True):
        line = [DEVCLUSTER, command, "--dir", self.dir, *arguments]
        answer = Answer(line, subprocess.run(line, capture_output=True, text=True, timeout=600))
        if check and answer.code != 0:
            raise AssertionError(repr(answer))
        return answer

    # ---- servers -------------------------------------------------------------------------------------------------

    def servers(self, role="core", site=None):
        return [s for s in self.status["servers"] if s["role"] == role and site in (None, s["site"])]

    def names(self, site=None):
        return [server["name"] for server in self.servers(site=site)]

    def server(self, name):
        return next(server for server in self.status["servers"] if server["name"] == name)

    def pid(self, name):
        return int((pathlib.Path(self.dir) / name / "pid").read_text())

    def log(self, name):
        return (pathlib.Path(self.dir) / name / "log").read_text(errors="replace")

    def kill(self, *names):
        """SIGKILL, to all of them within a moment."""
        for name in names:
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                os.kill(self.pid(name), signal.SIGKILL)
        self.devcluster("kill", *names)

    def start(self, *names, flags=()):
        self.devcluster("start", *names, *(f"--server-flags={flag}" for flag in flags))

    def cut(self, site):
        self.wan("cut", site)

    def heal(self, site="all"):
        self.wan("heal", site)

    def wan(self, command="wan", *arguments):
        """Again where the emulator stood still and did not answer in time: all of it may be done twice."""
        def asked():
            answer = self.devcluster(command, *arguments, check=False)
            if answer.code != 0 and "does not answer" not in answer.err:
                raise AssertionError(repr(answer))
            return answer.code == 0 and answer
        return wait_until(f"the WAN to take: {' '.join((command, *arguments))}", asked)

    def resident_bytes(self, name, field="VmRSS"):
        for line in pathlib.Path(f"/proc/{self.pid(name)}/status").read_text().splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1]) << 10
        raise AssertionError(f"{name} does not run")

    def wait_joined(self, timeout_s=40):
        count = len(self.servers())
        if count == 0:
            return

        def all_alive():
            answer = self.try_ctl("server", "list")
            return answer.code == DONE and sum(s["alive"] for s in answer.json["servers"]) == count
        wait_until(f"{count} servers alive", all_alive, timeout_s)

    # ---- programs in a site --------------------------------------------------------------------------------------

    def command(self, site, *command):
        """The command line and the environment of a program in a site."""
        namespace = next(s["namespace"] for s in self.status["sites"] if s["name"] == site)
        prefix = ["nsenter", f"--net=/run/netns/{namespace}"] if namespace else []
        ordered = sorted(self.servers(), key=lambda server: server["site"] != site)
        endpoints = ",".join(server["endpoint"] for server in ordered)
        return [*prefix, *map(str, command)], {**os.environ, "SHIMA_ENDPOINTS": endpoints}

    def run(self, site, *command, timeout_s=120):
        line, environment = self.command(site, *command)
        return Answer(command, subprocess.run(line, env=environment, capture_output=True, text=True, timeout=timeout_s))

    def popen(self, site, *command, **kwargs):
        line, environment = self.command(site, *command)
        return subprocess.Popen(line, env=environment, text=True, **kwargs)

    def try_ctl(self, *arguments, site=None, timeout_s=120):
        return self.run(site or self.home, BIN / "shimactl", "-o", "json", *arguments, timeout_s=timeout_s)

    def asked(self, *arguments, site=None, timeout_s=120):
        """try_ctl(), again where nobody answered, or nobody knows what became of it: who is asked may stand still.

        `answer.unknown`: what is now answered may be to what an earlier try has done.
        """
        begin, unknown = time.monotonic(), False
        while True:
            answer = self.try_ctl(*arguments, site=site, timeout_s=timeout_s)
            answer.unknown = unknown
            if answer.code not in (UNREACHABLE, UNKNOWN) or time.monotonic() - begin > ASK_AGAIN_S:
                return answer
            unknown = unknown or answer.code == UNKNOWN
            say(f"  asking again: {answer.err.strip()[-300:]}")
            time.sleep(0.5)

    def ctl(self, *arguments, site=None, timeout_s=120):
        answer = self.asked(*arguments, site=site, timeout_s=timeout_s)
        if answer.unknown and (*arguments[:2], answer.code) == ("volume", "create", EXISTS):
            return self.ctl("volume", "show", arguments[2], site=site)
        if answer.unknown and (*arguments[:2], answer.code) == ("volume", "delete", NOT_FOUND):
            return None
        if answer.code != DONE:
            raise AssertionError(repr(answer))
        return answer.json

    def stats(self, name):
        answer = self.ctl("stats", name)
        return {value["name"]: value["value"] for part in (answer, *answer["disks"]) for value in part["values"]}

    # ---- files ---------------------------------------------------------------------------------------------------

    def nfs_servers(self, site):
        return [server["endpoint"] for server in self.servers("access", site)]

    def nfs_command(self, site, volume, *arguments, servers=None):
        return [BIN / "shima-nfsclient", "--server", ",".join(servers or self.nfs_servers(site)), "--volume", volume, *arguments]

    def try_nfs(self, site, volume, *arguments, servers=None, timeout_s=120):
        """shima-nfsclient in a site, at that site's access servers unless others are named."""
        return self.run(site, *self.nfs_command(site, volume, *arguments, servers=servers), timeout_s=timeout_s)

    def nfs(self, site, volume, *arguments, servers=None, timeout_s=120):
        answer = self.try_nfs(site, volume, *arguments, servers=servers, timeout_s=timeout_s)
        if answer.code != DONE:
            raise AssertionError(repr(answer))
        return answer.json if answer.out.strip() else None

    def nfs_names(self, site, volume, path="/"):
        return sorted(entry["name"] for entry in self.nfs(site, volume, "ls", path)["entries"])

    def mount(self, site, volume, *options):
        """A FUSE mount of the volume by an access server in the site; its path."""
        path = self.folder / f"{site}-{volume}-{len(list(self.folder.glob(f'{site}-{volume}-*')))}"
        path.mkdir()
        self.devcluster("mount", site, volume, str(path), *options)
        status = json.loads(self.devcluster("status", "-o", "json").out)
        self.mounts[path] = next(server["name"] for server in status["servers"] if server.get("path") == str(path))
        return path

    def umount(self, path):
        self.mounts.pop(path)
        return self.devcluster("umount", str(path))

    # ---- volumes -------------------------------------------------------------------------------------------------

    def create(self, name, *options):
        """Also waits until its groups are there: the other servers see the record a moment later.

        With a copy at each site unless told otherwise: there would be fewer while a site's servers are taken for dead.
        """
        if not {"--copies", "--sites"} & set(options):
            options = (*options, "--copies", min(3, len({server["site"] for server in self.servers()})))
        try:
            record = self.ctl("volume", "create", name, "--home", self.home, *options)
        except AssertionError:  # too few were alive at that moment?
            self.wait_joined()
            record = self.ctl("volume", "create", name, "--home", self.home, *options)

        def serves():
            answer = self.try_ctl("replication", "show", name)
            row = answer.json["sites"][0] if answer.code == DONE else {"groups": 1, "groups_known": 0}
            return row["groups_known"] == row["groups"]
        wait_until(f"the groups of volume {name}", serves, interval_s=0.05)
        self.await_known(name)
        return record

    def await_known(self, name):
        """A while, until each server that runs has the record: clients ask that of their site, and find no volume."""
        until = time.monotonic() + 60
        for server in self.servers():
            running = (pathlib.Path(self.dir) / server["name"] / "pid").exists()
            while running and time.monotonic() < until:
                answer = self.try_ctl("--endpoints", server["endpoint"], "volume", "show", name, site=server["site"])
                if answer.code == DONE:
                    break
                time.sleep(0.1)

    def replication(self, name, site=None):
        return self.ctl("replication", "show", name, site=site)

    def rows(self, name, role, site=None):
        rows = self.replication(name)["sites"]
        return [row for row in rows if row["role"] == role and site in (None, row["site"])]

    def caught_up(self, name, report=None):
        """Empty when every member is connected and whole, without lag, and all is applied and trimmed."""
        if report is None:
            answer = self.try_ctl("replication", "show", name)
            if answer.code != DONE:
                return [answer.err]
            report = answer.json
        missing = []
        for row in report["sites"]:
            groups = row["groups"]
            in_sync = row["in_sync"] if report["ack"] == "all" else groups  # means nothing with `ack: local`
            good = row["groups_known"] == row["connected"] == row["whole"] == in_sync == groups
            if not good or row["lag_bytes"] or row["unreachable_servers"]:
                missing.append({key: row[key] for key in ("site", "role", "groups_known", "connected", "whole", "in_sync",
                                                          "lag_bytes", "unreachable_servers")})
        return missing

    def wait_caught_up(self, name, timeout_s=60):
        last = []

        def look():
            last[:] = self.caught_up(name)
            return not last
        try:
            wait_until(f"volume {name}: all members whole and without lag", look, timeout_s)
        except AssertionError as error:
            raise AssertionError(f"{error}; missing: {last}") from None

    def wait_applied(self, name, timeout_s=60):
        """Every member's journal has given back what it need not keep."""
        self.wait_caught_up(name, timeout_s)

        def empty():  # a server that does not answer shows an empty journal, too
            report = self.replication(name)
            return not self.caught_up(name, report) and not sum(row["journal_bytes"] for row in report["sites"])
        wait_until(f"volume {name}: journals are empty", empty, timeout_s)

    def import_image(self, name, path):
        return self.ctl("volume", "import", name, path, timeout_s=300)

    def checksum(self, name, site=None, from_site=None):
        options = ["--site", site] if site else []
        return self.ctl("volume", "checksum", name, *options, site=from_site)["sha256"]

    def expect_checksums(self, name, wanted, sites):
        """Through the primaries, and of each site's own blocks."""
        found = {"the primaries": self.checksum(name)} | {site: self.checksum(name, site) for site in sites}
        wrong = {who: sum_ for who, sum_ in found.items() if sum_ != wanted}
        expect(not wrong, f"volume {name}: sha256 is as wanted through {', '.join(found)}"
                          + (f"; but wanted {wanted}, found {wrong}" if wrong else ""))

    # ---- writers that remember ---------------------------------------------------------------------------------

    def writer(self, name, log, *options, site=None):
        process = self.popen(site or self.home, BIN / "shima-blockwriter", "write", name, log, *options,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.writers.append(Writer(process))
        return self.writers[-1]

    def write(self, name, log, *options):
        return self.writer(name, log, *options).wait()

    def verify(self, name, log, site=None, deadline_ms=120000):
        options = ["--site", site] if site else []
        return self.run(self.home, BIN / "shima-blockwriter", "verify", name, log, "--deadline-ms", deadline_ms,
                        *options, timeout_s=400)

    def expect_all_acked(self, name, log, sites=()):
        for site in (None, *sites):
            answer = self.verify(name, log, site)
            if answer.code != 0:
                raise AssertionError(f"ACKed bytes are missing {'at ' + site if site else 'at the primaries'}: {answer!r}")
            found = answer.json
            expect(found["bad"] == 0, f"volume {name}: all {found['verified']} places hold what was ACKed, "
                                      f"{'by the blocks of ' + site if site else 'read through the primaries'}")

    # ---- what lies on the disks ----------------------------------------------------------------------------------

    def dump(self, what, server, *options):
        """shima-dump WHAT of each disk of a server."""
        dumps = []
        for disk in self.server(server)["disks"]:
            path = f"{disk}/journal" if what == "journal" else disk
            for _ in range(DUMP_TRIES):  # what a running server has deleted meanwhile cannot be opened
                result = subprocess.run([BIN / "shima-dump", what, path, "-o", "json", *options], capture_output=True,
                                        text=True, timeout=120)
                if result.returncode == 0:
                    break
                time.sleep(0.5)
            if result.returncode != 0:
                raise AssertionError(f"shima-dump {what} {path}: exit code {result.returncode}\n{result.stderr}")
            dumps.append(json.loads(result.stdout))
        return dumps

    def disk_usage(self, name, part):
        """Bytes that a folder of the server's disks really occupies."""
        total = 0
        for disk in self.server(name)["disks"]:
            for path in pathlib.Path(disk, part).rglob("*"):
                with contextlib.suppress(FileNotFoundError):
                    total += path.stat().st_blocks * 512
        return total


def check_machine(programs=PROGRAMS):
    if os.geteuid() != 0 or not os.path.exists("/dev/net/tun"):
        skip("network namespaces with a TUN device need root and /dev/net/tun")
    missing = [name for name in programs if not os.access(BIN / name, os.X_OK)]
    if missing:
        print(f"not built: {', '.join(missing)}; build with: hack/build release {' '.join(missing)}")
        sys.exit(1)


def run_scenarios(title, cluster, scenarios, programs=PROGRAMS):
    """Runs them in order on one cluster, made by cluster(); the first that fails ends the test. The exit code.

    What they skip, by skip_part() and skip_scenario(), is told and counted.
    """
    check_machine(programs)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    only, passed = sys.argv[1:], 0
    try:
        with cluster() as running:
            for scenario in scenarios:
                if only and scenario.__name__ not in only:
                    continue
                say(f"{title}: {scenario.__name__.replace('_', ' ')}")
                with contextlib.suppress(ScenarioSkipped):
                    scenario(running)
                    passed += 1
    except Exception:
        traceback.print_exc()
        say(f"{title}: FAILED")
        return 1
    say(f"{title}: {passed} scenarios passed, {len(skipped_parts)} skipped")
    return 0
