# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""
trial.py - weir on one kernel: a virtual machine takes the place of the lab's hub, its guard on the root
cgroup and on its only interface, as in deployment; the far ends are the lab's, and count.

Each check is a method that raises when it does not hold, and says in words what it saw. They build on each
other: one guard, loaded once.
"""
import json
import os
import sys
import time

sys.dont_write_bytecode = True
TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = [os.path.join(TOP, "tests", part) for part in ("vm", "fault", "lab")]
import machine as machines  # noqa: E402
import far  # noqa: E402
import guard as guards  # noqa: E402
import stack as stacks  # noqa: E402
from lab import HOSTS, wait_for  # noqa: E402

NORD, SUED, PAYER = "klinik-nord", "klinik-sued", "payer"
PORT = 7000
BUDGET = 16 << 10
STEP_DAYS = 8  # of the wall clock: more than the strangers' window
KINDS_FAR = ("rst4", "rst6", "unreachable4", "unreachable6", "echo4", "echo6")
ECHOES, ECHO_BYTES = 60, 50000
RATES = ("handshake", "stack")
RATE_BYTES, RATE_SECONDS = 1 << 20, 10  # of the kernel's own packets to one partner, or to all strangers
BOOT_SECONDS, LOAD_SECONDS, ORDER_SECONDS = 300, 900, 120
MODULES = ("virtio_pci", "virtio_net", "inet_diag", "tcp_diag", "udp_diag", "veth", "dummy", "sch_ingress")
PROGRAMS = ("weir", "weir-guard")
# What `make` has built: the kernel's programs as objects, for the verifier's cost
OBJECTS = ("weir", "sever", "session", "forgive", "carry")


class Failed(Exception):
    """What did not hold, in one line."""


def policy():
    ports = "tcp/%d" % PORT
    return guards.policy([guards.grant("pulls", "batch", [NORD, SUED], serves=ports),
                          guards.grant("daily", "batch", PAYER, ["1MiB/7d"], serves=ports,
                                       hours="Mon-Sun 00:00-24:00")],
                         {"serves": ["%dB/7d" % BUDGET], "calls": "deny", "total": ["1MiB/7d"], "on_breach": "hold"})


class Trial:
    def __init__(self, lab, build, about, types):
        self.lab, self.build = lab, build
        path = lab.path("policy.yaml")
        with open(path, "w", encoding="utf-8") as file:
            json.dump(policy(), file)
        files = {"policy.yaml": path, "types.o": types}
        files.update({name + ".bpf.o": os.path.join(build, name + ".bpf.o") for name in OBJECTS})
        lab.give_uplink_away()
        self.machine = machines.Guest(lab, [os.path.join(build, name) for name in PROGRAMS] + [about], files,
                                      os.path.join(TOP, "tests", "vm", "init"), MODULES)
        self.count = {host: far.Count(lab, host) for host in (NORD, SUED, PAYER, "stranger")}
        self.near = stacks.Kinds(lab, lab.router, "hub")
        self.costs = {}

    # ---- the guest ----------------------------------------------------------------------------------

    def boot(self):
        self.machine.boot(machines.network("hub"))
        self.release = self.machine.expect("booted", BOOT_SECONDS)
        self.machine.expect("ready", BOOT_SECONDS)

    def end(self):
        if self.machine.process:
            self.machine.kill()

    def ask(self, words, answer="done", seconds=ORDER_SECONDS):
        """(the answer's rest, all lines before it)"""
        self.machine.say(words)
        end, heard = time.monotonic() + seconds, []
        while True:
            line = self.machine.hear(max(0.0, end - time.monotonic()))
            if line is None:
                raise Failed("no answer to %s within %d s; heard %s" % (words, seconds, heard[-5:]))
            if line.split(" ")[0] == answer:
                return line[len(answer):].strip(), heard
            if line.startswith("failed"):
                raise Failed("%s: %s %s" % (words, line, heard[-3:]))
            heard.append(line)

    def status(self):
        return json.loads(self.ask("status", "status")[0])

    def partner(self, name):
        return [entry for entry in self.status()["partners"] if entry["name"] == name][0]

    def take(self, host, limit=None, seconds=3.0):
        return self.lab.call(far.tcp_take, far.HUB[4], PORT, None, seconds, b"go\n", limit, host=host,
                             timeout=120)[0]

    # ---- checks -------------------------------------------------------------------------------------

    def types(self):
        """The kernel's types are those of vmlinux/kernel.h."""
        code, heard = self.ask("about types /types.o")
        differ = [line[len("type "):] for line in heard if line.startswith("type ")]
        if code != "0":
            raise Failed("; ".join(differ) or str(heard))
        return heard[-1][len("types "):]

    def verifier(self):
        """Each program loads; what that cost."""
        code, heard = self.ask("about cost " + " ".join("/%s.bpf.o" % name for name in OBJECTS), seconds=LOAD_SECONDS)
        for line in heard:
            if line.startswith("cost "):
                name, *numbers = line.split()[1:]
                self.costs[name] = tuple(int(n) for n in numbers)
        refused = [line for line in heard if line.startswith("refused")]
        # iterators that end sockets need what an older kernel lacks; weir then takes sock_diag
        if code != "0" and not (refused and all("/sever.bpf.o" in line for line in refused)):
            raise Failed("; ".join(refused) or "exit %s" % code)
        return "%d programs%s" % (len(self.costs), ", no iterators that end sockets" if refused else "")

    def load(self):
        """On the root cgroup and the uplink; nothing has left before."""
        began = time.monotonic()
        before = self.machine_frames()
        self.ask("guard", "guarding", LOAD_SECONDS)
        took = time.monotonic() - began
        status = self.status()
        hooks = {hook["name"]: hook for hook in status["hooks"]}
        lacking = [name for name, hook in hooks.items() if not hook["is_attached"]]
        if lacking or "edge" not in hooks or "egress" not in hooks:
            raise Failed("not attached: %s" % (lacking or hooks))
        if self.machine_frames() != before:
            raise Failed("packets left before the guard was up")
        self.ask("go", "up")
        return "%d hooks in %.0f s" % (len(hooks), took)

    def machine_frames(self):
        import outage
        task = self.lab.start(outage._received_frames, "hub", host=self.lab.router)
        return task.result()

    def passes(self, host=SUED):
        got = self.take(host, 32 << 10, 20.0)
        if got < 32 << 10:
            raise Failed("a partner got %d bytes only" % got)
        return "%d bytes" % got

    def budget(self):
        self.take("stranger", seconds=5.0)
        self.count["stranger"].settle()
        got = self.count["stranger"].laden
        if not 0 < got <= BUDGET:
            raise Failed("a stranger got %d bytes of %d" % (got, BUDGET))
        return "%d of %d bytes" % (got, BUDGET)

    def stack(self):
        """The kernel's own packets reach anybody, are counted, and are not without end."""
        for host in (SUED, "stranger"):
            kinds = stacks.Kinds(self.lab, host, "eth0")
            for address in (far.HUB[4], far.HUB[6]):
                self.must("a reset", "ECONNREFUSED", far.connect_error, address, stacks.CLOSED, 30.0, host=host)
                self.must("an ICMP error", "ECONNREFUSED", stacks.udp_error, address, 30.0, host=host)
                self.must("an echo", 1, stacks.ping, address, 1, 56, 30.0, host=host)
            self.must_see(kinds, KINDS_FAR, host)
        self.must_see(self.near, ("solicitation", "advertisement", "report"), "the neighbours")
        return self.flood()

    def must_see(self, kinds, wanted, who):
        """Who counts them may be behind those whom they were for."""
        try:
            wait_for(lambda: all(kinds[kind] for kind in wanted), 10.0, "the kernel's own packets")
        except TimeoutError as error:
            raise Failed("%s did not get %s" % (who, [kind for kind in wanted if not kinds[kind]])) from error

    def flood(self):
        """Large echoes to a stranger: one rate bounds them all."""
        self.count["stranger"].settle()
        before, began = self.count["stranger"].ip_bytes, time.monotonic()
        got = self.lab.call(stacks.ping, far.HUB[4], ECHOES, ECHO_BYTES, 5.0, host="stranger", timeout=120)
        self.count["stranger"].settle()
        arrived = self.count["stranger"].ip_bytes - before
        allowed = RATE_BYTES * (2 + int((time.monotonic() - began) / RATE_SECONDS))
        if not 0 < got < ECHOES or arrived > allowed:
            raise Failed("%d of %d echoes, %d bytes" % (got, ECHOES, arrived))
        said = [one["sent_bytes"] for one in self.status()["services"] if one["name"] == "stack"]
        if not said or said[0] < arrived:
            raise Failed("%d bytes arrived, weir says %s" % (arrived, said))
        return "resets, ICMP errors, echoes, neighbours; %d bytes of %d asked for" % (arrived, ECHOES * ECHO_BYTES)

    def must(self, what, wanted, function, *args, host):
        got = self.lab.call(function, *args, host=host, timeout=120)
        if got != wanted:
            raise Failed("%s to %s: %s" % (what, host, got))

    def cookies(self):
        """Handshakes by SYN cookies, which no socket sends."""
        self.ask("sysctl net/ipv4/tcp_syncookies 2")
        got = self.passes()
        self.ask("sysctl net/ipv4/tcp_syncookies 1")
        return got

    def gets_nothing(self, host=NORD):
        """However it asks."""
        at = self.count[host].laden
        self.take(host, seconds=2.0)
        if self.count[host].laden != at:
            raise Failed("%d bytes arrived at %s, which may get none" % (self.count[host].laden - at, host))

    def cut(self):
        """A running flow ends, and nothing more arrives."""
        flow = self.lab.start(far.tcp_take, far.HUB[4], PORT, None, 60.0, b"go\n", None, host=NORD)
        wait_for(lambda: self.count[NORD].laden > 4096, 60, "the flow")
        _, heard = self.ask("cut partner:%s --reason trial" % NORD)
        self.count[NORD].settle()
        at = self.count[NORD].laden
        got, ended = flow.result(90)
        if ended not in ("ECONNRESET", "eof"):
            raise Failed("the cut connection did not end: %s" % ended)
        self.gets_nothing()
        said = [line for line in heard if "ended" in line]
        return "%d bytes before, 0 after; %s" % (got, said[0][5:] if said else "")

    def part(self):
        """Of two cuts both hold; one partner comes out of a cut of everything, alone."""
        self.ask("cut partner:%s --reason trial" % PAYER)
        self.gets_nothing(NORD)
        self.gets_nothing(PAYER)
        self.passes()
        self.ask("cut all --reason trial")
        self.ask("reopen partner:%s --reason trial" % SUED)
        self.gets_nothing(NORD)
        got = self.passes()
        self.ask("reopen all --reason trial")
        self.ask("reopen partner:%s --reason trial" % PAYER)
        return "%s to the one let back in, 0 to others" % got

    def edge(self):
        dropped = self.partner(NORD)["edge_dropped_packets"]
        if not dropped:
            raise Failed("XDP dropped nothing of what the cut partner sent")
        return "%d packets dropped" % dropped

    def survives(self):
        """The daemon dies: the cut holds; another one takes the guard over."""
        self.ask("kill", "killed")
        self.gets_nothing()
        self.ask("guard", "guarding", LOAD_SECONDS)
        if [cut["target"] for cut in self.status()["cuts"]] != ["partner:" + NORD]:
            raise Failed("the cut was lost")
        self.passes()
        return "taken over"

    def reopen(self):
        self.ask("reopen partner:%s --reason trial" % NORD)
        got = self.take(NORD, 8 << 10, 20.0)
        if got < 8 << 10:
            raise Failed("a reopened partner got %d bytes only" % got)
        return "%d bytes" % got

    def clock(self):
        """A step of the wall clock closes hours until somebody confirms it; no meter runs by that clock."""
        for days in (STEP_DAYS, -STEP_DAYS):
            self.passes(PAYER)
            used = self.used()
            self.ask("step %d" % (days * 86400))
            wait_for(lambda: self.status()["clock"]["hours_closed"], 30, "hours to be closed")
            seen = self.status()["clock"]["step_seconds"]
            told = "the clock stepped by %s" % "+-"[days < 0]
            if abs(seen - days * 86400) > 2 or told not in "\n".join(self.ask("events")[1]):
                raise Failed("%d days were seen as %d s, or no event says: %s" % (days, seen, told))
            self.count[PAYER].settle()
            for host in (PAYER, "stranger"):
                self.gets_nothing(host)
            if any(self.used()[name] < used[name] for name in used) or used["daily"] < 32 << 10:
                raise Failed("the meters had %s, and then %s" % (used, self.used()))
            self.ask("confirm clock --reason trial")
            self.passes(PAYER)
        return "%+d days and back; nothing out of hours; %d bytes in its meter" % (STEP_DAYS, self.used()["daily"])

    def used(self):
        """{grant: bytes in its meter}, but for the rates of some seconds, which are over between two looks."""
        said = "".join(line[len("said "):] for line in self.ask("meters list --json")[1] if line.startswith("said "))
        return {meter["grant"]: meter["windows"][0]["used_bytes"] for meter in json.loads(said)["list"]
                if meter["grant"] not in RATES}

    def unload(self):
        """The host is as if weir had not been there."""
        self.ask("unload --yes", seconds=ORDER_SECONDS)
        got = self.take("stranger", 2 * BUDGET, 20.0)
        if got < 2 * BUDGET:
            raise Failed("a stranger got %d bytes only: something is still on" % got)
        return "%d bytes to a stranger" % got

    # What `make test` asks, and what `make vm` asks.
    SHORT = ("types", "load", "passes", "budget", "stack", "cut", "part", "edge", "survives", "reopen", "clock",
             "unload")
    ALL = ("types", "verifier", "load", "passes", "budget", "stack", "cookies", *SHORT[5:])

    def run(self, checks, say):
        """{check: (whether it held, what was seen)}; the first of those that build on each other ends it."""
        results = {}
        try:
            self.boot()
        except (machines.MachineError, TimeoutError) as error:
            say("%-24s %-9s FAILED  %s" % (os.path.basename(self.machine.kernel), "boot", error))
            return {"boot": (False, str(error))}
        for name in checks:
            try:
                results[name] = (True, getattr(self, name)())
            except (Failed, machines.MachineError, TimeoutError, OSError, ValueError, KeyError, IndexError) as error:
                results[name] = (False, "%s: %s" % (type(error).__name__, error))
            say("%-24s %-9s %s  %s" % (self.release, name, "ok" if results[name][0] else "FAILED", results[name][1]))
            if not results[name][0] and name not in ("types", "verifier"):
                break
        self.end()
        return results
