# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""A signed order reaches the hosts that it is for, over two brokers or one, and each host's word comes back."""
import os
import shutil
import signal
import socket
import ssl
import subprocess

from mqtt import NOT_AUTHORIZED, Client, read_packet
from parts import WEIR, FleetCase, id_of, wait_for


class Reach(FleetCase):
    def test_a_cut_reaches_all_and_two_let_it_back(self):
        path = self.fleet.order("cut", "partner:nord")
        said = self.assert_pushed(path)
        self.assertIn("enforced on 2 of 2 hosts", said)
        self.assertRegex(said, r"p50 [0-9.]+ ms, p99 [0-9.]+ ms")
        self.assertIn("enforced on 2 of 2 hosts, 2 of them said so before this push\n",
                      self.assert_pushed(path))  # each matches, whoever handed it in
        self.assertEqual([host.cuts() for host in self.fleet.hosts.values()], [1, 1])
        with open(path, "rb") as file:
            cut = id_of(file.read())
        one = self.fleet.order("reopen", "--cut", cut)
        said = self.assert_pushed(one, "--timeout", "2s", code=1)
        self.assertIn("takes 2", said)
        self.assertIn("hub-1: refused: ", said)
        self.assertEqual([host.cuts() for host in self.fleet.hosts.values()], [1, 1])
        self.assert_pushed(self.fleet.order("reopen", "--cut", cut, by=("alice", "bob")))
        self.assertEqual([host.cuts() for host in self.fleet.hosts.values()], [0, 0])
        self.assertIn("enforced on 2 of 2", self.assert_pushed(path))  # again: it is known
        self.assertEqual([host.cuts() for host in self.fleet.hosts.values()], [0, 0])

    def test_a_group_is_reached_and_no_other(self):
        before = [host.cuts() for host in self.fleet.hosts.values()]
        path = self.fleet.order("cut", "partner:sued", "--hosts", "berlin")
        said = self.assert_pushed(path, "--dry-run")
        self.assertIn("  cuts partner:sued\n  on berlin (groups of hosts)\n  because: ", said)
        self.assertIn("it would go to 1 of 2 hosts:\nhub-2: hub berlin\n", said)
        self.assertEqual([host.cuts() for host in self.fleet.hosts.values()], before)
        self.assertIn("enforced on 1 of 1 hosts", self.assert_pushed(path))
        self.assertEqual([host.cuts() for host in self.fleet.hosts.values()], [before[0], before[1] + 1])
        self.assertIn("for none of the 2 hosts",
                      self.assert_pushed(self.fleet.order("cut", "all", "--hosts", "bonn"), code=1))

    def over(self, gone=()):
        """A command that reaches a host as ssh would; `gone` are down."""
        path = os.path.join(self.fleet.directory, "reach")
        with open(path, "w", encoding="ascii") as file:
            file.write("#!/bin/sh\nhost=$1\ncase $host in\n")
            file.write("".join("%s) echo >&2 banner; echo >&2 no route to $host; exit 255 ;;\n" % name for name in gone))
            file.write("".join("%s) export WEIR_RUN_DIR=%s ;;\n" % (host.name, host.run_dir)
                               for host in self.fleet.hosts.values()))
            file.write("esac\nPATH=%s:$PATH\neval \"$2 --instance unit\"\n" % os.path.dirname(WEIR))
        os.chmod(path, 0o755)
        return path

    def test_each_host_says_what_a_cut_would_do(self):
        before = [host.cuts() for host in self.fleet.hosts.values()]
        journals = [len(host.journal()) for host in self.fleet.hosts.values()]
        path = self.fleet.order("cut", "partner:nord", "partner:nobody", by=())
        said = self.assert_pushed(path, "--dry-run", "--over", self.over())
        for host in self.fleet.hosts:
            self.assertIn("%s: as it is signed now it would be refused: " % host, said)
            self.assertRegex(said, r"%s: it would stop 1 partners: nord \(1 connections\) and end 1 connections\n" % host)
        self.assertRegex(said, "2 of 2 hosts have said it: 1 partners stopped, 2 connections ended on 2 hosts; nothing")
        self.assertEqual([host.cuts() for host in self.fleet.hosts.values()], before)
        self.assertEqual([len(host.journal()) for host in self.fleet.hosts.values()], journals)
        signed = self.fleet.order("cut", "all")
        said = self.assert_pushed(signed, "--dry-run", "--over", self.over(gone=("hub-2",)), code=1)
        self.assertRegex(said, r"hub-1: it would stop 3 partners: nord .*, sued, payer and end 1 connections; the lifeline spares admin\n")
        self.assertIn("hub-2: NOT KNOWN: no route to hub-2\n", said)
        self.assertIn("1 of 2 hosts have said it: 3 partners stopped, 1 connections ended on 1 hosts; the lifeline spares admin", said)
        self.assertNotIn("refused", said)
        self.assertEqual([host.cuts() for host in self.fleet.hosts.values()], before)
        self.assertIn("not all can be asked", self.assert_pushed(signed, "--dry-run", "--over", " ", code=1))
        self.assertIn("NOT KNOWN: No such file", self.assert_pushed(signed, "--dry-run", "--over", "/nowhere/ssh", code=1))
        self.assertIn("--over belongs to --dry-run", self.assert_pushed(signed, "--over", self.over(), code=2))
        back = self.fleet.order("reopen", "--cut", "0" * 64, by=("alice", "bob"))
        said = self.assert_pushed(back, "--dry-run", "--over", self.over(), code=1)
        self.assertRegex(said, "^weir push: only of a cut")

    def hang(self):
        """A command that reaches nobody, and the file with its processes."""
        path, pids = (os.path.join(self.fleet.directory, name) for name in ("hang", "pids"))
        with open(path, "w", encoding="ascii") as file:
            file.write("#!/bin/sh\necho $$ >>%s\nexec sleep 600\n" % pids)
        os.chmod(path, 0o755)
        open(pids, "w", encoding="ascii").close()
        return path, pids

    def test_a_host_that_never_answers_is_left(self):
        said = self.assert_pushed(self.fleet.order("cut", "all"), "--dry-run", "--over", self.hang()[0], "--timeout", "2s",
                                  code=1)
        self.assertEqual(said.count(": NOT KNOWN: no answer in time\n"), 2)

    def asked(self, pids):
        with open(pids, encoding="ascii") as file:
            return [int(line) for line in file if line.endswith("\n")]

    def ended(self, number, action):
        """What ends `weir push` while it asks, where the signal had that action. Its helpers end with it."""
        path, pids = self.hang()
        words = [WEIR, "push", self.fleet.order("cut", "all"), "--config", self.fleet.pusher(), "--dry-run", "--over", path]
        with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              preexec_fn=lambda: signal.signal(number, action)) as push:
            try:
                wait_for("both to be asked", lambda: len(self.asked(pids)) == 2)
                push.send_signal(number)
                if action == signal.SIG_IGN:
                    push.send_signal(signal.SIGTERM)
                push.communicate(timeout=20)
            finally:
                push.kill()
        wait_for("the helpers to end", lambda: not [pid for pid in self.asked(pids) if os.path.exists("/proc/%d" % pid)])
        return push.returncode

    def test_who_asks_and_is_ended_leaves_nothing_behind(self):
        for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP):
            self.assertEqual(self.ended(number, signal.SIG_DFL), -number)
        self.assertEqual(self.ended(signal.SIGHUP, signal.SIG_IGN), -signal.SIGTERM)  # nohup

    def test_what_nobody_has_signed_is_not_sent(self):
        self.assertIn("nobody has signed it", self.assert_pushed(self.fleet.order("cut", "all", by=()), code=1))
        self.assertIn("no signature counts", self.assert_pushed(self.fleet.order("cut", "all", by=("eve",)), code=1))

    def test_a_beat_shows_in_the_status(self):
        self.assertIn("enforced on 2 of 2", self.assert_pushed(self.fleet.order("beat", "--version", "7")))
        self.assertEqual({host["beat"] for host in self.fleet.status()[1]["hosts"]}, {7})
        self.assertIn("enforced on 2 of 2", self.assert_pushed(self.fleet.order("beat", "--version", "8")))

    def test_one_broker_is_enough_and_the_other_is_named(self):
        other = self.fleet.brokers[1]
        other.stop()
        try:
            said = self.assert_pushed(self.fleet.order("cut", "partner:payer"))
            self.assertIn("broker 127.0.0.1:%d: NOT REACHED" % other.port, said)
            self.assertIn("enforced on 2 of 2", said)
            code, status = self.fleet.status()
            self.assertEqual((code, [broker["is_reached"] for broker in status["brokers"]]), (1, [True, False]))
        finally:
            other.start()


class Rights(FleetCase):
    running = ()

    def test_a_host_speaks_for_itself_alone(self):
        client = Client(self.fleet.ca, "hub-1", self.fleet.ports[0])
        order = "0" * 64
        for topic, wanted in (("weir/ack/hub-1/" + order, 0), ("weir/host/hub-1", 0),
                              ("weir/ack/hub-2/" + order, NOT_AUTHORIZED), ("weir/host/hub-2", NOT_AUTHORIZED),
                              ("weir/order/" + order, NOT_AUTHORIZED), ("weir/beat", NOT_AUTHORIZED),
                              ("weir/ack/hub-1", NOT_AUTHORIZED), ("other", NOT_AUTHORIZED)):
            reason = client.publish(topic, b"x")
            self.assertEqual(reason & 0x80, wanted & 0x80, topic)
        client.close()
        client = Client(self.fleet.ca, "push-alice", self.fleet.ports[0])
        self.assertEqual(client.retained("weir/ack/hub-1/" + order), b"x")
        self.assertIsNone(client.retained("weir/ack/hub-2/" + order))
        self.assertIsNone(client.retained("weir/order/" + order))
        self.assertEqual(client.publish("weir/ack/hub-1/" + order, b"y"), NOT_AUTHORIZED)
        client.close()

    def test_a_broker_is_no_client_and_without_a_certificate_is_nobody(self):
        with self.assertRaises((OSError, EOFError)):
            Client(self.fleet.ca, "b", self.fleet.ports[0])
        with self.assertRaises((OSError, EOFError)), socket.create_connection(
                ("127.0.0.1", self.fleet.ports[0]), 10) as raw, ssl.create_default_context(
                    cafile=self.fleet.ca.path("ca.pem")).wrap_socket(raw, server_hostname="127.0.0.1") as stream:
            stream.sendall(b"\x10\x00")
            read_packet(stream)


class Joins(FleetCase):
    running = ("hub-2",)

    def test_who_joins_a_group_is_cut_as_it_is(self):
        host = self.fleet.hosts["hub-1"]
        host.expect_daemon()
        host.start_daemon()
        host.start_agent()
        path = self.fleet.order("cut", "partner:sued", "--hosts", "berlin")
        with open(path, "rb") as file:
            order = "order %s (cut): " % id_of(file.read())[:12]
        self.assertIn("enforced on 1 of 1 hosts", self.assert_pushed(path))
        wait_for("it is not for it", lambda: order + "not-for-us" in host.agent.said())
        host.daemon.stop()
        host.groups = ("hub", "berlin")
        host.start_daemon()
        self.assertEqual(host.cuts(), 0)
        self.assert_pushed(self.fleet.order("cut", "partner:payer"))  # the agent looks at its daemon, before the minute is over
        wait_for("it is cut", lambda: host.cuts() == 2)
        wait_for("and says so", lambda: order + "done" in host.agent.said())
        self.assertIn("the groups of this host are others now", host.agent.said())


class Gone(FleetCase):
    """Brokers keep what a host said of an order for as long as they like."""

    def test_who_said_so_before_and_is_gone_is_not_confirmed(self):
        path, gone = self.fleet.order("cut", "partner:nord"), self.fleet.hosts["hub-2"]
        self.assert_pushed(path)
        gone.agent.stop()
        self.assertIn("enforced on 2 of 2 hosts, 2 of them said so before this push\n", self.assert_pushed(path))
        for port in self.fleet.ports:  # as when its last standing is late: only the acknowledgement is left
            client = Client(self.fleet.ca, "hub-2", port)
            self.assertEqual(client.publish("weir/host/hub-2", b"") & 0x80, 0)
            client.close()
        said = self.assert_pushed(path, "--timeout", "2s", code=1)
        self.assertIn("enforced on 1 of 2 hosts, 1 of them said so before this push\n", said)
        self.assertRegex(said, r"\nhub-2: NOT CONFIRMED: it said so [0-9]+s ago, and no broker has anything newer of it\n")
        gone.start_agent()
        self.assertIn("enforced on 2 of 2 hosts", self.assert_pushed(path))


class Missing(FleetCase):
    """hub-2 has an agent and no daemon, hub-3 nothing."""
    hosts = dict(FleetCase.hosts, **{"hub-3": ()})
    running = ("hub-1",)

    def test_who_is_missing_is_named_and_what_was_kept_is_carried_out(self):
        late = self.fleet.hosts["hub-2"]
        late.expect_daemon()
        late.start_agent()
        wait_for("the agent is connected", lambda: late.agent.said().count("connected") >= 2)
        path = self.fleet.order("cut", "partner:nord")
        said = self.assert_pushed(path, "--timeout", "2s", code=1)
        self.assertIn("enforced on 1 of 3 hosts", said)
        self.assertIn("\nhub-2: MISSING\nhub-3: MISSING\n", said)
        states = {host["host"]: host["state"] for host in self.fleet.status()[1]["hosts"]}
        self.assertEqual(states, {"hub-1": "enforced", "hub-2": "no daemon", "hub-3": "unreachable"})
        self.assertIn("no daemon answers", late.agent.said())
        late.start_daemon()
        wait_for("it is carried out", lambda: late.cuts() == 1)
        self.assertIn("enforced on 2 of 3 hosts", self.assert_pushed(path, "--timeout", "2s", code=1))

    def test_without_its_program_the_command_says_so(self):
        alone = os.path.join(self.fleet.directory, "alone")
        os.mkdir(alone)
        shutil.copy(WEIR, alone)
        done = subprocess.run([os.path.join(alone, "weir"), "agent"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True, timeout=20, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertEqual(done.stderr.count("\n"), 1)
        self.assertIn("weir-fleet is not installed", done.stderr)


class Confined(FleetCase):
    running = ("hub-1",)

    def test_the_agent_has_nothing(self):
        agent = self.fleet.hosts["hub-1"].agent
        wait_for("both are connected", lambda: agent.said().count(": connected") == 2)
        parent = agent.process.pid
        with open("/proc/%d/task/%d/children" % (parent, parent), encoding="ascii") as file:
            readers = [int(pid) for pid in file.read().split()]
        self.assertEqual(len(readers), 2)
        for pid in (parent, *readers):  # what hears a broker is filtered too
            with open("/proc/%d/status" % pid, encoding="ascii") as file:
                status = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
            self.assertEqual([int(status[one], 16) for one in ("CapEff", "CapPrm", "CapInh", "CapAmb")], [0] * 4)
            self.assertEqual((status["NoNewPrivs"], status["Threads"]), ("1", "1"))
            self.assertEqual(status["Seccomp"], "0" if pid == parent else "2")
        agent.stop(signal.SIGTERM)
        self.assertEqual(agent.process.returncode, 0)
