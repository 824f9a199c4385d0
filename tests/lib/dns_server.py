#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""A resolver over TCP for the tests, which prints its port and logs a line "NAME TYPE" for each query.

What it does is in the name's first label:

    hang         nothing, and the connection stays
    close        the connection ends without an answer
    short        half an answer, then the end
    long         a length that is longer than what follows, and the connection stays
    drip         the answer, octet by octet
    big          more addresses than a datagram has room for
    lie-id       an answer with another ID
    lie-name     an answer to another question
    none         NXDOMAIN
    others       A 192.0.2.77, AAAA 2001:db8::77, MX, PTR; an alias before addresses of alias.*
"""

import argparse
import socketserver
import struct

A, CNAME, PTR, MX, AAAA = 1, 5, 12, 15, 28


def wire(name):
    return b"".join(bytes([len(x)]) + x.encode() for x in name.split(".") if x) + b"\0"


def record(owner, kind, data):
    return owner + struct.pack(">HHIH", kind, 1, 30, len(data)) + data


def records(name, kind):
    owner, found = b"\xc0\x0c", []
    data = {
        A: bytes([192, 0, 2, 77]),
        AAAA: bytes.fromhex("20010db8000000000000000000000077"),
        MX: struct.pack(">H", 10) + wire("mail.test"),
        PTR: wire("host.test"),
    }
    if kind in (A, AAAA) and name.startswith("alias."):
        found.append(record(owner, CNAME, wire("real.test")))
        owner = wire("real.test")
    if name.startswith("big.") and kind == A:
        return [record(owner, A, bytes([192, 0, 2, last])) for last in range(1, 101)]
    if kind in data:
        found.append(record(owner, kind, data[kind]))
    return found


class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        while True:
            prefix = self.rfile.read(2)
            if len(prefix) < 2:
                return
            query = self.rfile.read(struct.unpack(">H", prefix)[0])
            if not self.answer(query):
                return

    def answer(self, query):
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1 : at + 1 + query[at]].decode())
            at += 1 + query[at]
        question = query[12 : at + 5]
        kind = struct.unpack(">H", query[at + 1 : at + 3])[0]
        name = ".".join(labels)
        with open(self.server.log, "a", encoding="ascii") as log:
            log.write(f"{name} {kind}\n")
        first = labels[0] if labels else ""
        if first == "hang":
            self.rfile.read()
            return False
        if first == "close":
            return False
        ident = query[:2] if first != "lie-id" else bytes([query[0] ^ 1, query[1]])
        found = records(name, kind) if first != "none" else []
        if first == "lie-name":
            question = wire("other.test") + question[-4:]
        flags = 0x8180 | (3 if first == "none" else 0)
        message = ident + struct.pack(">5H", flags, 1, len(found), 0, 0) + question + b"".join(found)
        framed = struct.pack(">H", len(message)) + message
        if first == "long":
            self.wfile.write(struct.pack(">H", len(message) + 1) + message)
            self.rfile.read()
            return False
        if first == "drip":
            for octet in framed:
                self.wfile.write(bytes([octet]))
                self.wfile.flush()
            return True
        self.wfile.write(framed if first != "short" else framed[: len(framed) // 2])
        return first != "short"


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--log", required=True)
    arguments = parser.parse_args()
    with Server(("127.0.0.1", 0), Handler) as server:
        server.log = arguments.log
        print(server.server_address[1], flush=True)
        server.serve_forever()


main()
