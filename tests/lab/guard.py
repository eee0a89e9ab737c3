# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""
guard.py - weir in the lab: its daemon, its commands, and policies for the lab's hosts.

The program is build/weir, or the one that WEIR names. Policies are Python dictionaries: JSON is YAML.
"""
import contextlib
import copy
import fcntl
import glob
import json
import os
import signal
import subprocess

from lab import HOSTS, SERVICES, SLOWNESS, TOP, wait_for

WEIR = os.environ.get("WEIR", os.path.join(TOP, "build", "weir"))

PARTNERS = {
    "klinik-nord": {"addresses": ["198.51.100.0/28", "2001:db8:1::/64"], "class": ["hospital"]},
    "klinik-sued": {"addresses": ["198.51.100.16/28", "2001:db8:2::/64"], "class": ["hospital"]},
    "payer": {"addresses": ["198.51.100.32/28", "2001:db8:3::/64"], "class": ["insurer"]},
    "store": {"addresses": ["192.0.2.64/28", "2001:db8:4::/64"]},
}

LIFELINE = [{"service": "admin", "serves": "tcp/22", "to": ["192.0.2.0/28", "2001:db8:a::/64"],
             "why": "the admins' jump host"}]


def as_login(login, *words):
    """The words of a program that runs with the login uid; -1: as what no login started."""
    return ["sh", "-c", 'echo %d > /proc/self/loginuid && exec "$@"' % (login % (1 << 32)), "sh", *words]


def policy(grants=(), strangers=None, services=None, partners=None, **keys):
    """A policy for the lab's services and partners. `services` and `partners` add keys to those of
    the same name."""
    result = {"weir": 1, "name": "lab", "mode": "enforce", "lifeline": copy.deepcopy(LIFELINE),
              "services": {name: {"cgroup": path} for name, path in SERVICES.items()
                           if name != "session"},
              "partners": copy.deepcopy(PARTNERS), "grants": list(grants)}
    for section, added in (("services", services), ("partners", partners)):
        for name, more in (added or {}).items():
            result[section].setdefault(name, {}).update(more)
    if strangers is not None:
        result["strangers"] = strangers
    result.update(keys)
    return result


def grant(name, service, partner, budget="none", **keys):
    return dict({"name": name, "service": service, "partner": partner, "budget": budget}, **keys)


class Guard:
    """A weir daemon of one lab, and the commands for its instance."""

    def __init__(self, lab):
        self.lab = lab
        self.program = WEIR
        self.process = None
        self.run_dir, self.state_dir = lab.path("run"), lab.path("state")
        for directory in (self.run_dir, self.state_dir):
            os.makedirs(directory, exist_ok=True)
        self.config_dir = lab.path("config")
        os.makedirs(self.config_dir, exist_ok=True)
        self.environment = {"WEIR_RUN_DIR": self.run_dir, "WEIR_STATE_DIR": self.state_dir,
                            "WEIR_CONFIG_DIR": self.config_dir}
        self.log = lab.path("weir.log")
        self.policy_file = lab.path("policy.yaml")

    # ---- the daemon -----------------------------------------------------------------------------

    def write_policy(self, content, name="policy.yaml"):
        path = self.lab.path(name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(content if isinstance(content, str) else json.dumps(content, indent=1))
        return path

    def run_words(self, *more, cgroup=None, uplink="uplink0"):
        """`uplink` None: what the host's configuration says."""
        return [self.program, "run", "--instance", self.lab.instance, "--cgroup", cgroup or self.lab.cgroup,
                *(["--uplink", uplink] if uplink else []), *more]

    def start(self, content=None, *more, timeout=60.0, **options):
        """Starts the daemon and waits until it judges. RuntimeError with its words if it ends."""
        if content is not None:
            self.policy_file = self.write_policy(content)
        self.spawn(*more, **options)

        def is_up():
            if self.process.poll() is not None:
                raise RuntimeError("weir ended with %d: %s" % (self.process.returncode, self.words()))
            return self.weir("status").returncode == 0

        wait_for(is_up, timeout, "weir to judge", 0.05)
        return self

    def spawn(self, *more, **options):
        """Starts the daemon; it does not judge yet."""
        words = self.run_words("--policy", self.policy_file, *more, *os.environ.get("WEIR_LAB_RUN", "").split(), **options)
        with open(self.log, "ab") as log:
            self.process = self.lab.spawn(words, stdout=log, stderr=log, env=self.environment)

    def run_to_end(self, *more, timeout=60.0, **options):
        """Starts a daemon that is expected to fail; a CompletedProcess."""
        return self.lab.run(self.run_words(*more, **options), timeout=timeout, env=self.environment)

    def words(self):
        """What the daemon has said so far."""
        with open(self.log, encoding="utf-8", errors="replace") as log:
            return log.read().strip()

    def kill(self):
        """kill -9."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(10)

    # ---- commands -------------------------------------------------------------------------------

    def weir(self, command, *words, timeout=20.0, host="hub", login=None):
        """Runs a command of this instance, in a session with the login uid (-1: without one; None: this one's); a
        CompletedProcess."""
        argv = [self.program, command, *words, "--instance", self.lab.instance]
        if login is not None:
            argv = as_login(login, *argv)
        return self.lab.run(argv, host, timeout=timeout, env=self.environment)

    def must(self, command, *words, **options):
        """Like weir(), but RuntimeError unless it exits 0."""
        done = self.weir(command, *words, **options)
        if done.returncode != 0:
            raise RuntimeError("weir %s %s: exit %d: %s%s" % (
                command, " ".join(words), done.returncode, done.stdout, done.stderr))
        return done

    def cut(self, *targets, reason="a test"):
        return self.must("cut", *targets, "--reason", reason)

    def reopen(self, *targets, reason="a test"):
        return self.must("reopen", *targets, "--reason", reason)

    def apply(self, content, name="next.yaml"):
        return self.must("apply", self.write_policy(content, name), "--yes")

    def status(self):
        """status --json; also when no daemon answers, or something is amiss."""
        done = self.weir("status", "--json")
        if done.returncode not in (0, 1, 3) or not done.stdout.strip():
            raise RuntimeError("weir status: exit %d: %s" % (done.returncode, done.stderr))
        return json.loads(done.stdout)

    def account(self, kind, name):
        """One entry of status' `partners` or `services`; zeros when there is none."""
        for entry in self.status()[kind]:
            if entry["name"] == name:
                return entry
        return {"name": name, "sent_bytes": 0, "acked_bytes": 0, "refused_bytes": 0,
                "refused_packets": 0}

    def partner(self, name):
        return self.account("partners", name)

    def service(self, name):
        return self.account("services", name)

    def cuts(self):
        return self.status()["cuts"]

    def events(self):
        """The events of `weir events --json`, as dictionaries."""
        return [json.loads(line) for line in self.must("events", "--json").stdout.splitlines()]

    def is_loaded(self):
        """Whether a daemon could adopt it: the marker is pinned last."""
        return os.path.exists("/sys/fs/bpf/weir/" + self.lab.instance + "/control")

    @contextlib.contextmanager
    def stopped(self):
        """The daemon does not look meanwhile."""
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    @contextlib.contextmanager
    def held_lock(self):
        """Of the guard, as a process has it that changes something."""
        fd = os.open("/sys/fs/bpf/weir/" + self.lab.instance, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield
        finally:
            os.close(fd)

    def _is_open_in(self, pid):
        """Whether the process has opened the pinned guard itself."""
        for fd in glob.glob("/proc/%d/fd/*" % pid):
            try:
                if os.readlink(fd) == "/sys/fs/bpf/weir/" + self.lab.instance:
                    return True
            except FileNotFoundError:
                continue
        return False

    def must_without_answer(self, first, *words, between=lambda: None):
        """As must(): the daemon has the request, and waits for whoever has the guard, until the command gives it up and
        waits for the same. `first`: which of the two then has the guard first, "daemon" or "command". `between`: called
        before the daemon has it, where that is the second."""
        with self.held_lock():
            command = self.lab.spawn([self.program, *words, "--instance", self.lab.instance], "hub",
                                     stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=self.environment)
            wait_for(lambda: self._is_open_in(command.pid), 12, "both to wait")
            second = self.process.pid if first == "command" else command.pid
            os.kill(second, signal.SIGSTOP)
        try:
            if first == "command":
                said, problems = command.communicate(timeout=20 * SLOWNESS)
                between()
            else:
                wait_for(lambda: self.weir("status", "--json").returncode == 0, 20, "the daemon's next answer")
        finally:
            os.kill(second, signal.SIGCONT)
        if first == "daemon":
            said, problems = command.communicate(timeout=20 * SLOWNESS)
        else:
            wait_for(lambda: self.weir("status", "--json").returncode == 0, 20, "the daemon's next answer")
        if command.returncode:
            raise RuntimeError("weir %s: exit %d: %s" % (" ".join(words), command.returncode, problems))
        return said

    def is_pinned(self):
        return bool(glob.glob("/sys/fs/bpf/weir/" + self.lab.instance + "/*"))


def address(host, family=4, number=0):
    return HOSTS[host][0 if family == 4 else 3][number]


