"""How long it takes until an open socket hears that its session was ended on another instance.

Every person has a WebSocket on the one instance; an administrator ends their sessions on the other, one after the
other. The clock runs from the moment the administrator's request is sent. Prints milliseconds as JSON.
"""

import argparse
import asyncio
import base64
import json
import time
from pathlib import Path

import websockets


def user_of(token):
    body = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))["sub"]


async def connected(port, token):
    url = f"ws://127.0.0.1:{port}/socket.io/?EIO=4&transport=websocket"
    socket = await websockets.connect(url, compression=None, proxy=None)
    await socket.recv()
    await socket.send("40" + json.dumps({"token": token}))
    await heard(socket, "40")
    return socket


async def heard(socket, beginning):
    while True:
        message = await socket.recv()
        if message == "2":
            await socket.send("3")
        elif message.startswith(beginning):
            return time.perf_counter()


async def ended(port, chief, user):
    """Ends all sessions of a user; the moment before it was asked for."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    began = time.perf_counter()
    writer.write(
        f"DELETE /api/session/user/{user} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n"
        f"Authorization: Bearer {chief}\r\n\r\n".encode()
    )
    answer = await reader.read()
    writer.close()
    assert answer.startswith(b"HTTP/1.1 200"), answer
    return began


async def main():
    parser = argparse.ArgumentParser()
    for name in ("ends", "listens"):
        parser.add_argument(f"--{name}", type=int, required=True)
    for name in ("people", "chief"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    options = parser.parse_args()
    chief = options.chief.read_text().strip()
    tokens = options.people.read_text().split()
    sockets = [await connected(options.listens, token) for token in tokens]
    waits = []
    for token, socket in zip(tokens, sockets, strict=True):
        hearing = asyncio.create_task(heard(socket, '42["force-logout"'))
        began = await ended(options.ends, chief, user_of(token))
        waits.append((await asyncio.wait_for(hearing, 10) - began) * 1000)
        await socket.close()
    waits.sort()
    at = {name: waits[min(len(waits) - 1, int(share * len(waits)))] for name, share in (("p50", 0.5), ("p99", 0.99))}
    print(json.dumps({"count": len(waits), **at, "max": waits[-1]}))


asyncio.run(main())
