# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""A drill cuts a partner that is there for it, and the far end judges whether that held."""
import json
import os
import re
import signal
import time

from case import KIB, NORD, PAYER, STORE, STRANGERS, SUED, LabCase, far, wait_for
from guard import grant, policy
from lab import HOSTS, SLOWNESS

PORT, OTHERS = 7443, 4
PLACE = "%s:%d" % (HOSTS[STORE][0][0], PORT)
GRANTS = [grant("drill", "batch", STORE, calls="tcp/7443"),
          grant("pour", "batch", [NORD, SUED], serves="tcp/7000-7999")]


def with_drill(value=PLACE, **keys):
    return policy(GRANTS, STRANGERS, partners={STORE: {"drill": value}}, **keys)


class Drill(LabCase):
    servers = ("admin",)
    policy = with_drill()

    def setUp(self):
        self.guard.apply(with_drill())
        self.cgroup = self.lab.cgroup_of("batch")

    def tearDown(self):
        for cut in self.guard.cuts():
            self.guard.weir("reopen", "--order", cut["id"], "--reason", "the test is over")

    def drill(self, *words, code=0, **options):
        done = self.guard.weir("drill", *words, timeout=40, **options)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done

    def report(self, *words, code=0):
        return json.loads(self.drill(*words, "--json", "--cgroup", self.cgroup, code=code).stdout)

    def journal(self):
        return self.guard.must("order", "list").stdout

    def test_far_end_sees_what_the_report_says(self):
        sink, _, _ = self.sink(STORE, port=PORT)
        port = self.pour()
        other = self.lab.start(far.tcp_take, far.HUB[4], port, None, 5, b"go\n", 1 << 40, host=NORD)
        ssh = self.lab.spawn(["ssh", *far.ssh_options(self.lab), "root@" + far.ADMIN[4], "sleep 30"], "admin")
        self.addCleanup(ssh.kill)
        wait_for(lambda: self.guard.weir("show", "service:admin").stdout.count("port 22"), 10, "the admin")
        count = far.Count(self.lab, STORE)
        report = self.report()
        self.assertEqual((report["result"], report["faults"], report["target"]), ("held", [], "partner:" + STORE))
        status = self.guard.status()
        self.assertEqual(report["policy"]["digest"], status["policy"]["digest"])
        self.assertEqual((report["kernel"], report["instance"]), (os.uname().release, self.lab.instance))
        self.assertTrue(report["by"].startswith("root(0)"))
        cut, seen = report["cut"], report["cut"]["seen"]
        self.assertLess(0, cut["in_force_ms"])
        self.assertLess(cut["in_force_ms"], cut["saved_ms"])
        self.assertLess(cut["saved_ms"], cut["acknowledged_ms"])
        self.assertLess(cut["in_force_ms"], 100 * SLOWNESS)
        self.assertLess(seen["connection_ended_ms"], cut["in_force_ms"] + 200 * SLOWNESS)
        self.assertLess(seen["last_byte_acknowledged_ms"], cut["in_force_ms"] + 100 * SLOWNESS)
        self.assertLessEqual(0, seen["first_refused_ms"])
        self.assertGreater(seen["refused"], 100)
        self.assertGreater(report["reopening"]["seen"]["first_byte_acknowledged_ms"], 0)
        self.assertLess(report["reopening"]["saved_ms"], report["reopening"]["in_force_ms"])
        # the partner's machine: what it got, of both connections and the tries before the kernel refused
        self.assertGreaterEqual(sink.connections, 2)
        self.assertGreaterEqual(count.settle().tcp_payload, seen["acked_bytes"])
        self.assertGreaterEqual(report["lifeline"]["connections_before"], 1)
        self.assertEqual((report["lifeline"]["refused"], report["lifeline"]["still_open"]),
                         (0, report["lifeline"]["connections_before"]))
        self.assertIsNone(ssh.poll())
        self.assertTrue(other.is_running(), "another partner's flow broke")
        other.kill()
        self.assertEqual(self.guard.cuts(), [])
        said = self.journal()
        self.assertRegex(said, r"cut +accepted|cut +over")
        self.assertRegex(said, r"partner:%s, by root.*: drill\n" % STORE)
        self.assertRegex(said, r"reopen +accepted .*: drill\n")

    def test_nothing_arrives_during_the_cut(self):
        """By the clock of the far end: between the last byte before the cut and the first after it lies the cut."""
        times = self.lab.start(_arrivals, HOSTS[STORE][0][0], PORT, host=STORE)
        far.wait_listening(self.lab, STORE, HOSTS[STORE][0][0], PORT)
        report = self.report()
        arrived = times.result(20)
        longest = max(after - before for before, after in zip(arrived, arrived[1:]))
        self.assertGreater(longest, 0.9, "bytes came while it was cut")
        self.assertLess(longest, 1.0 + (1.5 * SLOWNESS), report)
        self.assertGreater(len(arrived), 20)

    def test_over_a_slow_line(self):
        """2 Mbit/s, on which others' packets wait up to 200 ms: what had left is on its way, and no breach."""
        line = ["tc", "qdisc", "add", "dev", STORE, "root", "tbf", "rate", "2mbit", "burst", "16kb", "limit", "50kb"]
        done = self.lab.run(line, self.lab.router)
        if done.returncode:
            self.skipTest("this kernel has no tbf: " + done.stderr.strip())
        self.addCleanup(self.lab.run, ["tc", "qdisc", "del", "dev", STORE, "root"], self.lab.router)
        sink, address, _ = self.sink(STORE, port=PORT)
        busy, _, port = self.sink(STORE, port=PORT + 1)
        # several: one alone leaves the line idle for moments, each time that it backs off
        others = [self.lab.start(far.tcp_give, address, port, 1 << 30, 60.0, host=SUED) for _ in range(OTHERS)]
        for other in others:
            self.addCleanup(other.kill)
        wait_for(lambda: busy.bytes > 100 * KIB, 20, "the line to be busy")
        count = far.Count(self.lab, STORE)
        report = self.report()
        cut, seen, again = report["cut"], report["cut"]["seen"], report["reopening"]["seen"]
        self.assertEqual((report["result"], report["faults"]), ("held", []))
        # a round waits at least for one of the others' packets, of which each takes the line 6 ms
        self.assertGreater(again["connected_ms"], 5)
        self.assertGreater(again["first_byte_acknowledged_ms"], again["connected_ms"] + 5)
        # but the guard is no slower for it, and the sender is told at once
        self.assertLess(cut["in_force_ms"], 100 * SLOWNESS)
        self.assertGreaterEqual(cut["ended_connections"], 1)
        self.assertEqual(cut["open_connections"], 0)
        self.assertLess(seen["connection_ended_ms"], cut["in_force_ms"] + 200 * SLOWNESS)
        self.assertLess(seen["last_byte_acknowledged_ms"], seen["connection_ended_ms"])
        self.assertGreater(seen["refused"], 100)
        self.assertGreater(seen["acked_bytes"], 0)
        self.assertGreaterEqual(count.tcp_payload, seen["acked_bytes"])
        self.assertGreaterEqual(sink.connections, 2)
        self.assertTrue(all(other.is_running() for other in others), "what does not come from this host broke")
        self.assertEqual(self.guard.cuts(), [])

    def test_partner_that_is_not_marked_is_refused(self):
        for target in (NORD, "partner:" + NORD, "class:hospital", "all", "service:batch", "partner:%s@service:batch" % STORE):
            with self.subTest(target=target):
                done = self.drill(target, "--cgroup", self.cgroup, code=1)
                self.assertRegex(done.stderr, "does not mark|is no partner")
        self.assertEqual(self.guard.cuts(), [])
        self.assertRegex(self.journal(), r"drill +refused +partner:%s" % NORD)
        self.guard.apply(policy(GRANTS, STRANGERS))
        self.assertIn("marks no partner", self.drill(code=1).stderr)
        both = with_drill()
        both["partners"][PAYER]["drill"] = True
        self.guard.apply(both)
        self.assertIn("name one", self.drill(code=1).stderr)
        self.assertEqual(self.guard.cuts(), [])

    def test_without_a_connection_nothing_is_cut(self):
        before = self.journal().count("  cut  ")
        self.assertIn("nothing was cut", self.drill("--cgroup", self.cgroup, code=1).stderr)  # nobody listens
        sink, _, _ = self.sink(STORE, port=PORT)
        done = self.lab.run([self.guard.program, "drill", "--instance", self.lab.instance], "hub", "session",
                            env=self.guard.environment)  # of no service that may call it
        self.assertEqual(done.returncode, 1)
        self.assertIn("name a service's with --cgroup", done.stderr)
        self.assertEqual(sink.connections, 0)
        self.drill("--cgroup", "/nowhere", code=1)
        self.assertEqual(self.journal().count("  cut  "), before)

    def test_place_may_be_unknown(self):
        self.guard.apply(with_drill(True))
        report = json.loads(self.drill("--json").stdout)
        self.assertEqual((report["result"], report["seen_from_outside"], report["drill"]), ("held", False, None))
        self.assertIn("NOT SEEN FROM OUTSIDE", self.drill().stdout)
        self.assertEqual(self.guard.cuts(), [])

    def test_what_is_cut_already_is_not_drilled_on(self):
        self.sink(STORE, port=PORT)
        for target in ("partner:" + STORE, "all"):
            self.guard.cut(target)
            self.assertIn("is cut", self.drill("--cgroup", self.cgroup, code=1).stderr)
            self.assertEqual([cut["target"] for cut in self.guard.cuts()], [target])
            self.guard.reopen(target)

    def cuts_ever(self):
        with open(os.path.join(self.guard.state_dir, self.lab.instance, "journal.jsonl"), encoding="utf-8") as file:
            return file.read().count('"kind":"cut"')

    def wait_cut(self, before):
        """For the drill's, by the journal: it lasts no longer than `weir status` may take where all is slow."""
        wait_for(lambda: self.cuts_ever() > before, 10, "the cut", 0.001)

    def test_cut_that_does_not_hold_fails_the_drill(self):
        """Somebody lets it back meanwhile: as good as a cut that does not work."""
        self.sink(STORE, port=PORT)

        def spoiled():
            """None when the drill had let it back before."""
            before = self.cuts_ever()
            process = self.lab.spawn([self.guard.program, "drill", "--json", "--cgroup", self.cgroup, "--instance",
                                      self.lab.instance], stdout=-1, stderr=-1, text=True, env=self.guard.environment)
            self.wait_cut(before)
            done = self.guard.weir("reopen", "partner:" + STORE, "--reason", "a test")
            said, error = process.communicate(timeout=30 * SLOWNESS)
            return (process, said, error) if done.returncode == 0 else None
        process, said, error = wait_for(spoiled, 60, "a reopening in time")
        self.assertEqual(process.returncode, 1, error)
        report = json.loads(said)
        self.assertEqual(report["result"], "failed")
        self.assertIn("a new connection was not refused", report["faults"])
        self.assertRegex(report["faults"][-1], r"the reopening was refused: .*; the cut c\d+ stands, and ends by itself")

    def test_drill_that_is_killed_leaves_a_cut_that_ends(self):
        sink, address, port = self.sink(STORE, port=PORT)
        before = self.cuts_ever()
        process = self.lab.spawn([self.guard.program, "drill", "--cgroup", self.cgroup, "--instance", self.lab.instance],
                                 stdout=-1, env=self.guard.environment)
        self.wait_cut(before)
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=10)
        cut = self.guard.cuts()[0]
        self.assertEqual(cut["reason"], "drill")
        self.assertLessEqual(cut["until"] - time.time(), 61)
        self.assertEqual(self.lab.call(far.connect_error, address, port, host="hub", service="batch"), "EPERM")
        before = sink.connections
        wait_for(lambda: not self.guard.cuts(), 70, "its end", 0.5)
        self.assertEqual(self.lab.call(far.tcp_give, address, port, KIB, host="hub", service="batch"), KIB)
        self.assertEqual(sink.connections, before + 1)

    def test_page_has_the_times(self):
        self.sink(STORE, port=PORT)
        said = self.drill(STORE, "--cgroup", self.cgroup).stdout
        for words in (r"the kernel refuses +[\d.]+ ms", r"on disk, with its line +[\d.]+ ms", r"acknowledged +[\d.]+ ms",
                      r"seen: own connection ended +[\d.]+ ms", r"seen: first byte at the far end +[\d.]+ ms",
                      r"result +the cut held", r"policy +lab \(\w{64}\)", "kernel " + re.escape(os.uname().release)):
            self.assertRegex(said, words)

    def test_no_daemon_no_drill(self):
        self.guard.stop()
        try:
            self.drill(code=3)
            self.assertEqual(self.guard.cuts(), [])
        finally:
            self.guard.start()


def _arrivals(address, port):
    """When bytes came, on whatever connections, until none have for 3 seconds."""
    import select
    import socket
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind((address, port))
        server.listen(512)
        connections, times, last = [], [], time.monotonic() + 10
        while time.monotonic() < last + 3:
            for ready in select.select([server, *connections], [], [], 0.2)[0]:
                if ready is server:
                    connections.append(server.accept()[0])
                    continue
                try:
                    part = ready.recv(65536)
                except OSError:
                    part = b""
                if part:
                    last = time.monotonic()
                    times.append(last)
                else:
                    ready.close()
                    connections.remove(ready)
        return times
