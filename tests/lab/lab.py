#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""
lab.py - a transfer host, its partners and some strangers, in network namespaces of one machine.

                        hub  (the transfer host; its servers run below the guarded cgroup)
                         |   uplink0  203.0.113.10/28  2001:db8:f::10/64   transfer services
                         |            203.0.113.11     2001:db8:f::11      admins' sshd (lifeline)
                         |
                        net  (a router, nothing else)
                         |
     +---------------+---+-----------+---------------+---------------+---------------+
     |               |               |               |               |               |
  klinik-nord    klinik-sued       payer           store         stranger          admin
  198.51.100.2   198.51.100.18  198.51.100.34   192.0.2.66    203.0.113.130-158  192.0.2.2
  2001:db8:1::2  2001:db8:2::2  2001:db8:3::2   2001:db8:4::2 2001:db8:bad:NN00::2  2001:db8:a::2
  (.3, ::3 too)                                  (one IPv4 /32, one IPv6 /56 each)

Each host is a network namespace `weir-PID-N-HOST`; all prefixes are documentation prefixes. Nothing
leaves the machine. The guarded cgroup is weir-lab-PID-N/hub below the cgroup v2 mount:

    hub/system.slice/{ssh,sftp,nginx,vsftpd,batch}.service   the services of the transfer host
    hub/user.slice/session.scope                             a process in no named service
    far/                                                     all other hosts; never guarded

`lab.py up` raises a lab and leaves it up, `down` ends every lab that `up` raised, `shell [HOST]`
raises one and opens a shell in a host of it. A lab whose process died is removed at the next start.
"""
import atexit
import ctypes
import glob
import os
import pickle
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, HERE)
os.environ["PATH"] = "/usr/local/sbin:/usr/sbin:/sbin:" + os.environ.get("PATH", "/usr/bin:/bin")

SERVICES = {
    "admin": "system.slice/ssh.service",
    "sftp": "system.slice/sftp.service",
    "portal": "system.slice/nginx.service",
    "ftp": "system.slice/vsftpd.service",
    "batch": "system.slice/batch.service",
    "session": "user.slice/session.scope",
}

# How many times longer than on a machine of its own all may take: an emulated one is slow (tests/vm/inside.py).
SLOWNESS = int(os.environ.get("WEIR_SLOWNESS", "1"))
STRANGERS = 28  # addresses of the host `stranger`

# host: (IPv4 addresses, IPv4 prefix length, gateway, IPv6 addresses, gateway)
HOSTS = {
    "hub": (["203.0.113.10", "203.0.113.11"], 28, "203.0.113.1",
            ["2001:db8:f::10", "2001:db8:f::11"], "2001:db8:f::1"),
    "klinik-nord": (["198.51.100.2", "198.51.100.3"], 28, "198.51.100.1",
                    ["2001:db8:1::2", "2001:db8:1::3"], "2001:db8:1::1"),
    "klinik-sued": (["198.51.100.18"], 28, "198.51.100.17", ["2001:db8:2::2"], "2001:db8:2::1"),
    "payer": (["198.51.100.34"], 28, "198.51.100.33", ["2001:db8:3::2"], "2001:db8:3::1"),
    "store": (["192.0.2.66"], 28, "192.0.2.65", ["2001:db8:4::2"], "2001:db8:4::1"),
    "stranger": (["203.0.113.%d" % (130 + i) for i in range(STRANGERS)], 27, "203.0.113.129",
                 ["2001:db8:bad:%x00::2" % i for i in range(STRANGERS)], "2001:db8:bad::1"),
    "admin": (["192.0.2.2"], 28, "192.0.2.1", ["2001:db8:a::2"], "2001:db8:a::1"),
}

_libc = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET = 0x40000000
CLONE_NEWNS = 0x00020000
PR_SET_PDEATHSIG = 1


class LabError(Exception):
    """Something that the lab needs is not there; the text is one line for people."""


def _checked(result):
    if result != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def cgroup_mount():
    """Where the cgroup v2 hierarchy is mounted, or None."""
    with open("/proc/mounts", encoding="utf-8") as mounts:
        for line in mounts:
            fields = line.split()
            if fields[2] == "cgroup2":
                return fields[1]
    return None


def missing_right():
    """One line that names what this machine or user lacks for the lab, or None."""
    if os.geteuid() != 0:
        return "weir's lab must run as root"
    if not os.path.exists("/sys/kernel/btf/vmlinux"):
        return "this kernel has no BTF (/sys/kernel/btf/vmlinux)"
    if cgroup_mount() is None:
        return "no cgroup v2 hierarchy is mounted"
    return None


def lasting(seconds):
    """How long something is to be in force that ends by itself while one looks: whole seconds, more where all is slow."""
    return seconds * max(1, SLOWNESS // 2)


def wait_for(condition, timeout=10.0, what="", step=0.01):
    """Polls until condition() is true and returns its value; TimeoutError after `timeout` s."""
    end = time.monotonic() + timeout * SLOWNESS
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= end:
            raise TimeoutError("waited %.0f s for %s" % (timeout, what or condition))
        time.sleep(step)


def _ip(*lines, ns=None):
    """Runs many `ip` commands in one process."""
    command = ["ip"] + (["-n", ns] if ns else []) + ["-batch", "-"]
    done = subprocess.run(command, input="\n".join(lines) + "\n", text=True, capture_output=True)
    if done.returncode != 0:
        raise LabError("ip: " + done.stderr.strip().replace("\n", "; "))


def _pids_below(directory):
    pids = []
    for path, _, _ in os.walk(directory):
        try:
            with open(os.path.join(path, "cgroup.procs"), encoding="utf-8") as procs:
                pids += [int(line) for line in procs]
        except OSError:
            pass
    return pids


def _remove_cgroup(directory):
    """Kills what runs below `directory`, by pid, and removes it."""
    for _ in range(500):
        pids = [pid for pid in _pids_below(directory) if pid != os.getpid()]
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        if not pids:
            break
        time.sleep(0.01)
    for path, _, _ in os.walk(directory, topdown=False):
        for _ in range(100):
            try:
                os.rmdir(path)
                break
            except FileNotFoundError:
                break
            except OSError:
                time.sleep(0.01)  # a process is still on its way out


def _remove_lab(name):
    """Removes all that belongs to the lab `name` (PID-N), whether it is ours or a dead one's."""
    mount = cgroup_mount()
    if mount:
        _remove_cgroup(os.path.join(mount, "weir-lab-" + name))
    for pins in glob.glob("/sys/fs/bpf/weir/lab-" + name):
        shutil.rmtree(pins, ignore_errors=True)
    namespaces = glob.glob("/run/netns/weir-" + name + "-*")
    if namespaces:
        subprocess.run(["ip", "-batch", "-", "-force"], stderr=subprocess.DEVNULL, text=True, check=False,
                       input="".join("netns del %s\n" % os.path.basename(n) for n in namespaces))
    for directory in glob.glob(os.path.join(tempfile.gettempdir(), "weir-lab-" + name + "-*")):
        with open("/proc/mounts", encoding="utf-8") as mounts:
            below = [line.split()[1] for line in mounts if line.split()[1].startswith(directory)]
        for point in sorted(below, reverse=True):
            subprocess.run(["umount", "-l", point], check=False)
        shutil.rmtree(directory, ignore_errors=True)


def remove_leftovers():
    """Removes labs whose process is dead."""
    names = set()
    patterns = ["/run/netns/weir-*", "/sys/fs/bpf/weir/lab-*",
                os.path.join(tempfile.gettempdir(), "weir-lab-*"),
                os.path.join(cgroup_mount() or "/nonexistent", "weir-lab-*")]
    for pattern in patterns:
        for path in glob.glob(pattern):
            found = re.match(r"(?:weir-lab|weir|lab)-(\d+-\d+)(?:-|$)", os.path.basename(path))
            if found:
                names.add(found.group(1))
    for name in names:
        if not os.path.exists("/proc/" + name.split("-")[0]):
            _remove_lab(name)


class Host:
    """A network namespace: its name, its first addresses and all of them."""

    def __init__(self, name, namespace):
        self.name = name
        self.namespace = namespace
        self.path = "/run/netns/" + namespace
        self.all4, _, _, self.all6, _ = HOSTS[name]
        self.v4, self.v6 = self.all4[0], self.all6[0]

    def address(self, family, number=0):
        """family 4 or 6."""
        return (self.all4 if family == 4 else self.all6)[number]


class Task:
    """A Python function that runs in a process of its own, on a host and in a cgroup."""

    def __init__(self, pid, pipe, what):
        self.pid, self.pipe, self.what = pid, pipe, what
        self.outcome = None

    def result(self, timeout=30.0):
        """What the function returned; raises what it raised. TimeoutError kills it."""
        if self.outcome is None:
            data = self._read(timeout)
            self._reap()
            if not data:
                raise LabError("%s ended without a result" % self.what)
            self.outcome = pickle.loads(data)
        is_good, value = self.outcome
        if not is_good:
            raise value
        return value

    def _read(self, timeout):
        import select
        parts, end = [], time.monotonic() + timeout * SLOWNESS
        while True:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.pipe], [], [], left)[0]:
                self.kill()
                raise TimeoutError("%s took longer than %.0f s" % (self.what, timeout))
            part = os.read(self.pipe, 1 << 16)
            if not part:
                return b"".join(parts)
            parts.append(part)

    def is_running(self):
        if self.pid:
            pid, _ = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.pid = 0
        return bool(self.pid)

    def _reap(self):
        if self.pid:
            os.waitpid(self.pid, 0)
            self.pid = 0

    def kill(self):
        if self.pid:
            try:
                os.kill(self.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            self._reap()


class Lab:
    """One lab. Use it in a `with`, or call up() and down()."""

    _count = 0
    _alive = []

    def __init__(self, servers=()):
        problem = missing_right()
        if problem:
            raise LabError(problem)
        Lab._count += 1
        self.name = "%d-%d" % (os.getpid(), Lab._count)
        self.instance = "lab-" + self.name
        self.cgroup_top = os.path.join(cgroup_mount(), "weir-lab-" + self.name)
        self.cgroup = os.path.join(self.cgroup_top, "hub")  # what weir guards
        self.far_cgroup = os.path.join(self.cgroup_top, "far")
        self.hosts = {name: Host(name, "weir-%s-%s" % (self.name, name)) for name in HOSTS}
        self.router = "weir-%s-net" % self.name
        self.servers = servers
        self.dir = None
        self.tasks = []
        self.processes = []
        self.running = {}  # server name -> Popen
        self.owner = os.getpid()

    # ---- up and down --------------------------------------------------------------------------

    def up(self):
        remove_leftovers()
        if not Lab._alive:
            atexit.register(Lab._down_all)
        Lab._alive.append(self)
        try:
            self.dir = tempfile.mkdtemp(prefix="weir-lab-%s-" % self.name)
            os.chmod(self.dir, 0o755)
            for path in list(SERVICES.values()):
                os.makedirs(os.path.join(self.cgroup, path))
            os.makedirs(self.far_cgroup)
            self._raise_network()
            if self.servers:
                import servers
                servers.prepare(self)
                for name in self.servers:
                    servers.start(self, name)
        except BaseException:
            self.down()
            raise
        return self

    def down(self):
        if self.owner != os.getpid() or self not in Lab._alive:
            return
        Lab._alive.remove(self)
        for task in self.tasks:
            task.kill()
            os.close(task.pipe)
        _remove_lab(self.name)
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout, process.stderr):
                if pipe:
                    pipe.close()

    @staticmethod
    def _down_all():
        for lab in list(Lab._alive):
            lab.down()

    def __enter__(self):
        return self.up()

    def __exit__(self, *_):
        self.down()

    def _raise_network(self):
        links = ["netns add " + self.router]
        links += ["netns add " + host.namespace for host in self.hosts.values()]
        _ip(*links)
        for namespace in [self.router] + [host.namespace for host in self.hosts.values()]:
            self.start(_prepare_namespace, namespace == self.router, host=namespace).result()
        for namespace in [self.router] + [host.namespace for host in self.hosts.values()]:
            _ip("link set lo up", ns=namespace)
        self._connect(self.hosts)

    def _connect(self, names):
        """A pair of interfaces between each of the hosts and the router, with addresses and routes."""
        links, router, inside = [], [], {}
        for name in names:
            v4, bits, gateway4, v6, gateway6 = HOSTS[name]
            here = "uplink0" if name == "hub" else "eth0"
            links.append("link add %s netns %s type veth peer name %s" % (here, self.hosts[name].namespace, name))
            lines = ["link set %s up" % here]
            router += ["link set %s up" % name, "addr add %s/%d dev %s" % (gateway4, bits, name),
                       "addr add %s/%d dev %s nodad" % (gateway6, 40 if name == "stranger" else 64, name)]
            lines += ["addr add %s/%d dev %s" % (address, bits, here) for address in v4]
            # A later address of one prefix is put in front of the earlier ones as a source, so the
            # first one goes in last.
            lines += ["addr add %s/%d dev %s nodad" % (address, 40 if name == "stranger" else 64, here)
                      for address in reversed(v6)]
            lines += ["route add default via %s src %s" % (gateway4, v4[0]),
                      "route add default via %s src %s" % (gateway6, v6[0])]
            inside[name] = lines
        # From the router's side: older kernels refuse a name that stands where the command runs.
        _ip(*links, *router, ns=self.router)
        for name, lines in inside.items():
            _ip(*lines, ns=self.hosts[name].namespace)

    def remake_uplink(self, meanwhile=lambda: None):
        """The hub's uplink goes and comes back under the same name, as another interface."""
        _ip("link del uplink0", ns=self.hosts["hub"].namespace)
        try:
            meanwhile()
        finally:
            self._connect(["hub"])

    def give_uplink_away(self):
        """The hub's place at the router is a tap, `hub`, in the router's namespace: for a virtual machine."""
        _, bits, gateway4, _, gateway6 = HOSTS["hub"]
        _ip("link del hub", "tuntap add dev hub mode tap", "addr add %s/%d dev hub" % (gateway4, bits),
            "addr add %s/64 dev hub nodad" % gateway6, "link set hub up", ns=self.router)

    # ---- processes ----------------------------------------------------------------------------

    def cgroup_of(self, service):
        """The cgroup of a service of the hub (a name of SERVICES or a path); made if need be."""
        path = os.path.join(self.cgroup, SERVICES.get(service, service))
        os.makedirs(path, exist_ok=True)
        return path

    def _enter(self, host, service, private_mounts=None):
        """Runs in the child: joins the cgroup first, then the host's network namespace."""
        if host == "hub" and service:
            directory = self.cgroup_of(service)
        else:
            directory = self.far_cgroup
        if os.path.isdir(directory):
            with open(os.path.join(directory, "cgroup.procs"), "w", encoding="utf-8") as procs:
                procs.write("0")
        path = self.hosts[host].path if host in self.hosts else "/run/netns/" + host
        descriptor = os.open(path, os.O_RDONLY)
        _checked(_libc.setns(descriptor, CLONE_NEWNET))
        os.close(descriptor)
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if private_mounts:
            _checked(_libc.unshare(CLONE_NEWNS))
            _checked(_libc.mount(b"none", b"/", None, 0x44000, None))  # MS_REC | MS_PRIVATE
            for source, target in private_mounts:
                _checked(_libc.mount(source.encode(), target.encode(), None, 0x1000, None))  # MS_BIND

    def spawn(self, argv, host="hub", service=None, private_mounts=None, **options):
        """Starts a program on a host; on the hub in the cgroup of a service (None: not guarded)."""
        options.setdefault("stdin", subprocess.DEVNULL)
        options.setdefault("cwd", self.dir)
        environment = dict(os.environ, HOME=self.dir, LC_ALL="C")
        environment.update(options.pop("env", {}))
        process = subprocess.Popen(
            [str(word) for word in argv], env=environment,
            preexec_fn=lambda: self._enter(host, service, private_mounts), **options)
        self.processes.append(process)
        return process

    def run(self, argv, host="hub", service=None, timeout=30.0, **options):
        """Runs a program to its end; a CompletedProcess with text. A timeout kills it: code -9."""
        process = self.spawn(argv, host, service, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                             text=True, errors="replace", **options)
        try:
            out, err = process.communicate(timeout=timeout * SLOWNESS)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
        return subprocess.CompletedProcess(argv, process.returncode, out, err)

    def start(self, function, *args, host="hub", service=None):
        """Runs function(*args) in a process of its own; see spawn() for the place."""
        sys.stdout.flush()
        sys.stderr.flush()
        read, write = os.pipe()
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                os.close(read)
                for number in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM):
                    signal.signal(number, signal.SIG_DFL)
                signal.setitimer(signal.ITIMER_REAL, 0)
                try:
                    self._enter(host, service)
                    outcome = (True, function(*args))
                except BaseException as error:  # handed to the caller, whatever it is
                    outcome = (False, error)
                data = pickle.dumps(outcome)
                while data:
                    data = data[os.write(write, data):]
                status = 0
            finally:
                os._exit(status)
        os.close(write)
        task = Task(pid, read, getattr(function, "__name__", "task"))
        self.tasks.append(task)
        return task

    def call(self, function, *args, host="hub", service=None, timeout=30.0):
        return self.start(function, *args, host=host, service=service).result(timeout)

    def path(self, *parts):
        """A path in the lab's own directory."""
        return os.path.join(self.dir, *parts)

    def stop_service(self, name):
        """Ends a service as systemd does: its processes die and its cgroup goes."""
        _remove_cgroup(self.cgroup_of(name))
        process = self.running.pop(name, None)
        if process:
            process.wait()

    def restart_service(self, name):
        """The service comes back in a new cgroup of the same path."""
        import servers
        self.stop_service(name)
        servers.start(self, name)


def _prepare_namespace(is_router):
    """Settings of one namespace, before it has links. /proc/sys/net shows the caller's own."""
    settings = {"ipv6/conf/default/accept_dad": 0, "ipv6/conf/default/router_solicitations": 0,
                "ipv4/tcp_fastopen": 7, "ipv4/conf/default/rp_filter": 0,
                "ipv4/ping_group_range": "0 0"}
    if is_router:
        settings.update({"ipv4/ip_forward": 1, "ipv6/conf/all/forwarding": 1,
                         "ipv4/icmp_ratelimit": 0})
    for name, value in settings.items():
        with open("/proc/sys/net/" + name, "w", encoding="utf-8") as setting:
            setting.write(str(value))


def exit_on_signals():
    """SIGTERM and SIGHUP end the program through its exit handlers."""
    def leave(number, _):
        sys.exit(128 + number)
    signal.signal(signal.SIGTERM, leave)
    signal.signal(signal.SIGHUP, leave)


# ---- the command ----------------------------------------------------------------------------------

ALL_SERVERS = ("admin", "sftp", "portal", "ftp")


def _command_up():
    read, write = os.pipe()
    if os.fork() != 0:
        os.close(write)
        text = os.fdopen(read).read()
        print(text, end="")
        return 0 if text.startswith("lab") else 1
    os.setsid()
    exit_on_signals()
    with os.fdopen(write, "w") as out:
        try:
            lab = Lab(ALL_SERVERS).up()
        except LabError as error:
            out.write("%s\n" % error)
            return 1
        with open(lab.path("keeper"), "w", encoding="utf-8") as keeper:
            keeper.write(str(os.getpid()))
        out.write("lab %s is up: cgroup %s, files %s\n" % (lab.name, lab.cgroup, lab.dir))
        for host in lab.hosts.values():
            out.write("  nsenter --net=%s   # %s %s\n" % (host.path, host.v4, host.v6))
    null = os.open(os.devnull, os.O_RDWR)
    for number in range(3):
        os.dup2(null, number)
    while True:
        signal.pause()


def _command_down():
    for path in glob.glob(os.path.join(tempfile.gettempdir(), "weir-lab-*", "keeper")):
        with open(path, encoding="utf-8") as keeper:
            pid = int(keeper.read())
        try:
            with open("/proc/%d/cmdline" % pid, "rb") as line:
                if b"lab.py" in line.read():
                    os.kill(pid, signal.SIGTERM)
        except FileNotFoundError:
            continue
        wait_for(lambda: not os.path.exists(path), what="lab to end")
    remove_leftovers()
    return 0


def _command_shell(host):
    exit_on_signals()
    with Lab(ALL_SERVERS) as lab:
        if host not in lab.hosts:
            print("no such host; there are: " + ", ".join(lab.hosts), file=sys.stderr)
            return 2
        print("lab %s, host %s; the shell's end takes it down" % (lab.name, host))
        return lab.spawn(["/bin/bash", "-i"], host, stdin=None).wait()


def main(words):
    problem = missing_right()
    if problem:
        print(problem, file=sys.stderr)
        return 1
    if words == ["up"]:
        return _command_up()
    if words == ["down"]:
        return _command_down()
    if words[:1] == ["shell"] and len(words) <= 2:
        return _command_shell(words[1] if len(words) == 2 else "hub")
    print("usage: lab.py up | down | shell [HOST]", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
