"""The parts of hack/guest: a Linux kernel of Debian's, a file system in memory to boot it with, and QEMU."""


class GuestError(Exception):
    """Something that the user can act on: printed without a traceback."""


class NotAvailable(GuestError):
    """A program or package that this machine does not have and cannot get: tests are skipped then."""
