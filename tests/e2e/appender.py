"""A program of a pod, for tests of mounts that have to live through something."""

import os
import threading
import time


class Appender(threading.Thread):
    """It writes lines into a mounted file, each on stable storage before the next. `longest_s`: of one line."""

    def __init__(self, path):
        super().__init__(daemon=True)
        self.path, self.ending, self.lines, self.longest_s, self.error = path, threading.Event(), 0, 0.0, None

    def run(self):
        try:
            with open(self.path, "a", encoding="ascii") as file:
                while not self.ending.wait(0.1):
                    begin = time.monotonic()
                    file.write(f"{self.lines:08}\n")
                    file.flush()
                    os.fsync(file.fileno())
                    self.lines += 1
                    self.longest_s = max(self.longest_s, time.monotonic() - begin)
        except OSError as error:
            self.error = error

    def end(self):
        """The text that was acknowledged."""
        self.ending.set()
        self.join(60)
        if self.is_alive() or self.error:
            raise AssertionError(f"{self.path}: {self.error or 'a line waits for ever'}, after {self.lines} lines")
        return "".join(f"{number:08}\n" for number in range(self.lines))
