# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""The meters outlive the guard: what a partner got before a loss of power counts after it.

A loss is made as a reboot would make it: the daemon dies by SIGKILL, and the pins, which hold all that
is in the kernel, go.
"""
import glob
import os
import re
import shutil
import signal
import struct
import subprocess
import time
import zlib

from case import B, KIB, MIB, NORD, PAYER, STORE, STRANGERS, SUED, LabCase, pause, wait_for
from guard import grant, policy
from lab import SLOWNESS

BUDGET = 2 * MIB
PORTS = "tcp/7000-7999"
SHORTEST_SECONDS = 10 * SLOWNESS


class Outlive(LabCase):
    content = policy([grant("night", "batch", NORD, ["2MiB/1h"], serves=PORTS),
                      grant("latch", "batch", PAYER, ["256KiB/1h"], on_breach="sever", serves=PORTS),
                      grant("short", "batch", STORE, ["1MiB/%ds" % SHORTEST_SECONDS, "8MiB/1h"], serves=PORTS),
                      grant("free", "any", SUED, serves=PORTS)], STRANGERS)

    def setUp(self):
        self.state = os.path.join(self.guard.state_dir, self.lab.instance)
        self.guard.start(self.content)
        self.addCleanup(self.forget)
        self.port = self.pour()

    def forget(self):
        self.end_guard()
        self.lose_pins()
        shutil.rmtree(self.state, ignore_errors=True)

    def lose_pins(self):
        """Nothing else holds the links and the maps."""
        shutil.rmtree("/sys/fs/bpf/weir/" + self.lab.instance, ignore_errors=True)

    def lose_power(self):
        if self.guard.process.poll() is None:
            self.guard.kill()
        self.lose_pins()
        self.assertFalse(self.guard.is_pinned())

    def assumed(self):
        return self.guard.status()["meters"]["assumed"]

    def assert_budget_used(self, got):
        """Once, over all lives of the guard; what the hub counts for all of them says up to where."""
        self.assertLessEqual(got, BUDGET, "the budget was given twice")
        self.assertGreater(self.guard.partner(NORD)["sent_bytes"], BUDGET - 192 * KIB,
                           "what was left of the budget did not come back, or its counters did not")

    def events_of(self, kind):
        return [event for event in self.guard.events() if kind in str(event)]

    def take_half(self):
        """A part of the budget, and it is on the disk."""
        got = self.take(NORD, self.port, limit=MIB)
        self.assertGreater(got, MIB // 2)
        before = os.path.getsize(os.path.join(self.state, "meters"))
        self.guard.must("meters", "save")
        self.assertGreater(before, 0)
        return got

    def test_budget_is_not_given_twice(self):
        """What may have left unseen counts as if it had, until somebody says that it did not."""
        first = self.take_half()
        self.lose_power()
        self.guard.start()
        self.assertEqual(self.take(NORD, self.port), 0, "the unsaved moments were not assumed")
        self.assert_passes(SUED, self.port)
        assumed = self.assumed()
        self.assertIn("not saved", assumed["why"])
        self.assertGreater(assumed["meters"], 0)
        self.assertTrue(self.events_of("meters-assumed"))
        self.assertIn("assumed", self.guard.weir("status").stdout)
        self.assertEqual(self.guard.weir("meters", "reset", "night").returncode, 2)  # no reason
        self.guard.must("meters", "reset", "night", "--reason", "the router counted less")
        self.assertTrue(self.events_of("the router counted less"))
        self.assert_budget_used(first + self.take(NORD, self.port))
        self.assertIsNotNone(self.assumed(), "one grant's reset took the others back too")
        self.guard.must("meters", "reset", "--reason", "all of it")
        self.assertIsNone(self.assumed())

    def test_assumed_outlives_the_daemon_and_another_loss(self):
        first = self.take_half()
        self.lose_power()
        self.guard.start()
        self.guard.kill()
        self.guard.start()
        self.assertIsNotNone(self.assumed())
        self.lose_power()
        self.guard.start()
        self.assertEqual(self.take(NORD, self.port), 0)
        self.guard.kill()
        done = self.guard.weir("meters", "reset", "--reason", "without a daemon")
        self.assertEqual(done.returncode, 0, done.stderr)
        second = self.take(NORD, self.port)
        self.guard.start()
        self.assert_budget_used(first + second)

    def test_reset_takes_back_once_whoever_dies(self):
        """Also when the daemon dies before its next save: what was measured stays."""
        first = self.take_half()
        self.lose_power()
        self.guard.start()
        self.guard.must("meters", "reset", "--reason", "the router counted less")
        self.guard.kill()
        self.guard.start()
        self.assertIsNone(self.assumed(), "it would be taken back a second time")
        second = self.take(NORD, self.port)
        self.guard.must("meters", "reset", "--reason", "the router counted less")
        self.assert_budget_used(first + second + self.take(NORD, self.port))

    def test_reset_beside_a_stopped_daemon_is_refused(self):
        """It would take the same bytes back once more, when it goes on."""
        first = self.take_half()
        self.lose_power()
        self.guard.start()
        self.guard.process.send_signal(signal.SIGSTOP)
        done = self.guard.weir("meters", "reset", "--reason", "the router counted less")
        self.guard.process.send_signal(signal.SIGCONT)
        self.assertEqual(done.returncode, 1)
        self.assertIn("there is a daemon", done.stderr)
        self.assertEqual(self.take(NORD, self.port), 0)
        self.guard.must("meters", "reset", "--reason", "the router counted less")
        self.assert_budget_used(first + self.take(NORD, self.port))

    def test_damaged_file_is_told_by_the_next_daemon_too(self):
        self.take_half()
        self.guard.kill()
        self.damage()
        self.guard.start()
        self.assertEqual(len(self.events_of("is damaged")), 1)
        self.assertEqual(len(glob.glob(os.path.join(self.state, "meters.damaged-*"))), 1)

    def test_latches_come_from_their_copy(self):
        self.assertLessEqual(self.take(PAYER, self.port), 256 * KIB)
        self.guard.must("meters", "save")
        self.lose_power()
        self.damage()
        self.flip_in("latches", 40)
        self.guard.start()
        self.assertEqual(len(self.events_of("the latches come from its copy")), 1)
        self.assertEqual(len(glob.glob(os.path.join(self.state, "latches.damaged-*"))), 1)
        self.assertEqual(self.take(PAYER, self.port), 0, "a latch was lost")
        self.assert_passes(SUED, self.port)

    def test_all_that_can_be_is_severed_when_nobody_knows_what_was(self):
        self.lose_power()
        self.damage()
        for name in ("latches", "latches.copy"):
            self.flip_in(name, 40)
        self.guard.start()
        self.assertEqual(len(self.events_of("all that a breach can sever is severed")), 1)
        self.assertEqual([cut["target"] for cut in self.guard.cuts()], ["grant:latch"])
        self.guard.must("meters", "reset", "--reason", "a test of latches")
        self.assertEqual(self.take(PAYER, self.port), 0, "what may have been severed was not")
        self.assert_passes(SUED, self.port)
        self.guard.reopen("grant:latch")
        self.assertGreater(self.take(PAYER, self.port), 0)

    def test_strangers_are_severed_too_where_a_breach_severs_them(self):
        self.guard.apply(policy([grant("free", "any", SUED, serves=PORTS)], dict(STRANGERS, on_breach="sever")))
        self.lose_power()
        self.damage()
        for name in ("latches", "latches.copy"):
            self.flip_in(name, 40)
        self.guard.start()
        self.guard.must("meters", "reset", "--reason", "a test of latches")
        self.assertEqual(self.take("stranger", self.port, self.stranger()), 0)
        self.assert_passes(SUED, self.port)
        done = self.guard.weir("reopen", "strangers", "--reason", "a test")
        if SLOWNESS == 1:  # else the daemon may need more than 5 s for 65,536 slots, and the command goes on without it
            self.assertEqual(done.returncode, 0, done.stderr)
        wait_for(lambda: not self.guard.cuts(), 10, "the strangers' latches to be open")
        self.assertGreater(self.take("stranger", self.port, self.stranger()), B // 2)

    def test_assumed_outlives_a_daemon_that_dies_at_once(self):
        """As soon as the guard can be adopted, what it assumes is on the disk."""
        self.take_half()
        self.lose_power()
        self.guard.spawn()
        wait_for(self.guard.is_loaded, 60, "the guard to be pinned", 0.001)
        self.guard.kill()
        self.guard.start()
        self.assertIsNotNone(self.assumed(), "nobody could take it back")
        self.assertEqual(self.take(NORD, self.port), 0)
        self.guard.must("meters", "reset", "--reason", "the router counted less")
        self.assertIsNone(self.assumed())

    def test_unload_and_last_save_are_exact(self):
        first = self.take(NORD, self.port, limit=MIB // 2)
        self.guard.must("unload", "--yes")
        self.guard.process.wait(10)
        self.guard.start()
        self.assertIsNone(self.assumed())
        second = self.take(NORD, self.port, limit=MIB // 2)
        self.assertGreater(second, 0)
        self.guard.stop()
        third = self.take(NORD, self.port, limit=MIB // 2)  # nobody saves
        self.assertGreater(third, 0)
        self.guard.must("meters", "save", "--last")
        self.lose_power()
        self.guard.start()
        self.assertIsNone(self.assumed())
        last = self.take(NORD, self.port)
        self.assert_budget_used(first + second + third + last)

    def test_guard_without_a_daemon_is_unwatched(self):
        self.take(NORD, self.port, limit=MIB // 2)
        self.guard.stop()
        self.lose_power()
        self.guard.start()
        self.assertIn("without a daemon", self.assumed()["why"])
        self.assertEqual(self.take(NORD, self.port), 0)

    def damage(self):
        """In the snapshot: of what was appended to it, the last piece may be torn, which is no damage."""
        self.flip_in("meters", 100)

    def test_damaged_file_keeps_latches_and_fills_the_shortest_window(self):
        self.assertLessEqual(self.take(PAYER, self.port), 256 * KIB)
        latches = os.path.join(self.state, "latches")
        size = os.path.getsize(latches)
        wait_for(lambda: os.path.getsize(latches) > size or self.guard.cuts(), 5, "the latch")
        self.guard.must("meters", "save")
        self.lose_power()
        self.damage()
        self.guard.start()
        self.assertIn("damaged", self.assumed()["why"])
        self.assertIn("damaged", self.guard.words())
        self.assertEqual(len(glob.glob(os.path.join(self.state, "meters.damaged-*"))), 1)
        self.assertTrue([cut for cut in self.guard.cuts() if "latch" in cut["target"]])
        self.assertEqual(self.take(PAYER, self.port), 0, "a latch was lost")
        self.assertEqual(self.take(STORE, self.port), 0, "the shortest window is not full")
        self.assert_passes(SUED, self.port)
        pause(SHORTEST_SECONDS + 1)
        self.assertGreater(self.take(STORE, self.port, limit=MIB // 2), 0)
        self.assertEqual(self.take(PAYER, self.port), 0, "a latch ran out")

    def flip_in(self, name, place):
        with open(os.path.join(self.state, name), "r+b") as file:
            file.seek(place, os.SEEK_END if place < 0 else os.SEEK_SET)
            byte = file.read(1)
            file.seek(-1, os.SEEK_CUR)
            file.write(bytes([byte[0] ^ 1]))

    def test_damaged_orders_and_policy_leave_nobody_unguarded(self):
        self.guard.cut("partner:" + PAYER)
        digest = self.guard.status()["policy"]["digest"]
        self.lose_power()
        self.flip_in("orders.json", 40)
        self.flip_in("applied.json", -40)
        self.guard.start()
        self.assertEqual(self.guard.status()["policy"]["digest"], digest)
        self.assertEqual(len(self.events_of("is damaged")), 2)
        self.assertEqual(self.take(PAYER, self.port), 0, "a cut was lost")
        self.assert_passes(SUED, self.port)
        self.assertEqual(len(glob.glob(os.path.join(self.state, "orders.json.damaged-*"))), 1)

    def test_policy_is_found_by_its_digest_when_its_first_line_is_damaged(self):
        digest = self.guard.status()["policy"]["digest"]
        self.lose_power()
        self.flip_in("applied.json", 0)
        self.guard.start()
        self.assertEqual(self.guard.status()["policy"]["digest"], digest)
        self.assert_passes(SUED, self.port)
        self.lose_power()
        os.unlink(os.path.join(self.state, "applied.json"))
        self.guard.start()
        self.assertEqual(self.guard.status()["policy"]["digest"], digest)

    def test_policy_that_is_not_known_any_more_is_not_the_default(self):
        self.lose_power()
        self.flip_in("applied.json", 0)
        self.flip_in("applied.digest", 0)
        done = self.guard.run_to_end()
        self.assertEqual(done.returncode, 1)
        self.assertIn("name one with --policy", done.stderr)
        self.guard.start(self.content)
        self.assert_passes(SUED, self.port)

    def test_everything_is_cut_when_nobody_knows_what_was(self):
        self.guard.cut("partner:" + PAYER)
        self.lose_power()
        self.flip_in("orders.json", 40)
        self.flip_in("orders.json.copy", 40)
        self.guard.start()
        self.assertEqual([cut["target"] for cut in self.guard.status()["cuts"]], ["all"])
        self.assertEqual(self.take(PAYER, self.port), 0, "a cut was lost")
        self.assertEqual(self.take(SUED, self.port), 0, "something was not cut")
        self.guard.reopen("partner:" + SUED)
        self.assert_passes(SUED, self.port)
        self.assertEqual(self.take(PAYER, self.port), 0, "reopened too much")

    def test_orders_that_are_gone_are_not_none(self):
        self.lose_power()
        for name in ("orders.json", "orders.json.copy"):
            os.unlink(os.path.join(self.state, name))
        self.guard.start()
        self.assertEqual([cut["target"] for cut in self.guard.status()["cuts"]], ["all"])
        self.assertEqual(self.take(SUED, self.port), 0, "something was not cut")
        self.guard.reopen("all")
        self.assert_passes(SUED, self.port)

    def test_missing_file_is_a_loss(self):
        self.lose_power()
        os.unlink(os.path.join(self.state, "meters"))
        self.guard.start()
        self.assertIn("missing", self.assumed()["why"])
        self.assertEqual(self.take(NORD, self.port), 0)
        self.assert_passes(SUED, self.port)

    def make_uplinks_slow(self):
        """The file knows that they carry a kilobyte in a second."""
        with open(os.path.join(self.state, "meters"), "r+b") as file:
            data = bytearray(file.read())
            for at in [found.start() for found in re.finditer(b"weirmtr2", data)]:
                struct.pack_into("<Q", data, at + 80, 1000)
                struct.pack_into("<I", data, at + 100, zlib.crc32(data[at:at + 100]))
            file.seek(0)
            file.write(data)

    def test_what_a_full_disk_did_not_take_may_be_any_amount(self):
        """However slow the uplinks are."""
        self.guard.must("unload", "--yes")
        self.guard.process.wait(10)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", self.guard.state_dir], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", self.guard.state_dir], check=True)
        self.guard.start(self.content)
        filler = os.path.join(self.guard.state_dir, "filler")
        with open(filler, "wb", buffering=0) as file, self.assertRaises(OSError):
            while True:
                file.write(bytes(4096))
        done = self.guard.weir("meters", "save")
        self.assertEqual(done.returncode, 1)
        self.assertIn("No space", done.stderr)
        self.assertIn("UNSAVED   the meters: No space", self.guard.weir("status").stdout)
        self.guard.weir("cut", "partner:" + STORE, "--reason", "a full disk")
        self.assertIn("UNSAVED   the orders", self.guard.weir("status").stdout)
        self.assertGreater(self.take(NORD, self.port, limit=MIB), 0)
        self.guard.stop()
        self.assertIn("could not be saved", self.guard.words())
        self.lose_power()
        os.unlink(filler)
        self.make_uplinks_slow()
        self.guard.start()
        self.assertEqual(self.take(NORD, self.port), 0, "what was not saved was given again")
        self.assert_passes(SUED, self.port)
        self.end_guard()

    def test_saved_within_a_second_by_itself(self):
        path = os.path.join(self.state, "meters")
        size = os.path.getsize(path)
        self.take(NORD, self.port, limit=MIB)
        wait_for(lambda: os.path.getsize(path) > size, 3, "the meters to be appended")

    def test_what_strangers_got_is_saved_by_itself(self):
        """Of 65,536 slots those that moved: what is assumed of all of them is taken back here."""
        port6, took = self.pour(family=6), {}
        sources = {4: self.stranger(), 6: self.stranger(6)}
        ports = {4: self.port, 6: port6}
        for family, source in sources.items():
            took[family] = self.take("stranger", ports[family], source, family)
            self.assertGreater(took[family], B // 2)
        since = time.time()

        def is_saved():
            self.take(SUED, self.port, limit=1)
            return self.guard.status()["meters"]["saved_at"] > since + 1
        wait_for(is_saved, 10, "a save after that")
        self.lose_power()
        self.guard.start()
        done = self.guard.weir("meters", "reset", "--reason", "a test")
        if SLOWNESS > 1 and "does not answer" in done.stderr:  # within 5 s, of 65,536 slots
            wait_for(lambda: self.assumed() is None, 30, "the daemon to take back what it assumed")
        else:
            self.assertEqual(done.returncode, 0, done.stderr)
        for family, source in sources.items():
            took[family] += self.take("stranger", ports[family], source, family)
            self.assertLessEqual(took[family], B, "IPv%d: the budget was given again" % family)
        self.assertGreater(self.take("stranger", self.port, self.stranger()), B // 2)


class Bounded(LabCase):
    """What can have left unsaved is bounded by what the uplink carries, where its speed is known."""
    SPEED = 10 ** 10 // 8  # of a veth that is up, in bytes a second
    CARRIED = 2 * SPEED

    def setUp(self):
        self.state = os.path.join(self.guard.state_dir, self.lab.instance)
        run_words = self.guard.run_words
        self.addCleanup(setattr, self.guard, "run_words", run_words)
        # the daemon sees its own namespace's interfaces in /sys, as it does on a host
        own = self.lab.path("sys")
        os.makedirs(own, exist_ok=True)
        self.guard.run_words = lambda *more, **options: [
            "unshare", "-m", "--propagation", "private", "sh", "-ec",
            'mount -t sysfs sysfs "$0"; for part in devices/virtual/net class/net; do '
            'mount --bind "$0/$part" "/sys/$part"; done; exec "$@"', own, *run_words(*more, **options)]
        self.guard.environment["WATCHDOG_USEC"] = "600000000"  # as under a service manager
        self.addCleanup(self.guard.environment.pop, "WATCHDOG_USEC")
        self.addCleanup(self.forget)
        self.port = self.pour()

    def forget(self):
        self.end_guard()
        shutil.rmtree("/sys/fs/bpf/weir/" + self.lab.instance, ignore_errors=True)
        shutil.rmtree(self.state, ignore_errors=True)

    def start(self, *more):
        self.guard.start(policy([grant("large", "batch", NORD, ["64GiB/1h"], serves=PORTS)], STRANGERS), *more)

    def speed_saved(self):
        """Whether the meters on disk say what two links carry."""
        self.guard.must("meters", "save")
        with open(os.path.join(self.state, "meters"), "rb") as file:
            return struct.pack("<Q", 2 * self.SPEED) in file.read()

    def speed_on_disk(self):
        """0 for a minute after a save that took long."""
        with open(os.path.join(self.state, "meters"), "rb") as file:
            data = file.read()
        return struct.unpack_from("<Q", data, data.rindex(b"weirmtr2") + 80)[0]

    def assumed_after_power_loss(self):
        self.guard.kill()
        shutil.rmtree("/sys/fs/bpf/weir/" + self.lab.instance)
        self.guard.start()
        return self.guard.status()["meters"]["assumed"]

    def test_no_more_is_assumed_than_the_uplink_carries(self):
        self.start()
        self.take(NORD, self.port, limit=MIB)
        self.guard.must("meters", "save")
        wait_for(self.speed_on_disk, 90, "a disk that keeps up")
        assumed = self.assumed_after_power_loss()
        self.assertGreaterEqual(assumed["bytes"], self.CARRIED)
        self.assertLess(assumed["bytes"], self.CARRIED + 100 * MIB)  # what all strangers may have, is little
        self.assert_passes(NORD, self.port)

    def link(self, *words):
        subprocess.run(["ip", "-n", self.lab.hosts["hub"].namespace, "link", *words], check=True)

    def start_beside_a_link_that_is_down(self):
        self.link("add", "later0", "type", "veth", "peer", "name", "later1")
        self.addCleanup(self.link, "del", "later0")
        self.start("--uplink", "later0")
        self.take(NORD, self.port, limit=MIB)
        self.assertFalse(self.speed_saved())

    def test_a_link_that_is_down_bounds_nothing(self):
        """What it carries once it is up is not known."""
        self.start_beside_a_link_that_is_down()
        self.assumed_after_power_loss()
        self.assertEqual(self.take(NORD, self.port), 0)

    def test_a_link_that_comes_up_after_the_daemon_bounds_it_from_then_on(self):
        self.start_beside_a_link_that_is_down()
        for name in ("later0", "later1"):
            self.link("set", name, "up")
        wait_for(self.speed_saved, 10 * SLOWNESS, "the daemon to look at its links again")
        assumed = self.assumed_after_power_loss()
        self.assertGreaterEqual(assumed["bytes"], 2 * self.CARRIED)
        self.assertLess(assumed["bytes"], 2 * self.CARRIED + 100 * MIB)
        self.assert_passes(NORD, self.port)

    def test_all_is_assumed_when_nobody_watches_the_daemon(self):
        """It may have ended at any time before the power did."""
        self.guard.environment["WATCHDOG_USEC"] = "0"
        self.start()
        self.take(NORD, self.port, limit=MIB)
        self.guard.must("meters", "save")
        self.assumed_after_power_loss()
        self.assertEqual(self.take(NORD, self.port), 0)


class FirstStart(LabCase):
    def test_nothing_is_assumed(self):
        self.guard.start(Outlive.content)
        self.assertIsNone(self.guard.status()["meters"]["assumed"])
        port = self.pour()
        self.assertGreater(self.take(NORD, port, limit=MIB), 0)
