# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""`four_eyes: true`: what loosens takes two login uids; `reserve:`: within it one is enough. The far end is the judge."""
import json
import mmap
import os
import signal
import struct
import subprocess
import sys

from case import KIB, NORD, PAYER, STRANGERS, SUED, LabCase
from guard import as_login, grant, policy
from test_signed import Signing

ALICE, BOB, NOBODY = 61001, 61002, -1
MINUTE, DAY = 60, 24 * 60 * 60
PACKET = 1500
BUDGET, RESERVE = 64 * KIB, 192 * KIB
FREE = grant("free", "any", PAYER, serves="tcp/7000-7999")
POUR = grant("pour", "batch", "class:hospital", serves="tcp/7000-7999")
NO_STRANGERS = dict(STRANGERS, serves="deny")

# The daemon's clocks, ahead of the system's by the seconds in a file.
CLOCK = r"""
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static const volatile long *ahead;

__attribute__((constructor)) static void open_it(void)
{
	int fd = open(getenv("LAB_CLOCK"), O_RDONLY | O_CLOEXEC);

	ahead = mmap(NULL, sizeof(*ahead), PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	if (ahead == MAP_FAILED)
		abort();
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
	int r = syscall(SYS_clock_gettime, clock, now);

	if (ahead && (clock == CLOCK_BOOTTIME || clock == CLOCK_REALTIME))
		now->tv_sec += *ahead;
	return r;
}
"""


# Connects, leaves the connection to a child, and ends; the child asks when it is told to.
LEAVES = r"""
import os, socket, sys
connection = socket.socket(socket.AF_UNIX)
connection.connect(sys.argv[1])
if os.fork():
    os._exit(0)
connection.sendall(sys.argv[2].encode() + b"\n")
print(connection.makefile().readline())
"""


class Clock:
    """Of all programs of a guard that is started after it was made."""

    def __init__(self, guard):
        source, library, self.path = (guard.lab.path(name) for name in ("clock.c", "clock.so", "clock"))
        with open(source, "w", encoding="ascii") as file:
            file.write(CLOCK)
        subprocess.run([os.environ.get("CC", "cc"), "-shared", "-fPIC", "-O2", "-o", library, source], check=True)
        self.ahead = 0
        with open(self.path, "wb") as file:
            file.write(bytes(mmap.PAGESIZE))
        guard.environment.update(LD_PRELOAD=library, LAB_CLOCK=self.path)

    def passes(self, seconds):
        self.ahead += seconds
        with open(self.path, "r+b") as file:
            file.write(struct.pack("l", self.ahead))


class FourEyesCase(LabCase):
    has_clock = False

    @classmethod
    def prepare(cls):
        if cls.has_clock:
            cls.clock = Clock(cls.guard)

    def asks(self, login, *words, code=0, told=""):
        """One line tells a refusal."""
        done = self.guard.weir(*words, login=login)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        if code:
            self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
            self.assertIn(told, done.stderr)
        return done.stdout

    def takes_two(self, *words, between=lambda: None):
        """The first one's changes nothing; the second one's is carried out."""
        self.asks(ALICE, *words, code=1, told="it takes a second person")
        self.asks(ALICE, *words, code=1, told="uid %d has asked for this already" % ALICE)
        self.asks(NOBODY, *words, code=1, told="has no login uid")
        between()
        return self.asks(BOB, *words)

    def pending(self):
        return self.guard.status()["four_eyes"]["pending"]

    def last(self):
        return json.loads(self.guard.must("order", "list", "--json").stdout)[-1]["record"]

    def assert_cut(self, host, port):
        self.assertEqual(self.take(host, port, seconds=0.7), 0, "a cut partner got something")


class FourEyes(FourEyesCase):
    policy = policy([POUR, FREE], NO_STRANGERS, four_eyes=True)
    reopen = ("reopen", "partner:" + NORD, "--reason", "checked")

    def setUp(self):
        if self.guard.process.poll() is not None or not self.guard.is_loaded():
            self.guard.start()
        self.port = self.pour()

    def tearDown(self):
        if self.guard.process.poll() is not None:
            self.guard.start()
        if not self.guard.status()["four_eyes"]["is_required"]:
            self.guard.apply(self.policy)
        for number, cut in enumerate(self.guard.cuts()):
            words = ("reopen", "--order", cut["id"], "--reason", "the test is over")
            self.guard.weir(*words, login=62001 + number)
            self.guard.must(*words, login=63001 + number)
        for override in self.guard.status()["overrides"]:
            self.guard.must("order", "end", override["id"], "--reason", "the test is over")
        self.assertEqual(self.guard.cuts(), [])

    def cut(self):
        self.guard.must("cut", "partner:" + NORD, "--reason", "x", login=NOBODY)

    def test_a_reopening(self):
        self.assert_passes(NORD, self.port)
        self.cut()
        self.assert_cut(NORD, self.port)
        self.assert_passes(SUED, self.port)

        def between():
            self.assert_cut(NORD, self.port)
            self.assertEqual([(one["login_uid"], one["reason"]) for one in self.pending()], [(ALICE, "checked")])
            self.assertIn("WAITS     for a second person", self.guard.must("status").stdout)
        self.takes_two(*self.reopen, between=between)
        self.assert_passes(NORD, self.port)
        self.assertEqual(self.pending(), [])
        record = self.last()
        self.assertEqual((record["kind"], record["result"], record["by"]["login_uid"], record["asked_by"]["login_uid"]),
                         ("reopen", "accepted", BOB, ALICE))

    def test_the_second_types_what_the_first_was_told(self):
        self.cut()
        done = self.guard.weir(*self.reopen, login=ALICE)
        typed = done.stderr.strip().split("has to type: ")[1]
        self.assertTrue(typed.startswith("weir reopen "), typed)
        self.asks(BOB, *[word.replace("TEXT", "I looked too") for word in typed.split()[1:]][:-2])
        self.assert_passes(NORD, self.port)

    def test_a_restart_and_another_policy_void_what_waits(self):
        self.cut()
        self.asks(ALICE, *self.reopen, code=1, told="second person")
        self.guard.kill()
        self.guard.start()
        self.assertEqual(self.pending(), [])
        self.asks(BOB, *self.reopen, code=1, told="it takes a second person")
        self.assert_cut(NORD, self.port)
        self.guard.apply(policy([POUR, dict(FREE, budget=["1GiB/1h"])], NO_STRANGERS, four_eyes=True))  # tighter
        self.assertEqual(self.pending(), [])
        self.asks(ALICE, *self.reopen, code=1, told="it takes a second person")
        self.assert_cut(NORD, self.port)
        self.asks(BOB, *self.reopen)
        self.assert_passes(NORD, self.port)
        self.takes_two("rollback")

    def test_what_was_cut_again_in_between(self):
        self.cut()
        self.asks(ALICE, *self.reopen, code=1, told="second person")
        self.takes_two("reopen", "--order", self.guard.cuts()[0]["id"], "--reason", "x")
        self.assert_passes(NORD, self.port)
        self.cut()
        self.asks(BOB, *self.reopen, code=1, told="what it is about has changed")
        self.assert_cut(NORD, self.port)

    def test_a_pause(self):
        stranger = self.stranger()
        words = ("pause", "service:batch", "--for", "10m", "--reason", "x")
        self.takes_two(*words, between=lambda: self.assertEqual(
            self.take("stranger", self.port, stranger, seconds=0.7), 0))
        self.assertGreater(self.take("stranger", self.port, stranger, limit=KIB * 200, seconds=5), 128 * KIB)
        self.guard.must("order", "end", self.guard.status()["overrides"][0]["id"], "--reason", "x", login=NOBODY)
        self.assertEqual(self.take("stranger", self.port, stranger, seconds=0.7), 0)

    def test_an_addition_is_of_the_prefix_that_was_asked_for(self):
        """Who asks for another prefix is the first to ask for that."""
        asked, other = self.stranger(), self.stranger()
        words = [("partner", "add", NORD, one, "--for", "10m", "--reason", "moved") for one in (asked, other)]
        self.asks(ALICE, *words[0], code=1, told="it takes a second person")
        self.asks(BOB, *words[1], code=1, told="it takes a second person")
        self.assertEqual(self.guard.status()["overrides"], [])
        self.assertEqual(self.take("stranger", self.port, other, seconds=0.7), 0)
        self.asks(BOB, *words[0])
        self.assertGreater(self.take("stranger", self.port, asked, limit=KIB * 200, seconds=5), 128 * KIB)
        self.assertEqual(self.take("stranger", self.port, other, seconds=0.7), 0)
        self.asks(ALICE, *words[1])
        self.assertEqual(self.pending(), [])

    def test_policies(self):
        open_to_all = policy([POUR, FREE], dict(STRANGERS, serves="none", total="none"), four_eyes=True)
        looser, stranger = self.guard.write_policy(open_to_all, "looser.yaml"), self.stranger()
        other = self.guard.write_policy(dict(open_to_all, name="other"), "other.yaml")
        kept = self.guard.must("policy", "list", "--json").stdout

        def between():
            self.assertEqual(self.take("stranger", self.port, stranger, seconds=0.7), 0)
            self.assertEqual(self.guard.must("policy", "list", "--json").stdout, kept)
            self.assertIn("it takes a second person", self.guard.weir("apply", other, "--yes", login=BOB).stderr)
        before = self.guard.status()["policy"]["digest"]
        self.takes_two_policy(looser, between)
        self.assertGreater(self.take("stranger", self.port, stranger, limit=KIB * 200, seconds=5), 128 * KIB)
        self.asks(NOBODY, "rollback")  # tighter
        self.assertEqual(self.guard.status()["policy"]["digest"], before)
        self.assertEqual(self.take("stranger", self.port, stranger, seconds=0.7), 0)

    def takes_two_policy(self, path, between=lambda: None):
        """As takes_two(), of a command that tells first what would change."""
        for login, told in ((ALICE, "it takes a second person"), (ALICE, "already"), (NOBODY, "has no login uid")):
            done = self.guard.weir("apply", path, "--yes", login=login)
            self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
            self.assertIn(told, done.stderr)
        between()
        self.asks(BOB, "apply", path, "--yes")

    def test_to_turn_it_off(self):
        off = self.guard.write_policy(policy([POUR, FREE], NO_STRANGERS), "off.yaml")
        self.cut()
        self.takes_two_policy(off, between=lambda: self.asks(NOBODY, *self.reopen, code=1, told="has no login uid"))
        self.asks(NOBODY, *self.reopen)
        self.assert_passes(NORD, self.port)

    def test_what_two_let_in_for_a_while_one_alone_neither_keeps_nor_prolongs(self):
        for name, four_eyes in (("on", True), ("off", False)):
            with self.subTest(name):
                content = policy([POUR, FREE], dict(STRANGERS, serves="none", total="none"), four_eyes=four_eyes)
                path = self.guard.write_policy(content, name + ".yaml")
                words = ("apply", path, "--yes", "--for", "1h", "--reason", "x")
                self.guard.weir(*words, login=ALICE)
                self.guard.must(*words, login=BOB)
                before = self.guard.status()["policy"]
                for more in ((), ("--for", "30d", "--reason", "x"), ("--confirm", "600")):
                    done = self.guard.weir("apply", path, "--yes", *more, login=ALICE)
                    self.assertEqual(done.returncode, 1, done.stdout)
                self.asks(ALICE, "rollback", before["digest"], code=1, told="it takes a second person")
                self.asks(ALICE, "confirm", code=1, told="it takes a second person")
                after = self.guard.status()["policy"]
                self.assertEqual(after["interim"]["until"], before["interim"]["until"])
                self.asks(ALICE, "rollback")
                self.assertTrue(self.guard.status()["four_eyes"]["is_required"])
                self.assertEqual(self.take("stranger", self.port, self.stranger(), seconds=0.7), 0)

    def test_without_a_daemon_only_cuts(self):
        self.guard.kill()
        self.cut()
        self.assert_cut(NORD, self.port)
        for words in (self.reopen, ("unload", "--yes"), ("pause", "--for", "1m", "--reason", "x")):
            self.asks(ALICE, *words, code=3, told="no daemon answers, and this takes two people")
        self.assertTrue(self.guard.is_pinned())
        self.assert_cut(NORD, self.port)
        self.guard.start()
        self.takes_two(*self.reopen)

    def test_meters_and_the_clock(self):
        self.takes_two("meters", "reset", "--reason", "x")
        self.takes_two("confirm", "clock", "--reason", "x")

    def test_whose_process_has_ended_is_nobody(self):
        """Its pid may be somebody else's by the time it is looked at."""
        self.cut()
        waiting = self.pending()
        request = json.dumps({"request": "reopen", "targets": ["partner:" + NORD], "reason": "x"})
        words = as_login(ALICE, sys.executable, "-c", LEAVES,
                         os.path.join(self.guard.run_dir, self.lab.instance + ".sock"), request)
        self.guard.process.send_signal(signal.SIGSTOP)
        try:
            asking = self.lab.spawn(words, stdout=subprocess.PIPE, text=True)
            asking.wait(10)
        finally:
            self.guard.process.send_signal(signal.SIGCONT)
        answer = json.loads(asking.stdout.readline())
        self.assertEqual(answer["code"], 1)
        self.assertIn("has no login uid", answer["problem"])
        self.assertEqual(self.pending(), waiting)

    def test_unload(self):
        self.takes_two("unload", "--yes", between=lambda: self.assertEqual(
            self.take("stranger", self.port, self.stranger(), seconds=0.7), 0))
        self.assertFalse(self.guard.is_pinned())
        self.guard.process.wait(10)

    def test_signed_orders_are_not_asked_again(self):
        signing = Signing(self.guard, "alice", "bob")
        path, cut = signing.order("cut", "partner:" + NORD, by=("alice",))
        self.guard.must("order", "apply", path, login=NOBODY)
        self.assert_cut(NORD, self.port)
        self.guard.must("order", "apply", signing.order("reopen", "--cut", cut, by=("alice", "bob"))[0], login=NOBODY)
        self.assert_passes(NORD, self.port)


class Expiry(FourEyesCase):
    policy = policy([POUR, FREE], NO_STRANGERS, four_eyes=True)
    has_clock = True

    def test_after_15_minutes_the_second_is_the_first(self):
        port, reopen = self.pour(), ("reopen", "partner:" + NORD, "--reason", "checked")
        self.guard.cut("partner:" + NORD)
        self.asks(ALICE, *reopen, code=1, told="within 15m")
        self.clock.passes(14 * MINUTE)
        self.asks(ALICE, *reopen, code=1, told="already")
        self.clock.passes(MINUTE)
        self.asks(BOB, *reopen, code=1, told="it takes a second person")
        self.assert_cut(NORD, port)
        self.clock.passes(14 * MINUTE)
        self.asks(ALICE, *reopen)
        self.assert_passes(NORD, port)


class ReserveCase(FourEyesCase):
    grants = 0

    def setUp(self):
        """A grant of another name has meters and a reserve of its own."""
        type(self).grants += 1
        self.small = "small-%d" % self.grants
        content = policy([grant(self.small, "batch", "class:hospital", ["64KiB/1h"], serves="tcp/7000-7999",
                                reserve="192KiB/7d"), FREE], NO_STRANGERS, four_eyes=True)
        if self.guard.process is None:
            self.guard.start(content)
        else:
            path = self.guard.write_policy(content, "next.yaml")
            self.guard.weir("apply", path, "--yes", login=ALICE)
            self.guard.must("apply", path, "--yes", login=BOB)
        self.port = self.pour()

    def extend(self, size, target="partner:" + NORD):
        return ("extend", target, "--grant", self.small, "--by", "%dB" % size, "--for", "30m", "--reason", "x")

    def assert_gets(self, host, budget):
        """All of the budget, but for headers and what does not fit, and nothing more."""
        got = [self.take(host, self.port, seconds=0.7)]
        while len(got) < 12 and max(got[-2:]) >= PACKET:
            got.append(self.take(host, self.port, seconds=0.7))
        got = sum(got)
        self.assertLessEqual(got, budget)
        self.assertGreaterEqual(got, budget * 0.85 - 2 * PACKET)

    def assert_full(self, host):
        self.assertLess(self.take(host, self.port, seconds=0.7), PACKET)
        self.assert_passes(PAYER, self.port)

    def reserve(self):
        return [one for one in self.guard.status()["reserves"] if one["grant"] == self.small][0]


class Reserve(ReserveCase):
    def test_within_it_one_is_enough_and_beyond_it_two(self):
        self.assert_gets(NORD, BUDGET)
        self.asks(NOBODY, *self.extend(RESERVE // 3), code=1, told="has no login uid")
        self.asks(ALICE, *self.extend(RESERVE + 1), code=1, told="for which there never is room")
        self.assert_full(NORD)
        self.asks(ALICE, *self.extend(RESERVE // 3 * 2))
        self.assert_gets(NORD, RESERVE // 3 * 2)
        self.assertEqual(self.reserve()["left_bytes"], RESERVE // 3)
        self.asks(ALICE, *self.extend(RESERVE // 2), code=1, told="has 64KiB left, and this takes 96KiB, for which there is room from")
        self.assert_full(NORD)
        self.asks(BOB, *self.extend(RESERVE // 2))
        self.assert_gets(NORD, RESERVE // 2)
        self.assertEqual(self.reserve()["left_bytes"], RESERVE // 3)

    def test_it_is_used_up_over_kills_and_early_ends(self):
        self.asks(ALICE, *self.extend(RESERVE))
        self.guard.must("order", "end", self.guard.status()["overrides"][-1]["id"], "--reason", "x")
        self.guard.kill()
        self.guard.start()
        self.asks(ALICE, *self.extend(1), code=1, told="has 0B left")
        self.assertIn("which is over", self.guard.must("status").stdout)
        self.takes_two("unload", "--yes")
        self.guard.process.wait(10)
        self.guard.start()  # from the disk alone
        self.asks(ALICE, *self.extend(1), code=1, told="has 0B left")
        self.assert_gets(NORD, BUDGET)
        self.assert_full(NORD)

    def test_a_class_draws_for_each_of_its_partners(self):
        self.asks(ALICE, *self.extend(RESERVE // 2 + 1, "class:hospital"), code=1, told="and this takes")
        self.asks(ALICE, *self.extend(RESERVE // 2, "class:hospital"))
        self.assertEqual(self.reserve()["left_bytes"], 0)
        self.assert_gets(NORD, BUDGET + RESERVE // 2)
        self.assert_gets(SUED, BUDGET + RESERVE // 2)

    def test_signed_by_one(self):
        signing = Signing(self.guard, "alice", "bob")

        def order(size, *by):
            return signing.order("extend", "partner:" + NORD, "--grant", self.small, "--by", "%dB" % size, "--for", "30m",
                                 by=by)[0]

        def takes(path, code=0):
            done = self.guard.weir("order", "apply", path, login=NOBODY)
            self.assertEqual(done.returncode, code, done.stdout + done.stderr)
            return done.stderr
        self.assert_gets(NORD, BUDGET)
        path = order(RESERVE // 3 * 2, "alice")
        takes(path)
        takes(path)  # it counts once
        self.assert_gets(NORD, RESERVE // 3 * 2)
        self.guard.kill()
        self.guard.start()
        takes(path)
        self.assertEqual(self.reserve()["left_bytes"], RESERVE // 3)
        self.assertIn("it takes 2; the reserve of grant %s (192KiB in 7d) has 64KiB left" % self.small,
                      takes(order(RESERVE // 2, "bob"), 1))
        self.assert_full(NORD)
        takes(order(RESERVE // 2, "alice", "bob"))
        takes(order(RESERVE // 3, "bob"))
        self.assert_gets(NORD, RESERVE // 2 + RESERVE // 3)
        self.assertEqual(self.reserve()["left_bytes"], 0)


class ReserveSpan(ReserveCase):
    has_clock = True

    def test_after_its_span_there_is_room_again(self):
        self.asks(ALICE, *self.extend(RESERVE))
        self.assert_gets(NORD, BUDGET + RESERVE)
        self.asks(BOB, *self.extend(1), code=1, told="has 0B left")
        self.clock.passes(7 * DAY - MINUTE)
        self.asks(BOB, *self.extend(RESERVE), code=1, told="it takes a second person")
        self.assert_full(NORD)
        self.clock.passes(2 * MINUTE)
        self.asks(BOB, *self.extend(RESERVE, "partner:" + SUED))
        self.assertEqual(self.reserve()["left_bytes"], 0)
        self.assert_gets(SUED, BUDGET + RESERVE)
