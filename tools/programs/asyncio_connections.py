"""Holds more connections than the range has ports, some of them with a bound source address."""

import asyncio
import sys

HOST, PORT, SOURCE = sys.argv[1], int(sys.argv[2]), sys.argv[3]


async def main():
    bound = [asyncio.open_connection(HOST, PORT, local_addr=(SOURCE, 0)) for _ in range(4)]
    held = await asyncio.gather(*bound, return_exceptions=True)
    plain = [asyncio.open_connection(HOST, PORT) for _ in range(12)]
    held += await asyncio.gather(*plain, return_exceptions=True)
    late = [asyncio.open_connection(HOST, PORT, local_addr=(SOURCE, 0)) for _ in range(4)]
    held += await asyncio.gather(*late, return_exceptions=True)
    print(sum(isinstance(one, OSError) for one in held), "refused")


asyncio.run(main())
