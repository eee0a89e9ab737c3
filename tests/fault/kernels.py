# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""
kernels.py - Debian's own kernels, unpacked below a cache outside the tree.

The sources are this machine's, with another suite in the place of its own: whatever mirror it uses is used,
through a configuration of apt that belongs to the cache and touches nothing of the machine's.
"""
import fcntl
import functools
import glob
import os
import re
import shutil
import subprocess

HERE_SUITE = "bookworm"
SUITES = ("bookworm", "trixie", "sid")
MAY_BE_NEWER = ("bookworm-backports", "trixie-backports", "experimental")
META = "linux-image-amd64"


class NotAvailable(Exception):
    """Which, and why, in one line."""


def cache():
    default = os.path.join(os.environ.get("XDG_CACHE_HOME", os.path.expanduser("~/.cache")), "weir", "vm")
    return os.environ.get("WEIR_VM_CACHE", default)


def _alone(function):
    """Whoever else uses the cache waits: apt would refuse, and two would unpack the same kernel."""
    @functools.wraps(function)
    def locked(*words):
        os.makedirs(cache(), exist_ok=True)
        with open(os.path.join(cache(), "lock"), "w", encoding="ascii") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            return function(*words)
    return locked


def sources(suite):
    """The machine's main archive, for `suite`."""
    lines = []
    for path in ["/etc/apt/sources.list"] + glob.glob("/etc/apt/sources.list.d/*"):
        try:
            with open(path, encoding="utf-8") as file:
                text = file.read()
        except OSError:
            continue
        for place in re.findall(r"^deb\s+(?:\[[^]]*\]\s+)?(\S+)\s+%s\s" % HERE_SUITE, text, re.M):
            lines.append("deb %s %s main" % (place, suite))
        if path.endswith(".sources"):
            for stanza in text.split("\n\n"):
                uris = re.search(r"^URIs:\s*(\S+)", stanza, re.M)
                suites = re.search(r"^Suites:\s*(.*)$", stanza, re.M)
                if uris and suites and HERE_SUITE in suites.group(1).split():
                    lines.append("deb %s %s main" % (uris.group(1), suite))
    if not lines:
        raise NotAvailable("no package source of %s is set up here" % HERE_SUITE)
    return "\n".join(sorted(set(lines))) + "\n"


def _apt(suite, *words, cwd=None):
    """apt with a state of its own for the suite."""
    root = os.path.join(cache(), "apt", suite)
    for directory in ("lists/partial", "archives/partial", "parts"):
        os.makedirs(os.path.join(root, directory), exist_ok=True)
    with open(os.path.join(root, "sources.list"), "w", encoding="utf-8") as file:
        file.write(sources(suite))
    options = ["-o", "Dir::Etc::SourceList=%s/sources.list" % root, "-o", "Dir::Etc::SourceParts=%s/parts" % root,
               "-o", "Dir::State::Lists=%s/lists" % root, "-o", "Dir::Cache=%s" % root,
               "-o", "Dir::Cache::archives=%s/archives" % root, "-o", "Acquire::Languages=none",
               "-o", "APT::Sandbox::User=root"]
    done = subprocess.run([words[0], *options, *words[1:]], cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, timeout=600, check=False)
    if done.returncode != 0:
        raise NotAvailable("%s: %s" % (suite, done.stderr.strip().replace("\n", "; ")[-200:]))
    return done.stdout


@functools.lru_cache(None)
def _show(suite, package):
    """The fields of a package; of nothing, when the suite has it not."""
    try:
        return _apt(suite, "apt-cache", "show", "--no-all-versions", package)
    except NotAvailable:
        return ""


@functools.lru_cache(None)
def _version(suite):
    """Of the suite's newest kernel."""
    _apt(suite, "apt-get", "update", "-qq")
    found = re.search(r"^Version: (\S+)$", _show(suite, META), re.M)
    if not found:
        raise NotAvailable("%s: there is no %s" % (suite, META))
    return found.group(1)


def _depends(suite, package):
    line = re.search(r"^Depends: (.*)$", _show(suite, package), re.M)
    return [word.split()[0] for word in line.group(1).split(",")] if line else []


def packages(suite):
    """All packages that the suite's newest amd64 kernel consists of; newer suites split it up."""
    _version(suite)
    found, waiting = [], [META]
    while waiting:
        for name in _depends(suite, waiting.pop()):
            if re.match(r"linux-(image|binary|modules|base)-(\d|amd64$)", name) and name not in found:
                found.append(name)
                waiting.append(name)
    return [name for name in found if re.search(r"-\d", name)]


def _is_newer(one, other):
    return subprocess.run(["dpkg", "--compare-versions", one, "gt", other], check=False).returncode == 0


@_alone
def newest():
    """(the suite whose kernel is newer than each of SUITES', or None; a line on each of the others)."""
    versions, said = {}, []
    for suite in SUITES + MAY_BE_NEWER:
        try:
            versions[suite] = _version(suite)
        except NotAvailable as error:
            said.append(str(error))
    if not versions:
        return None, said
    best = functools.reduce(lambda a, b: b if _is_newer(versions[b], versions[a]) else a, versions)
    said += ["%s: %s is not the newest" % (suite, version) for suite, version in versions.items()
             if suite not in SUITES and suite != best]
    return (None if best in SUITES else best), said


@_alone
def fetch(suite):
    """(name, directory with boot/vmlinuz-* and lib/modules/*)."""
    parts = packages(suite)
    if not parts:
        raise NotAvailable("%s: linux-image-amd64 depends on no kernel" % suite)
    name = re.sub(r"^linux-[a-z]+-", "", parts[0])
    directory = os.path.join(cache(), name)
    if not glob.glob(directory + "/boot/vmlinuz-*"):
        part = directory + ".part-%d" % os.getpid()
        shutil.rmtree(part, ignore_errors=True)
        os.makedirs(part)
        try:
            _apt(suite, "apt-get", "download", "-q", *parts, cwd=part)
            for archive in glob.glob(part + "/*.deb"):
                subprocess.run(["dpkg", "-x", archive, part + "/root"], check=True, timeout=300)
            _tidy(part + "/root")
            os.replace(part + "/root", directory)
        finally:
            shutil.rmtree(part, ignore_errors=True)
    if not glob.glob(directory + "/lib/modules/*/modules.dep.bin"):  # what installing it would do
        release = os.path.basename(glob.glob(directory + "/lib/modules/*")[0])
        subprocess.run(["depmod", "-b", directory, release], check=True, timeout=300)
    return name, directory


def _tidy(root):
    """Modules may stand below usr/; and a kernel that is not there is told here."""
    if not os.path.isdir(root + "/lib/modules") and os.path.isdir(root + "/usr/lib/modules"):
        os.makedirs(root + "/lib", exist_ok=True)
        os.replace(root + "/usr/lib/modules", root + "/lib/modules")
    if not glob.glob(root + "/boot/vmlinuz-*"):
        found = glob.glob(root + "/usr/lib/modules/*/vmlinuz") + glob.glob(root + "/lib/modules/*/vmlinuz")
        if not found:
            raise NotAvailable("no kernel in the packages")
        os.makedirs(root + "/boot", exist_ok=True)
        shutil.copy(found[0], root + "/boot/vmlinuz-" + os.path.basename(os.path.dirname(found[0])))
