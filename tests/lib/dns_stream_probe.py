#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""A connection to a name server, as programs of all kinds make it: prints a line "ok NAME" or "FAIL NAME" each."""

import os
import select
import socket
import struct
import sys

SERVER = ("9.9.9.9", 53)


def query(ident, name="one.example", kind=1):
    labels = b"".join(bytes([len(x)]) + x.encode() for x in name.split("."))
    message = struct.pack(">6H", ident, 0x100, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">2H", kind, 1)
    return struct.pack(">H", len(message)) + message


def take(sock):
    """One answer: its ID, and its last octets, which are an address."""
    octets = b""
    while len(octets) < 2 or len(octets) < 2 + struct.unpack(">H", octets[:2])[0]:
        part = sock.recv(1)
        if not part:
            raise EOFError
        octets += part
    return struct.unpack(">H", octets[2:4])[0], octets[-4:]


def is_pool(address):
    return address[0] == 198 and address[1] & 0xFE == 18


def blocking(sock):
    sock.connect(SERVER)
    sock.sendall(query(7))
    ident, address = take(sock)
    return ident == 7 and is_pool(address) and sock.getpeername() == SERVER


def by_epoll(sock):
    """Registered before it is connected, edge-triggered."""
    sock.setblocking(False)
    waiter = select.epoll()
    waiter.register(sock, select.EPOLLIN | select.EPOLLOUT | select.EPOLLET)
    waiter.poll(0)
    if sock.connect_ex(SERVER) not in (0, 115):
        return False
    while not waiter.poll(5)[0][1] & select.EPOLLOUT:
        pass
    if sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) != 0:
        return False
    sock.send(query(8))
    while not waiter.poll(5)[0][1] & select.EPOLLIN:
        pass
    return take(sock)[0] == 8


def by_octets(sock):
    sock.connect(SERVER)
    for octet in query(1) + query(2):
        sock.sendall(bytes([octet]))
    return (take(sock)[0], take(sock)[0]) == (1, 2)


def all_calls(sock):
    sock.connect(SERVER)
    sock.send(query(1))
    sock.sendmsg([query(2)[:9], query(2)[9:]])
    os.write(sock.fileno(), query(3))
    os.writev(sock.fileno(), [query(4)[:1], query(4)[1:]])
    copy = os.dup(sock.fileno())
    os.write(copy, query(5))
    with open("/proc/self/fd/%d" % os.memfd_create("q"), "r+b", buffering=0) as file:
        file.write(query(6))
        os.sendfile(sock.fileno(), file.fileno(), 0, len(query(6)))
    return [take(sock)[0] for _ in range(6)] == [1, 2, 3, 4, 5, 6]


def corked(sock):
    sock.connect(SERVER)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
    sock.sendall(query(4))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 0)
    return take(sock)[0] == 4 and sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 0


def ends_with_the_program(sock):
    sock.connect(SERVER)
    sock.sendall(query(9))
    sock.shutdown(socket.SHUT_WR)
    return take(sock)[0] == 9 and sock.recv(1) == b""


def no_queries(sock):
    sock.connect(SERVER)
    sock.sendall(b"\0\5hello")
    return sock.recv(1) == b""


def across_fork(sock):
    sock.connect(SERVER)
    child = os.fork()
    if child == 0:
        sock.sendall(query(1))
        os._exit(take(sock)[0] != 1)
    if os.waitpid(child, 0)[1] != 0:
        return False
    sock.sendall(query(2))
    return take(sock)[0] == 2


def after_closefrom(sock):
    sock.connect(SERVER)
    os.closerange(sock.fileno() + 1, 1 << 16)
    sock.sendall(query(3))
    return take(sock)[0] == 3


def disconnected(sock):
    sock.connect(SERVER)
    try:
        sock.connect(SERVER)
        return False
    except OSError as error:
        return error.errno == 106


def main():
    failed = 0
    for probe in (blocking, by_epoll, by_octets, all_calls, corked, ends_with_the_program, no_queries,
                  across_fork, after_closefrom, disconnected):
        before = len(os.listdir("/proc/self/fd"))
        with socket.socket() as sock:
            sock.settimeout(None)
            try:
                fine = probe(sock)
            except (OSError, EOFError, IndexError) as error:
                print(repr(error))
                fine = False
        failed += not fine
        print("ok" if fine else "FAIL", probe.__name__)
        if probe is blocking and len(os.listdir("/proc/self/fd")) != before:
            print("FAIL an fd is left")
            failed += 1
    sys.exit(failed != 0)


main()
