"""What hack/presubmit objects to, and what it lets pass."""

import importlib.machinery
import importlib.util
import pathlib
import sys
import unittest

sys.dont_write_bytecode = True
PATH = pathlib.Path(__file__).resolve().parents[3] / "hack" / "presubmit"
loader = importlib.machinery.SourceFileLoader("presubmit", str(PATH))
presubmit = importlib.util.module_from_spec(importlib.util.spec_from_loader("presubmit", loader))
loader.exec_module(presubmit)


def objections(name, text):
    found = list(presubmit.check_text(name, text))
    return found + (list(presubmit.check_cpp(name, text)) if name.endswith((".h", ".cc")) else [])


class Presubmit(unittest.TestCase):
    def test_a_good_header_passes(self):
        self.assertEqual(objections("common/types/ids.h", '#pragma once\n\n#include "common/status/status.h"\n'), [])

    def test_pure_code_has_no_threads_clocks_or_libraries(self):
        for include in ("<thread>", "<mutex>", "<chrono>", "<unordered_map>", "<grpcpp/grpcpp.h>", "<rocksdb/db.h>",
                        '"api/shima/volume/v1/volume.pb.h"'):
            text = f"#include {include}\n"
            self.assertTrue(objections("coreserver/replication/commit.cc", text), include)
            self.assertTrue(objections("coreserver/placement/members.cc", text), include)
            self.assertEqual(objections("coreserver/driver/event_loop.cc", text), [], include)

    def test_a_header_needs_pragma_once(self):
        self.assertTrue(objections("common/types/ids.h", "struct A {};\n"))

    def test_unfinished_work_is_refused(self):
        self.assertTrue(objections("common/a.cc", "// TO" + "DO: later\n"))
        self.assertTrue(objections("docs/a.md", "<" * 7 + " ours\n"))

    def test_line_ends_are_checked(self):
        self.assertTrue(objections("common/a.cc", "int a;"))
        self.assertTrue(objections("common/a.cc", "int a; \n"))
        self.assertTrue(objections("common/a.cc", "int a;\r\n"))

    def test_vague_file_names_are_refused(self):
        self.assertTrue(objections("common/net_utils.cc", "int a;\n"))
        self.assertTrue(objections("common/manager.h", "#pragma once\n"))
        self.assertEqual(objections("coreserver/block_manager/block_manager.cc", "int a;\n"), [])

    def test_links_of_pages_must_lead_somewhere(self):
        good = "[a](glossary.md#x) [b](https://example.org/c) [d](../README.md)\n"
        self.assertEqual(list(presubmit.check_links("docs/README.md", good)), [])
        self.assertEqual(len(list(presubmit.check_links("docs/README.md", "one\n[a](no-such-page.md)\n"))), 1)

    def test_coroutines_are_refused(self):
        self.assertTrue(objections("common/a.cc", "  co_await x;\n"))


if __name__ == "__main__":
    unittest.main()
