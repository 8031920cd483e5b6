"""Boots the guest in QEMU and runs one script in it. TCG: Debian's kernel does not boot on every /dev/kvm, and tests want
to run where there is none."""

import ctypes
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

from . import GuestError, NotAvailable, ram_disk

QEMU = "qemu-system-x86_64"
PR_SET_PDEATHSIG = 1
KERNEL_COMMAND_LINE = ("console=ttyS0 quiet panic=-1 nokaslr mitigations=off cryptomgr.notests random.trust_cpu=on "
                       "no_timer_check rcupdate.rcu_expedited=1 init_on_alloc=0 audit=0 apparmor=0")


def die_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def network(forwards):
    """QEMU's user networking. `forwards`: (port of 127.0.0.1 here, port of the guest), TCP."""
    return ",".join(["user,id=net,restrict=off", *(f"hostfwd=tcp:127.0.0.1:{here}-:{there}" for here, there in forwards)])


def check_qemu():
    if shutil.which(QEMU) is None:
        raise NotAvailable(f"there is no {QEMU} in PATH; install Debian's qemu-system-x86 (hack/deps)")


def qemu_command(kernel, initrd, console, memory_mib, forwards=()):
    check_qemu()
    return [QEMU, "-accel", "tcg", "-machine", "pc", "-cpu", "max", "-smp", "1", "-m", str(memory_mib), "-nodefaults",
            "-no-user-config", "-display", "none", "-no-reboot", "-kernel", kernel, "-initrd", initrd,
            "-append", KERNEL_COMMAND_LINE, "-serial", f"file:{console}", "-chardev", "stdio,id=job,signal=off",
            "-serial", "chardev:job", "-device", "isa-debug-exit,iobase=0xf4,iosize=0x01", "-device", "virtio-rng-pci",
            "-netdev", network(forwards), "-device", "virtio-net-pci,netdev=net,romfile="]


def relay(source, first_byte):
    """Passes on what the guest prints as it comes."""
    out = sys.stdout.buffer
    while data := os.read(source.fileno(), 65536):
        first_byte.set()
        out.write(data.replace(b"\r\n", b"\n"))
        out.flush()


def end_of(path, lines=20):
    try:
        with open(path, "rb") as file:
            return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])
    except OSError:
        return "(nothing)"


def run(image, script, files, options, say, libraries=(), forwards=()):
    """Runs the script; its exit code (at most 100). image: paths of the kernel and the base archive; the rest as ram_disk.job
    and network() have it."""
    with tempfile.TemporaryDirectory(prefix="shima-guest-") as folder:
        initrd = os.path.join(folder, "initrd")
        with open(image["base"], "rb") as base, open(initrd, "wb") as file:
            shutil.copyfileobj(base, file)
            file.write(ram_disk.job(script, files, libraries))
        console = options.console or os.path.join(folder, "console")
        command = qemu_command(image["kernel"], initrd, console, options.memory_mib, forwards)
        return wait_for(command, console, options.timeout_s, say)


def wait_for(command, console, timeout_s, say):
    begin, first_byte = time.monotonic(), threading.Event()
    try:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, preexec_fn=die_with_parent)
    except OSError as error:
        raise GuestError(f"cannot start {command[0]}: {error}") from error
    reader = threading.Thread(target=relay, args=(process.stdout, first_byte), daemon=True)
    reader.start()
    try:
        code = process.wait(timeout_s)
    except subprocess.TimeoutExpired as error:
        raise GuestError(f"the guest was not done after {timeout_s} s and was killed; the end of its console:\n"
                         f"{end_of(console)}") from error
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        reader.join(10)
        process.stdout.close()
    say(f"the guest ended after {time.monotonic() - begin:.1f} s")
    if code < 3 or code % 2 == 0:
        raise GuestError(f"the guest ended without an exit code (QEMU's is {code}); the end of its console:\n{end_of(console)}")
    status = (code - 1) // 2 - 1
    if status in (98, 99):
        say(f"the guest's console said:\n{end_of(console)}")
    return status
