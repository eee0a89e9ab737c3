# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""
bench.py - what all benches share: rounds in turns, peers to stand beside, rows, and their raw numbers.

A bench is a program of this directory. It prints a table of rows, one for each thing that it measured:
what, the target (of DESIGN section 10), what weir takes, what its peers take, the floor, and the ratio
that the target is about. With --json FILE its raw numbers, what machine it was, and its own words of what
is measured and what that does not say (the comment at its head) go there too; `results` makes a page of them.
"""
import argparse
import ctypes
import json
import math
import os
import platform
import resource
import select
import statistics
import subprocess
import sys
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, "tests", "lab"))
sys.dont_write_bytecode = True
import lab as labs  # noqa: E402
from guard import grant, policy  # noqa: E402

BUILD = os.path.abspath(os.environ.get("B", os.path.join(TOP, "build")))
FLOW = os.path.join(BUILD, "tests", "bench", "flow")
EMPTY = os.path.join(BUILD, "tests", "bench", "empty.bpf.o")
ARRIVED = os.path.join(BUILD, "tests", "bench", "arrived.bpf.o")
BPF_ENABLE_STATS, NR_BPF = 32, 321  # x86-64
PORT, FAR = 9000, "klinik-nord"  # where flows of benches go


# ---- rows -----------------------------------------------------------------------------------------

class Row:
    """One thing that was measured: `values`, who -> what each round took, in `unit`. `reason`: why the target is
    missed, by numbers of the same run; none is published without (`results`)."""

    def __init__(self, what, unit, values, target="", ratio=None, is_met=None, reason=""):
        self.what, self.unit, self.values, self.target = what, unit, values, target
        self.ratio, self.is_met, self.reason = ratio, is_met, reason

    def cell(self, who):
        """Median, and the spread of the rounds."""
        values = self.values.get(who)
        if not values:
            return "-"
        median = statistics.median(values)
        if len(values) == 1:
            return number(median)
        return "%s (%s..%s)" % (number(median), number(min(values)), number(max(values)))


def number(value):
    return "%.0f" % value if abs(value) >= 100 or value == int(value) else "%.3g" % value


def median(values):
    return statistics.median(values)


FEWEST = 6  # values of which the least and the most hold the median with 95 %


def sure(values):
    """(least, most) that the median may be, of which the values are samples: order statistics, 95 % at least; of fewer
    than FEWEST, the least and the most of them, which is less sure."""
    values, chance, outside = sorted(values), 0.0, 0
    while chance + math.comb(len(values), outside) / 2 ** len(values) <= 0.025:
        chance += math.comb(len(values), outside) / 2 ** len(values)
        outside += 1
    outside = max(outside - 1, 0)
    return values[outside], values[-1 - outside]


def judged(low, high, most=None, least=None):
    """(what a value that is surely between the two has met: True, False or None; words for the last)."""
    if most is not None and (high <= most or low > most):
        return high <= most, ""
    if least is not None and (low >= least or high < least):
        return low >= least, ""
    return None, ": lost in the spread (%s..%s)" % (number(low), number(high))


def verdict(values, most=None, least=None):
    """judged() of a median."""
    if len(values) < FEWEST:
        return None, ": too few rounds"
    return judged(*sure(values), most, least)


def ratio_of(ours, theirs, most):
    """(ratio of medians, is_met, words): None where theirs is not surely above 0."""
    if not theirs or min(len(ours), len(theirs)) < FEWEST or sure(theirs)[0] <= 0:
        return None, None, ": lost in the spread"
    (low, high), (least, greatest) = sure(ours), sure(theirs)
    is_met, words = judged(min(low / greatest, low / least), high / least, most)
    return median(ours) / median(theirs), is_met, words


def over(values, floor):
    """What each round took over what the floor took in the same round."""
    return [one - base for one, base in zip(values, floor)]


class Table:
    """Prints rows as they come, and keeps them for --json."""

    def __init__(self, options, columns):
        self.path, self.columns, self.rows, self.machine = options.json, columns, [], machine()
        self.notes = []
        self.name = os.path.basename(sys.argv[0])
        print(" | ".join(["%-44s" % self.name, "unit     ", *("%-22s" % who for who in columns), "ratio   ", "target"]),
              flush=True)

    def add(self, row):
        self.rows.append(row)
        ratio = "%.3f" % row.ratio if row.ratio is not None else ""
        met = {None: "", True: ": met", False: ": MISSED"}[row.is_met]
        print(" | ".join(["%-44s" % row.what, "%-9s" % row.unit, *("%-22s" % row.cell(who) for who in self.columns),
                          "%-8s" % ratio, row.target + met]), flush=True)
        if row.is_met is False:
            print("    since " + (row.reason or "of a reason that nobody has found yet"), flush=True)
        self.end()

    def note(self, text):
        """What a reader of the rows must know: what is missing among them, and why."""
        self.notes.append(text)
        print("    " + text, flush=True)

    def end(self):
        """All that is there so far, to the file: what ends in the middle has told what it saw."""
        if not self.path:
            return
        words = [word for before, word in zip(sys.argv, sys.argv[1:]) if "--json" not in (before, word)]
        with open(self.path, "w", encoding="utf-8") as file:
            json.dump({"bench": self.name, "about": sys.modules["__main__"].__doc__, "words": words,
                       "machine": self.machine, "columns": self.columns, "rows": [vars(row) for row in self.rows],
                       "notes": self.notes}, file, indent=1)
            file.write("\n")


def options(parser=None):
    """The words of a bench; `parser` has those that are its own."""
    parser = parser or argparse.ArgumentParser()
    parser.add_argument("--json", help="the file that takes the raw numbers")
    result = parser.parse_args()
    problem = labs.missing_right()
    if problem:
        sys.exit(problem)
    labs.exit_on_signals()
    return result


def machine():
    """What the numbers depend on."""
    with open("/proc/cpuinfo", encoding="ascii") as file:
        models = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    with open("/sys/devices/system/clocksource/clocksource0/current_clocksource", encoding="ascii") as file:
        clock = file.read().strip()
    return {"kernel": platform.release(), "cpu": models[0] if models else platform.machine(), "cpus": os.cpu_count(),
            "run": os.environ.get("WEIR_BENCH_RUN", ""), "memory_mib": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20, "clocksource": clock,
            "load": os.getloadavg()[0], "date": time.strftime("%Y-%m-%d"),
            "commit": subprocess.run(["git", "-C", TOP, "describe", "--always", "--dirty"], check=False,
                                     capture_output=True, text=True).stdout.strip()}


def in_turns(names, once, rounds):
    """name -> [once(name) of each round]; each round begins with another one, so that no one is always first."""
    taken = {name: [] for name in names}
    for turn in range(rounds):
        for name in names[turn % len(names):] + names[:turn % len(names)]:
            taken[name].append(once(name))
    return taken


def timed(lab, words, env=None, **place):
    """(seconds, seconds of CPU time) that a program takes to its end; RuntimeError with its words if it fails."""
    seconds, cpu, code, said = lab.call(_timed, [str(word) for word in words], dict(os.environ, **(env or {})),
                                        timeout=600, **place)
    if code:
        raise RuntimeError("%s: exit %d: %s" % (" ".join(map(str, words))[:200], code, said[-500:]))
    return seconds, cpu


def _timed(words, env):
    """In a process that has no other children, so that their times are this one's."""
    since = time.monotonic()
    done = subprocess.run(words, env=env, check=False, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE, text=True, errors="replace")
    seconds, used = time.monotonic() - since, resource.getrusage(resource.RUSAGE_CHILDREN)
    return seconds, used.ru_utime + used.ru_stime, done.returncode, done.stderr


# ---- the kernel's own counts ------------------------------------------------------------------------

def stats_on():
    """A descriptor; while it is open, the kernel times each program."""
    attr = ctypes.create_string_buffer(128)  # type 0: BPF_STATS_RUN_TIME
    fd = ctypes.CDLL(None, use_errno=True).syscall(NR_BPF, BPF_ENABLE_STATS, attr, len(attr))
    if fd < 0:
        raise OSError(ctypes.get_errno(), "BPF_ENABLE_STATS")
    return fd


def bpftool(*words):
    return subprocess.run(["bpftool", *words], check=True, capture_output=True, text=True).stdout


class Program:
    """By its id, or the egress program of a cgroup."""

    def __init__(self, which):
        self.id = which if isinstance(which, int) else self._egress(which)
        self.runs = self.ns = 0

    @staticmethod
    def _egress(cgroup):
        shown = json.loads(bpftool("-j", "cgroup", "show", cgroup))
        return next(one["id"] for one in shown if one["attach_type"] in ("egress", "cgroup_inet_egress"))

    def read(self):
        """(runs, nanoseconds per run) since the last time."""
        shown = json.loads(bpftool("-j", "prog", "show", "id", str(self.id)))
        runs, ns = shown.get("run_cnt", 0) - self.runs, shown.get("run_time_ns", 0) - self.ns
        self.runs, self.ns = self.runs + runs, self.ns + ns
        return runs, ns / max(runs, 1)


class Programs:
    """All programs of a cgroup."""

    def __init__(self, cgroup):
        self.ids = {str(one["id"]) for one in json.loads(bpftool("-j", "cgroup", "show", cgroup))}
        self.runs = self.ns = 0

    def read(self):
        """(runs, nanoseconds) since the last time."""
        shown = [json.loads(bpftool("-j", "prog", "show", "id", id_)) for id_ in self.ids]
        runs = sum(one.get("run_cnt", 0) for one in shown) - self.runs
        ns = sum(one.get("run_time_ns", 0) for one in shown) - self.ns
        self.runs, self.ns = self.runs + runs, self.ns + ns
        return runs, ns


class Talker:
    """A program of a bench's load: one line to it, one line from it."""

    def __init__(self, lab, words, host="hub", cgroup=None, **options):
        words = [str(word) for word in words]
        self.words, self.heard = " ".join(words), b""
        self.process = lab.spawn(inside_cgroup(cgroup, *words) if cgroup else words, host, stdin=subprocess.PIPE,
                                 stdout=subprocess.PIPE, bufsize=0, **options)

    def say(self, line):
        self.process.stdin.write(line.encode() + b"\n")

    def hear(self, expected=None, timeout=60.0):
        """The next line; RuntimeError if it ends, is silent for so long, or says another than the expected one."""
        while b"\n" not in self.heard:
            is_there = select.select([self.process.stdout], [], [], timeout)[0]
            part = os.read(self.process.stdout.fileno(), 1 << 16) if is_there else b""
            if not part:
                raise RuntimeError("%s %s" % (self.words, "ended" if is_there else "says nothing"))
            self.heard += part
        line, self.heard = self.heard.split(b"\n", 1)
        if expected and line.decode() != expected:
            raise RuntimeError("%s said %s" % (self.words, line))
        return line.decode()

    def end(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


class Arrived:
    """Counts what reaches an interface of a host of the lab's, or of the router: arrived.bpf.c's fields."""

    def __init__(self, lab, host, interface="eth0"):
        pin = "/sys/fs/bpf/weir/%s-arrived" % lab.instance
        os.makedirs(os.path.dirname(pin), exist_ok=True)
        bpftool("prog", "load", ARRIVED, pin)
        try:
            self.map = json.loads(bpftool("-j", "prog", "show", "pinned", pin))["map_ids"][0]
            for words in ("qdisc add dev %s clsact" % interface,
                          "filter add dev %s ingress bpf da pinned %s" % (interface, pin)):
                done = lab.run(["tc", *words.split()], host)
                if done.returncode:
                    raise RuntimeError("tc %s: %s" % (words, done.stderr))
        finally:
            os.unlink(pin)

    def read(self):
        """Field -> what it has come to."""
        return json.loads(bpftool("-j", "map", "dump", "id", str(self.map)))[0]["formatted"]["value"]

    def settle(self, quiet=0.25):
        """read(), once nothing has come for so many seconds."""
        last = [self.read(), time.monotonic()]

        def is_quiet():
            now = self.read()
            if now != last[0]:
                last[:] = now, time.monotonic()
            return time.monotonic() - last[1] >= quiet
        labs.wait_for(is_quiet, 60.0, "the far end to hear no more", 0.02)
        return last[0]


# ---- peers ------------------------------------------------------------------------------------------

def cgroups(lab, names):
    """name -> a cgroup of its own for the sender of each peer; "weir" is the lab's guarded one."""
    result = {name: os.path.join(lab.cgroup_top, name) for name in names if name != "weir"}
    for directory in result.values():
        os.makedirs(directory, exist_ok=True)
    return dict(result, weir=lab.cgroup_of("batch"))


def inside_cgroup(cgroup, *words):
    """The words of a program that runs in it, in a host that Lab.spawn() puts it into."""
    return ["sh", "-c", "echo 0 >%s/cgroup.procs && exec \"$@\"" % cgroup, "sh", *words]


def on_processor(which, *words):
    """The words of a program that stays on one processor: 0 the first, -1 the last of those that may be used."""
    return ["taskset", "-c", str(sorted(os.sched_getaffinity(0))[which]), *words]


def attach_empty(lab, cgroup, program=EMPTY, hook="egress"):
    """The floor: a program that does nothing."""
    pin = "/sys/fs/bpf/weir/%s-empty" % lab.instance
    bpftool("prog", "load", program, pin)
    try:
        bpftool("cgroup", "attach", cgroup, hook, "pinned", pin)
    finally:
        os.unlink(pin)


def nft(lab, rules, cgroup=None, host="hub"):
    """Loads rules in a host; "%(cgroup)s" becomes the words that match a socket of `cgroup`."""
    if cgroup:
        path = os.path.relpath(cgroup, labs.cgroup_mount())
        rules = rules.replace("%(cgroup)s", 'socket cgroupv2 level %d "%s"' % (path.count("/") + 1, path))
    path = lab.path("rules.nft")
    with open(path, "w", encoding="ascii") as file:
        file.write(rules)
    with open(path, encoding="ascii") as file:
        done = lab.run(["nft", "-f", "-"], host, stdin=file, timeout=300,
                       private_mounts=[(labs.cgroup_mount(), "/sys/fs/cgroup")])
    if done.returncode:
        raise RuntimeError("nft: " + done.stderr[:500])


# ---- loads ------------------------------------------------------------------------------------------

class Pour:
    """A sender (flow.c) whose sockets stay open, on a host and in a cgroup."""

    def __init__(self, lab, kind, flows, size, cgroup, host="hub", spread=False, processor=-1):
        """`kind`: "udp..." or a way to write to TCP; `size`: bytes of a write; `spread`: each flow to another of
        other_partners(), for which be_others() is there; `processor`: on_processor()."""
        words = [FLOW, "udp" if kind.startswith("udp") else "tcp", OTHERS if spread else lab.hosts[FAR].v4, PORT, flows,
                 size, OTHERS_STEP if spread else 0]
        self.process = lab.spawn(inside_cgroup(cgroup, *on_processor(processor, *words)), host, stdin=subprocess.PIPE,
                                 stdout=subprocess.PIPE, text=True)
        self._heard("ready")

    def _heard(self, expected=None):
        line = self.process.stdout.readline().strip()
        if not line or (expected and line != expected):
            raise RuntimeError("the sender ended: %s" % self.process.wait())
        return line

    def go(self, writes):
        """Nanoseconds that so many writes take."""
        self.process.stdin.write("%d\n" % writes)
        self.process.stdin.flush()
        return int(self._heard())

    def end(self):
        self.process.stdin.close()
        self.process.wait()


# ---- policies ---------------------------------------------------------------------------------------

def running_policy(partners, prefixes=None, granted=0):
    """What a running flow to FAR meets: two windows and a service's ceiling; and so many partners beside it, of which
    the first `granted` may have as much."""
    content = policy([grant("bench", "batch", [FAR] + ["class:granted"] * bool(granted), ["900GiB/1h", "4TiB/24h"],
                            calls=["tcp/%d" % PORT, "udp/%d" % PORT])],
                     services={"batch": {"budget": ["2TiB/1h"]}})
    others = other_partners(partners, prefixes)
    for name in list(others)[:granted]:
        others[name]["class"] = ["granted"]
    content["partners"].update(others)
    return content


OTHERS, OTHERS_STEP = "10.0.0.0", 16  # the first address of other_prefixes(), and how far it is to the next


def other_prefixes(count):
    """`count` prefixes of partners that no packet of a bench is for, unless its flows are spread over them."""
    return ["%d.%d.%d.%d/32" % (10 + (n >> 20), n >> 12 & 255, n >> 4 & 255, (n & 15) << 4) for n in range(count)]


def be_others(lab):
    """Makes FAR the host of all of other_prefixes()."""
    for words, place in ((("route", "add", OTHERS + "/8", "via", lab.hosts[FAR].v4), lab.router),
                         (("route", "add", "local", OTHERS + "/8", "dev", "lo"), FAR)):
        done = lab.run(["ip", *words], place)
        if done.returncode:
            raise RuntimeError("ip %s: %s" % (" ".join(words), done.stderr))


def other_partners(count, prefixes=None):
    """`count` partners that share `prefixes` prefixes; left out: one each."""
    each, listed = (prefixes or count) // max(count, 1), other_prefixes(prefixes or count)
    return {"p%d" % n: {"addresses": listed[n * each:(n + 1) * each]} for n in range(count)}
