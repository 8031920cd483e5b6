#!/usr/bin/env python3
"""Says which sources of a module can be compiled as one unit, so that their headers are parsed once.

    merge_sources.py MOST <MODULES     reads a line for each module, MODULE SOURCE..., and prints one for each unit,
                                       MODULE SOURCE..., with at most MOST sources

Sources are kept apart where a name that one of them has for itself (in a nameless namespace, static, a macro, an alias) is
used by the other: the names would clash, or mean something else. Reads C++ as clang-format leaves it: a declaration of a
namespace begins at the beginning of its line. It does not know C++: what it overlooks does not compile (see hack/build),
and the release preset merges nothing. Exit code 0, or 1 where a source cannot be read, or 2: wrong use.
"""

import re
import sys

NOT_CODE = re.compile(r'R"(\w*)\((?:.|\n)*?\)\1"|//[^\n]*|/\*(?:.|\n)*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'')
WORD = re.compile(r"[A-Za-z_]\w*")
OPERATOR = re.compile(r"\boperator\s*[^\s\w(]{1,3}\(")
TYPE = re.compile(r"(?:class|struct|union|enum|enum class|enum struct|concept)\s+(\w+)")
TEMPLATE_ARGUMENTS = re.compile(r"<[^<>()]*(?:\([^()]*\))?[^<>()]*>")
MACROS_OF_TESTS = {"TEST", "TEST_F", "TEST_P", "TYPED_TEST", "INSTANTIATE_TEST_SUITE_P"}


def code_of(text):
    """Without comments, and without what strings say."""
    return NOT_CODE.sub(lambda found: " " if found.group(0).startswith("/") else "0", text)


def could_be_looked_up(code, word):
    """Neither a member nor a qualified name; of those in small letters, which variables have too, only calls."""
    before, after = code[max(0, word.start() - 2):word.start()], code[word.end():word.end() + 1]
    return not before.endswith((".", "->", "::")) and (word.group(0) != word.group(0).lower() or after == "(")


def declared_name(line):
    """What the declaration that begins in this line declares, or None."""
    line = re.sub(r"^template\s*<.*?>\s*(?=\w)", "", line)
    while TEMPLATE_ARGUMENTS.search(line):
        line = TEMPLATE_ARGUMENTS.sub("", line)
    for pattern in (OPERATOR, TYPE):
        found = pattern.match(line) if pattern is TYPE else pattern.search(line)
        if found:
            return found.group(found.re.groups)
    found = re.search(r"(\w+)\s*(?:\[[^\]]*\])?\s*(?:[({=;]|$)", line)
    return found.group(1) if found and found.group(1) not in MACROS_OF_TESTS else None


class Source:
    def __init__(self, path):
        self.path = path
        with open(path, encoding="utf-8") as file:
            code = code_of(file.read())
        self.uses = {word.group(0) for word in WORD.finditer(code) if could_be_looked_up(code, word)}
        self.uses |= set(OPERATOR.findall(code))
        self.names = set()  # that this source has for itself
        self.aliases = {}  # name: `using NAME = ...;`, which may be said twice
        self.scopes = []  # `using namespace ...;`
        depth, nameless = 0, []  # braces that are open, and those of nameless namespaces among them
        for line in code.splitlines():
            self.note(line.rstrip(), bool(nameless))
            if line.startswith("namespace {"):
                nameless.append(depth)
            depth += line.count("{") - line.count("}")
            nameless = [outer for outer in nameless if outer < depth]

    def note(self, line, nameless):
        if line.startswith("#define"):
            self.names.add(WORD.findall(line)[1])
        elif line.startswith("using namespace"):
            self.scopes.append(line)
        elif line.startswith("using "):
            self.aliases[WORD.findall(line.split("=")[0])[-1]] = line
        elif WORD.match(line) and not line.startswith("namespace") and (nameless or line.startswith(("static ", "template"))):
            self.names |= {declared_name(line)} - {None}

    def can_join(self, other):
        return (self.scopes == other.scopes and not self.names & other.uses and not other.names & self.uses
                and self.may_see(other.aliases) and other.may_see(self.aliases))

    def may_see(self, aliases):
        return all(name not in self.uses or self.aliases.get(name) == line for name, line in aliases.items())


def units_of(sources, most):
    units = []
    for source in sources:
        for unit in units:
            if len(unit) < most and all(source.can_join(other) for other in unit):
                unit.append(source)
                break
        else:
            units.append([source])
    return units


def main():
    if len(sys.argv) != 2 or not sys.argv[1].isdigit():
        print(f"merge_sources.py: wanted a number, found {sys.argv[1:]}", file=sys.stderr)
        return 2
    for line in sys.stdin:
        module, *paths = line.split()
        for unit in units_of([Source(path) for path in paths], int(sys.argv[1])):
            print(module, *(source.path for source in unit))
    return 0


if __name__ == "__main__":
    sys.exit(main())
