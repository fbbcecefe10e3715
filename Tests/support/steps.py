"""What fault tests do over and over."""

import asyncio
import hashlib
import hmac
import json
import time
import uuid

import aiohttp

from fans import Fan

# By the clock of one who looks every 20 ms and shares the machine with everything that wakes up.
RETURN_SECONDS = 2

WEBHOOK_SECRET = "only for these tests"

COMMITTED = b"C\x00\x00\x00\x0bCOMMIT\x00"


def lock(fan, door, event, seats, expect=200):
    return fan.http(door, "POST", "/api/seats/lock", {"eventId": event, "seatIds": seats}, expect=expect)


def reserve(fan, door, event, seats, expect=201, key=None):
    return fan.http(
        door, "POST", "/api/reservations", {"eventId": event, "seatIds": seats}, expect=expect,
        headers={"Idempotency-Key": key or str(uuid.uuid4())},
    )


def pay(fan, door, reservation, method="sandbox", expect=200):
    payment = {"reservationId": reservation["reservationId"], "paymentMethod": method}
    return fan.http(door, "POST", "/api/payments/process", payment, expect=expect)


async def returns(cluster, token, within=RETURN_SECONDS):
    """Waits until every instance is ready, no longer than promised after the store's return. Says how long it took."""
    start, fan = time.monotonic(), Fan(token)
    for door in cluster.alive:
        while True:
            try:
                await fan.http(door, "GET", "/health/ready")
                break
            except AssertionError as refusal:
                waited = time.monotonic() - start
                assert waited < within, f"{door.name} is away {waited:.1f} s after the store's return: {refusal}"
            await asyncio.sleep(0.02)
    return time.monotonic() - start


async def tell(door, payment, reservation, kind, message=None, at=None):
    """The provider's webhook, signed at a moment; returns the status of the answer."""
    body = json.dumps({
        "id": message or str(uuid.uuid4()), "type": f"payment.{kind}", "paymentId": payment,
        "reservationId": reservation,
    })
    seconds = int(time.time() if at is None else at)
    signature = hmac.new(WEBHOOK_SECRET.encode(), f"{seconds}.{body}".encode(), hashlib.sha256).hexdigest()
    headers = {"X-Holdfast-Signature": f"t={seconds},v1={signature}", "Content-Type": "application/json"}
    async with aiohttp.ClientSession() as session:
        async with session.post(f"{door.url}/api/payments/webhook", data=body, headers=headers) as answer:
            return answer.status
