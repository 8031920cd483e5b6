"""nfs-ganesha with its VFS back end, as Debian ships it: NFSv3 over a folder of a local disk, to compare with."""

import ctypes
import os
import shutil
import signal
import subprocess
import time

from . import fail

PROGRAM = "ganesha.nfsd"
NFS_PORT, MOUNT_PORT = 32049, 32050
START_TIMEOUT_S = 30
PR_SET_PDEATHSIG = 1

CONFIG = """NFS_CORE_PARAM {{
  Protocols = 3; Bind_addr = 127.0.0.1; NFS_Port = {nfs_port}; MNT_Port = {mount_port};
  Enable_NLM = false; Enable_RQUOTA = false; mount_path_pseudo = true;
}}
EXPORT_DEFAULTS {{ Access_Type = RW; Squash = No_Root_Squash; SecType = sys; Protocols = 3; Transports = TCP; }}
EXPORT {{ Export_Id = 1; Path = {folder}; Pseudo = /bench; FSAL {{ Name = VFS; }} }}
LOG {{ Default_Log_Level = EVENT; }}
"""

# Ganesha ends where it cannot tell an rpcbind of its ports. Its clients here are told them, so that two functions which
# say that it was done take the place of that daemon (which would be one for the whole machine).
NO_RPCBIND = "int rpcb_set(void) { return 1; }\nint rpcb_unset(void) { return 1; }\n"


class Ganesha:
    """`with Ganesha(FOLDER, command_in_site)`: serves FOLDER/export until the end; ended by its pid."""

    def __init__(self, folder, in_site):
        self.folder, self.in_site = folder, in_site
        self.export = os.path.join(folder, "export")
        self.log = os.path.join(folder, "log")
        self.process = None

    def __enter__(self):
        if shutil.which(PROGRAM) is None:
            fail(f"there is no {PROGRAM} to compare with; install it with hack/deps --bench, or leave it out with "
                 "--without ganesha-nfs")
        os.makedirs(self.export, exist_ok=True)
        config = os.path.join(self.folder, "ganesha.conf")
        with open(config, "w", encoding="utf-8") as file:
            file.write(CONFIG.format(folder=self.export, nfs_port=NFS_PORT, mount_port=MOUNT_PORT))
        command = self.in_site([PROGRAM, "-F", "-f", config, "-L", self.log, "-p", os.path.join(self.folder, "pid")])
        environment = {**os.environ, "LD_PRELOAD": self.without_rpcbind()}
        self.process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL, preexec_fn=die_with_parent)
        try:
            self.wait_until_it_answers()
        except BaseException:
            self.__exit__()
            raise
        return self

    def without_rpcbind(self):
        library = os.path.join(self.folder, "no_rpcbind.so")
        if not os.path.exists(library):
            built = subprocess.run(["gcc", "-shared", "-fPIC", "-x", "c", "-", "-o", library], input=NO_RPCBIND, text=True,
                                   capture_output=True, check=False)
            if built.returncode != 0:
                fail(f"gcc: {built.stderr}")
        return library

    def wait_until_it_answers(self):
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            with open(self.log, "a+", encoding="utf-8", errors="replace") as file:
                file.seek(0)
                if "NFS SERVER INITIALIZED" in file.read():
                    return
            time.sleep(0.1)
        fail(f"{PROGRAM} does not serve; its log is {self.log}")

    @property
    def pid(self):
        return self.process.pid

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)  # it takes seconds to end in order, and nothing here is kept
            self.process.wait()


def die_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
