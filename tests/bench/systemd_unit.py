# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""
systemd_unit.py - systemd's own filter as a peer: a unit with IPAddressDeny=any, and IPAddressAllow= and
IPAccounting= for the same addresses.

A manager of the bench's own runs it, in cgroups and mounts of its own, so that nothing of the machine's is
touched, and whatever is the machine's init does not matter. Who is put into the unit's cgroup meets its filter.
"""
import json
import os
import subprocess

import bench
from bench import labs

MANAGER = "/lib/systemd/systemd"
PER_LINE = 1000
UNIT = """[Unit]
DefaultDependencies=no
[Service]
Slice=-.slice
ExecStart=/bin/sleep infinity
IPAccounting=yes
IPAddressDeny=any
"""


class NotAvailable(Exception):
    """Why, in one line."""


def start(lab, prefixes):
    """The unit's cgroup, as the bench sees it. NotAvailable."""
    if not os.path.exists(MANAGER):
        raise NotAvailable("systemd is not installed")
    units, runtime = lab.path("systemd", "config", "systemd", "user"), lab.path("systemd", "run")
    for directory in (units, runtime):
        os.makedirs(directory)
    with open(os.path.join(units, "bench.service"), "w", encoding="ascii") as file:
        file.write(UNIT)
        for first in range(0, len(prefixes), PER_LINE):
            file.write("IPAddressAllow=%s\n" % " ".join(prefixes[first:first + PER_LINE]))
    top = os.path.join(lab.cgroup_top, "systemd")
    os.makedirs(top)
    # It takes the mount of cgroups for the whole hierarchy, so it gets one that begins at its own; and it runs
    # only where the machine seems to have been booted by systemd.
    private = "mount -t cgroup2 none /sys/fs/cgroup && mount -t tmpfs none /run && mkdir -p /run/systemd/system"
    words = ["unshare", "-C", "-m", "--propagation", "private", "sh", "-c",
             "%s && exec %s --user --unit=bench.service --log-target=console" % (private, MANAGER)]
    with open(lab.path("systemd", "log"), "wb") as log:
        process = lab.spawn(bench.inside_cgroup(top, *words), stdout=log, stderr=log,
                            env={"XDG_RUNTIME_DIR": runtime, "XDG_CONFIG_HOME": lab.path("systemd", "config"),
                                 "XDG_DATA_HOME": runtime})
    cgroup = os.path.join(top, "bench.service")
    try:
        labs.wait_for(lambda: process.poll() is not None or has_filter(cgroup), 120.0, "systemd's filter")
    except TimeoutError as error:
        process.kill()  # it would work on beside all that is measured
        process.wait()
        raise NotAvailable(str(error)) from error
    if process.poll() is not None:
        with open(lab.path("systemd", "log"), encoding="utf-8", errors="replace") as log:
            raise NotAvailable("systemd ended: " + " / ".join(log.read().splitlines()[-3:]))
    return cgroup


def has_filter(cgroup):
    if not os.path.isdir(cgroup):
        return False
    shown = subprocess.run(["bpftool", "-j", "cgroup", "show", cgroup], check=False, capture_output=True, text=True)
    attached = json.loads(shown.stdout.strip() or "[]") if shown.returncode == 0 else []
    return any(one.get("name") == "sd_fw_egress" for one in attached)
