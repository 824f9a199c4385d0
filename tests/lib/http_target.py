#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""An HTTP or HTTPS target for the tests.

    http_target.py [--listen 127.0.0.1:0] [--tls CERT KEY] [--root DIR] [--log FILE]

Writes its port as the first line to stdout, and a line "PEER METHOD PATH" per
request to the log.

    GET /hello          "hello through the proxy\\n"
    GET /big?n=BYTES    that many bytes, their digest in the header X-Sha256
    PUT /upload         the SHA-256 of the body
    GET /PATH           a file below --root
"""

import argparse
import hashlib
import http.server
import os
import resource
import socket
import ssl
import sys
import threading
import urllib.parse

BLOCK = 65536


def blocks(length):
    """A stream of bytes that is the same every time and nowhere repeats."""
    index = 0
    while length > 0:
        block = hashlib.sha256(b"%d" % index).digest() * (BLOCK // 32)
        yield block[:length]
        length -= BLOCK
        index += 1


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 60

    def log_message(self, format, *args):
        pass

    def note(self):
        if self.server.log_file:
            with self.server.lock:
                self.server.log_file.write(
                    "%s %s %s\n" % (self.client_address[0], self.command, self.path)
                )

    def answer(self, status, body, **headers):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        for key, value in headers.items():
            self.send_header(key.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_GET(self):
        self.note()
        url = urllib.parse.urlsplit(self.path)
        if url.path == "/hello":
            self.answer(200, b"hello through the proxy\n", Content_Type="text/plain")
        elif url.path == "/big":
            self.big(int(urllib.parse.parse_qs(url.query).get("n", ["0"])[0]))
        else:
            self.file(urllib.parse.unquote(url.path))

    do_HEAD = do_GET

    def big(self, length):
        digest = hashlib.sha256()
        for block in blocks(length):
            digest.update(block)
        self.send_response(200)
        self.send_header("Content-Length", str(length))
        self.send_header("X-Sha256", digest.hexdigest())
        self.end_headers()
        if self.command != "HEAD":
            for block in blocks(length):
                self.wfile.write(block)

    def file(self, path):
        root = self.server.root
        full = os.path.realpath(os.path.join(root, path.lstrip("/"))) if root else ""
        if not root or not full.startswith(root + os.sep) or not os.path.isfile(full):
            self.answer(404, b"not found\n")
            return
        with open(full, "rb") as stream:
            self.answer(200, stream.read(), Content_Type="application/octet-stream")

    def do_PUT(self):
        self.note()
        left = int(self.headers.get("Content-Length", "0"))
        digest = hashlib.sha256()
        while left > 0:
            data = self.rfile.read(min(left, BLOCK))
            if not data:
                break
            digest.update(data)
            left -= len(data)
        self.answer(200, digest.hexdigest().encode() + b"\n")


class Target(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 4096

    def __init__(self, host, port, options):
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.root = os.path.realpath(options.root) if options.root else None
        self.log_file = open(options.log, "a", buffering=1) if options.log else None
        self.lock = threading.Lock()
        self.tls = None
        if options.tls:
            self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.tls.load_cert_chain(*options.tls)
        super().__init__((host, port), Handler)

    def server_bind(self):
        socket.socket.setsockopt(self.socket, socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = self.server_address[:2]

    def finish_request(self, request, client_address):
        if self.tls:  # in the connection's own thread, not in the accepting one
            request.settimeout(30)
            request = self.tls.wrap_socket(request, server_side=True)
        super().finish_request(request, client_address)

    def handle_error(self, request, client_address):
        pass


def main():
    parser = argparse.ArgumentParser(description="HTTP target for tests")
    parser.add_argument("--listen", default="127.0.0.1:0")
    parser.add_argument("--tls", nargs=2, metavar=("CERT", "KEY"))
    parser.add_argument("--root")
    parser.add_argument("--log")
    options = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    threading.stack_size(256 * 1024)  # a thread for every connection
    host, _, port = options.listen.rpartition(":")
    target = Target(host.strip("[]"), int(port), options)
    print(target.server_port)
    sys.stdout.flush()
    target.serve_forever()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        pass
