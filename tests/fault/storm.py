# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""
storm.py - kill -9 of the daemon at random moments of what it does, under traffic.

One lab. All the time, from before the first kill to after the last:

    store         is cut before anything flows, and stays so: pulls, and is pushed to. Nothing with
                  payload may reach it, ever.
    klinik-nord   pulls, and is pushed to; cut and reopened by rounds. Nothing may reach it from a cut's
                  answer (exit 0) to the next reopening, whoever died meanwhile.
    stranger      pulls from one address after the other, slowly, so that the budget of an address runs
                  out in the middle of its turn. What an address gets, and what all get, is bounded for
                  the whole storm: the windows are longer than it.
    klinik-sued   pulls without a budget: it must go on.

A round begins one action, kills the daemon at a random moment of it (and at times the command too),
starts a daemon, and looks: it must answer; a cut or reopening that was acknowledged is there, one that
was not may be either, but the same in the kernel, on the disk and at the far end; the policy is one
of the two, whole. Bytes are counted where they arrive.
"""
import json
import math
import os
import random
import signal
import subprocess
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "lab"))
import far  # noqa: E402
import guard as guards  # noqa: E402
from lab import HOSTS, STRANGERS, wait_for  # noqa: E402

NORD, SUED, PAYER, STORE = "klinik-nord", "klinik-sued", "payer", "store"
PORT = 7000
PROBED = {"one": 9001, "two": 9002}  # the port on which a policy lets the payer be called
PULSE = 1 << 10                      # a pour sends so much at once,
PULSES_PER_SECOND = 16               # and so often
ON_THE_WAY_NS = 20 * 10**6           # from the hub's queue to the far end, on a busy machine
START_SECONDS = 60

# (action, how often). `load` starts a guard from nothing: unloaded before, without a route
ACTIONS = (("start", 3), ("load", 2), ("apply", 3), ("trial", 1), ("rollback", 1), ("cut", 6), ("stop", 3))


def agreed(name, budget, total):
    """One of the two policies: they differ by which port of the payer may be called."""
    ports = "tcp/%d" % PORT
    grants = [guards.grant("pulls", "batch", [NORD, SUED, STORE], serves=ports),
              guards.grant("pushes", "batch", [NORD, STORE], calls=["tcp/9000", "udp/9000"]),
              guards.grant("probe", "batch", PAYER, calls="udp/%d" % PROBED[name])]
    strangers = {"serves": ["%dB/7d" % budget], "calls": "deny", "total": ["%dB/7d" % total], "on_breach": "hold"}
    return guards.policy(grants, strangers, name=name)


def _pulse(connection):
    connection.sendall(far.CHUNK[:PULSE])
    time.sleep(1 / PULSES_PER_SECOND)


def _short_lived(listener):
    """A connection whose peer got its budget is not held for the quarter of an hour that TCP tries."""
    listener.setsockopt(6, 18, 4000)  # TCP_USER_TIMEOUT


def pull(port, source=None):
    """Pulls until it is killed, on one connection after the other."""
    while True:
        far.tcp_take(far.HUB[4], port, source, 1.0)
        time.sleep(0.05)


def _push(targets):
    """What a web shell would do, from inside a service: calls each target all the time."""
    import socket
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        while True:
            for address in targets:
                try:
                    udp.sendto(far.CHUNK[:100], (address, 9000))
                except OSError:
                    pass
                with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tcp:
                    tcp.settimeout(0.02)
                    try:
                        tcp.connect((address, 9000))
                        tcp.sendall(far.CHUNK[:100])
                    except OSError:
                        pass
            time.sleep(0.03)


def _is_called(address, port):
    return far.udp_give(address, port, 10, 1)[0] == 1


class Storm:
    """Bounds, traffic, and what must be true between two rounds."""

    def __init__(self, lab, kills, seed, say=print):
        self.lab, self.kills_wanted, self.say = lab, kills, say
        self.random, self.seed = random.Random(seed), seed
        self.guard = guards.Guard(lab)
        self.state = os.path.join(self.guard.state_dir, lab.instance)
        self.turn_seconds = max(10.0, 3.0 * kills / STRANGERS)  # of one stranger's address
        self.budget = int(self.turn_seconds / 2 * PULSE * PULSES_PER_SECOND)
        self.total = self.budget * 3 // 4 * STRANGERS
        self.took = {}         # seconds of each action, as measured
        self.kills = {}        # by action
        self.failures = []
        self.first = [action for action, _ in ACTIONS] + ["cut"]
        self.worst_start = 0.0
        self.turns = []        # (address, Count, Task)
        self.cut_since = None  # time_ns of the answer; None: nord is not cut
        self.is_route_away = False

    def begin(self):
        guard = self.guard
        self.files = {name: guard.write_policy(agreed(name, self.budget, self.total), name + ".yaml") for name in PROBED}
        guard.policy_file = self.files["one"]
        self.pour = self.lab.start(far.pour, far.HUB[4], PORT, _pulse, _short_lived, host="hub", service="batch")
        far.wait_listening(self.lab, "hub", far.HUB[4], PORT)
        self.measure()
        self.count = {host: far.Count(self.lab, host) for host in (NORD, SUED, STORE)}
        for host in (NORD, SUED, STORE):
            self.lab.start(pull, PORT, host=host)
        self.lab.start(_push, [HOSTS[host][0][0] for host in (NORD, STORE)], host="hub", service="batch")
        self.next_turn()
        wait_for(lambda: self.count[SUED].laden > 4 * PULSE and self.count[NORD].laden > 4 * PULSE, 10,
                 "the partners' traffic")

    def measure(self):
        """Every action once, unharmed: how long it takes, and the digests of the two policies."""
        guard, self.digests = self.guard, {}

        def timed(action, function, *words):
            since = time.monotonic()
            function(*words)
            self.took[action] = time.monotonic() - since

        timed("load", guard.start)
        guard.cut("partner:" + STORE)
        timed("cut", guard.cut, "partner:" + NORD)
        timed("reopen", guard.reopen, "partner:" + NORD)
        for name in ("two", "one"):
            timed("apply", guard.must, "apply", self.files[name], "--yes")
            self.digests[name] = guard.status()["policy"]["digest"]
        timed("trial", guard.must, "apply", self.files["two"], "--yes", "--confirm", "600")
        timed("rollback", guard.must, "rollback")
        timed("stop", guard.stop)
        timed("start", guard.start)

    def next_turn(self):
        """The next stranger's address pulls; what the former ones get goes on being counted."""
        if self.turns:
            self.turns[-1][2].kill()
        if len(self.turns) < STRANGERS:
            address = HOSTS["stranger"][0][len(self.turns)]
            count = far.Count(self.lab, "stranger", address)
            self.turns.append((address, count, self.lab.start(pull, PORT, address, host="stranger")))
        self.turn_ends = time.monotonic() + self.turn_seconds

    # ---- one round ------------------------------------------------------------------------------

    def moment(self, action):
        """Seconds into the action: anywhere, or close to its beginning, or close to its end."""
        longest = 1.1 * self.took[action]
        short = math.exp(self.random.uniform(math.log(0.0003), math.log(longest)))
        return self.random.choice((self.random.uniform(0, longest), short, max(0.0, longest - short)))

    def next_action(self):
        """Each one once, in any order, and then by their weights. nord is cut and reopened in turn."""
        if self.first:
            action = self.first.pop(self.random.randrange(len(self.first)))
        else:
            action = self.random.choices([a for a, _ in ACTIONS], [n for _, n in ACTIONS])[0]
        return "reopen" if action == "cut" and self.cut_since is not None else action

    def round(self):
        """A failed round is told and kept; the next one finds a guard that runs, or tries again."""
        action = self.next_action()
        moment, before = self.moment(action), len(self.failures)
        self.about = "round %d, seed %d: %s killed after %.4f s" % (
            sum(self.kills.values()) + 1, self.seed, action, moment)
        self.kills[action] = self.kills.get(action, 0) + 1
        flowed = self.count[SUED].laden
        try:
            must_have = getattr(self, "do_" + action, self.do_order)(action, moment)
            self.start_again()
            self.check_orders(action, must_have)
            self.check_policy(action, must_have)
            wait_for(lambda: self.count[SUED].laden > flowed, 10, "the partner that is let")
            if action == "load":
                self.check_room()
            self.check_bounds()
        except (RuntimeError, TimeoutError, OSError, subprocess.SubprocessError, ValueError) as error:
            self.fail("%s" % error)
        finally:
            if self.is_route_away:
                self.set_route_back()
        if len(self.failures) > before:
            self.say("the daemon said:\n    " + "\n    ".join(self.guard.words().splitlines()[-12:]))
        if time.monotonic() > self.turn_ends:
            self.next_turn()

    def fail(self, what):
        self.failures.append("%s: %s" % (self.about, what))
        self.say("FAILED " + self.failures[-1])

    def kill(self):
        """The daemon; it may have ended by itself."""
        self.guard.process.send_signal(signal.SIGKILL)
        self.guard.process.wait()

    def do_start(self, _, moment):
        self.kill()
        self.guard.spawn()
        time.sleep(moment)
        self.kill()

    def set_route(self, *route):
        """Away: what a service sends is dropped where it is routed. (Behind a link without carrier it would
        wait, and leave unjudged with the next neighbour discovery.)"""
        subprocess.run(["ip", "-n", self.lab.hosts["hub"].namespace, "route", "replace", *route], check=True)
        self.is_route_away = route[0] == "blackhole"

    def set_route_back(self):
        self.set_route("default", "via", HOSTS["hub"][2], "src", HOSTS["hub"][0][0])

    def do_load(self, _, moment):
        """Nothing can leave while no guard is on, so whoever resets what is assumed loosens nothing."""
        self.set_route("blackhole", "default")
        self.guard.must("unload", "--yes")
        self.guard.process.wait(10)
        self.guard.spawn()
        time.sleep(moment)
        self.kill()

    def do_stop(self, _, moment):
        self.guard.process.send_signal(signal.SIGTERM)
        time.sleep(moment)
        self.kill()

    def words_of(self, action):
        other = self.files["two" if self.policy_now() == "one" else "one"]
        partner = ["partner:" + NORD, "--reason", "the storm"]
        return {"cut": ["cut"] + partner, "reopen": ["reopen"] + partner, "apply": ["apply", other, "--yes"],
                "trial": ["apply", other, "--yes", "--confirm", "600"], "rollback": ["rollback"]}[action]

    def do_order(self, action, moment):
        """An order to the daemon. Returns whether it was acknowledged."""
        words = self.words_of(action)
        self.target = os.path.basename(words[1])[:-5] if words[0] == "apply" else None
        if action == "reopen":
            self.check_cut()
            self.cut_since = None
        command = self.lab.spawn([guards.WEIR, *words, "--instance", self.lab.instance],
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=self.guard.environment)
        time.sleep(moment)
        self.kill()
        if self.random.random() < 0.3:
            command.kill()
        is_done = command.wait(30) == 0
        if action == "cut" and is_done:
            self.cut_since = time.time_ns()
        return is_done

    def start_again(self):
        since = time.monotonic()
        try:
            self.guard.start(timeout=START_SECONDS)
        except (RuntimeError, TimeoutError) as error:
            self.fail("the daemon does not start: %s" % error)
            self.guard.start(timeout=START_SECONDS)
        self.worst_start = max(self.worst_start, time.monotonic() - since)
        if self.is_route_away:
            self.guard.must("meters", "reset", "--reason", "nothing left: there was no route")
            self.set_route_back()

    # ---- what must be true ----------------------------------------------------------------------

    def policy_now(self):
        return self.guard.status()["policy"]["name"]

    def check_orders(self, action, is_done):
        """The set of cuts, as the kernel, the disk and the far end have it."""
        status = self.guard.status()
        if not status["attachment"]["is_whole"] or not all(hook["is_attached"] for hook in status["hooks"]):
            self.fail("the guard is not whole: %s" % status["attachment"]["findings"])
        held = {cut["id"]: cut["target"] for cut in status["cuts"]}
        for name in ("orders.json", "orders.json.copy"):
            with open(os.path.join(self.state, name), encoding="utf-8") as file:
                kept = {"c%d" % order["id"]: order["target"] for order in json.loads(file.readline())["orders"]}
            if kept != held:
                self.fail("%s has %s, the kernel %s" % (name, kept, held))
        targets = sorted(set(held.values()))  # a command whose daemon died may have cut twice
        if targets not in (["partner:" + STORE], ["partner:" + NORD, "partner:" + STORE]):
            self.fail("the cuts are %s" % targets)
        is_cut = "partner:" + NORD in targets
        if is_cut and action == "reopen" and is_done:
            self.fail("a reopening that was acknowledged is lost")
        if not is_cut and self.cut_since is not None:
            self.fail("a cut that was acknowledged is lost")
        if is_cut and self.cut_since is None:
            self.cut_since = time.time_ns()
        if not is_cut:
            self.cut_since, flowed = None, self.count[NORD].laden
            wait_for(lambda: self.count[NORD].laden > flowed, 10, "the partner that is not cut")
        self.check_cut()

    def check_cut(self):
        """While nord is cut nothing with payload reaches it; store is cut for good."""
        late = self.count[NORD].laden_ns - (self.cut_since or time.time_ns()) - ON_THE_WAY_NS
        if self.cut_since is not None and late > 0:
            self.fail("a packet reached the cut partner %.1f ms after the cut had answered" % (late / 1e6))
            self.cut_since = time.time_ns()
        if self.count[STORE].laden or self.count[STORE].syn:
            raise ValueError("%d bytes reached the partner that was always cut" % self.count[STORE].laden)

    def check_policy(self, action, is_done):
        name = self.policy_now()
        digest = self.guard.status()["policy"]["digest"]
        if self.digests.get(name) != digest:
            self.fail("policy %s has the digest %s" % (name, digest))
        if action in ("apply", "trial") and is_done and name != self.target:
            self.fail("the policy that was acknowledged is lost")
        if action == "trial":
            self.guard.weir("confirm")  # it may be over already
            if self.policy_now() != name:
                self.fail("confirmed, and the policy changed")
        if action in ("apply", "trial", "rollback"):
            called = [other for other, port in PROBED.items() if self.is_called(port)]
            if called != [name]:
                self.fail("status says policy %s, packets are judged by %s" % (name, called))

    def is_called(self, port):
        task = self.lab.start(_is_called, HOSTS[PAYER][0][0], port, host="hub", service="batch")
        self.lab.tasks.remove(task)
        try:
            return task.result()
        finally:
            os.close(task.pipe)

    def check_bounds(self):
        got = [count.laden for _, count, _ in self.turns]
        for (address, _, _), sent in zip(self.turns, got):
            if sent > self.budget:
                raise ValueError("%s got %d bytes of %d" % (address, sent, self.budget))
        if sum(got) > self.total:
            raise ValueError("strangers got %d bytes of %d" % (sum(got), self.total))

    def check_room(self):
        """What was assumed has been reset: a stranger whose budget is not used up gets more."""
        count, got = self.turns[-1][1], sum(count.laden for _, count, _ in self.turns)
        before = count.laden
        if before < 0.8 * self.budget and got < 0.8 * self.total:
            wait_for(lambda: count.laden > before, 10, "the stranger that has budget left")

    def leftovers(self):
        """Files that a killed process left half made."""
        return [name for _, _, names in os.walk(self.state) for name in names
                if ".part-" in name]

    # ---- the whole ------------------------------------------------------------------------------

    def run(self):
        """Returns whether all went well."""
        began = time.monotonic()
        self.begin()
        self.say("measured: " + ", ".join("%s %.0f ms" % (a, 1000 * s) for a, s in sorted(self.took.items())))
        while sum(self.kills.values()) < self.kills_wanted:
            self.round()
            done = sum(self.kills.values())
            if done % 50 == 0:
                self.say("%4d kills in %.0f s, %d failures" % (done, time.monotonic() - began, len(self.failures)))
        self.about = "at the end, seed %d" % self.seed
        for address, count, task in self.turns[-1:]:
            task.kill()
            count.settle()
        try:
            self.check_cut()
            self.check_bounds()
        except ValueError as error:
            self.fail("%s" % error)
        dropped = sum(count.dropped for count in [*self.count.values(), *[turn[1] for turn in self.turns]])
        if dropped:
            self.fail("the counters lost %d packets" % dropped)
        self.report(time.monotonic() - began)
        return not self.failures

    def report(self, seconds):
        got = [count.laden for _, count, _ in self.turns]
        kills = sum(self.kills.values())
        self.say("kill -9: %d in %.0f s, seed %d (%s)" % (
            kills, seconds, self.seed, ", ".join("%s %d" % one for one in sorted(self.kills.items()))))
        self.say("  starts after a kill: %d, longest %.1f s" % (kills, self.worst_start))
        self.say("  strangers: %d addresses, at most %d bytes of %d each; together %d of %d" % (
            len(got), max(got), self.budget, sum(got), self.total))
        self.say("  exhausted: %d addresses had less than %d bytes left" % (
            sum(sent > self.budget - 2 * PULSE for sent in got), 2 * PULSE))
        self.say("  %s, cut all the time: %d bytes of 0" % (STORE, self.count[STORE].laden))
        self.say("  %s, reopened at times: %d bytes; %s, let: %d bytes" % (
            NORD, self.count[NORD].laden, SUED, self.count[SUED].laden))
        self.say("  half-made files left: %d (a start sweeps those older than a minute)" % len(self.leftovers()))
        self.say("  failures: %d" % len(self.failures))
        for failure in self.failures:
            self.say("    " + failure)
