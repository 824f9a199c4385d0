#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""A SOCKS5 server that relays datagrams to one echo server, its own, which counts who asks.

    socks5_udp.py [--hold FILE] [--rep CODE] [--stray] [--bound v4|zero|name|v6]
                  [--port PORT]

Writes the SOCKS port and the echo port as a line.  Each control connection is
logged as a line "ASSOCIATE HOST:PORT", and its end as "END".

    --hold FILE   answers no request before FILE exists
    --rep CODE    answers every request with CODE
    --stray       sends three datagrams that no program may see before each
                  that is relayed back: of a stranger, fragmented, too short
    --bound       how the reply names the relay's address
"""

import argparse
import os
import socket
import struct
import threading
import time


def read(sock, length):
    octets = b""
    while len(octets) < length:
        part = sock.recv(length - len(octets))
        if not part:
            raise EOFError
        octets += part
    return octets


def read_address(sock):
    (kind,) = read(sock, 1)
    length = {1: 4, 4: 16}.get(kind) or read(sock, 1)[0]
    host = read(sock, length)
    (port,) = struct.unpack("!H", read(sock, 2))
    return host, port


def header_length(octets):
    return {1: 10, 4: 22}.get(octets[3]) or 7 + octets[4]


def relay(sock, target, options):
    """Carry datagrams to the echo server, and back to who sent the last one."""
    outside = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    outside.bind(("127.0.0.1", 0))
    stranger = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    stranger.bind(("127.0.0.1", 0))
    lock, headers, client = threading.Lock(), [], []

    def back():
        while True:
            payload, _ = outside.recvfrom(65536)
            with lock:
                header = headers.pop(0)
            if options.stray:
                stranger.sendto(header + b"stray", client[0])
                sock.sendto(b"\0\0\1" + header[3:] + b"stray", client[0])
                sock.sendto(header[:5], client[0])
            sock.sendto(header + payload, client[0])

    threading.Thread(target=back, daemon=True).start()
    while True:
        octets, source = sock.recvfrom(65536)
        client[:] = [source]
        length = header_length(octets)
        with lock:
            headers.append(octets[:length])
        outside.sendto(octets[length:], target)


def bound(port, kind):
    if kind == "zero":
        address = b"\1\0\0\0\0"
    elif kind == "name":
        address = b"\3\x09localhost"
    elif kind == "v6":
        address = b"\4" + socket.inet_pton(socket.AF_INET6, "::1")
    else:
        address = b"\1\x7f\0\0\1"
    return address + struct.pack("!H", port)


def serve(sock, target, options):
    read(sock, read(sock, 2)[1])
    sock.sendall(b"\5\0")
    _, command, _ = read(sock, 3)
    host, port = read_address(sock)
    print("ASSOCIATE %s:%d" % (".".join(map(str, host)), port), flush=True)
    while options.hold and not os.path.exists(options.hold):
        time.sleep(0.01)
    if options.rep or command != 3:
        sock.sendall(bytes((5, options.rep or 7, 0, 1, 0, 0, 0, 0, 0, 0)))
        return
    inside = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    inside.bind(("127.0.0.1", 0))
    threading.Thread(target=relay, args=(inside, target, options), daemon=True).start()
    sock.sendall(b"\5\0\0" + bound(inside.getsockname()[1], options.bound))
    sock.recv(1)


def serve_or_end(sock, target, options):
    try:
        serve(sock, target, options)
    except (EOFError, OSError):
        pass
    sock.close()
    print("END", flush=True)


def echo(sock):
    while True:
        octets, source = sock.recvfrom(65536)
        sock.sendto(octets, source)


parser = argparse.ArgumentParser()
parser.add_argument("--hold")
parser.add_argument("--rep", type=int, default=0)
parser.add_argument("--stray", action="store_true")
parser.add_argument("--bound", default="v4")
parser.add_argument("--port", type=int, default=0)
options = parser.parse_args()
listener = socket.create_server(("127.0.0.1", options.port))
echoes = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
echoes.bind(("127.0.0.1", 0))
threading.Thread(target=echo, args=(echoes,), daemon=True).start()
print(listener.getsockname()[1], echoes.getsockname()[1], flush=True)
while True:
    control, _ = listener.accept()
    threading.Thread(target=serve_or_end, args=(control, echoes.getsockname(), options),
                     daemon=True).start()
