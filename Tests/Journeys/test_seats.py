"""Standing places, alternatives, single seats, blocked seats, requests sent again, and a person's other tabs."""

import asyncio

import pytest

from fans import Fan, Refused, everybody_leaves

FLOOR = [{"name": "Floor", "capacity": 25, "price": 80000}]


def sale(**rules):
    return {"opensAt": None, "maxSeatsPerUser": 4, "holdSeconds": 60} | rules


async def test_standing_places_are_never_oversold_and_bought_like_seats(cluster):
    one, two, _ = cluster.instances
    event = cluster.create_event(generalAdmission=FLOOR)
    fans = [Fan(token) for token in cluster.tokens(20)]

    async def takes_two(fan, instance):
        try:
            body = {"eventId": event, "generalAdmission": {"Floor": 2}}
            return (await fan.http(instance, "POST", "/api/seats/lock", body))["seatIds"]
        except Refused as refused:
            assert refused.status == 409 and refused.body["code"] == "SEAT_UNAVAILABLE"
            assert "only 1 place left" in refused.body["detail"]
            return []

    taken = await asyncio.gather(*(takes_two(fan, (one, two)[i % 2]) for i, fan in enumerate(fans)))
    places = [place for part in taken for place in part]
    assert len(places) == len(set(places)) == 24
    detail = await fans[0].http(one, "GET", f"/api/events/{event}")
    assert detail["counts"] == {"seats": 85, "available": 61, "bySection": {"VIP": 20, "R": 40, "Floor": 1}}
    compact = await fans[0].http(two, "GET", f"/api/events/{event}/seats?format=compact")
    assert len(compact["statuses"]) == 60
    assert compact["generalAdmission"] == [FLOOR[0] | {"available": 1}]

    buyer = next(fan for fan, part in zip(fans, taken) if part)
    await buyer.connect(one)
    chosen = await buyer.call(
        "seat-selection-changed", {"eventId": event, "seats": ["VIP-1-1"], "generalAdmission": {"Floor": 1}}
    )
    assert chosen["generalAdmission"] == {"Floor": 1} and "VIP-1-1" in chosen["selectedSeats"]
    reservation = await buyer.http(
        two, "POST", "/api/reservations", {"eventId": event, "seatIds": chosen["selectedSeats"]}, expect=201,
        headers={"Idempotency-Key": "floor"},
    )
    assert reservation["totalAmount"] == 230000
    assert {(seat["section"], seat["row"]) for seat in reservation["seats"]} == {("VIP", 1), ("Floor", 0)}
    await buyer.http(
        one, "POST", "/api/payments/process",
        {"reservationId": reservation["reservationId"], "paymentMethod": "sandbox"},
    )
    cluster.create_user("boss", role="admin")
    boss = await Fan().login(one, "boss")
    report = await boss.http(one, "GET", f"/api/admin/events/{event}/report")
    assert next(part for part in report["bySection"] if part["name"] == "Floor")["sold"] == 1
    # A Redis that lost everything gets the sold place back, and sells it to nobody.
    cluster.command("rebuild", "--event", event)
    compact = await buyer.http(two, "GET", f"/api/events/{event}/seats?format=compact")
    assert compact["generalAdmission"][0]["available"] == 24
    await everybody_leaves(buyer)


async def test_on_conflict_the_nearest_block_is_given_to_who_asks_for_it(cluster):
    one, two, _ = cluster.instances
    event = cluster.create_event()
    ann, bob = (Fan(token) for token in cluster.tokens(2))
    await ann.connect(one)
    await bob.connect(two)
    await ann.call("seat-selection-changed", {"eventId": event, "seats": ["VIP-1-1", "VIP-1-2"]})
    wish = {"eventId": event, "seats": ["VIP-1-2", "VIP-1-3"]}
    refused = await bob.call("seat-selection-changed", wish, ok=False)
    assert refused["code"] == "SEAT_UNAVAILABLE" and refused["unavailable"] == ["VIP-1-2"]
    assert "VIP-1-2" in refused["detail"]
    given = await bob.call("seat-selection-changed", wish | {"alternatives": True})
    assert given["alternative"] == given["selectedSeats"] == ["VIP-1-3", "VIP-1-4"]
    fits = await bob.call("seat-selection-changed", wish | {"seats": ["VIP-1-3"], "alternatives": True})
    assert "alternative" not in fits
    body = {"eventId": event, "seatIds": ["VIP-1-1"], "alternatives": True}
    over_http = await bob.http(one, "POST", "/api/seats/lock", body)
    assert over_http["seatIds"] == over_http["alternative"] and len(over_http["seatIds"]) == 1
    await everybody_leaves(ann, bob)


async def test_a_seat_may_not_be_left_alone_where_the_event_says_so(cluster):
    one = cluster.instances[0]
    event = cluster.create_event(sale=sale(noOrphanSeats=True))
    fan = Fan(cluster.tokens(1)[0])
    refused = await fan.http(
        one, "POST", "/api/seats/lock", {"eventId": event, "seatIds": ["VIP-1-2"]}, expect=422
    )
    assert refused["code"] == "ORPHAN_SEAT" and "VIP-1-1" in refused["detail"]
    assert refused["errors"] == [{"field": "seatIds", "detail": "would leave VIP-1-1 alone"}]
    await fan.http(one, "POST", "/api/seats/lock", {"eventId": event, "seatIds": ["VIP-1-1", "VIP-1-2"]})


async def test_blocked_seats_are_off_sale_and_accessible_ones_for_who_asks(cluster):
    one, two, _ = cluster.instances
    event = cluster.create_event(sections=[
        {"name": "A", "rows": 1, "seatsPerRow": 6, "price": 1000, "blocked": ["A-1-6"], "accessible": ["A-1-1"]},
    ])
    fan, watcher = (Fan(token) for token in cluster.tokens(2))
    await watcher.connect(two)
    await watcher.call("join-seat-selection", {"eventId": event})
    seats = (await fan.http(one, "GET", f"/api/events/{event}/seats"))["seats"]
    assert [seat["status"] for seat in seats] == ["available"] * 5 + ["reserved"]
    assert [seat.get("accessible", False) for seat in seats] == [True] + [False] * 5
    await fan.http(one, "POST", "/api/seats/lock", {"eventId": event, "seatIds": ["A-1-6"]}, expect=409)
    best = {"eventId": event, "quantity": 1, "accessible": True}
    assert (await fan.http(one, "POST", "/api/seats/best-available", best))["seatIds"] == ["A-1-1"]
    cluster.create_user("chief", role="admin")
    chief = await Fan().login(one, "chief")
    path = f"/api/admin/events/{event}/seats"
    await fan.http(one, "POST", f"{path}/block", {"seatIds": ["A-1-2"]}, expect=403)
    blocked = await chief.http(one, "POST", f"{path}/block", {"seatIds": ["A-1-1", "A-1-2"]})
    assert blocked["seatIds"] == ["A-1-1", "A-1-2"]
    assert sorted((await watcher.hears("seat-reserved"))["seatIds"]) == ["A-1-1", "A-1-2"]
    await chief.http(two, "POST", f"{path}/unblock", {"seatIds": ["A-1-6"]})
    assert (await watcher.hears("seat-released", lambda data: "A-1-6" in data["seatIds"]))["eventId"] == event
    await fan.http(one, "POST", "/api/seats/lock", {"eventId": event, "seatIds": ["A-1-6"]})
    await everybody_leaves(watcher)


@pytest.mark.parametrize("way", ["socket", "http"])
async def test_an_extension_sent_again_after_a_lost_answer_counts_once(cluster, way):
    one = cluster.instances[0]
    event = cluster.create_event()
    fan = Fan(cluster.tokens(1)[0])
    await fan.connect(one)
    held = await fan.call("seat-selection-changed", {"eventId": event, "seats": ["R-1-1"]})

    async def extend(request):
        body = {"eventId": event, "requestId": request}
        if way == "socket":
            return await fan.call("hold-extend", body)
        return await fan.http(one, "POST", "/api/seats/extend", body)

    first = await extend("a")
    assert first["extensionsLeft"] == held["extensionsLeft"] - 1 and first["expiresAt"] > held["expiresAt"]
    assert (await extend("a"))["expiresAt"] == first["expiresAt"]
    assert (await extend("b"))["extensionsLeft"] == 0
    refused = await fan.call("hold-extend", {"eventId": event, "requestId": "c"}, ok=False)
    assert refused["code"] == "EXTENSION_LIMIT"
    await everybody_leaves(fan)


async def test_a_persons_other_tabs_learn_what_one_of_them_chose(cluster):
    one, two, three = cluster.instances
    event = cluster.create_event(generalAdmission=FLOOR)
    token, stranger_token = cluster.tokens(2)
    chooser, tab, device, stranger = Fan(token), Fan(token), Fan(token), Fan(stranger_token)
    for fan, instance in ((chooser, one), (tab, one), (device, two), (stranger, one)):
        await fan.connect(instance)
        await fan.call("join-seat-selection", {"eventId": event})
    await chooser.call("seat-selection-changed", {"eventId": event, "seats": ["R-1-1"]})
    for fan in (tab, device):
        news = await fan.hears("selection-changed")
        assert news["eventId"] == event and news["selectedSeats"] == ["R-1-1"] and news["fence"]
    longer = await chooser.call("hold-extend", {"eventId": event})
    for fan in (tab, device):
        await fan.hears("selection-changed", lambda data: data["expiresAt"] == longer["expiresAt"])
    # Over HTTP and from an instance without a connection of theirs, all hear of it.
    lock = {"eventId": event, "seatIds": ["R-1-2"], "generalAdmission": {"Floor": 1}}
    await device.http(three, "POST", "/api/seats/lock", lock)
    for fan in (chooser, tab, device):
        await fan.hears("selection-changed", lambda data: "R-1-2" in data["selectedSeats"])
    assert not stranger.heard("selection-changed")
    assert all("R-1-2" in news["selectedSeats"] for news in chooser.heard("selection-changed"))
    await everybody_leaves(chooser, tab, device, stranger)
