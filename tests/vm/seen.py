# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""
seen.py - what of the table has passed before, so that hours of it need not be had in one piece.

A file of JSON lines, which VM_SEEN names; without it nothing is kept, and all is run. A line counts for the same
kernel and the same programs of the kernel (bpf/ and vmlinux/) as they are here now; of what changed in user space
since, it says nothing but the commit at which it was seen. Only what passed is kept: what failed is run again.
"""
import glob
import hashlib
import json
import os
import subprocess

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def digest_of_programs():
    found = hashlib.sha256()
    for path in sorted(glob.glob(os.path.join(TOP, "bpf", "*")) + glob.glob(os.path.join(TOP, "vmlinux", "*"))):
        with open(path, "rb") as file:
            content = file.read()
        found.update(b"%s %d\n" % (os.path.relpath(path, TOP).encode(), len(content)) + content)
    return found.hexdigest()[:16]


def commit():
    done = subprocess.run(["git", "-C", TOP, "describe", "--always", "--dirty", "--exclude=*"], stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, text=True, check=False)
    return done.stdout.strip() or "no commit"


class Seen:
    def __init__(self, path):
        """`path` may be empty: nothing is kept."""
        self.path, self.programs, self.commit, self.found, self.used = path, digest_of_programs(), commit(), {}, []
        if not path or not os.path.exists(path):
            return
        with open(path, encoding="utf-8") as file:
            for line in file:
                said = json.loads(line)
                if said["programs"] == self.programs:
                    self.found[said["kernel"], said["what"]] = said

    def get(self, kernel, what):
        """What was kept of it; None: it is to be run."""
        said = self.found.get((kernel, what))
        if said is None:
            return None
        self.used.append(said["commit"])
        return said["result"]

    def put(self, kernel, what, result):
        if not self.path:
            return
        line = {"kernel": kernel, "what": what, "result": result, "programs": self.programs, "commit": self.commit}
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def __str__(self):
        """How much of a table is from before, and of which commits."""
        return "%d of these were seen before, at %s (%s)" % (
            len(self.used), " ".join(dict.fromkeys(self.used)), self.path)
