#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Echoes datagrams on port 7 of the addresses, and answers every query on port 53 with 192.0.2.77.

    udp_target.py [--time] ADDRESS...

With --time, tells the time on port 123 (NTP, RFC 5905).
Prints a line when all are there.
"""

import socket
import struct
import sys
import threading
import time


def listen(address, port):
    sock = socket.socket(
        socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM
    )
    sock.bind((address, port))
    return sock


def echo(sock):
    while True:
        octets, peer = sock.recvfrom(65535)
        sock.sendto(octets, peer)


def answer(sock):
    record = b"\xc0\x0c\0\x01\0\x01\0\0\0\x05\0\x04" + socket.inet_aton("192.0.2.77")
    while True:
        query, peer = sock.recvfrom(65535)
        end = query.index(b"\0", 12) + 5
        head = query[:2] + b"\x81\x80" + query[4:6] + b"\0\1\0\0\0\0"
        sock.sendto(head + query[12:end] + record, peer)


def tell_time(sock):
    while True:
        query, peer = sock.recvfrom(65535)
        now = int((time.time() + 2208988800) * 2**32)
        head = struct.pack("!BBbbII4s", 4 << 3 | 4, 1, 6, -20, 0, 0, b"LOCL")
        sock.sendto(head + struct.pack("!Q8sQQ", now, query[40:48], now, now), peer)


addresses = sys.argv[1:]
offered = [(echo, 7), (answer, 53)]
if addresses[0] == "--time":
    del addresses[0]
    offered.append((tell_time, 123))
services = [(serve, listen(address, port)) for address in addresses
            for serve, port in offered]
print("ready", flush=True)
threads = [threading.Thread(target=serve, args=(sock,)) for serve, sock in services]
for thread in threads:
    thread.start()
