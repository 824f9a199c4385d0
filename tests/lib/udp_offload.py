#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Sends as QUIC stacks do: many datagrams by one call, and one by one if that is refused.

    udp_offload.py ADDRESS PORT

Prints what the offers of UDP_SEGMENT and UDP_GRO come to, and how many
datagrams the echo server at that address answered whole.
"""

import errno
import socket
import struct
import sys

UDP_SEGMENT, UDP_GRO = 103, 104
SIZE = 1000
segments = [bytes([65 + i]) * SIZE for i in range(4)]


def said(call, *arguments):
    try:
        call(*arguments)
    except OSError as error:
        return errno.errorcode[error.errno]
    return "taken"


sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.settimeout(10)
sock.connect((sys.argv[1], int(sys.argv[2])))
print("UDP_SEGMENT", said(sock.setsockopt, socket.IPPROTO_UDP, UDP_SEGMENT, SIZE))
print("UDP_GRO", said(sock.setsockopt, socket.IPPROTO_UDP, UDP_GRO, 1))
# where it is taken, the message alone shall say it, and each answer come alone
said(sock.setsockopt, socket.IPPROTO_UDP, UDP_SEGMENT, 0)
said(sock.setsockopt, socket.IPPROTO_UDP, UDP_GRO, 0)
ancillary = [(socket.IPPROTO_UDP, UDP_SEGMENT, struct.pack("H", SIZE))]
many = said(sock.sendmsg, [b"".join(segments)], ancillary)
print("message", many)
if many != "taken":
    for segment in segments:
        sock.send(segment)
print("answers", sum(octets in segments for octets in (sock.recv(65535) for _ in segments)))
