# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""
What a fleet is made of, on loopback: packaging/fleet's own CA and brokers, the daemon on a guard of memory
(daemon.c), agents, and people who sign.
"""
import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import unittest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("B", os.path.join(TOP, "build"))
WEIR = os.environ.get("WEIR", os.path.join(BUILD, "weir"))
DAEMON = os.path.join(BUILD, "tests", "fleet", "daemon")
PACKAGING = os.path.join(TOP, "packaging", "fleet")
SLOWNESS = int(os.environ.get("WEIR_SLOWNESS", "1"))
SECONDS = 20 * SLOWNESS
ALL = "cut@weir,reopen@weir,base@weir,signers@weir,beat@weir"
# Found by name, also where the test's PATH has no sbin.
MOSQUITTO = shutil.which("mosquitto") or "/usr/sbin/mosquitto"


def wait_for(what, condition, seconds=SECONDS):
    """The condition's value, as soon as it is one."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError("not within %d s: %s" % (seconds, what))
        time.sleep(0.02)


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def id_of(order):
    return hashlib.sha256(order.split(b"-----BEGIN SSH SIGNATURE")[0]).hexdigest()


class Ca:
    def __init__(self, directory):
        self.directory, self.hosts = directory, {}
        self.make("init")

    def path(self, name):
        return os.path.join(self.directory, name)

    def make(self, *words):
        return subprocess.run([os.path.join(PACKAGING, "small-ca"), self.directory, *words], check=True, timeout=60,
                              stdout=subprocess.PIPE, text=True).stdout

    def host(self, name, *groups):
        self.hosts[name] = self.make("host", name, *groups)


class Process:
    """Something that runs, and what it says on stderr."""

    def __init__(self, directory, name):
        self.log, self.process = os.path.join(directory, name + ".log"), None

    def run(self, command, **more):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(command, stderr=log, stdin=subprocess.DEVNULL, **more)

    def said(self):
        with open(self.log, encoding="utf-8", errors="replace") as file:
            return file.read()

    def is_alive(self):
        return self.process is not None and self.process.poll() is None

    def stop(self, number=signal.SIGTERM):
        if self.is_alive():
            self.process.send_signal(number)
            self.process.wait(timeout=SECONDS)
        if self.process and self.process.stdout:
            self.process.stdout.close()


class Broker(Process):
    """mosquitto, with packaging/fleet's configuration for another place and port."""

    def __init__(self, ca, directory, name):
        super().__init__(directory, "broker-" + name)
        self.port, self.kept = free_port(), os.path.join(directory, "kept-" + name)
        self.conf = os.path.join(directory, name + ".conf")
        os.mkdir(self.kept)
        with open(os.path.join(PACKAGING, "mosquitto.conf"), encoding="utf-8") as file:
            text = file.read()
        for old, new in (("listener 8883\n", "listener %d 127.0.0.1\n" % self.port),
                         ("/etc/mosquitto/weir/broker", ca.path(name)), ("/etc/mosquitto/weir", ca.directory),
                         ("/var/lib/mosquitto/", self.kept + "/")):
            assert old in text, old
            text = text.replace(old, new)
        with open(self.conf, "w", encoding="utf-8") as file:
            file.write(text + "user root\n")
        self.start()

    def start(self):
        self.run([MOSQUITTO, "-c", self.conf], stdout=subprocess.DEVNULL)
        wait_for("the broker listens", self.listens)

    def listens(self):
        assert self.is_alive(), self.said()
        with socket.socket() as one:
            return one.connect_ex(("127.0.0.1", self.port)) == 0

    def crash(self, forget=False):
        """As in a power cut; with `forget` it comes back with what it had on disk long ago."""
        self.stop(signal.SIGKILL)
        if forget:
            shutil.rmtree(self.kept)
            os.mkdir(self.kept)


class Host:
    """A daemon and an agent."""

    def __init__(self, fleet, name, *groups):
        self.fleet, self.name, self.groups = fleet, name, groups
        self.ports = None  # other ways to the brokers than the fleet's
        self.instance = "unit"
        self.daemon = Process(fleet.directory, "daemon-" + name)
        self.agent = Process(fleet.directory, "agent-" + name)
        self.run_dir = None

    def start_daemon(self):
        self.daemon.run([DAEMON, *self.groups], stdout=subprocess.PIPE, text=True,
                        env=dict(os.environ, WEIR_CONFIG_DIR=self.fleet.config_dir))
        made = self.daemon.process.stdout.readline().strip()
        assert made, self.daemon.said()
        if self.run_dir:  # where the agent looks for it
            (os.unlink if os.path.islink(self.run_dir) else os.rmdir)(self.run_dir)
            os.symlink(made, self.run_dir)
        self.run_dir = self.run_dir or made

    def expect_daemon(self):
        """The agent is started before it."""
        self.run_dir = os.path.join(self.fleet.directory, "run-" + self.name)
        os.mkdir(self.run_dir)

    def start_agent(self):
        config = self.fleet.write_config(self.name, "host: %s\nkey: %s\n" % (
            self.name, self.fleet.ca.path(self.name + ".sign.pem")), self.name, self.ports)
        self.agent.run([WEIR, "agent", "--config", config, "--instance", self.instance],
                       env=dict(os.environ, WEIR_RUN_DIR=self.run_dir))

    def ask(self, request, **more):
        with socket.socket(socket.AF_UNIX) as one:
            one.settimeout(SECONDS)
            one.connect(os.path.join(self.run_dir, self.instance + ".sock"))
            one.sendall(json.dumps(dict(more, request=request)).encode() + b"\n")
            with one.makefile() as file:
                return json.loads(file.readline())

    def cuts(self):
        return self.ask("brief")["cuts"]

    def journal(self):
        """Its records, the oldest first."""
        with open(os.path.join(self.run_dir, self.instance, "journal.jsonl"), encoding="utf-8") as file:
            return [json.loads(line)["record"] for line in file]

    def stop(self):
        self.agent.stop()
        self.daemon.stop()


class Fleet:
    """Two brokers, a CA, people; hosts as a test needs them."""

    def __init__(self, hosts):
        self.directory = tempfile.mkdtemp(prefix="weir-fleet-")
        self.ca = Ca(os.path.join(self.directory, "ca"))
        self.config_dir, self.count, self.hosts = os.path.join(self.directory, "etc"), 0, {}
        os.mkdir(self.config_dir)
        self.ca.make("pusher", "alice")
        self.ports, self.brokers = [], []
        for name in ("a", "b"):
            self.ca.make("broker", name, "127.0.0.1")
            self.brokers.append(Broker(self.ca, self.directory, name))
            self.ports.append(self.brokers[-1].port)
        for name, groups in hosts.items():
            self.ca.host(name, *groups)
            self.hosts[name] = Host(self, name, *groups)
        self.lines = []
        for person in ("alice", "bob"):
            self.allow(person)

    def close(self):
        for host in self.hosts.values():
            host.stop()
        for broker in self.brokers:
            broker.stop()
        shutil.rmtree(self.directory)

    # ---- people

    def key(self, name):
        path = os.path.join(self.directory, "key-" + name)
        if not os.path.exists(path):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", path], check=True)
        return path

    def public(self, name):
        with open(self.key(name) + ".pub", encoding="ascii") as file:
            return " ".join(file.read().split()[:2])

    def line(self, name, key=None, namespaces=ALL, more=""):
        """Of a list of signers: the key of `key`, or their own, may sign for `name`."""
        return '%s namespaces="%s"%s %s' % (name, namespaces, more, self.public(key or name))

    def allow(self, *words, **more):
        self.lines.append(self.line(*words, **more))
        with open(os.path.join(self.config_dir, "allowed_signers"), "w", encoding="ascii") as file:
            file.write("\n".join(self.lines) + "\n")

    def order(self, kind, *words, by=("alice",)):
        """The path of an order that these have signed."""
        self.count += 1
        path = os.path.join(self.directory, "order-%d" % self.count)
        reason = () if kind == "beat" else ("--reason", "incident 4711")
        self.weir("order", "write", kind, *words, *reason, "--out", path)
        for name in by:
            self.weir("sign", path, "--key", self.key(name))
        return path

    def text(self, *words, **more):
        with open(self.order(*words, **more), "rb") as file:
            return file.read()

    # ---- commands

    def run_weir(self, *words):
        return subprocess.run([WEIR, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              timeout=3 * SECONDS, stdin=subprocess.DEVNULL,
                              env=dict(os.environ, WEIR_CONFIG_DIR=self.config_dir))

    def weir(self, *words):
        done = self.run_weir(*words)
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        return done.stdout

    def write_config(self, name, head, certificate, ports=None):
        path = os.path.join(self.directory, name + ".yaml")
        with open(path, "w", encoding="utf-8") as file:
            file.write("weir: 1\n" + head + "brokers:\n")
            for port in ports or self.ports:
                file.write("  - {host: 127.0.0.1, port: %d, ca: %s, cert: %s, key: %s}\n" % (
                    port, self.ca.path("ca.pem"), self.ca.path(certificate + ".pem"),
                    self.ca.path(certificate + ".key")))
        return path

    def pusher(self, ports=None):
        return self.write_config("pusher", "hosts:\n" + "".join(self.ca.hosts.values()), "push-alice", ports)

    def push(self, path, *words, ports=None):
        return self.run_weir("push", path, "--config", self.pusher(ports), *words)

    def status(self):
        done = self.run_weir("fleet", "status", "--json", "--config", self.pusher())
        assert done.stdout, done.stderr
        return done.returncode, json.loads(done.stdout)


class FleetCase(unittest.TestCase):
    hosts = {"hub-1": ("hub",), "hub-2": ("hub", "berlin")}
    running = ("hub-1", "hub-2")

    @classmethod
    def setUpClass(cls):
        cls.fleet = Fleet(cls.hosts)
        cls.addClassCleanup(cls.fleet.close)
        for name in cls.running:
            cls.fleet.hosts[name].start_daemon()
            cls.fleet.hosts[name].start_agent()

    def assert_pushed(self, path, *words, code=0):
        done = self.fleet.push(path, *words)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr + self.logs())
        return done.stdout + done.stderr

    def logs(self):
        return "".join("\n%s:\n%s" % (host.name, host.agent.said()) for host in self.fleet.hosts.values()
                       if os.path.exists(host.agent.log))
