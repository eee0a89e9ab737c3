# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""
outage.py - a virtual machine loses its power at random moments, under traffic.

The machine (machine.py, init) takes the place of the lab's hub: the guard sits on its root cgroup and its
only interface, and its state is on a disk that loses what was not flushed. The far ends are the lab's, go
on all the time, and count: see storm.py. Here klinik-nord is cut and reopened, store is cut for good,
strangers pull from one address after the other.

One outage: power is lost while the machine boots or the guard loads, or under traffic alone, or in the
middle of an order or right after its answer. After each boot, before its interface goes up: nothing has
left it; the guard is whole; the cuts that were acknowledged are there, and the policy; the meters lack at
most what left in the last moments. What they lack is assumed: no stranger gets a byte until somebody
resets that, which half of the boots do. Then an address may get what it had left, and what left unsaved,
which the far end knows.
"""
import json
import math
import os
import random
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import machine as machines  # noqa: E402
import storm  # noqa: E402
import far  # noqa: E402
import guard as guards  # noqa: E402
from lab import HOSTS, STRANGERS  # noqa: E402
from storm import NORD, ON_THE_WAY_NS, PORT, STORE, SUED  # noqa: E402

BUDGET = 24 << 10
TOTAL = BUDGET * STRANGERS
TURN_BOOTS = 4         # of one stranger's address
UNSAVED_SECONDS = 1.0  # what saves, twice a second, may lag behind (user/daemon/metering.c)
SLACK_SECONDS = 0.5    # of the two clocks, and of the far end's reading
BOOT_SECONDS = 300     # a busy machine emulates slowly
ORDER_SECONDS = 60


class Outage:
    """`say` gets lines for people."""

    def __init__(self, lab, cuts, seed, say=print):
        self.lab, self.cuts_wanted, self.seed, self.say = lab, cuts, seed, say
        self.random = random.Random(seed)
        self.failures, self.stages, self.lags = [], {}, []
        self.writes = self.lost_writes = 0
        self.boots = self.starts = self.resets = self.early = 0
        self.cut_since = None       # time_ns of the answer; None: nord is not cut
        self.cuts = {False}         # whether nord is cut: what may be true
        self.policies = {"one"}     # which policy may be in force
        self.unsaved = {}           # address -> bytes that a reset may give once more
        self.tails = {}             # the same, of the outages since the last reset
        self.samples = []           # (monotonic, {host or address: (ip bytes, laden bytes)})
        self.reference = None       # ({partner: sent by weir}, {partner: received}) when they last met
        self.has_lived = False
        self.load_seconds, self.longest = 30.0, 0.0
        self.order_seconds = 0.5

    def begin(self):
        files = {}
        for name in storm.PROBED:
            files[name + ".yaml"] = self.lab.path(name + ".yaml")
            with open(files[name + ".yaml"], "w", encoding="utf-8") as file:
                json.dump(storm.agreed(name, BUDGET, TOTAL), file)
        files["pushed"] = self.lab.path("pushed")
        with open(files["pushed"], "w", encoding="ascii") as file:
            file.write("%s %s\n" % (HOSTS[NORD][0][0], HOSTS[STORE][0][0]))
        self.lab.give_uplink_away()
        self.machine = machines.Machine(self.lab, guards.WEIR, files)
        self.machine.tick = self.sample
        self.count = {host: far.Count(self.lab, host) for host in (NORD, SUED, STORE)}
        for host in (NORD, SUED, STORE):
            self.lab.start(storm.pull, PORT, host=host)
        self.puller = None

    # ---- the far end ------------------------------------------------------------------------------

    def next_stranger(self):
        place = self.boots // TURN_BOOTS
        if self.boots % TURN_BOOTS or place >= STRANGERS:
            return
        if self.puller:
            self.puller.kill()
        address = HOSTS["stranger"][0][place]
        self.count[address] = far.Count(self.lab, "stranger", address)
        self.puller = self.lab.start(storm.pull, PORT, address, host="stranger")

    def strangers(self):
        return [name for name in self.count if name[0].isdigit()]

    def sample(self):
        now = time.monotonic()
        self.samples.append((now, {name: (count.ip_bytes - count.unowned, count.laden)
                                   for name, count in self.count.items()}))
        while self.samples[0][0] < now - 60:
            self.samples.pop(0)

    def rest(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.sample()
            time.sleep(min(machines.TICK_SECONDS, max(0.0, end - time.monotonic())))

    def sent_by_machine(self):
        """Frames that ever came out of the machine."""
        task = self.lab.start(_received_frames, "hub", host=self.lab.router)
        self.lab.tasks.remove(task)
        try:
            return task.result()
        finally:
            os.close(task.pipe)

    # ---- one outage -------------------------------------------------------------------------------

    def outage(self):
        number = sum(self.stages.values()) + 1
        stage = self.random.choice(("load", "load", "traffic", "order", "order", "answer"))
        if number == 1:
            stage = "answer"
        self.stages[stage] = self.stages.get(stage, 0) + 1
        self.about = "outage %d, seed %d, during %s" % (number, self.seed, stage)
        before = len(self.failures)
        self.next_stranger()
        self.boots += 1
        try:
            frames = self.sent_by_machine()
            self.machine.boot("hub", self.random.getrandbits(32))
            began = time.monotonic()
            if stage == "load":
                self.lose_during_load(began)
            else:
                self.come_up(began, frames)
                getattr(self, "during_" + stage)()
        except (machines.MachineError, TimeoutError, ValueError, KeyError, OSError) as error:
            self.fail("%s: %s" % (type(error).__name__, error))
        self.sample()
        self.end_life()
        self.check_far_ends()
        self.say("%s%s" % (self.about, "" if len(self.failures) == before else ": FAILED"))

    def fail(self, what):
        self.failures.append("%s: %s" % (self.about, what))
        self.say("FAILED " + self.failures[-1])

    def end_life(self):
        """Power is lost; what left in the last moments may be given once more by a reset."""
        now = time.monotonic()
        writes, lost = self.machine.lose_power()
        self.writes, self.lost_writes = self.writes + writes, self.lost_writes + lost
        self.sample()
        past = [sample for at, sample in self.samples if at >= now - UNSAVED_SECONDS - SLACK_SECONDS]
        for address in self.strangers():
            first = past[0].get(address, (0, 0))[1]
            self.tails[address] = self.tails.get(address, 0) + self.count[address].laden - first

    def lose_during_load(self, began):
        moment = self.random.uniform(0, 1.05 * self.load_seconds)
        while time.monotonic() < began + moment:
            line = self.machine.hear(began + moment - time.monotonic())
            self.note(line)
            if line == "guarding":
                break

    def note(self, line):
        if line and (line.startswith("failed") or "damaged" in line or "aside" in line):
            self.fail(line)

    def ask(self, words, answer):
        self.machine.say(words)
        return self.machine.expect(answer, ORDER_SECONDS)

    def must(self, answer):
        code, _, said = answer.partition(" ")
        if code != "0":
            raise ValueError("refused: %s" % said)

    def order(self, words):
        self.must(self.ask(words, "done"))

    def come_up(self, began, frames):
        while True:
            line = self.machine.hear(BOOT_SECONDS)
            if line is None:
                raise TimeoutError("the guard does not start")
            self.note(line)
            if line == "guarding":
                break
        self.load_seconds = time.monotonic() - began
        self.longest = max(self.longest, self.load_seconds)
        self.starts += 1
        early = self.sent_by_machine() - frames
        if early:
            self.early += early
            self.fail("%d frames left before the guard was up" % early)
        status = json.loads(self.ask("status", "status"))
        self.check_status(status)
        self.check_meters(status)
        received = {name: count.laden for name, count in self.count.items()}
        self.machine.say("go")
        self.machine.expect("up", ORDER_SECONDS)
        if self.cuts == {None}:
            self.cuts = {False}
        if not self.has_lived:
            self.order("cut partner:%s --reason outages" % STORE)
            self.has_lived = True
            self.store_since = time.time_ns()
        self.wait_flow(SUED)
        if status["meters"]["assumed"]:
            self.rest(1.0)
            for address in self.strangers():
                if self.count[address].laden > received.get(address, 0):
                    self.fail("%s got %d bytes although its meter is assumed" % (
                        address, self.count[address].laden - received.get(address, 0)))
            if self.random.random() < 0.5:
                self.reset()

    def reset(self):
        self.order("meters reset --reason outages")
        self.resets += 1
        for address, tail in self.tails.items():
            self.unsaved[address] = self.unsaved.get(address, 0) + tail
        self.tails = {}

    def wait_flow(self, host):
        flowed, end = self.count[host].laden, time.monotonic() + 30
        while self.count[host].laden == flowed:
            if time.monotonic() > end:
                raise TimeoutError("%s gets nothing" % host)
            self.rest(0.1)

    def during_traffic(self):
        self.rest(self.random.uniform(0, 20))

    def give_order(self):
        """Says one order; what may be true from now on until it is answered."""
        if self.random.random() < 0.4:
            name = self.random.choice(sorted(storm.PROBED))
            self.policies.add(name)
            self.machine.say("apply /%s.yaml --yes" % name)
            return lambda: setattr(self, "policies", {name})
        if self.cut_since is None:
            self.cuts = {False, True}
            self.machine.say("cut partner:%s --reason outages" % NORD)
            return self.note_cut
        self.check_cut()
        self.cut_since, self.cuts = None, {False, True}
        self.machine.say("reopen partner:%s --reason outages" % NORD)
        return lambda: setattr(self, "cuts", {False})

    def note_cut(self):
        self.cut_since, self.cuts = time.time_ns(), {True}

    def during_order(self):
        self.rest(self.random.uniform(0, 4))
        self.give_order()
        self.rest(math.exp(self.random.uniform(math.log(0.002), math.log(1.5 * self.order_seconds))))

    def during_answer(self):
        """Some orders; power goes at once after the last one's answer, or a little later."""
        for _ in range(self.random.randint(1, 3)):
            since, done = time.monotonic(), self.give_order()
            self.must(self.machine.expect("done", ORDER_SECONDS))
            done()
            self.order_seconds = time.monotonic() - since
        self.rest(self.random.choice((0, 0.02, 0.5, 2.0)))

    # ---- what must be true ------------------------------------------------------------------------

    def check_status(self, status):
        if not status["attachment"]["is_whole"] or not all(hook["is_attached"] for hook in status["hooks"]):
            self.fail("the guard is not whole: %s" % status["attachment"]["findings"])
        targets = {cut["target"] for cut in status["cuts"]}
        if self.has_lived and "partner:" + STORE not in targets:
            self.fail("the first cut is lost")
        if targets - {"partner:" + STORE, "partner:" + NORD}:
            self.fail("the cuts are %s" % targets)
        is_cut = "partner:" + NORD in targets
        if is_cut not in self.cuts:
            self.fail("%s, which was acknowledged, is lost" % ("a reopening" if is_cut else "a cut"))
        if is_cut and self.cut_since is None:
            self.cut_since = time.time_ns()
        if not is_cut:
            self.cut_since = None
        self.cuts = {is_cut}
        if status["policy"]["name"] not in self.policies:
            self.fail("policy %s is in force, not %s" % (status["policy"]["name"], self.policies))
        self.policies = {status["policy"]["name"]}

    def check_meters(self, status):
        """What weir says that it sent, against what arrived; both since they last met."""
        sent = {one["name"]: one["sent_bytes"] for one in status["partners"]}
        received = {name: count.ip_bytes - count.unowned for name, count in self.count.items()}
        if self.reference:
            before_sent, before_received = self.reference
            known = sent[SUED] - before_sent[SUED]
            lag = 0.0
            if received[SUED] - before_received[SUED] > known:
                late = [at for at, sample in self.samples
                        if sample[SUED][0] - before_received[SUED] > known]
                lag = self.last_flow() - late[0] if late else 60.0
            self.lags.append(lag)
            if lag > UNSAVED_SECONDS + SLACK_SECONDS:
                self.fail("the meters lack what left in the last %.1f s: %d bytes of %d" % (
                    lag, received[SUED] - before_received[SUED] - known, received[SUED] - before_received[SUED]))
        self.reference = (sent, received)

    def last_flow(self):
        """When the last packet came: the time of the outage, as far as meters are concerned."""
        total = self.samples[-1][1][SUED][0]
        return [at for at, sample in self.samples if sample[SUED][0] == total][0]

    def check_cut(self):
        if self.cut_since is not None and self.count[NORD].laden_ns > self.cut_since + ON_THE_WAY_NS:
            self.fail("a packet reached the cut partner %.1f ms after the cut had answered" % (
                (self.count[NORD].laden_ns - self.cut_since) / 1e6))
            self.cut_since = time.time_ns()

    def check_far_ends(self):
        self.check_cut()
        if self.has_lived and self.count[STORE].laden_ns > self.store_since + ON_THE_WAY_NS:
            self.fail("a packet reached the partner that is cut for good")
            self.store_since = time.time_ns()
        for address in self.strangers():
            if self.count[address].laden > BUDGET + self.unsaved.get(address, 0):
                self.fail("%s got %d bytes of %d" % (address, self.count[address].laden,
                                                     BUDGET + self.unsaved.get(address, 0)))

    # ---- the whole --------------------------------------------------------------------------------

    def run(self):
        """Returns whether all went well."""
        began = time.monotonic()
        self.begin()
        while sum(self.stages.values()) < self.cuts_wanted:
            self.outage()
            if sum(self.stages.values()) % 25 == 0:
                self.report(time.monotonic() - began)
        self.about = "at the end, seed %d" % self.seed
        dropped = sum(count.dropped for count in self.count.values())
        if dropped:
            self.fail("the counters lost %d packets" % dropped)
        if self.cuts_wanted % 25:
            self.report(time.monotonic() - began)
        return not self.failures

    def report(self, seconds):
        self.say("power cuts: %d in %.0f s, seed %d, %s (%s)" % (
            sum(self.stages.values()), seconds, self.seed, os.path.basename(self.machine.vmlinuz),
            ", ".join("%s %d" % one for one in sorted(self.stages.items()))))
        self.say("  guards that came up again: %d, longest wait %.0f s; frames before the guard: %d" % (
            self.starts, self.longest, self.early))
        self.say("  writes under way when power went: %d, of them lost or torn: %d" % (
            self.writes, self.lost_writes))
        lags = sorted(self.lags) or [0.0]
        self.say("  metering lost: median %.2f s, at most %.2f s, before resets assumed in full" % (
            lags[len(lags) // 2], lags[-1]))
        got = [self.count[address].laden for address in self.strangers()]
        self.say("  strangers: %d addresses, at most %d bytes; %d each, and %d for all that resets gave back"
                 % (len(got), max(got), BUDGET, sum(self.unsaved.values())))
        self.say("  %s: %d bytes, none while it was cut; %s, let: %d bytes" % (
            NORD, self.count[NORD].laden, SUED, self.count[SUED].laden))
        self.say("  failures: %d" % len(self.failures))
        for failure in self.failures:
            self.say("    " + failure)


def _received_frames(interface):
    with open("/proc/self/net/dev", encoding="ascii") as lines:
        for line in lines:
            name, _, numbers = line.partition(":")
            if name.strip() == interface:
                return int(numbers.split()[1])
    raise KeyError(interface)
