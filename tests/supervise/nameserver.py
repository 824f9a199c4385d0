#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""A nameserver that has one answer, and writes the names it was asked for: nameserver.py LISTEN ADDRESS"""

import socket
import struct
import sys

sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind((sys.argv[1], 53))
print("ready", flush=True)
while True:
    query, client = sock.recvfrom(4096)
    at, labels = 12, []
    while query[at]:
        labels.append(query[at + 1 : at + 1 + query[at]].decode())
        at += 1 + query[at]
    print(".".join(labels), flush=True)
    question = query[12 : at + 5]
    answer = b""
    if question[-4:-2] == b"\0\1":
        answer = b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 1, 4) + socket.inet_aton(sys.argv[2])
    header = query[:2] + struct.pack("!HHHHH", 0x8180, 1, 1 if answer else 0, 0, 0)
    sock.sendto(header + question + answer, client)
