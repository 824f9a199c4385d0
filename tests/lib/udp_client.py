#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Datagrams to an echo server and back, by each way that Python has.

    udp_client.py echo HOST PORT LARGEST [SMALLEST]
                                           all must come back, from whom they went to
    udp_client.py peers HOST PORT [ADDRESS]...
                                           one socket, several peers, one of them direct
    udp_client.py refused HOST PORT        the first send must fail with ENETUNREACH,
                                           the first receive of a socket that does not block
    udp_client.py handed HOST PORT         duplicates and a child use the same socket
"""

import errno
import os
import socket
import sys


def need(good, what):
    if not good:
        sys.exit(what)


def open_socket():
    sock = socket.socket(family, socket.SOCK_DGRAM)
    sock.settimeout(5)
    return sock


def sizes():
    some = (0, 1, 2, 511, 1400, 9000, 32768, 65000)
    return [n for n in some if smallest <= n < largest] + [largest]


def unconnected():
    with open_socket() as sock:
        for n in sizes():
            sent = os.urandom(n)
            need(sock.sendto(sent, peer) == n, "sendto %d" % n)
            got, source = sock.recvfrom(65535)
            need(got == sent and source == peer, "recvfrom %d from %r" % (len(got), source))


def connected():
    with open_socket() as sock:
        sock.connect(peer)
        need(sock.getpeername() == peer, "getpeername")
        for n in sizes():
            sent = os.urandom(n)
            need(sock.send(sent) == n, "send %d" % n)
            need(sock.recv(65535) == sent, "recv %d" % n)
        os.write(sock.fileno(), b"written")
        need(sock.recv(3, socket.MSG_PEEK) == b"wri", "peek")
        need(sock.recv(100) == b"written", "read")
        need(os.writev(sock.fileno(), [b"a", b"", b"bc"]) == 3, "writev")
        got, _, flags, source = sock.recvmsg(2)
        need(got == b"ab" and flags & socket.MSG_TRUNC and source == peer, "recvmsg")
        sock.sendmsg([b"x" * 10, b"y" * 10])
        parts = [bytearray(7), bytearray(100)]
        need(sock.recvmsg_into(parts)[0] == 20, "recvmsg_into")
        need(bytes(parts[0] + parts[1][:13]) == b"x" * 10 + b"y" * 10, "scattered")


def too_long():
    with open_socket() as sock:
        try:
            sock.sendto(bytes(65507), peer)
        except OSError as error:
            need(error.errno == errno.EMSGSIZE, "EMSGSIZE: %s" % error)
        else:
            sys.exit("too long, and sent")


def handed():
    with open_socket() as sock:
        sock.sendto(b"1", peer)
        need(sock.recv(9) == b"1", "before")
        copy = sock.dup()
        sock.close()
        copy.settimeout(5)
        copy.sendto(b"2", peer)
        need(copy.recvfrom(9) == (b"2", peer), "duplicate")
        pid = os.fork()
        if pid == 0:
            copy.sendto(b"3", peer)
            good = copy.recvfrom(9) == (b"3", peer)
            copy.close()
            os._exit(0 if good else 1)
        need(os.waitpid(pid, 0)[1] == 0, "child")
        copy.sendto(b"4", peer)
        need(copy.recvfrom(9) == (b"4", peer), "after the child")


def peers():
    """What goes out through the proxy and what does not may come back in any order."""
    with socket.socket(family, socket.SOCK_DGRAM) as direct, open_socket() as sock:
        loopback = "::1" if family == socket.AF_INET6 else "127.0.0.1"
        direct.bind((loopback, 0))
        sock.sendto(b"before", direct.getsockname())
        _, here = direct.recvfrom(100)
        others = [socket.getaddrinfo(other, port, family, socket.SOCK_DGRAM)[0][4]
                  for other in [host] + sys.argv[4:]]
        for turn in range(3):
            wanted = [(b"%d to %d" % (turn, i), to) for i, to in enumerate(others)]
            for octets, to in wanted:
                sock.sendto(octets, to)
            direct.sendto(b"direct", here)
            wanted.append((b"direct", direct.getsockname()))
            while wanted:
                got = sock.recvfrom(100)
                need(got in wanted, "%r is not in %r" % (got, wanted))
                wanted.remove(got)


def unreachable(call, *arguments):
    try:
        call(*arguments)
    except OSError as error:
        need(error.errno == errno.ENETUNREACH, str(error))
    else:
        sys.exit("no error")


def refused():
    with open_socket() as sock:
        sock.settimeout(None)
        for _ in range(2):
            unreachable(sock.sendto, b"x", peer)
    # One that does not block hears of it when the proxy has answered.
    with open_socket() as sock:
        unreachable(lambda: sock.sendto(b"x", peer) and sock.recv(1))


mode, host, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
largest, smallest = 0, 0
if mode == "echo":
    largest = int(sys.argv[4])
    smallest = int(sys.argv[5]) if len(sys.argv) > 5 else 0
family, _, _, _, peer = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
if mode == "echo":
    unconnected()
    connected()
    if largest > 65000:
        too_long()
else:
    {"handed": handed, "peers": peers, "refused": refused}[mode]()
