"""The peer: the benchmark's server on python-socketio and uvicorn, as its documentation would have one write it.

It runs with what makes uvicorn fast: uvloop, httptools, and the WebSocket implementation that uvicorn picks by itself
(websockets without its own I/O, the fastest of the three). Handlers of one socket run one after another
(`async_handlers=False`), as ours do; here that is also the faster way.
"""

import argparse

import jwt
import socketio
import uvicorn

parser = argparse.ArgumentParser()
parser.add_argument("--port", type=int, required=True)
parser.add_argument("--jwt-secret", help="ask for auth.token, an HS256 JWT signed with this")
parser.add_argument("--ws", default="auto", help="uvicorn's WebSocket implementation")
options = parser.parse_args()

io = socketio.AsyncServer(
    async_mode="asgi", async_handlers=False, cors_allowed_origins="*", ping_interval=25, ping_timeout=20
)


@io.event
async def connect(sid, environ, auth):
    if options.jwt_secret is None:
        return
    try:
        claims = jwt.decode((auth or {})["token"], options.jwt_secret, algorithms=["HS256"])
    except (KeyError, TypeError, jwt.InvalidTokenError):
        raise ConnectionRefusedError("Not authorized") from None
    await io.save_session(sid, {"user": claims.get("sub")})


@io.on("join")
async def join(sid, room):
    await io.enter_room(sid, room)
    return ()


@io.on("room-emit")
async def room_emit(sid, room, *args):
    await io.emit("room-message", args, room=room)


@io.on("message-with-ack")
async def message_with_ack(sid, *args):
    return args


uvicorn.run(
    socketio.ASGIApp(io), host="127.0.0.1", port=options.port, ws=options.ws, log_level="error", backlog=4096
)
