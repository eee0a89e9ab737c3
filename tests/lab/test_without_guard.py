# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""No guard can be loaded: what stands in for it, as the far ends see it."""
import copy
import datetime
import json
import os
import shutil
import socket

from case import HUB, KIB, MIB, NORD, PAYER, STORE, STRANGERS, SUED, LabCase, far, pause, wait_for
from guard import grant, policy
from lab import HOSTS, TOP

CLASSES = {"batch": {"class": ["exchange"]}}


def _send_as_dhcp(address, size, number):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.bind(("", 68))
        for _ in range(number):
            try:
                client.sendto(b"x" * size, (address, 67))
            except PermissionError:
                pass


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
        self.guard.must("without-guard", "off", "--yes")

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

    def test_datagrams_and_ipv6_too(self):
        """UDP to a partner that is served, not to a stranger; an IPv6 address that was cut gets nothing."""
        self.live(self.content, ("cut", "addr:2001:db8:2::/64", "--reason", "a test"))
        self.on()
        for family in (4, 6):
            port = next(self.ports)
            self.lab.start(far.udp_answer, HUB[family], port, 20, 500, host="hub", service="batch")
            far.wait_for_udp(self.lab, "hub", port)
            for host, wanted in ((NORD, 20 * 500), ("stranger", 0), (SUED, 20 * 500 if family == 4 else 0)):
                source = HOSTS[host][0 if family == 4 else 3][0]
                got = self.lab.call(far.udp_take, HUB[family], port, source, host=host)
                self.assertEqual(got, wanted, "%s, IPv%d" % (host, family))
        self.live(self.content, ("reopen", "addr:2001:db8:2::/64", "--reason", "back"))

    def test_many_partners_that_differ(self):
        """What nft lists of the table is long then; the same rules are still known as the same."""
        partners = {"p%d" % i: {"addresses": ["10.0.%d.%d" % (i >> 8, i & 255)]} for i in range(600)}
        content = policy(GRANTS + [grant("g%d" % i, "batch", "p%d" % i, serves="tcp/%d" % (10000 + i))
                                   for i in range(600)], STRANGERS, services=CLASSES, partners=partners)
        self.live(content)
        self.assertIn("fallback stands in", self.on().stderr)
        self.assertEqual(self.on().stderr, "")
        port = self.pour()
        self.assert_passes(NORD, port, size=KIB)
        self.nothing("stranger", port)
        self.live(self.content)

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
        words = [self.guard.program, "without-guard", "on", "--instance", self.lab.instance, "--host", self.host_file]
        # /sys/class/net shows the interfaces of the namespace that mounted it
        done = self.lab.run(["unshare", "-m", "sh", "-c", 'mount -t sysfs none /sys && exec "$@"', "sh", *words],
                            self.lab.router, env=self.guard.environment)
        self.assertNotIn("every interface", done.stderr)
        try:
            self.assert_passes(NORD, port, size=KIB)
            self.nothing("stranger", port)
            self.nothing(STORE, port)
        finally:
            self.guard.must("without-guard", "off", "--yes", host=self.lab.router)

    def test_an_uplink_of_another_name_opens_nothing(self):
        self.config("uplinks: [no-such0]")
        port = self.pour()
        done = self.guard.must("without-guard", "on", "--host", self.host_file, host=self.lab.router)
        self.assertIn("judged on every interface", done.stderr)
        try:
            self.nothing("stranger", port)
        finally:
            self.guard.must("without-guard", "off", "--yes", host=self.lab.router)
        self.assertGreater(self.take("stranger", port), 0)

    def test_what_the_guard_severed_stays_so(self):
        content = policy([grant("once", "batch", "class:hospital", "256KiB/1h", serves="tcp/7000-7999",
                                on_breach="sever")], STRANGERS)
        for name in ("applied.json", "applied.digest"):
            os.unlink(os.path.join(self.guard.state_dir, self.lab.instance, name))
        self.guard.start(content, "--host", self.host_file)
        port = self.pour()
        self.take(NORD, port)
        wait_for(lambda: [cut for cut in self.guard.cuts() if cut["id"].startswith("g")], what="the latch")
        self.guard.must("unload", "--yes")
        self.guard.process.wait(10)
        self.on()
        self.nothing(NORD, port)
        self.assert_passes(SUED, port, size=KIB)
        self.guard.start(content, "--host", self.host_file)
        self.guard.must("reopen", "grant:once", "--reason", "back")
        self.guard.must("unload", "--yes")
        self.guard.process.wait(10)
        self.live(self.content)

    def test_link_rules_carry_nothing_away(self):
        """A DHCP client's packets pass, but not to anybody, and not at any length."""
        self.on()
        sink, address, _ = self.sink("stranger", port=67, udp=True)
        self.lab.call(_send_as_dhcp, address, 1400, 20, service="batch")
        self.lab.call(_send_as_dhcp, address, 300, 20, service="batch")
        got, _, port = self.sink("klinik-sued", port=7999, udp=True)
        self.lab.call(far.udp_give, HOSTS[SUED][0][0], port, 100, 5, service="batch")
        self.assertLessEqual(sink.bytes, 3 * 300)
        self.assertEqual(got.bytes, 0)  # served, not called

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
        nobody = self.lab.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
                               self.guard.program + "-guard", "without-guard", "show", "--instance", self.lab.instance], env=self.guard.environment)
        self.assertEqual((nobody.returncode, nobody.stdout), (1, ""))
        self.assertRegex(nobody.stderr, "^weir without-guard: cannot open .*: Permission denied\n$")


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

    def test_lost_state_takes_nothing_away(self):
        port = self.pour()
        self.on()
        state = os.path.join(self.guard.state_dir, self.lab.instance)
        os.rename(state, state + ".gone")
        try:
            self.assertIn("what stood in before stays", self.on().stderr)
            self.assertEqual(self.on().stderr, "")
            self.assert_passes(NORD, port, size=KIB)
            self.nothing("stranger", port)
        finally:
            shutil.rmtree(state)
            os.rename(state + ".gone", state)

    def test_rules_that_somebody_touched_are_put_back(self):
        port = self.pour()
        self.on()
        self.lab.run(["nft", "flush", "chain", "inet", "weir-" + self.lab.instance, "judge"])
        self.on()
        self.nothing("stranger", port)
        self.assert_passes(NORD, port, size=KIB)
        self.lab.run(["nft", "flush", "ruleset"])
        self.assertGreater(self.take("stranger", port, limit=KIB), 0)
        self.on()
        self.nothing("stranger", port)

    def test_nothing_is_put_on_where_a_guard_judges(self):
        self.guard.start(self.content, "--host", self.host_file)
        self.guard.kill()
        self.assertIn("the guard judges", self.on().stdout)
        self.assertEqual(self.table(), "")
        self.guard.start(self.content, "--host", self.host_file)

    def test_a_guard_without_its_egress_does_not_judge(self):
        self.guard.start(self.content, "--host", self.host_file)
        port = self.pour()
        self.guard.kill()
        os.unlink("/sys/fs/bpf/weir/%s/link_egress" % self.lab.instance)
        self.assertGreater(self.take("stranger", port, limit=MIB), 64 * KIB)
        self.assertIn("fallback stands in", self.on().stderr)
        self.nothing("stranger", port)
        self.guard.start(self.content, "--host", self.host_file)
        self.guard.must("without-guard", "off")

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


class NftFails(Case):
    """nft that refuses what it is given, in the place of the real one."""
    FAKE = """#!/bin/sh
case $1 in
-f) text=$(cat); case $text in *%s*) echo "Error: no room" >&2; exit 1;; esac; echo "$text" | %s -f -;;
*) exec %s "$@";;
esac
"""

    def fake(self, refused):
        real, fake = self.lab.path("nft.real"), self.lab.path("nft.fake")
        shutil.copy("/usr/sbin/nft", real)
        with open(fake, "w", encoding="utf-8") as file:
            file.write(self.FAKE % (refused, real, real))
        os.chmod(fake, 0o755)
        self.mounts = [(fake, "/usr/sbin/nft")]

    def run_with(self, *words):
        return self.lab.run([self.guard.program, "without-guard", *words, "--instance", self.lab.instance],
                            env=self.guard.environment, private_mounts=self.mounts)

    def told(self):
        path = os.path.join(self.guard.state_dir, self.lab.instance, "events.jsonl")
        with open(path, encoding="utf-8") as file:
            return sum(json.loads(line).get("unmapped", {}).get("kind") == "without-guard" for line in file)

    def test_what_it_refuses_leaves_the_lifeline(self):
        self.fake("partner-")
        before, port = self.told(), self.pour()
        for _ in range(3):
            done = self.run_with("on", "--host", self.host_file)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn("closed stands in: nft: Error: no room", done.stdout + done.stderr)
        self.assertEqual(self.told(), before + 1)  # tried again each time, told once
        self.nothing(NORD, port)
        self.assertEqual(self.ssh(), "in")

    def test_rules_that_are_in_force_stay_when_newer_ones_are_refused(self):
        port = self.pour()
        self.on()
        self.fake("table")
        self.config("without_guard: closed")
        done = self.run_with("on", "--host", self.host_file)
        self.assertEqual(done.returncode, 1)
        self.assertIn("AND fallback STANDS IN: nft: Error: no room", done.stderr)
        self.assertIn("fallback stands in for the guard", self.guard.weir("status").stdout)
        done = self.run_with("off", "--yes")
        self.assertEqual(done.returncode, 1)
        self.assertIn("no room", done.stderr)
        self.assertIn("fallback stands in for the guard", self.guard.weir("status").stdout)
        self.assert_passes(NORD, port, size=KIB)
        self.nothing("stranger", port)

    def test_nothing_is_said_to_be_nothing(self):
        self.fake("table")
        done = self.run_with("on", "--host", self.host_file)
        self.assertEqual(done.returncode, 1)
        self.assertIn("NO GUARD JUDGES, AND nothing STANDS IN: nft: Error: no room", done.stderr)
        status = json.loads(self.guard.weir("status", "--json").stdout)
        self.assertEqual((status["guard"], status["without_guard"]["in_force"]["mode"]), (False, "nothing"))


class Units(Case):
    def test_without_weir_the_units_load_what_the_daemon_wrote(self):
        name = os.path.join(TOP, "packaging", "systemd", "without-guard")
        script = self.lab.path("without-guard")
        with open(name, encoding="utf-8") as file:
            text = file.read()
        for old, new in (("weir=/usr/sbin/weir", "weir=/bin/false"),
                         ("/sys/fs/bpf/weir/host", "/sys/fs/bpf/weir/" + self.lab.instance),
                         ("/var/lib/weir/host", os.path.join(self.guard.state_dir, self.lab.instance))):
            self.assertIn(old, text)
            text = text.replace(old, new)
        with open(script, "w", encoding="utf-8") as file:
            file.write(text)
        port = self.pour()
        self.guard.start(self.content, "--host", self.host_file)
        written = os.path.join(self.guard.state_dir, self.lab.instance, "without-guard.nft")
        wait_for(lambda: os.path.exists(written), what=written)

        self.guard.kill()  # the guard goes on
        self.assertEqual(self.lab.run(["sh", script], env={"SERVICE_RESULT": "signal"}).returncode, 0)
        self.assertEqual(self.table(), "")
        self.guard.must("unload", "--yes")
        self.assertEqual(self.lab.run(["sh", script], env={"SERVICE_RESULT": "success"}).returncode, 0)
        self.assertEqual(self.table(), "")
        self.assertEqual(self.lab.run(["sh", script], env={"SERVICE_RESULT": "exit-code"}).returncode, 0)
        self.assert_passes(NORD, port, size=KIB)
        self.nothing("stranger", port)
        self.assertIn("of which weir has no note", self.guard.weir("status").stdout)

    def test_a_cut_by_a_name_of_the_trial_stays_cut(self):
        changed = copy.deepcopy(self.content)
        changed["partners"]["renamed"] = changed["partners"].pop(NORD)
        port = self.pour()
        self.guard.start(self.content, "--host", self.host_file)
        self.guard.must("apply", self.guard.write_policy(changed, "trial.yaml"), "--confirm", "600", "--yes")
        self.guard.cut("partner:renamed")
        self.guard.must("unload", "--yes")
        self.guard.process.wait(10)
        self.on()
        self.nothing(NORD, port)
        self.assert_passes(SUED, port, size=KIB)
        self.guard.start(self.content, "--host", self.host_file)
        for cut in self.guard.cuts():
            self.guard.weir("reopen", "--order", cut["id"], "--reason", "the test is over")
        self.assertEqual(self.guard.cuts(), [])

    def test_a_trial_keeps_the_daemon_idle(self):
        """What stands in is written when the trial is over, and not waited for."""
        self.guard.start(self.content, "--host", self.host_file)
        self.guard.cut("partner:" + PAYER)
        self.guard.must("apply", self.guard.write_policy(self.content, "trial.yaml"), "--confirm", "60", "--yes")

        def ticks():
            with open("/proc/%d/stat" % self.guard.process.pid, encoding="utf-8") as file:
                fields = file.read().rsplit(")", 1)[1].split()
            return int(fields[11]) + int(fields[12])
        pause(1.5)
        before = ticks()
        pause(1.5)
        self.assertLess(ticks() - before, 30)
        self.guard.must("confirm")


if __name__ == "__main__":
    import unittest
    unittest.main()
