"""The peer of the identity benchmark: `GET /api/auth/me` in FastAPI, with the same checks as ours.

Signature and claims by PyJWT, whether the token is on the list of the dead and the session lives in one round trip to
Redis, the user from a cache of 30 seconds in front of a look-up that here costs nothing. It does less than ours: the
session's value is not encrypted, is not prolonged, and nothing is counted.
"""

import json
import os
import time
from contextlib import asynccontextmanager

import jwt
import redis.asyncio
from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel

SECRET = os.environ["BENCH_JWT_SECRET"]
store = redis.asyncio.Redis.from_url(os.environ["BENCH_REDIS_URL"])
users = {}


class User(BaseModel):
    user_id: str
    user_name: str
    email: str
    role: str
    groups: list[str]
    permissions: list[str]


@asynccontextmanager
async def lifespan(app):
    yield
    await store.aclose()


app = FastAPI(lifespan=lifespan)
bearer = HTTPBearer()


def look_up(user_id):
    known = users.get(user_id)
    if known is None or known[0] < time.monotonic():
        user = User(
            user_id=user_id,
            user_name=f"Load test {user_id}",
            email=f"{user_id}@example.invalid",
            role="user",
            groups=[],
            permissions=[],
        )
        known = users[user_id] = (time.monotonic() + 30, user)
    return known[1]


async def signed_in(credentials: HTTPAuthorizationCredentials = Depends(bearer)) -> User:
    try:
        claims = jwt.decode(
            credentials.credentials, SECRET, algorithms=["HS256"], audience="holdfast", issuer="holdfast", leeway=30
        )
    except jwt.InvalidTokenError:
        raise HTTPException(401, "Invalid token") from None
    async with store.pipeline(transaction=False) as pipeline:
        pipeline.exists(f"dead:{claims['jti']}")
        pipeline.get(f"session:{claims['sid']}")
        dead, session = await pipeline.execute()
    if dead or session is None or json.loads(session)["user_id"] != claims["sub"]:
        raise HTTPException(401, "Session expired")
    return look_up(claims["sub"])


@app.get("/api/auth/me")
async def me(user: User = Depends(signed_in)) -> User:
    return user
