#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Asks an HTTP server with the calls that other preloaded libraries get wrong, and says what they do.

    tcp_calls.py HOST PORT
"""

import os
import socket
import sys


def parts(call, *arguments):
    buffers = [bytearray(3), bytearray(2)]
    got = call(*arguments, buffers)
    return got[0] if isinstance(got, tuple) else got, b"|".join(buffers)


target = (sys.argv[1], int(sys.argv[2]))
sock = socket.create_connection(target, 20)
sock.setblocking(True)
# the number of another level's SO_ERROR
sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 77)
print(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE))
print(os.writev(sock.fileno(), [b"GET /hel", b"lo HTT", b"P/1.0\r\n"]))
# an address of a connected stream is ignored
print(sock.sendto(b"X: y\r\n", sock.getpeername()), sock.sendmsg([b"\r", b"\n"]))
sock.recv(10, socket.MSG_PEEK | socket.MSG_WAITALL)
print(parts(os.readv, sock.fileno()), parts(sock.recvmsg_into))
print(sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))
