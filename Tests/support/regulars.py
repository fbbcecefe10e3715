"""People with the unmodified Socket.IO client, who reconnect by themselves and must find their seats again."""

import socketio


class Regular:
    """One of them, who holds a seat."""

    def __init__(self, token, event, seat):
        self.token, self.event, self.seat = token, event, seat
        self.draining, self.restored, self.lost = [], [], 0
        self.client = socketio.AsyncClient(reconnection_delay=0.1, reconnection_delay_max=0.5)
        self.client.on("server-draining", lambda data: self.draining.append(data["reconnectAfterMs"]))
        self.client.on("session-restored", lambda data: self.restored.append(data))
        self.client.on("disconnect", self._disconnected)

    def _disconnected(self, *_):
        self.lost += 1

    async def arrive(self, door):
        await self.client.connect(door.url, auth={"token": self.token}, transports=["websocket"], wait_timeout=20)
        answer = await self.client.call("join-seat-selection", {"eventId": self.event}, timeout=20)
        assert answer["ok"], answer
        answer = await self.client.call(
            "seat-selection-changed", {"eventId": self.event, "seats": [self.seat]}, timeout=20
        )
        assert answer["ok"], answer
