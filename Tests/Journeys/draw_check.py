"""Checks a lobby's draw from docs/draw.md alone: nothing here is shared with the service."""

import hashlib
import hmac


def leaf_of(ticket, user):
    return hashlib.sha256(b"\x00" + f"{ticket}:{user}".encode()).digest()


def node(left, right):
    return hashlib.sha256(b"\x01" + left + right).digest()


def root_of(leaves):
    if not leaves:
        return hashlib.sha256(b"").digest()
    row = list(leaves)
    while len(row) > 1:
        row = [node(*row[at : at + 2]) if at + 1 < len(row) else row[at] for at in range(0, len(row), 2)]
    return row[0]


def root_of_path(leaf, index, size, path):
    path = list(path)
    while size > 1:
        if index % 2 == 1:
            leaf = node(path.pop(0), leaf)
        elif index + 1 < size:
            leaf = node(leaf, path.pop(0))
        index, size = index // 2, (size + 1) // 2
    assert not path, "the path is longer than the tree is high"
    return leaf


def order_of(event, secret, leaves):
    """The leaves' numbers, first in front."""
    message = f"holdfast draw 1\n{event.lower()}\n{root_of(leaves).hex()}".encode()
    key = hmac.digest(secret, message, "sha256")
    return sorted(range(len(leaves)), key=lambda at: (hmac.digest(key, leaves[at], "sha256"), at))


def check(published, proof, noted):
    """The rank of one's own that the published draw gives; fails where it does not hold."""
    secret = bytes.fromhex(published["secret"])
    leaves = [bytes.fromhex(text) for text in published["leaves"]]
    assert published["commitment"] == noted == hashlib.sha256(secret).hexdigest()
    assert published["rosterClosed"] and len(set(leaves)) == len(leaves)
    assert root_of(leaves).hex() == published["rosterRoot"]
    mine = leaf_of(proof["ticket"], proof["userId"])
    assert leaves[proof["index"]] == mine and proof["leaf"] == mine.hex()
    path = [bytes.fromhex(text) for text in proof["path"]]
    assert root_of_path(mine, proof["index"], proof["rosterSize"], path).hex() == published["rosterRoot"]
    return order_of(published["eventId"], secret, leaves).index(proof["index"]) + 1
