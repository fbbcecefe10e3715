"""Statements of the contract that other programs lean on and no other journey shows."""

import asyncio
import os
import socket
import subprocess

import aiohttp
import pytest

from cluster import Cluster
from fans import Fan, everybody_leaves
from ports import free_port


@pytest.fixture
def event(cluster):
    return cluster.create_event()


def run(cluster, *arguments, **environment):
    return subprocess.run(
        [cluster.binary, *arguments], env=cluster.environment | environment, capture_output=True, text=True,
        stdin=subprocess.DEVNULL, timeout=20, check=False,
    )


@pytest.mark.parametrize("arguments", [
    ["nothing"], ["serve", "--nothing"], ["event", "create"], ["event", "open", "x"], ["user", "create"],
    ["loadtest", "prepare", "--users", "0", "--tokens", os.devnull],
])
def test_bad_usage_is_one_line_and_status_64(cluster, arguments):
    result = run(cluster, *arguments)
    assert (result.returncode, result.stdout) == (64, "")
    assert len(result.stderr.splitlines()) == 1 and "--help" in result.stderr


def test_every_command_has_help(cluster):
    for command in [
        "", "serve", "migrate", "user create", "event create", "event list", "event open", "event pause",
        "event close", "loadtest prepare", "rebuild", "doctor",
    ]:
        result = run(cluster, *command.split(), "--help")
        assert result.returncode == 0 and "USAGE" in result.stdout and not result.stderr, command


def test_a_setting_that_cannot_be_used_ends_serve_with_one_line(cluster):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        for wrong in [
            {"DATABASE_URL": ""}, {"REDIS_URL": ""}, {"HOLDFAST_SECRETS": "short"}, {"SESSION_TTL": "soon"},
            {"LOG_LEVEL": "loud"}, {"CORS_ORIGINS": "tickets.example"}, {"REDIS_URL": "http://127.0.0.1"},
            {"HOLDFAST_PORT": str(taken.getsockname()[1])}, {"HOLDFAST_HOST": "host.invalid"},
        ]:
            result = run(cluster, "serve", **({"HOLDFAST_PORT": str(free_port())} | wrong))
            assert result.returncode == 1 and len(result.stderr.splitlines()) == 1, (wrong, result.stderr)


async def test_promised_fields_are_there_even_when_there_is_nothing_to_say(cluster, event):
    one = cluster.instances[0]
    fan = Fan(cluster.tokens(1)[0])
    assert (await fan.http(one, "GET", "/api/reservations/my"))["nextCursor"] is None
    assert (await fan.http(one, "GET", f"/api/events/{event}"))["sale"]["opensAt"] is None
    await fan.connect(one)
    joined = await fan.call("join-seat-selection", {"eventId": event})
    assert joined["selectedSeats"] == [] and joined["expiresAt"] is None
    standing = await fan.call("join-queue", {"eventId": event})
    assert {"status", "position", "ahead", "totalWaiting", "etaSeconds"} <= set(standing)
    await fan.connect(cluster.instances[1])
    restored = await fan.hears("session-restored")
    assert restored["seatEventId"] == event and restored["queueEventId"] is None
    await everybody_leaves(fan)


async def test_a_422_says_which_field_and_a_number_out_of_range_is_one(cluster, event):
    one = cluster.instances[0]
    fan = Fan(cluster.tokens(1)[0])
    for path, body, field in [
        ("/api/seats/best-available", {"eventId": event, "quantity": 1.5}, "body"),
        ("/api/seats/best-available", {"eventId": event, "quantity": 10**30}, "body"),
        ("/api/seats/best-available", {"eventId": event, "quantity": 5}, "seatIds"),
        ("/api/seats/lock", {"eventId": event, "seatIds": 1}, "seatIds"),
    ]:
        refused = await fan.http(one, "POST", path, body, expect=422)
        assert [error["field"] for error in refused["errors"]] == [field], refused


async def test_best_available_names_what_it_found(cluster, event):
    one = cluster.instances[0]
    fan = Fan(cluster.tokens(1)[0])
    await fan.http(one, "POST", "/api/seats/lock", {"eventId": event, "seatIds": ["R-1-1"]})
    found = await fan.http(one, "POST", "/api/seats/best-available", {"eventId": event, "quantity": 2})
    assert len(found["seatIds"]) == 2 and set(found["selectedSeats"]) == {"R-1-1", *found["seatIds"]}


async def test_head_works_where_get_does_and_layouts_are_cached_by_their_tag(cluster, event):
    one = cluster.instances[0]
    async with aiohttp.ClientSession() as session:
        async with session.head(one.url + "/api/events") as answer:
            assert answer.status == 200
        async with session.get(one.url + f"/api/events/{event}/layout") as answer:
            tag = answer.headers["ETag"]
        for copy in (tag, f'"other", {tag}', f"W/{tag}", "*"):
            headers = {"If-None-Match": copy}
            async with session.get(one.url + f"/api/events/{event}/layout", headers=headers) as answer:
                assert answer.status == 304, copy
        async with session.get(one.url + f"/api/events/{event}/seats") as answer:
            layout = (await answer.json())["layout"]
        async with session.get(one.url + layout) as answer:
            assert "immutable" in answer.headers["Cache-Control"]


async def test_a_session_ended_twice_is_not_found_the_second_time(cluster):
    one = cluster.instances[0]
    cluster.create_user("dohyun")
    phone, tablet = await Fan().login(one, "dohyun"), await Fan().login(one, "dohyun")
    sessions = (await phone.http(one, "GET", "/api/v1/auth/sessions"))["sessions"]
    other = next(session["session_id"] for session in sessions if not session["current"])
    await phone.http(one, "DELETE", f"/api/v1/auth/sessions/{other}")
    await phone.http(one, "DELETE", f"/api/v1/auth/sessions/{other}", expect=404)
    await tablet.http(one, "GET", "/api/auth/me", expect=401)


async def test_a_refusal_nobody_waits_for_is_an_error_event(cluster):
    fan = Fan(cluster.tokens(1)[0])
    await fan.connect(cluster.instances[0])
    await fan.socket.emit("no-such-event", {})
    assert (await fan.hears("error"))["code"] == "UNKNOWN_EVENT"
    await everybody_leaves(fan)


async def test_a_short_hold_is_warned_of_and_its_end_told_in_every_tab(cluster):
    one, two, _ = cluster.instances
    event = cluster.create_event(sale={"opensAt": None, "maxSeatsPerUser": 4, "holdSeconds": 2})
    token = cluster.tokens(1)[0]
    chooser, looker = Fan(token), Fan(token)
    await chooser.connect(one)
    await looker.connect(two)
    await looker.call("join-seat-selection", {"eventId": event})
    # Choosing without having joined the room counts as being there.
    await chooser.call("seat-selection-changed", {"eventId": event, "seats": ["R-1-1"]})
    for fan in (chooser, looker):
        warning = await fan.hears("hold-expiring", within=5)
        expired = await fan.hears("hold-expired", within=5)
        assert warning["seatIds"] == expired["seatIds"] == ["R-1-1"] and expired["expiresAt"] == warning["expiresAt"]
    await everybody_leaves(chooser, looker)


async def test_a_person_with_tabs_on_two_instances_counts_once_until_the_last_is_closed(cluster, event):
    one, two, _ = cluster.instances
    token, other = cluster.tokens(2)
    watcher, first, second = Fan(other), Fan(token), Fan(token)
    for fan, instance in ((watcher, one), (first, one), (second, two)):
        await fan.connect(instance)
        await fan.call("join-event", {"eventId": event})
    await watcher.hears("room-info", lambda data: data["userCount"] == 2)
    assert (await first.call("leave-event", {"eventId": event}))["userCount"] == 2
    assert (await second.call("leave-event", {"eventId": event}))["userCount"] == 1
    await watcher.hears("room-info", lambda data: data["userCount"] == 1)
    assert all(data["userCount"] <= 2 for data in watcher.heard("room-info"))
    await everybody_leaves(watcher, first, second)


async def test_newest_login_wins_and_the_oldest_of_too_many_goes():
    with Cluster(instances=2, DUPLICATE_LOGIN="replace") as cluster:
        one, two = cluster.instances
        cluster.create_user("nari")
        old = await Fan().login(one, "nari")
        await old.connect(one)
        new = await Fan().login(two, "nari")
        assert (await old.hears("force-logout", within=2))["reason"] == "duplicate-login"
        await old.hears("(disconnected)", within=2)
        await asyncio.gather(
            old.http(two, "GET", "/api/auth/me", expect=401), new.http(one, "GET", "/api/auth/me")
        )
    with Cluster(instances=1, MAX_SESSIONS_PER_USER=2) as cluster:
        cluster.create_user("nari")
        devices = [await Fan().login(cluster.instances[0], "nari") for _ in range(3)]
        for device, status in zip(devices, (401, 200, 200)):
            await device.http(cluster.instances[0], "GET", "/api/auth/me", expect=status)


async def test_doing_something_over_a_socket_keeps_a_short_session_alive():
    with Cluster(instances=1, SESSION_TTL=3) as cluster:
        event = cluster.create_event()
        cluster.create_user("nari")
        fan = await Fan().login(cluster.instances[0], "nari")
        await fan.connect(cluster.instances[0])
        ends = asyncio.get_running_loop().time() + 7
        while asyncio.get_running_loop().time() < ends:
            await fan.call("join-event", {"eventId": event})
            # The pace of a person: this is what is tested, nothing is waited for.
            await asyncio.sleep(0.5)
        await fan.http(cluster.instances[0], "GET", "/api/auth/me")
        await everybody_leaves(fan)
