"""A peer of the benchmark: the same server on python-socketio, as its documentation would have one write it.

    uvicorn python_socketio_server:app

With BENCH_TUNED=1 it runs with what made it fastest here: handlers of one socket one after another
(`async_handlers=False`), as ours do, and without a task per event; the runner adds uvloop and httptools to that.
"""

import os

import jwt
import redis.asyncio as redis
import socketio

SECRET = os.environ.get("BENCH_JWT_SECRET")
# Choosing seats awaits Redis: without this two choices of one person would overtake each other.
in_order = os.environ.get("BENCH_TUNED") or os.environ.get("BENCH_REDIS_PORT")
tuned = {"async_handlers": False} if in_order else {}
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


# Seats as plainly as can be: a key for each, taken with SET NX. No limits, no expiry told, no messages kept.
store = redis.Redis(port=int(os.environ["BENCH_REDIS_PORT"])) if os.environ.get("BENCH_REDIS_PORT") else None


@io.on("seat-selection-changed")
async def seat_selection_changed(sid, request):
    event, wanted = request["eventId"], set(request["seats"])
    async with io.session(sid) as session:
        held = session.setdefault(event, set())
        if not held:
            await io.enter_room(sid, f"seats:{event}")
        taken = []
        for seat in wanted - held:
            if not await store.set(f"seat:{event}:{seat}", sid, nx=True, ex=300):
                taken.append(seat)
        if taken:
            return {"ok": False, "code": "SEAT_UNAVAILABLE", "unavailable": taken}
        gone = held - wanted
        if gone:
            await store.delete(*(f"seat:{event}:{seat}" for seat in gone))
            await io.emit("seat-released", {"eventId": event, "seatIds": list(gone)}, room=f"seats:{event}")
        if wanted - held:
            message = {"eventId": event, "seatIds": list(wanted - held)}
            await io.emit("seat-locked", message, room=f"seats:{event}")
        session[event] = wanted
        return {"ok": True, "selectedSeats": list(wanted)}


app = socketio.ASGIApp(io)
