# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""
servers.py - the real servers of the lab's transfer host, each in its own cgroup.

    admin   sshd on .11:22, the admins' way in (lifeline)
    sftp    sshd on .10:22, sftp and rsync over ssh
    portal  nginx on .10:443 (TLS), behind it the application, which has a web shell in it
    ftp     vsftpd on .10:21, passive (40000-40100) and active

Keys and certificates are made once for each run. The servers see a private /etc/passwd with the users
`transfer` and `labftp`, so that nothing on the machine needs to be changed.
"""
import os
import shutil
import socket
import subprocess
import tempfile

from lab import HERE, HOSTS, wait_for

BIG = 1 << 30       # bytes of data/big, a file of zeros without blocks on the disk
DATA = 20 << 20     # bytes of data/night, random
PASSIVE = (40000, 40100)

_material = None


def _make_material():
    """Keys and a certificate, once per process."""
    global _material
    if _material is None:
        _material = tempfile.TemporaryDirectory(prefix="weir-lab-%d-0-keys-" % os.getpid())
        base = _material.name
        for name in ("host_key", "client_key"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "lab",
                            "-f", os.path.join(base, name)], check=True)
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj",
                        "/CN=hub.example", "-keyout", os.path.join(base, "tls.key"),
                        "-out", os.path.join(base, "tls.crt")], check=True, capture_output=True)
    return _material.name


def _write(path, text, mode=0o600):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    os.chmod(path, mode)


def prepare(lab):
    """Files that the servers of this lab need."""
    keys = _make_material()
    for name in ("host_key", "client_key", "client_key.pub", "tls.key", "tls.crt"):
        shutil.copy(os.path.join(keys, name), lab.path(name))
        os.chmod(lab.path(name), 0o600)
    data = lab.path("data")
    os.mkdir(data, 0o755)
    with open(os.path.join(data, "big"), "wb") as file:
        file.truncate(BIG)
    with open(os.path.join(data, "night"), "wb") as file:
        file.write(os.urandom(DATA))
    os.mkdir(lab.path("data", "in"), 0o755)
    os.mkdir(lab.path("empty"), 0o755)
    for name in ("passwd", "shadow"):
        with open("/etc/" + name, encoding="utf-8") as file:
            text = file.read()
        if name == "passwd":
            text += "transfer:x:0:0::%s:/bin/sh\nlabftp:x:65534:65534::%s:/bin/false\n" % (data, data)
        else:
            text += "transfer:*:1:0:::::\nlabftp:*:1:0:::::\n"
        _write(lab.path(name), text, 0o644 if name == "passwd" else 0o600)
    os.makedirs("/run/sshd", mode=0o755, exist_ok=True)  # what sshd's own package makes at boot


def _sshd(lab, name, number):
    v4, v6 = HOSTS["hub"][0][number], HOSTS["hub"][3][number]
    config = lab.path(name + ".sshd_config")
    _write(config, """
ListenAddress {v4}
ListenAddress [{v6}]
Port 22
HostKey {dir}/host_key
AuthorizedKeysFile {dir}/client_key.pub
PidFile none
StrictModes no
UsePAM no
PermitRootLogin yes
PasswordAuthentication no
MaxStartups 200
PrintMotd no
LogLevel ERROR
Subsystem sftp internal-sftp
""".format(v4=v4, v6=v6, dir=lab.dir))
    return ["/usr/sbin/sshd", "-D", "-e", "-f", config], [(v4, 22), (v6, 22)]


def _nginx(lab):
    v4, v6 = HOSTS["hub"][0][0], HOSTS["hub"][3][0]
    config = lab.path("nginx.conf")
    _write(config, """
user root;
daemon off;
worker_processes 2;
pid {dir}/nginx.pid;
error_log {dir}/nginx.log;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    sendfile on;
    default_type application/octet-stream;
    client_max_body_size 0;
    client_body_temp_path {dir}/nginx-body;
    proxy_temp_path {dir}/nginx-proxy;
    fastcgi_temp_path {dir}/nginx-fastcgi;
    uwsgi_temp_path {dir}/nginx-uwsgi;
    scgi_temp_path {dir}/nginx-scgi;
    server {{
        listen {v4}:443 ssl;
        listen [{v6}]:443 ssl;
        ssl_certificate {dir}/tls.crt;
        ssl_certificate_key {dir}/tls.key;
        location /files/ {{ alias {dir}/data/; }}
        location / {{
            proxy_pass http://unix:{dir}/app.sock;
            proxy_buffering off;
            proxy_max_temp_file_size 0;
            proxy_read_timeout 60s;
        }}
    }}
}}
""".format(v4=v4, v6=v6, dir=lab.dir))
    application = lab.spawn(["/usr/bin/python3", os.path.join(HERE, "webshell.py"),
                             lab.path("app.sock"), lab.path("data")], "hub", "portal",
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for(lambda: os.path.exists(lab.path("app.sock")) or application.poll() is not None,
             what="the application behind nginx")
    return ["/usr/sbin/nginx", "-e", lab.path("nginx.log"), "-p", lab.dir, "-c", config], \
        [(v4, 443), (v6, 443)]


def _vsftpd(lab):
    config = lab.path("vsftpd.conf")
    _write(config, """
background=NO
listen=NO
listen_ipv6=YES
anonymous_enable=YES
local_enable=NO
ftp_username=labftp
nopriv_user=nobody
anon_root={dir}/data
no_anon_password=YES
secure_chroot_dir={dir}/empty
pasv_min_port={first}
pasv_max_port={last}
port_promiscuous=YES
connect_from_port_20=NO
connect_timeout=5
data_connection_timeout=20
xferlog_enable=NO
seccomp_sandbox=NO
use_localtime=NO
""".format(dir=lab.dir, first=PASSIVE[0], last=PASSIVE[1]))
    return ["/usr/sbin/vsftpd", config], [(HOSTS["hub"][0][0], 21), (HOSTS["hub"][3][0], 21)]


def _listens(address, port):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as client:
        client.settimeout(1)
        return client.connect_ex((address, port)) == 0


def start(lab, name):
    """Starts a server in its service's cgroup and waits until it listens on both families."""
    if name in ("admin", "sftp"):
        argv, listening = _sshd(lab, name, 1 if name == "admin" else 0)
    elif name == "portal":
        if os.path.exists(lab.path("app.sock")):
            os.unlink(lab.path("app.sock"))
        argv, listening = _nginx(lab)
    else:
        argv, listening = _vsftpd(lab)
    with open(lab.path(name + ".log"), "ab") as log:
        process = lab.spawn(argv, "hub", name, stdout=log, stderr=log,
                            private_mounts=[(lab.path("passwd"), "/etc/passwd"),
                                            (lab.path("shadow"), "/etc/shadow")])
    lab.running[name] = process

    def is_up():
        if process.poll() is not None:
            with open(lab.path(name + ".log"), encoding="utf-8", errors="replace") as log:
                raise RuntimeError("%s ended: %s" % (name, log.read().strip()))
        return all(lab.call(_listens, *where) for where in listening)

    wait_for(is_up, what=name + " to listen", step=0.02)
