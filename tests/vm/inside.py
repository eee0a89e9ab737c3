# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""
inside.py - the program tests and the lab's tests on one kernel: in a virtual machine that sees this
machine's files, read-only, and so has every tool and server that they run, and this very tree.

Emulated, all takes ten times as long and more: WEIR_SLOWNESS tells the tests how patient to be.
"""
import glob
import os
import re
import sys
import time

sys.dont_write_bytecode = True
TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = [os.path.join(TOP, "tests", "fault"), os.path.join(TOP, "tests", "lab")]
import machine as machines  # noqa: E402

MODULES = ("virtio_pci", "9pnet_virtio", "9p", "overlay")
SHARED = "security_model=none,multidevs=remap"
MEMORY_MIB, CPUS = 2048, 2
BOOT_SECONDS = 300
SLOWNESS = 8  # of two machines with two cores, the slower one
FILE_SECONDS = 900 * SLOWNESS + 60  # tests/run ends what hangs before


def names(layer):
    """The files of a layer, as `tests/run` knows them."""
    found = glob.glob(os.path.join(TOP, "tests", layer, "test_*." + {"prog": "c", "lab": "py"}[layer]))
    return sorted(os.path.basename(path).split(".")[0] for path in found)


class Inside:
    def __init__(self, lab, build):
        self.build = os.path.abspath(build)
        shown = lab.path("shown")
        with open(shown, "w", encoding="utf-8") as file:
            file.write("%s\n%s\n" % (TOP, self.build))
        self.guest = machines.Guest(lab, (), {"shown": shown}, os.path.join(TOP, "tests", "vm", "inside_init"), MODULES)

    def boot(self):
        words = []
        for tag, path in (("host", "/"), ("kernel", self.guest.kernel + "/lib/modules")):
            words += ["-virtfs", "local,path=%s,mount_tag=%s,readonly=on,%s" % (path, tag, SHARED)]
        self.guest.boot(words, MEMORY_MIB, CPUS)
        self.guest.expect("booted", BOOT_SECONDS)
        self.guest.expect("ready", BOOT_SECONDS)

    def is_up(self):
        return self.guest.process is not None and self.guest.process.poll() is None

    def end(self):
        if self.guest.process:
            self.guest.kill()
            self.guest.process = None

    def run(self, words, seconds):
        """(exit code, lines that it said)"""
        self.guest.say(words)
        end, said = time.monotonic() + seconds, []
        while True:
            line = self.guest.hear(max(0.0, end - time.monotonic()))
            if line is None:
                raise TimeoutError("%s: no end within %d s; %s" % (words, seconds, said[-3:]))
            word, _, rest = line.partition(" ")
            if word == "done":
                return int(rest), said
            said.append(rest)

    def try_file(self, layer, name):
        """(passed, failed, skipped, what was said of those) of one file of tests."""
        code, said = self.run("B=%s WEIR_SLOWNESS=%d python3 tests/run %s %s" % (self.build, SLOWNESS, layer, name),
                              FILE_SECONDS)
        last = re.match(r"(\d+) passed, (\d+) failed$", said[-1] if said else "")
        if not last:
            return 0, 1, 0, ["exit %d: %s" % (code, " / ".join(said[-3:]))]
        passed, failed = int(last.group(1)), int(last.group(2))
        skipped = sum(line.startswith("skipped ") for line in said)
        return passed, failed, skipped, [line for line in said if re.match("FAILED |skipped |    ", line)]
