"""The lobby's draw: committed to before, checked afterwards by somebody who trusts nobody."""

import asyncio
import hashlib
import json
import urllib.request

import draw_check
from fans import Fan, everybody_leaves


async def lobby_of(cluster, event, count):
    fans = [Fan(token) for token in cluster.tokens(count)]
    await asyncio.gather(*(fan.connect(cluster.alive[at % len(cluster.alive)]) for at, fan in enumerate(fans)))
    for fan in fans:
        assert (await fan.call("join-queue", {"eventId": event}))["status"] == "lobby"
    return fans


async def test_a_draw_is_committed_to_before_and_can_be_checked_by_anybody_after(cluster, tmp_path):
    one, two = cluster.instances[:2]
    event = cluster.create_event(open=False, queue=cluster.open_queue(mode="lobby", maxActive=1, passSeconds=600))
    path = f"/api/queue/draw/{event}"
    early = Fan(cluster.tokens(1)[0])
    before_anybody = await early.http(one, "GET", path)
    assert before_anybody["rosterSize"] == 0 and "revealed" not in before_anybody
    fans = await lobby_of(cluster, event, 7)
    before = await until_proven(cluster, fans[3], path)
    noted = before["commitment"]
    assert noted == before_anybody["commitment"] and not before["rosterClosed"] and "revealed" not in before
    mine = draw_check.leaf_of(before["proof"]["ticket"], before["proof"]["userId"])
    trail = [bytes.fromhex(text) for text in before["proof"]["path"]]
    root = draw_check.root_of_path(mine, before["proof"]["index"], before["proof"]["rosterSize"], trail)
    assert root.hex() == before["rosterRoot"]

    cluster.command("event", "open", event)
    # The first may be let in before anybody told them their place.
    told = ("queue-updated", "queue-entry-allowed")
    await asyncio.gather(*(fan.hears(told, lambda data: data.get("position") or "entryToken" in data) for fan in fans))
    late = Fan(cluster.tokens(8)[7])
    await late.connect(two)
    assert (await late.call("join-queue", {"eventId": event}))["position"] >= 7, "who comes later queues behind"

    published = await Fan().http(two, "GET", f"{path}/roster")
    drawn = [await fan.http(one, "GET", path) for fan in fans]
    for answer in drawn:
        assert hashlib.sha256(bytes.fromhex(answer["revealed"]["secret"])).hexdigest() == noted
        assert draw_check.check(published, answer["proof"], noted) == answer["proof"]["rank"]
    assert sorted(answer["proof"]["rank"] for answer in drawn) == list(range(1, 8))
    assert drawn[3]["proof"]["ticket"] == before["proof"]["ticket"]
    assert (await late.http(one, "GET", path)).get("proof") is None

    # The line is the draw: the first goes in, the others stand one behind the other.
    by_rank = {answer["proof"]["rank"]: fan for fan, answer in zip(fans, drawn)}
    await by_rank[1].hears("queue-entry-allowed")
    for rank in range(2, 8):
        standing = await by_rank[rank].http(two, "GET", f"/api/queue/status/{event}")
        assert standing["position"] == rank - 1

    proof = tmp_path / "mine.json"
    proof.write_text(json.dumps(drawn[3]))
    said = cluster.command(
        "event", "verify-draw", f"{one.url}{path}/roster", "--proof", str(proof), "--commitment", noted
    )
    assert "The draw of 7 people holds." in said and "FAIL" not in said
    await everybody_leaves(late, *fans)


async def until_proven(cluster, fan, path):
    """A roster that fills is shown as it was a moment ago."""
    for _ in range(100):
        answer = await fan.http(cluster.instances[0], "GET", path)
        if answer.get("proof") and answer["rosterSize"] == 7:
            return answer
        await asyncio.sleep(0.05)
    raise AssertionError("the lobby never showed its newest people")


def forged(published, proof):
    swapped = published["leaves"][::-1]
    other = "00" * 32
    yield "another secret", published | {"secret": other}, proof
    yield "another commitment", published | {"commitment": other}, proof
    yield "another order of the roster", published | {"leaves": swapped}, proof
    yield "somebody left out", published | {"leaves": published["leaves"][1:]}, proof
    yield "somebody twice", published | {"leaves": published["leaves"] + published["leaves"][:1]}, proof
    yield "another root", published | {"rosterRoot": other}, proof
    yield "a better rank", published, proof | {"rank": proof["rank"] % len(published["leaves"]) + 1}
    yield "another ticket", published, proof | {"ticket": "00000000-0000-0000-0000-000000000000"}
    yield "a roster that is open", published | {"rosterClosed": False}, proof
    yield "no secret", {key: value for key, value in published.items() if key != "secret"}, proof


async def test_a_draw_that_was_tampered_with_does_not_hold(cluster, tmp_path):
    event = cluster.create_event(open=False, queue=cluster.open_queue(mode="lobby"))
    fans = await lobby_of(cluster, event, 3)
    cluster.command("event", "open", event)
    one = cluster.instances[0]
    await fans[0].hears("queue-entry-allowed")
    answer = await fans[0].http(one, "GET", f"/api/queue/draw/{event}")
    with urllib.request.urlopen(f"{one.url}/api/queue/draw/{event}/roster") as reply:
        published = json.load(reply)
    draw, mine = tmp_path / "draw.json", tmp_path / "mine.json"

    def verify(published, proof, status):
        draw.write_text(json.dumps(published))
        mine.write_text(json.dumps(proof))
        return cluster.command("event", "verify-draw", str(draw), "--proof", str(mine), status=status)

    verify(published, answer["proof"], 0)
    for what, changed, proof in forged(published, answer["proof"]):
        said = verify(changed, proof, 1)
        assert "does not hold" in said, what
    cluster.command("event", "verify-draw", str(draw), "--commitment", "00" * 32, status=1)
    cluster.command("event", "verify-draw", str(tmp_path / "nowhere.json"), status=1)
    await everybody_leaves(*fans)


async def test_a_queue_without_a_lobby_draws_no_lots(cluster):
    event = cluster.create_event(queue=cluster.open_queue())
    fan = Fan(cluster.tokens(1)[0])
    refused = await fan.http(cluster.instances[0], "GET", f"/api/queue/draw/{event}", expect=404)
    assert "no lots" in refused["detail"]
