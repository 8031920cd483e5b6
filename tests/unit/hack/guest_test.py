#!/usr/bin/env python3
"""hack/guest: the archive that the guest's kernel unpacks, and the order of its modules. No machine is booted."""

import contextlib
import io
import os
import pathlib
import stat
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.dont_write_bytecode = True
sys.path.insert(0, str(ROOT / "hack"))

from guest_lib import GuestError, NotAvailable, dynamic_program, kernel_package, machine, ram_disk  # noqa: E402


def parse(archive):
    """name -> (mode, content) of all archives that follow one another, as the kernel reads them."""
    entries, at = {}, 0
    while at < len(archive):
        if archive[at] == 0:  # padding between archives
            at += 1
            continue
        assert at % 4 == 0 and archive[at:at + 6] == b"070701", f"no header at {at}"
        fields = [int(archive[at + 6 + 8 * i:at + 14 + 8 * i], 16) for i in range(13)]
        mode, size, name_size = fields[1], fields[6], fields[11]
        name = archive[at + 110:at + 110 + name_size - 1].decode()
        content_at = at + (110 + name_size + 3) // 4 * 4
        if name != "TRAILER!!!":
            entries[name] = (mode, archive[content_at:content_at + size])
        at = content_at + (size + 3) // 4 * 4
    return entries


class RamDisk(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def file(self, name, content, mode=0o644):
        path = os.path.join(self.folder.name, name)
        with open(path, "wb") as file:
            file.write(content)
        os.chmod(path, mode)
        return path

    def test_base_and_job_are_unpacked_one_after_the_other(self):
        busybox = self.file("busybox", b"program", 0o755)
        modules = [self.file("b.ko", b"12345"), self.file("a.ko", b"x" * 4096)]
        program = self.file("tool", b"\0\1\2", 0o755)
        whole = ram_disk.base(busybox, modules) + ram_disk.job("#!/bin/sh\nexit 3\n", {"tool": program, "data": modules[0]})
        entries = parse(whole)
        self.assertEqual(entries["bin/busybox"], (stat.S_IFREG | 0o755, b"program"))
        self.assertEqual(entries["modules/a.ko"], (stat.S_IFREG | 0o644, b"x" * 4096))
        self.assertEqual(entries["modules/order"][1], b"b.ko\na.ko\n")
        self.assertEqual(entries["job/run"], (stat.S_IFREG | 0o755, b"#!/bin/sh\nexit 3\n"))
        self.assertEqual(entries["job/tool"], (stat.S_IFREG | 0o755, b"\0\1\2"))
        self.assertEqual(entries["job/data"], (stat.S_IFREG | 0o644, b"12345"))
        self.assertTrue(entries["init"][1].startswith(b"#!/bin/busybox sh\n"))

    def test_libraries_are_where_they_are_here_below_folders_that_come_first(self):
        library = self.file("real.so.1.2", b"library", 0o755)
        link = os.path.join(self.folder.name, "deep", "lib", "real.so.1")
        os.makedirs(os.path.dirname(link))
        os.symlink(library, link)
        entries = parse(ram_disk.job("", {}, [link]))
        self.assertEqual(entries[link[1:]], (stat.S_IFREG | 0o755, b"library"))
        names = list(entries)
        for above in pathlib.PurePosixPath(link).parents:
            if str(above) != "/":
                self.assertEqual(entries[str(above)[1:]][0], stat.S_IFDIR | 0o755)
                self.assertLess(names.index(str(above)[1:]), names.index(link[1:]))

    def test_archives_end_at_whole_sectors_so_that_another_can_follow(self):
        for length in range(0, 600, 37):
            self.assertEqual(len(ram_disk.archive([ram_disk.entry("f", stat.S_IFREG, b"y" * length)])) % 512, 0)


class Modules(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def module(self, name, depends):
        path = pathlib.Path(self.folder.name, "lib/modules/6.1/kernel/some/where", name + ".ko")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"\x7fELF...license=GPL\0depends=" + depends.encode() + b"\0retpoline=Y\0")

    def names(self):
        return [os.path.basename(path)[:-3] for path in kernel_package.modules_in_order(self.folder.name)]

    def all_wanted(self):
        for name in kernel_package.WANTED_MODULES:
            self.module(name, "")

    def test_each_comes_after_those_it_depends_on_and_once(self):
        self.all_wanted()
        self.module("sunrpc", "")
        self.module("lock-d", "sunrpc")
        self.module("nfs", "lock_d,sunrpc")
        self.module("nfsv3", "nfs,sunrpc")
        names = self.names()
        self.assertEqual(len(names), len(set(names)))
        for first, second in (("sunrpc", "lock-d"), ("lock-d", "nfs"), ("nfs", "nfsv3")):
            self.assertLess(names.index(first), names.index(second))

    def test_a_kernel_without_a_wanted_module_is_not_available(self):
        self.module("nfs", "")
        with self.assertRaisesRegex(NotAvailable, "no module"):
            self.names()

    def test_what_is_not_wanted_is_dropped_from_the_cache(self):
        self.all_wanted()
        self.module("sound", "")
        kernel_package.keep_only(self.folder.name, kernel_package.modules_in_order(self.folder.name))
        left = {path.stem for path in pathlib.Path(self.folder.name).rglob("*.ko")}
        self.assertEqual(left, set(kernel_package.WANTED_MODULES))


class DynamicProgram(unittest.TestCase):
    LISTED = ("\tlinux-vdso.so.1 (0x00007ffd0)\n\tlibfoo.so.3 => /lib/x86_64-linux-gnu/libfoo.so.3 (0x00007f1)\n"
              "\t/lib64/ld-linux-x86-64.so.2 (0x00007f2)\n")

    def test_its_libraries_and_its_loader_come_along_but_what_the_kernel_brings_does_not(self):
        self.assertEqual(dynamic_program.parse_ldd("p", self.LISTED), ["/lib/x86_64-linux-gnu/libfoo.so.3", "/lib64/ld-linux-x86-64.so.2"])
        self.assertEqual(dynamic_program.parse_ldd("p", "\tstatically linked\n"), [])

    def test_a_library_that_is_missing_here_is_named(self):
        with self.assertRaisesRegex(GuestError, "p needs libbar.so.1"):
            dynamic_program.parse_ldd("p", self.LISTED + "\tlibbar.so.1 => not found\n")

    def test_a_real_program_has_a_loader_and_a_script_needs_nothing(self):
        python = os.path.realpath(sys.executable)
        self.assertTrue(any("/ld-" in path for path in dynamic_program.libraries(python)))
        self.assertEqual(dynamic_program.closure([python, python]), sorted(set(dynamic_program.libraries(python))))
        self.assertEqual(dynamic_program.libraries(__file__), [])


class Machine(unittest.TestCase):
    def test_forwarded_ports_are_of_this_machine_alone(self):
        self.assertEqual(machine.network([]), "user,id=net,restrict=off")
        self.assertEqual(machine.network([(9000, 90), (9001, 91)]),
                         "user,id=net,restrict=off,hostfwd=tcp:127.0.0.1:9000-:90,hostfwd=tcp:127.0.0.1:9001-:91")

    def end_with(self, script, timeout_s=20):
        with contextlib.redirect_stdout(io.TextIOWrapper(io.BytesIO())):
            return machine.wait_for(["sh", "-c", script], "/nonexistent/console", timeout_s, lambda text: None)

    def test_the_guests_exit_code_comes_out_of_that_of_qemu(self):
        self.assertEqual(self.end_with("exit 3"), 0)  # isa-debug-exit: 2 * (0 + 1) + 1
        self.assertEqual(self.end_with("exit 17"), 7)

    def test_a_guest_that_ends_by_itself_is_an_error_and_no_success(self):
        for code in (0, 1, 2):
            with self.assertRaisesRegex(machine.GuestError, "without an exit code"):
                self.end_with(f"exit {code}")

    def test_a_guest_that_hangs_is_killed(self):
        with self.assertRaisesRegex(machine.GuestError, "not done after"):
            self.end_with("exec sleep 60", timeout_s=0.2)


if __name__ == "__main__":
    unittest.main()
