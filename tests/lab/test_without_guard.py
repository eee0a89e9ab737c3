# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""No guard can be loaded: what stands in for it, as the far ends see it."""
import datetime
import os

from case import KIB, MIB, NORD, PAYER, STORE, STRANGERS, SUED, LabCase, far, wait_for
from guard import grant, policy
from lab import HOSTS

CLASSES = {"batch": {"class": ["exchange"]}}


def hours(first, last):
    """The hours from `first` to `last` hours from now, as a policy has them; each day."""
    now = datetime.datetime.now(datetime.timezone.utc)

    def clock(ahead):
        return (now + datetime.timedelta(hours=ahead)).strftime("%H:%M")
    return "Mon-Sun %s-%s" % (clock(first), clock(last))


GRANTS = [
    grant("serving", "batch", "class:hospital", "1MiB/1h", serves=["tcp/7000-7999", "udp/7000-7999"],
          **{"class": ["bulk"]}),
    grant("insurer", "portal", PAYER, serves="tcp/7000-7999"),
    grant("fetching", "batch", STORE, calls="tcp/7000-7999"),
]


class Case(LabCase):
    """The policy was applied; then the guard was taken off, and does not come back."""
    servers = ("admin",)
    content = policy(GRANTS, STRANGERS, services=CLASSES)

    @classmethod
    def prepare(cls):
        cls.host_file = cls.lab.path("host.yaml")
        cls.config()
        cls.live(cls)

    @classmethod
    def config(cls, *lines):
        with open(cls.host_file, "w", encoding="utf-8") as file:
            file.write("\n".join(("weir: 1",) + lines) + "\n")

    def live(self, content=None, *orders):
        """A guard's life, from its start to when it is taken off."""
        if content:
            for name in ("applied.json", "applied.digest"):
                os.unlink(os.path.join(self.guard.state_dir, self.lab.instance, name))
        self.guard.start(content or self.content, "--host", self.host_file)
        for order in orders:
            self.guard.must(*order)
        self.guard.must("unload", "--yes")
        self.guard.process.wait(10)

    def setUp(self):
        self.config()

    def tearDown(self):
        if self.guard.process.poll() is None:
            for cut in self.guard.cuts():
                self.guard.reopen(cut["target"])
            self.guard.must("unload", "--yes")
            self.guard.process.wait(10)
        self.guard.must("without-guard", "off", "--yes", "--host", self.host_file)

    def on(self, host="hub"):
        return self.guard.must("without-guard", "on", "--host", self.host_file, host=host)

    def table(self, host="hub"):
        return self.lab.run(["nft", "list", "table", "inet", "weir-" + self.lab.instance], host).stdout

    def ssh(self):
        return far.ssh(self.lab, "admin", "echo in").stdout.strip()

    def nothing(self, host, port, family=4, source=None):
        self.assertEqual(self.take(host, port, source, family, seconds=0.7), 0)


class Fallback(Case):
    def test_partners_as_before_and_strangers_nothing(self):
        self.assertIn("NO GUARD JUDGES: fallback stands in", self.on().stderr)
        for family in (4, 6):
            port = self.pour(family=family)
            self.assert_passes(NORD, port, family)  # no budgets: more than its 1 MiB
            self.assert_passes(PAYER, port, family, size=KIB)
            self.nothing("stranger", port, family)
        self.nothing(STORE, port)
        self.assertEqual(self.ssh(), "in")

    def test_who_opens_it_counts(self):
        """A partner that we serve is not called, and one that we call is not served."""
        self.on()
        sink, address, port = self.sink(STORE)
        self.assertEqual(self.lab.call(far.tcp_give, address, port, MIB, service="batch"), MIB)
        sink, address, port = self.sink(SUED)
        self.assertEqual(self.lab.call(far.connect_error, address, port, 0.7, service="batch"), "timeout")
        self.assertEqual(sink.connections, 0)

    def test_what_was_cut_stays_cut(self):
        port = self.pour()
        for target, cut, alive in (("partner:" + NORD, [NORD], [SUED, PAYER]),
                                   ("addr:%s/32" % HOSTS[NORD][0][0], [NORD], [SUED]),
                                   ("grant:serving", [NORD, SUED], [PAYER]),
                                   ("service:portal", [NORD, SUED, PAYER], []),
                                   ("all", [NORD, SUED, PAYER], [])):
            with self.subTest(target):
                self.guard.start(self.content, "--host", self.host_file)
                for order in self.guard.cuts():
                    self.guard.reopen(order["target"])
                self.guard.cut(target)
                self.guard.must("unload", "--yes")
                self.guard.process.wait(10)
                self.on()
                for host in cut:
                    self.nothing(host, port)
                for host in alive:
                    self.assert_passes(host, port, size=KIB)
                self.assertEqual(self.ssh(), "in")
        self.live(self.content, ("reopen", "partner:" + PAYER, "--reason", "back"))
        self.on()
        self.assert_passes(PAYER, port, size=KIB)
        self.nothing(NORD, port)
        self.live(self.content, ("reopen", "all", "--reason", "back"))

    def test_hours_open_and_close_by_themselves(self):
        self.live(policy([grant("now", "batch", NORD, serves="tcp/7000-7999", hours=hours(-1, 1)),
                          grant("later", "batch", SUED, serves="tcp/7000-7999", hours=hours(1, 2)),
                          grant("watched", "batch", PAYER, serves="tcp/7000-7999", mode="observe")], STRANGERS))
        port = self.pour()
        self.on()
        self.assert_passes(NORD, port, size=KIB)
        self.nothing(SUED, port)
        self.nothing(PAYER, port)  # a grant that is only observed opens nothing
        self.live(self.content)

    def test_a_policy_that_observes_refuses_what_is_cut(self):
        self.live(policy(GRANTS, STRANGERS, services=CLASSES, mode="observe"),
                  ("cut", "partner:" + NORD, "--reason", "a test"))
        port = self.pour()
        self.on()
        self.assert_passes("stranger", port, size=KIB)
        self.assert_passes(STORE, port, size=KIB)
        self.nothing(NORD, port)
        self.live(self.content, ("reopen", "partner:" + NORD, "--reason", "back"))

    def test_packets_of_containers_are_judged_on_their_way_out(self):
        """The router stands for the host, and the hub for a container behind it."""
        self.config("uplinks: [klinik-nord, store, stranger]")
        port = self.pour()
        self.guard.must("without-guard", "on", "--host", self.host_file, host=self.lab.router)
        try:
            self.assert_passes(NORD, port, size=KIB)
            self.nothing("stranger", port)
            self.nothing(STORE, port)
        finally:
            self.guard.must("without-guard", "off", "--yes", host=self.lab.router)

    def test_it_is_written_down_with_each_change(self):
        self.guard.start(self.content, "--host", self.host_file)
        path = os.path.join(self.guard.state_dir, self.lab.instance, "without-guard.nft")

        def text():
            if not os.path.exists(path):
                return ""
            with open(path, encoding="utf-8") as file:
                return file.read()
        self.guard.cut("addr:198.51.100.2")
        wait_for(lambda: "198.51.100.2\n" in text(), what="the cut in " + path)
        self.guard.reopen("addr:198.51.100.2")
        wait_for(lambda: "198.51.100.2\n" not in text(), what="it to go from " + path)
        shown = self.guard.must("without-guard", "show", "--host", self.host_file).stdout
        self.assertEqual(shown, text())
        self.assertEqual(self.lab.run(["nft", "-c", "-f", path]).stderr, "")


class Modes(Case):
    def test_closed_leaves_the_lifeline(self):
        self.config("without_guard: closed")
        port = self.pour()
        self.assertIn("closed stands in", self.on().stderr)
        self.nothing(NORD, port)
        self.nothing("stranger", port)
        self.assertEqual(self.ssh(), "in")

    def test_open_is_open_and_says_so(self):
        self.config("without_guard: open")
        port = self.pour()
        self.assertIn("open stands in", self.on().stderr)
        self.assert_passes("stranger", port, size=KIB)
        self.assertIn("open stands in", self.guard.weir("status").stdout)

    def test_a_configuration_with_faults_closes(self):
        self.config("without_gard: open")
        port = self.pour()
        done = self.on()
        self.assertIn("host.yaml:2:1: unknown key", done.stderr)
        self.assertIn("closed stands in", done.stderr)
        self.nothing(NORD, port)
        self.config()

    def test_state_that_cannot_be_read_closes(self):
        path = os.path.join(self.guard.state_dir, self.lab.instance, "orders.json")
        port = self.pour()
        for name in (path, path + ".copy"):
            with open(name, "r+b") as file:
                file.truncate(20)
        self.assertIn("closed stands in: what was cut cannot be read", self.on().stderr)
        self.nothing(NORD, port)
        self.assertEqual(self.ssh(), "in")
        for name in (path, path + ".copy"):
            os.unlink(name)

    def test_nothing_is_put_on_where_a_guard_judges(self):
        self.guard.start(self.content, "--host", self.host_file)
        self.guard.kill()
        self.assertIn("the guard judges", self.on().stdout)
        self.assertEqual(self.table(), "")
        self.guard.start(self.content, "--host", self.host_file)

    def test_it_stays_until_the_guard_is_back(self):
        port = self.pour()
        self.on()
        got = self.take(NORD, port, limit=MIB)
        self.nothing("stranger", port)
        again = self.on()
        self.assertEqual(again.stderr, "")
        self.assertIn("fallback stands in", again.stdout)
        done = self.guard.weir("without-guard", "off")
        self.assertEqual(done.returncode, 1)
        self.assertIn("--yes if it shall", done.stderr)
        status = self.guard.weir("status")
        self.assertEqual(status.returncode, 3)
        self.assertIn("NO GUARD JUDGES", status.stdout)
        self.assertIn("fallback stands in for the guard since", status.stdout)

        self.guard.start(self.content, "--host", self.host_file)
        self.assertEqual(self.guard.status()["without_guard"]["configured"], "fallback")
        self.assertEqual(self.guard.status()["without_guard"]["in_force"]["mode"], "fallback")
        self.assertIn("THAT IS STILL ON", self.guard.weir("status").stdout)
        self.nothing("stranger", port)
        self.guard.must("without-guard", "off")
        self.assertIsNone(self.guard.status()["without_guard"]["in_force"])
        self.assertEqual(self.table(), "")
        self.assertGreater(self.take("stranger", port), 0)  # its budget is the guard's again
        kinds = [event["unmapped"]["kind"] for event in self.guard.events() if "kind" in event.get("unmapped", {})]
        self.assertIn("without-guard", kinds)
        self.assertIn("without-guard-over", kinds)
        over = [event["unmapped"] for event in self.guard.events()
                if event.get("unmapped", {}).get("kind") == "without-guard-over"][-1]
        self.assertGreaterEqual(over["passed_bytes"], got)
        self.assertGreater(over["refused_bytes"], 0)

    def test_where_no_policy_ever_was_nothing_stands_in(self):
        done = self.lab.run([self.guard.program, "without-guard", "on", "--instance", self.lab.instance + "-new",
                             "--host", self.host_file], env=self.guard.environment)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("nothing stands in: no policy was ever applied here", done.stderr)


if __name__ == "__main__":
    import unittest
    unittest.main()
