"""A peer of the benchmark: the same server on python-socketio, as its documentation would have one write it.

    uvicorn python_socketio_server:app

With BENCH_TUNED=1 it runs with what made it fastest here: handlers of one socket one after another
(`async_handlers=False`), as ours do, and without a task per event; the runner adds uvloop and httptools to that.
"""

import os

import jwt
import socketio

SECRET = os.environ.get("BENCH_JWT_SECRET")
tuned = {"async_handlers": False} if os.environ.get("BENCH_TUNED") else {}
io = socketio.AsyncServer(async_mode="asgi", cors_allowed_origins="*", ping_interval=25, ping_timeout=20, **tuned)


@io.event
async def connect(sid, environ, auth):
    if not SECRET:
        return
    try:
        claims = jwt.decode((auth or {})["token"], SECRET, algorithms=["HS256"])
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


@io.on("seat")
async def seat(sid, request):
    return {"ok": True}


app = socketio.ASGIApp(io)
