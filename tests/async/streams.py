#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Many connections of asyncio at once: streams.py HOST PORT COUNT SECONDS

Prints how many ended how, in the words of waiters.py.
"""

import asyncio
import collections
import errno
import sys


async def one(host, port, seconds):
    opening = asyncio.open_connection(host, port)
    try:
        reader, writer = await asyncio.wait_for(opening, seconds)
    except asyncio.TimeoutError:
        return "timeout"
    except OSError as error:
        return errno.errorcode.get(error.errno, str(error))
    try:
        writer.write(b"GET /hello HTTP/1.0\r\n\r\n")
        answer = await asyncio.wait_for(reader.read(), seconds)
    except asyncio.TimeoutError:
        return "silent"
    except OSError as error:
        return errno.errorcode.get(error.errno, str(error))
    finally:
        writer.close()
    return "ok" if answer.endswith(b"hello through the proxy\n") else "cut"


async def main():
    host, port, count, seconds = sys.argv[1:]
    all_of_them = (one(host, int(port), float(seconds)) for _ in range(int(count)))
    outcomes = collections.Counter(await asyncio.gather(*all_of_them))
    for outcome, number in sorted(outcomes.items()):
        print(number, outcome)


if __name__ == "__main__":
    asyncio.run(main())
