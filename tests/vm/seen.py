# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""
seen.py - what of the table has passed before, so that hours of it need not be had in one piece.

A file of JSON lines, which VM_SEEN names; without it nothing is kept, and all is run. A line counts for the same
kernel, the same programs of the kernel as `make` has built them, and the same tests; of what changed in user space
since, it says nothing but the commit at which it was seen. Only what passed is kept: what failed is run again.
"""
import glob
import hashlib
import json
import os
import subprocess

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# What a line of a layer depends on, beside the programs.
TESTS = {"checks": ["tests/vm/trial.py"], "prog": ["tests/prog/%s.c", "tests/prog/*.bpf.c"], "lab": ["tests/lab/%s.py"]}


def digest(paths):
    found = hashlib.sha256()
    for path in sorted(paths):
        with open(path, "rb") as file:
            content = file.read()
        found.update(b"%s %d\n" % (os.path.basename(path).encode(), len(content)) + content)
    return found.hexdigest()[:16]


def digest_of_programs(build):
    return digest(glob.glob(os.path.join(build, "*.bpf.o")))


def digest_of_tests(layer, name):
    return digest(path for pattern in TESTS[layer]
                  for path in glob.glob(os.path.join(TOP, pattern.replace("%s", name))))


def commit():
    done = subprocess.run(["git", "-c", "safe.directory=*", "-C", TOP, "describe", "--always", "--dirty", "--exclude=*"],
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False)
    return done.stdout.strip() or "no commit"


def lines(path):
    """A last line may be torn: whatever wrote it was ended."""
    if not path or not os.path.exists(path):
        return
    with open(path, encoding="utf-8", errors="replace") as file:
        for line in file:
            try:
                yield json.loads(line)
            except ValueError:
                continue


class Seen:
    def __init__(self, path, build):
        """`path` may be empty: nothing is kept."""
        self.path, self.build, self.programs, self.found, self.used = path, build, digest_of_programs(build), {}, []
        for said in lines(path):
            if said.get("programs") == self.programs:
                self.found[said["kernel"], said["layer"], said["name"], said["tests"]] = said

    def get(self, kernel, layer, name):
        """What was kept of it; None: it is to be run."""
        said = self.found.get((kernel, layer, name, digest_of_tests(layer, name)))
        if said is None:
            return None
        self.used.append(said["commit"])
        return said["result"]

    def put(self, kernel, layer, name, result):
        """Not when the programs were built anew meanwhile: which of the two was seen, nobody knows."""
        if not self.path or digest_of_programs(self.build) != self.programs:
            return
        line = {"kernel": kernel, "layer": layer, "name": name, "tests": digest_of_tests(layer, name), "result": result,
                "programs": self.programs, "commit": commit()}
        with open(self.path, "a", encoding="utf-8") as file:
            file.write("\n%s\n" % json.dumps(line))
            file.flush()
            os.fsync(file.fileno())

    def __str__(self):
        """How much of a table is from before, and of which commits."""
        return "%d of these were seen before, at %s (%s)" % (
            len(self.used), " ".join(sorted(set(self.used))), self.path)
