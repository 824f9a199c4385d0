#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""A resolver that knows the names of the test and no others.

    names_resolver.py ADDRESS LOG [PORT IPV4 IPV6]

Answers on port 53 by UDP and by TCP, and on PORT by TCP, prints a line when it
is ready, and logs "TYPE NAME" for each question.  NAME.known.test has the
addresses that are given, or stands for one of the name pool, so that a program
sees the same as through the proxy.
"""

import socket
import struct
import sys
import threading

A, PTR, MX, TXT, AAAA, SRV = 1, 12, 15, 16, 28, 33
TYPES = {A: "A", PTR: "PTR", MX: "MX", TXT: "TXT", AAAA: "AAAA", SRV: "SRV"}
IPV4, IPV6 = sys.argv[4:] or ("198.18.0.1", "fd73:6f63:6b73::1")
KNOWN4 = socket.inet_aton(IPV4)
KNOWN6 = socket.inet_pton(socket.AF_INET6, IPV6)
DIRECT4 = socket.inet_aton("192.0.2.33")
REVERSE = (
    ".".join(reversed(IPV4.split("."))) + ".in-addr.arpa",
    ".".join(reversed(KNOWN6.hex())) + ".ip6.arpa",
)


def encode(name):
    return b"".join(bytes([len(part)]) + part.encode() for part in name.split(".")) + b"\0"


def answers(name, kind):
    """Octets of the records, or None for a name that does not exist."""
    name = name.lower()
    if name.endswith(".known.test"):
        known = {
            A: [KNOWN4],
            AAAA: [KNOWN6],
            MX: [struct.pack("!H", 10) + encode("mail.known.test")],
            TXT: [b"\x05hello"],
        }
        return known.get(kind, [])
    if name.endswith(".direct.test"):
        return {A: [DIRECT4]}.get(kind, [])
    if name in REVERSE and kind == PTR:
        return [encode("www.known.test")]
    return None


def reply(query):
    at, labels = 12, []
    while query[at]:
        labels.append(query[at + 1 : at + 1 + query[at]].decode("latin-1"))
        at += 1 + query[at]
    name, kind = ".".join(labels), struct.unpack("!H", query[at + 1 : at + 3])[0]
    log.write("%s %s\n" % (TYPES.get(kind, kind), name))
    log.flush()
    found = answers(name, kind)
    records = b"".join(
        struct.pack("!HHHIH", 0xC00C, kind, 1, 60, len(data)) + data for data in found or []
    )
    flags = 0x8180 | (3 if found is None else 0)
    head = query[:2] + struct.pack("!HHHHH", flags, 1, len(found or []), 0, 0)
    return head + query[12 : at + 5] + records


def converse(peer):
    with peer:
        while True:
            size = peer.recv(2, socket.MSG_WAITALL)
            if len(size) < 2:
                break
            made = reply(peer.recv(struct.unpack("!H", size)[0], socket.MSG_WAITALL))
            peer.sendall(struct.pack("!H", len(made)) + made)


def by_stream(server):
    while True:
        threading.Thread(target=converse, args=(server.accept()[0],), daemon=True).start()


address = sys.argv[1]
log = open(sys.argv[2], "a", encoding="utf-8")
family = socket.AF_INET6 if ":" in address else socket.AF_INET
ports = [53] + [int(port) for port in sys.argv[3:4]]
streams = [socket.create_server((address, port), family=family) for port in ports]
datagrams = socket.socket(family, socket.SOCK_DGRAM)
datagrams.bind((address, 53))
for stream in streams:
    threading.Thread(target=by_stream, args=(stream,), daemon=True).start()
print(53, flush=True)
while True:
    question, peer = datagrams.recvfrom(4096)
    datagrams.sendto(reply(question), peer)
