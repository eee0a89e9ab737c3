# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Another build takes the guard over while it runs, and is taken over again.

The other build is this tree with other records in the maps: fields that are new, that are longer, that
stand elsewhere. Each swap happens under traffic; the far ends count.
"""
import glob
import json
import os
import random
import shutil
import signal
import subprocess
import time

from case import HOSTS, HUB, KIB, MIB, NORD, PAYER, STORE, STRANGERS, SUED, LabCase, far, wait_for
from guard import WEIR, grant, policy
from lab import SLOWNESS, TOP

BUDGET = 48 * MIB
PORTS = "tcp/7000-7999"
PROGRAMS = ("build/weir", "build/weir-guard")
OTHER = os.path.join(os.path.dirname(os.path.abspath(WEIR)), "other")

# (file, what stands there, what stands there instead)
PATCH = (
    ("bpf/common.bpf.h", "\t__u64 word;\n\t__u64 partner_key;\n", "\t__u64 later;\n\t__u64 word;\n\t__u64 partner_key;\n"),
    ("bpf/abi.h", "\t__u64 partner_key;\n\t__u64 sent_bytes[2]; /* IP", "\t__u64 partner_key;\n\t__u64 later;\n\t__u64 sent_bytes[2]; /* IP"),
    ("bpf/abi.h", "WEIR_SIZE(struct weir_meter, 152", "WEIR_SIZE(struct weir_meter, 160"),
    ("user/daemon/meters_format.h", "\tFIELD(weir_meter, partner_key),\n",
     "\tFIELD(weir_meter, partner_key),\n\tFIELD(weir_meter, later),\n"),
    ("bpf/abi.h", "\t__u64 window_ns;\n\t__u64 slice_ns;\n", "\t__u64 slice_ns;\n\t__u64 window_ns;\n"),
    ("bpf/abi.h", "\t__u64 observe;", "\t__u64 later;\n\t__u64 observe;"),
    ("bpf/abi.h", "WEIR_SIZE(struct weir_control, 80)", "WEIR_SIZE(struct weir_control, 88)"),
    ("bpf/abi.h", "\tchar reason[192];", "\tchar reason[256];"),
    ("bpf/abi.h", "WEIR_SIZE(struct weir_order, 536)", "WEIR_SIZE(struct weir_order, 600)"),
    ("bpf/abi.h", "\t__u32 grant;\n\t__u8 direction;", "\t__u32 later;\n\t__u32 grant;\n\t__u8 direction;"),
    ("bpf/abi.h", "WEIR_SIZE(struct weir_rule, 12)", "WEIR_SIZE(struct weir_rule, 16)"),
    ("bpf/abi.h", "\t__u64 wall_ns;\n\t__u64 service_key;", "\t__u64 service_key;\n\t__u64 wall_ns;"),
)


# Of a third build, in which this alone is different: what is kept with a socket cannot be taken over.
THIRD = os.path.join(os.path.dirname(os.path.abspath(WEIR)), "third")
PATCH_OF_THIRD = (("bpf/common.bpf.h", "\t__u64 holder_service; /* key", "\t__u64 later;\n\t__u64 holder_service; /* key"),)


def build_other(directory=OTHER, patch=PATCH):
    """The other build; what did not change since the last time is not built again."""
    for part in ("bpf", "user", "vmlinux"):
        for path, _, names in os.walk(os.path.join(TOP, part)):
            for name in names:
                source = os.path.join(path, name)
                copy_changed(source, os.path.join(directory, os.path.relpath(source, TOP)), patch)
    for name in ("Makefile", "packaging/debian/changelog"):
        copy_changed(os.path.join(TOP, name), os.path.join(directory, name), patch)
    done = subprocess.run(["make", "-s", "-j2", "-C", directory, "B=build", "CFLAGS=-O1", *PROGRAMS], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=400, check=False)
    if done.returncode != 0:
        raise RuntimeError("the other build failed:\n" + done.stdout[-3000:])
    return os.path.join(directory, "build", "weir")


def copy_changed(source, target, patch):
    with open(source, encoding="utf-8") as file:
        text = file.read()
    for name, old, new in patch:
        if os.path.relpath(source, TOP) == name:
            if text.count(old) != 1:
                raise RuntimeError("the patch for %s does not fit any more: %r" % (name, old))
            text = text.replace(old, new)
    try:
        with open(target, encoding="utf-8") as file:
            if file.read() == text:
                return
    except FileNotFoundError:
        os.makedirs(os.path.dirname(target), exist_ok=True)
    with open(target, "w", encoding="utf-8") as file:
        file.write(text)


def steady_take(address, port, stop, pace):
    """Reads on one connection, slowly, until the file `stop` is there. (bytes, longest silence in s)"""
    import socket
    got, longest, last = 0, 0.0, time.monotonic()
    with socket.create_connection((address, port), 5) as client:
        client.settimeout(0.1)
        client.sendall(b"go\n")
        while not os.path.exists(stop):
            try:
                part = client.recv(1 << 15)
            except socket.timeout:
                continue
            if not part:
                raise RuntimeError("the connection ended")
            now = time.monotonic()
            got, longest, last = got + len(part), max(longest, now - last), now
            time.sleep(pace)
    return got, max(longest, time.monotonic() - last)


def keep_trying(address, port, stop):
    """Connects again and again until the file `stop` is there; the bytes that came."""
    import socket
    got = 0
    while not os.path.exists(stop):
        try:
            with socket.create_connection((address, port), 0.2) as client:
                client.settimeout(0.2)
                client.sendall(b"go\n")
                got += len(client.recv(1 << 16))
        except OSError:
            time.sleep(0.01)
    return got


def knock(address, port, stop):
    """Sends datagrams, each once no answer has come to the last, until the file `stop` is there; how many."""
    import socket
    sent = 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(0.0005)
        while not os.path.exists(stop):
            client.sendto(b"?", (address, port))
            sent += 1
            try:
                raise RuntimeError("an answer: %r" % client.recv(64))
            except socket.timeout:
                pass
    return sent


class Upgrade(LabCase):
    content = policy([grant("night", "batch", NORD, ["48MiB/1h"], serves=PORTS),
                      grant("latch", "batch", STORE, ["256KiB/1h"], on_breach="sever", serves=PORTS),
                      grant("free", "batch", [SUED, PAYER], serves=PORTS)], STRANGERS)

    @classmethod
    def prepare(cls):
        cls.other = build_other()

    def setUp(self):
        self.guard.program = WEIR
        self.guard.start(self.content)
        self.addCleanup(self.forget)
        self.port = self.pour()
        self.stop = self.lab.path("stop")
        self.addCleanup(lambda: os.path.exists(self.stop) and os.unlink(self.stop))

    def forget(self):
        if self.guard.process.poll() is None:
            self.guard.must("unload", "--yes")
        shutil.rmtree(os.path.join(self.guard.state_dir, self.lab.instance), ignore_errors=True)

    def test_each_packet_that_the_edge_drops_is_counted_once(self):
        """Whoever counted it, and whatever became of the daemon: killed, or of another build, and back."""
        self.guard.cut("partner:" + SUED)
        knocker = self.lab.start(knock, HUB[4], 9, self.stop, host=SUED)
        self.addCleanup(knocker.kill)

        def dropped():
            return self.guard.partner(SUED)["edge_dropped_packets"]
        for program in (WEIR, self.other, WEIR):
            seen = dropped()
            wait_for(lambda seen=seen: dropped() > seen + 100, 10, "packets to be dropped")
            if program == self.guard.program:
                self.guard.kill()
                self.guard.start()
            else:
                self.swap(program)
        self.end_background()
        sent = knocker.result(10)
        wait_for(lambda: dropped() >= sent, 5, "the last packet")
        self.assertEqual(dropped(), sent)

    def swap(self, program):
        self.guard.stop()
        self.guard.program = program
        self.guard.start()

    def assert_nothing_was_damaged(self):
        self.assertEqual(glob.glob(os.path.join(self.guard.state_dir, self.lab.instance, "*.damaged-*")), [])

    def background(self, function, host, *args):
        task = self.lab.start(function, HUB[4], self.port, self.stop, *args, host=host)
        self.addCleanup(task.kill)
        return task

    def end_background(self):
        with open(self.stop, "w", encoding="utf-8"):
            pass

    def test_there_and_back_under_traffic(self):
        got = self.take(STORE, self.port)
        self.assertLessEqual(got, 256 * KIB)
        self.guard.cut("partner:" + PAYER, reason="a long story " * 14)
        # emulated, the swaps last as much longer: the budget shall last as long as they do
        budgeted = self.background(steady_take, NORD, 0.02 * SLOWNESS)
        free = self.background(steady_take, SUED, 0.02 * SLOWNESS)
        cut = self.background(keep_trying, PAYER)
        wait_for(lambda: self.guard.partner(NORD)["sent_bytes"] > MIB, 10, "the flow")
        for program in (self.other, WEIR):
            before = self.guard.status()
            self.swap(program)
            after = self.guard.status()
            self.assertEqual([(c["id"], c["target"], c["reason"]) for c in after["cuts"]],
                             [(c["id"], c["target"], c["reason"]) for c in before["cuts"]])
            for name in (NORD, SUED, STORE):
                for key in ("sent_bytes", "acked_bytes", "refused_bytes"):
                    old, new = ([p for p in s["partners"] if p["name"] == name][0][key] for s in (before, after))
                    self.assertGreaterEqual(new, old, "%s of %s went back" % (key, name))
            self.assertTrue([e for e in self.guard.events() if "took over from another" in e["message"]])
            self.assert_nothing_was_damaged()
        self.end_background()
        used, silence = budgeted.result()
        self.assertLess(silence, 3 * SLOWNESS, "the budgeted flow stood still")
        _, silence = free.result()
        self.assertLess(silence, 3 * SLOWNESS, "the free flow stood still")
        self.assertEqual(cut.result(), 0, "the cut partner got something")
        self.assertEqual(self.take(STORE, self.port), 0, "a latch was lost")
        used += self.take(NORD, self.port, seconds=3)
        self.assertLessEqual(used, BUDGET, "the budget was given more than once")
        self.assertGreater(self.guard.partner(NORD)["sent_bytes"], BUDGET - 256 * KIB, "what was left was lost")

    def test_meters_come_back_in_another_build(self):
        """After a reboot right behind the upgrade: the pins, which hold all that is in the kernel, are gone."""
        self.assertLessEqual(self.take(STORE, self.port), 256 * KIB)
        used = 0
        for program in (self.other, WEIR):
            used += self.take(NORD, self.port, limit=8 * MIB)
            self.guard.stop()
            self.guard.must("meters", "save", "--last")
            shutil.rmtree("/sys/fs/bpf/weir/" + self.lab.instance)
            self.guard.program = program
            self.guard.start()
            self.assertIsNone(self.guard.status()["meters"]["assumed"])
            self.assert_nothing_was_damaged()
            self.assertEqual(self.take(STORE, self.port), 0, "a latch was lost")
        used += self.take(NORD, self.port)
        self.assertLessEqual(used, BUDGET, "the budget was given more than once")
        self.assertGreater(self.guard.partner(NORD)["sent_bytes"], BUDGET - 256 * KIB, "what was left was lost")

    def test_strangers_stay_severed_and_are_let_back(self):
        """Of their slots those are read that a packet met, or that were written: also after a change."""
        self.guard.apply(policy([grant("free", "batch", SUED, serves=PORTS)], dict(STRANGERS, on_breach="sever")))
        for program in (self.other, WEIR):
            self.assert_bounded(self.take("stranger", self.port, self.stranger()), 64 * KIB)
            self.swap(program)
            self.assertEqual(len(self.guard.cuts()), 1, "the latch is not seen any more")
            self.guard.must("reopen", "strangers", "--reason", "a test")
            self.assertEqual(self.guard.cuts(), [])

    def test_events_that_nobody_read_are_counted(self):
        """Of packets that were refused while no daemon ran, by the build that is gone."""
        self.guard.stop()
        self.lab.call(far.udp_give, HOSTS[STORE][0][0], 444, 1000, 10, host="hub", service="batch")
        self.guard.program = self.other
        self.guard.start()
        self.assertTrue([e for e in self.guard.events() if "took over from another" in e["message"]])
        unread = self.guard.status()["lost"]["events-unread"]
        self.assertGreaterEqual(unread, 1)
        self.guard.stop()
        self.guard.start()
        self.assertEqual(self.guard.status()["lost"]["events-unread"], unread)

    def test_what_a_killed_takeover_left_is_counted_and_goes(self):
        """Killed right after the pins changed places: a second set of them, with a ring that was not read."""
        ring, left = ("/sys/fs/bpf/weir/%s%s" % (self.lab.instance, end) for end in ("-ring", "+"))
        self.guard.stop()
        self.lab.call(far.udp_give, HOSTS[STORE][0][0], 444, 1000, 10, host="hub", service="batch")
        subprocess.check_call(["bpftool", "map", "pin", "pinned", "/sys/fs/bpf/weir/%s/events" % self.lab.instance, ring])
        self.guard.must("unload", "--yes")
        self.guard.start(self.content)
        self.guard.stop()
        os.mkdir(left)
        os.rename(ring, os.path.join(left, "events"))
        self.guard.start()
        self.assertGreaterEqual(self.guard.status()["lost"]["events-unread"], 1)
        self.assertFalse(os.path.exists(left))

    def test_an_uplink_that_a_killed_takeover_attached_keeps_none_from_beginning(self):
        """Killed before the pins changed places: its link is among its own alone."""
        edge, left = ("/sys/fs/bpf/weir/%s%s" % (self.lab.instance, end) for end in ("/link_edge_uplink0", "+"))
        self.guard.stop()
        os.mkdir(left)
        os.rename(edge, os.path.join(left, "link_edge_uplink0"))
        self.guard.start()
        self.assertTrue(os.path.exists(edge))
        self.assertFalse(os.path.exists(left))

    def test_without_the_right_to_look_it_is_left_alone(self):
        """CAP_SYS_ADMIN is what is missing, and `weir unload` no advice to give."""
        words = ["setpriv", "--bounding-set=-sys_admin", "--", *self.guard.run_words("--policy", self.guard.policy_file)]
        self.guard.stop()
        words[words.index(WEIR)] = self.other
        done = self.lab.run(words, timeout=60, env=self.guard.environment)
        self.assertEqual(done.returncode, 1)
        self.assertIn("takes CAP_SYS_ADMIN", done.stderr)
        self.assertNotIn("unload", done.stderr)
        self.assert_passes(SUED, self.port)
        self.swap(self.other)

    def test_unload_by_another_build_is_not_undone(self):
        """Also not by a daemon that was stopped meanwhile."""
        self.swap(self.other)
        self.guard.process.send_signal(signal.SIGSTOP)
        self.guard.program = WEIR
        self.guard.must("unload", "--yes", timeout=60)
        self.guard.process.send_signal(signal.SIGCONT)
        self.guard.process.wait(30)
        self.assertFalse(self.guard.is_pinned())

    def test_killed_at_any_moment(self):
        """Whoever takes over may die; the next one does it, and the cut and the budget hold."""
        self.guard.cut("partner:" + PAYER)
        budgeted = self.background(steady_take, NORD, 0.1 * SLOWNESS)
        cut = self.background(keep_trying, PAYER)
        chance = random.Random(self.lab.instance)
        for i in range(6):
            self.guard.process.poll() is None and self.guard.kill()
            program = WEIR if i % 2 else self.other
            process = self.lab.spawn([program] + self.guard.run_words()[1:], env=self.guard.environment,
                                     stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(chance.uniform(0, 3 * SLOWNESS))  # the moment is what is tried
            process.kill()
            process.wait()
            self.guard.program = chance.choice((WEIR, self.other))
            self.guard.start()
            self.assertEqual(len(self.guard.cuts()), 1)
        self.end_background()
        used, _ = budgeted.result()
        self.assertEqual(cut.result(), 0, "the cut partner got something")
        used += self.take(NORD, self.port, seconds=3)
        self.assertLessEqual(used, BUDGET, "the budget was given more than once")
        self.assert_passes(SUED, self.port)

    def calls_of_takeover(self, program):
        """[(system call, how many of them so far, its line)] of one from its start until it judges."""
        log, said = self.lab.path("calls"), self.lab.path("said")
        process = self.traced(program, log)

        def is_done():
            with open(said, encoding="utf-8") as file:
                return "guarding" in file.read()
        wait_for(is_done, 60, "the takeover")
        self.end_traced(process)
        with open(log, encoding="utf-8", errors="replace") as file:
            lines = file.readlines()
        count, calls = {}, []
        for line in lines:
            if line.split(None, 1)[0] != lines[0].split(None, 1)[0]:
                continue  # another thread
            name = line.split(None, 1)[1].split("(")[0]
            count[name] = count.get(name, 0) + 1
            calls.append((name, count[name], line))
        return calls

    def traced(self, program, log, *more):
        self.guard.program = program
        words = ["strace", "-f", "-qq", "-s", "0", "-o", log, "-e", "trace=bpf,renameat2,unlinkat,mkdirat", *more]
        words += self.guard.run_words("--policy", self.guard.policy_file)
        with open(self.lab.path("said"), "w", encoding="utf-8") as said:
            return self.lab.spawn(words, env=self.guard.environment, stdout=said, stderr=said)

    @staticmethod
    def end_traced(process):
        with open("/proc/%d/task/%d/children" % (process.pid, process.pid), encoding="ascii") as file:
            os.kill(int(file.read().split()[0]), signal.SIGKILL)
        process.wait(30)

    def test_killed_before_a_call_of_the_takeover(self):
        """Each one around the exchange of the pins, and some of the others."""
        self.guard.cut("partner:" + PAYER)
        cut = self.background(keep_trying, PAYER)
        chance, around, others = random.Random(self.lab.instance), 2 if SLOWNESS > 1 else 5, 2 if SLOWNESS > 1 else 3
        for former, program in ((WEIR, self.other), (self.other, WEIR)):
            self.swap(former)
            self.guard.kill()
            calls = self.calls_of_takeover(program)
            at = next(i for i, (_, _, line) in enumerate(calls) if "RENAME_EXCHANGE" in line)
            chosen = calls[at - around:at + around + 1] + chance.sample(calls, others)
            for name, number, line in chosen:
                with self.subTest(takes_over=os.path.relpath(program, TOP), before=line):
                    self.guard.program = former
                    self.guard.start()
                    self.guard.kill()
                    process = self.traced(program, "/dev/null", "-e", "inject=%s:signal=KILL:when=%d" % (name, number))
                    self.assertNotEqual(process.wait(60 * SLOWNESS), 0)
                    self.guard.program = chance.choice((WEIR, self.other))
                    self.guard.start()
                    self.assertEqual(len(self.guard.cuts()), 1)
                    self.assertFalse(os.path.exists("/sys/fs/bpf/weir/%s+" % self.lab.instance))
                    self.guard.kill()
            self.guard.start()
        self.end_background()
        self.assertEqual(cut.result(), 0, "the cut partner got something")
        self.assert_passes(SUED, self.port)

    def test_an_order_of_a_kind_that_this_build_does_not_know(self):
        """It may tighten, and whoever passes it over would loosen."""
        self.guard.cut("partner:" + PAYER)
        self.guard.stop()
        path, kind = "/sys/fs/bpf/weir/%s/orders" % self.lab.instance, 528  # bpf/abi.h, struct weir_order
        dump = json.loads(subprocess.check_output(["bpftool", "-j", "map", "dump", "pinned", path]))
        entry = next(one for one in dump if any(byte != "0x00" for byte in one["value"][:8]))
        update = ["bpftool", "map", "update", "pinned", path, "key", *entry["key"], "value"]
        subprocess.check_call([*update, *entry["value"][:kind], "200", *entry["value"][kind + 1:]])
        done = self.guard.run_to_end("--policy", self.guard.policy_file)
        self.assertEqual(done.returncode, 1)
        self.assertIn("(partner:%s) is of a kind that this build does not know" % PAYER, done.stderr)
        self.assertEqual(self.take(PAYER, self.port), 0)
        self.assert_passes(SUED, self.port)
        subprocess.check_call([*update, *entry["value"]])
        self.guard.start()
        self.assertEqual(self.take(PAYER, self.port), 0)

    def test_what_this_build_does_not_know_is_refused(self):
        """A field in use that the build does not have: the guard stays as it is."""
        self.swap(self.other)
        self.take(NORD, self.port, limit=MIB)
        self.guard.stop()
        for table, at in (("meters", 24), ("control", 48)):  # where the other build has `later`
            with self.subTest(table=table):
                path = "/sys/fs/bpf/weir/%s/%s" % (self.lab.instance, table)
                dump = json.loads(subprocess.check_output(["bpftool", "-j", "map", "dump", "pinned", path]))
                entry = max(dump, key=lambda e: e.get("formatted", {}).get("value", {}).get("sent_bytes", [0])[0])
                update = ["bpftool", "map", "update", "pinned", path, "key", *entry["key"], "value"]
                subprocess.check_call([*update, *entry["value"][:at], "1", *["0"] * 7, *entry["value"][at + 8:]])
                self.guard.program = WEIR
                done = self.guard.run_to_end("--policy", self.guard.policy_file)
                self.assertEqual(done.returncode, 1)
                self.assertIn("uses later of %s, which this build does not know" % table, done.stderr)
                self.assert_passes(SUED, self.port)
                subprocess.check_call([*update, *entry["value"]])
        self.guard.program = self.other
        self.guard.start()
        self.assertEqual(self.guard.status()["instance"], self.lab.instance)


def hold(port, stop):
    """Holds a connection until the file `stop` is there."""
    import socket
    with socket.create_connection((HUB[4], port), 5):
        while not os.path.exists(stop):
            time.sleep(0.02)


def only_listen(connection):
    if not connection.recv(64):
        raise OSError("it is over")


class Holders(LabCase):
    """Who may be called back, when no socket knows any more that it is one reason for it."""
    policy = policy([grant("legacy", "batch", SUED, serves=PORTS, calls_back="tcp/1024-65535")], STRANGERS)

    @classmethod
    def prepare(cls):
        cls.third = build_other(THIRD, PATCH_OF_THIRD)

    def call_back(self):
        return self.lab.call(far.connect_error, self.back[1], self.back[2], host="hub", service="batch")

    def held(self, port):
        """A connection of the partner's, and how to end it."""
        stop = self.lab.path("stop-%d" % port)
        task = self.lab.start(hold, port, stop, host=SUED)
        self.addCleanup(task.kill)
        wait_for(lambda: self.call_back() is None, 5, "the call back")

        def end():
            with open(stop, "w", encoding="utf-8"):
                task.result()
        return end

    def test_none_is_called_back_for_a_connection_that_has_ended(self):
        self.back = self.sink(SUED)
        port = self.pour(send=only_listen)
        end = self.held(port)
        self.guard.stop()
        self.guard.program = self.third
        self.guard.start()
        end()
        wait_for(lambda: self.call_back() == "EPERM", 5, "it to be refused")
        end = self.held(self.pour(send=only_listen))
        end()
        wait_for(lambda: self.call_back() == "EPERM", 5, "it to be refused again")
