"""What the user of hack/quickstart sees: headings, lines, aligned tables, one line that changes in place."""

import shutil
import sys

IS_TERMINAL = sys.stdout.isatty()


def bold(text):
    return f"\033[1m{text}\033[0m" if IS_TERMINAL else text


def heading(text):
    print(f"\n{bold(text)}", flush=True)


def say(text):
    print(f"  {text}", flush=True)


def good(text):
    mark = "\033[32mok\033[0m" if IS_TERMINAL else "ok"
    print(f"  {mark}  {text}", flush=True)


def size(count):
    """Bytes as a person reads them."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024 or unit == "GiB":
            return f"{count:.0f} {unit}" if unit == "B" or count >= 100 else f"{count:.1f} {unit}"
        count /= 1024


def milliseconds(microseconds):
    value = microseconds / 1000
    return f"{value:.2f} ms" if value < 10 else f"{value:.1f} ms" if value < 100 else f"{value:.0f} ms"


class Table:
    """Prints row by row, with widths that are known before: so that it can grow while something runs."""

    def __init__(self, columns, left=1):
        self.widths = [max(len(name), width) for name, width in columns]
        self.left = left  # so many columns are aligned to the left, the others to the right
        self.row([name for name, _ in columns])

    def row(self, cells):
        aligned = [str(cell).ljust(width) if i < self.left else str(cell).rjust(width)
                   for i, (cell, width) in enumerate(zip(cells, self.widths))]
        print(f"  {'  '.join(aligned).rstrip()}", flush=True)


def print_table(rows, left=1):
    """Prints rows, the first of which has the names of the columns."""
    table = Table([(name, max(len(str(row[i])) for row in rows)) for i, name in enumerate(rows[0])], left)
    for row in rows[1:]:
        table.row(row)


def passing(text):
    """A line that the next one replaces; nothing where lines cannot be replaced."""
    if IS_TERMINAL:
        width = shutil.get_terminal_size().columns
        print(f"\r\033[K  {text[:max(1, width - 3)]}", end="", flush=True)


def clear_passing():
    if IS_TERMINAL:
        print("\r\033[K", end="", flush=True)
