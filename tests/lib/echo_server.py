#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""A TCP server that sends back what it gets, until the client has no more.

    echo_server.py ADDRESS

Writes one line, "OPEN CLOSED": the port it listens on, and one that it holds
without listening, so that a connect to it is refused for as long as it runs.
"""

import asyncio
import socket
import sys


async def echo(reader, writer):
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    writer.close()


async def main(address):
    held = socket.socket()
    held.bind((address, 0))
    server = await asyncio.start_server(echo, address, 0, backlog=512)
    print(server.sockets[0].getsockname()[1], held.getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    try:
        asyncio.run(main(sys.argv[1]))
    except KeyboardInterrupt:
        pass
