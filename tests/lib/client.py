#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Connects and says how that went: "OK" (and the bytes read) or the errno's name.

    client.py [--poll|--epoll] [--recv N] [--send TEXT] [--within SECONDS] HOST PORT

Plainly: a blocking connect().  With --poll or --epoll: a non-blocking one, which
has to be in progress first ("AT ONCE" if it is not) and over when the wait ends
("EARLY" if it is not).  Always exits 0 when it could say something.
"""

import argparse
import errno
import select
import socket
import sys
import time


def name_of(number):
    return errno.errorcode.get(number, str(number))


def connect(sock, address, how):
    """Return the errno of the connect, 0 if it worked."""
    if not how:
        return sock.connect_ex(address)
    sock.setblocking(False)
    result = sock.connect_ex(address)
    if result != errno.EINPROGRESS:
        print("AT ONCE", end=" ")
        sock.setblocking(True)
        return result
    if how == "epoll":
        waiter = select.epoll()
        waiter.register(sock, select.EPOLLOUT)
    else:
        waiter = select.poll()
        waiter.register(sock, select.POLLOUT)
    while not waiter.poll():
        pass
    result = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if result == 0:
        try:
            sock.getpeername()
        except OSError as error:
            print("EARLY", end=" ")
            result = error.errno
    sock.setblocking(True)
    return result


def main():
    parser = argparse.ArgumentParser(description="connect and report")
    parser.add_argument("--poll", dest="how", action="store_const", const="poll")
    parser.add_argument("--epoll", dest="how", action="store_const", const="epoll")
    parser.add_argument("--recv", type=int, default=0)
    parser.add_argument("--send", default="")
    parser.add_argument("--within", type=float, help="a longer connect is LATE")
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    options = parser.parse_args()
    try:
        found = socket.getaddrinfo(options.host, options.port, 0, socket.SOCK_STREAM)
    except socket.gaierror as error:
        print("GAI %s" % error)
        return
    family, kind, protocol, _, address = found[0]
    sock = socket.socket(family, kind, protocol)
    begin = time.monotonic()
    result = connect(sock, address, options.how)
    took = time.monotonic() - begin
    if options.within and took > options.within:
        print("LATE %.1f s" % took, end=" ")
    if result:
        print(name_of(result))
        return
    try:
        if options.send:
            sock.sendall(options.send.encode())
        data = b""
        while len(data) < options.recv:
            part = sock.recv(options.recv - len(data))
            if not part:
                break
            data += part
    except OSError as error:
        print("IO " + name_of(error.errno))
        return
    print(("OK " + data.decode("latin-1")).rstrip())


if __name__ == "__main__":
    main()
    sys.stdout.flush()
