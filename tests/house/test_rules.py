# SPDX-License-Identifier: Apache-2.0
"""The scripts of this folder find what they are there to find."""
import sys
import tempfile
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).parent))
import files
import include_order


class Rules(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.root = Path(self.folder.name)

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def test_upwards_is_fine(self):
        self.write("src/load/a.c", '#include <stdio.h>\n#include "plan/plan.h"\n#include "load/a.h"\n')
        self.write("cli/a.c", '#include <unistd.h>\n#include "plimsoll.h"\n#include "b.h"\n')
        self.write("cli/b.h", "")
        self.assertEqual(list(include_order.check(self.root)), [])

    def test_downwards(self):
        self.write("src/base/a.c", '#include "memory/ledger.h"\n')
        self.assertIn("must not include", list(include_order.check(self.root))[0])

    def test_spacing_hides_nothing(self):
        self.write("src/base/a.c", '  #  include  "memory/ledger.h"\n')
        self.assertEqual(len(list(include_order.check(self.root))), 1)

    def test_no_folder(self):
        self.write("src/base/a.c", '#include "a.h"\n')
        self.assertIn("write the folder", list(include_order.check(self.root))[0])

    def test_program_looks_inside(self):
        self.write("cli/a.c", '#include "base/json.h"\n')
        self.assertIn("plimsoll.h only", list(include_order.check(self.root))[0])

    def test_unknown_folder(self):
        self.write("src/misc/a.c", "")
        self.assertIn("not in the order", list(include_order.check(self.root))[0])

    def check_file(self, text):
        return list(files.check_file(self.write("src/base/a.c", text), "src/base/a.c"))

    def test_files(self):
        spdx = "/* SPDX-License-Identifier: Apache-2.0 */\n"
        body = "int f(void)\n{\n" + "    g();\n" * 67 + "}\n"
        self.assertEqual(self.check_file(spdx + body), [])
        self.assertIn("71 lines", self.check_file(spdx + body.replace("{\n", "{\n    g();\n", 1))[0])
        self.assertIn("no SPDX", self.check_file("\n\n" + spdx)[0])
        self.assertIn("601 lines", self.check_file(spdx + "x;\n" * 600)[0])
        self.assertEqual(self.check_file("/* Over 600 lines because it is a table. " + spdx[3:] + "x;\n" * 600), [])
        self.assertIn("tab", self.check_file(spdx + "\tx;\n")[0])
        self.assertIn("blanks", self.check_file(spdx + "x; \n")[0])
        self.assertIn("newline", self.check_file(spdx + "x;")[0])


if __name__ == "__main__":
    unittest.main()
