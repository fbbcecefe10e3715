"""The browser's socket.io-client, unmodified, on a page of another origin in headless Chromium."""

import pytest
from browser_page import Page
from fixture_server import FixtureServer

LATEST, OLDER = "4.8.1", ["4.7.5", "4.6.1"]
TRANSPORTS = {"polling": "['polling']", "websocket": "['websocket']", "upgrade": "['polling', 'websocket']"}
EACH_TRANSPORT = pytest.mark.parametrize("transports", TRANSPORTS.values(), ids=TRANSPORTS)


@pytest.fixture(scope="module")
def chromium():
    with Page() as page:
        yield page


@pytest.fixture
def page(chromium, server):
    yield chromium.open(server, LATEST)
    chromium.run("sockets.forEach((socket) => socket.disconnect());")


@pytest.fixture(scope="module")
def recovering():
    with FixtureServer("recovery") as server:
        yield server


@pytest.mark.parametrize("version", [LATEST, *OLDER])
def test_polling_then_upgrade(chromium, server, version):
    assert chromium.open(server, version).run("""
        const socket = await connected('/', { auth: { token: 'x' } });
        const first = await call(socket, 'message-with-ack', 1, 'two', { three: [true, null] });
        await upgraded(socket);
        const second = await call(socket, 'message-with-ack', 'after');
        const name = socket.io.engine.transport.name;
        socket.disconnect();
        return [first, second, name];
    """) == [1, "after", "websocket"]


@EACH_TRANSPORT
def test_auth_and_echo(page, transports):
    assert page.run(f"""
        const socket = open_socket('/', {{ transports: {transports}, auth: {{ token: 'x', n: 1 }} }});
        const auth = await once(socket, 'auth');
        socket.emit('message', 1, '2', {{ three: [true, null, 1.5], text: 'é😀' }});
        return [auth, await once(socket, 'message-back')];
    """) == [[{"token": "x", "n": 1}], [1, "2", {"three": [True, None, 1.5], "text": "é😀"}]]


@EACH_TRANSPORT
def test_binary_both_ways(page, transports):
    assert page.run(f"""
        const socket = await connected('/', {{ transports: {transports} }});
        socket.emit('message', bytes(0, 255, 30), {{ deep: [new Uint8Array([1]), 'text'] }}, new Blob(['abc']));
        const [plain, nested, blob] = await once(socket, 'message-back');
        const acked = await call(socket, 'message-with-ack', bytes(...Array(2000).fill(7)));
        return [numbers(plain), numbers(nested.deep[0]), nested.deep[1], numbers(blob), acked.byteLength];
    """) == [[0, 255, 30], [1], "text", [97, 98, 99], 2000]


@EACH_TRANSPORT
def test_acknowledgements_both_ways(page, transports):
    assert page.run(f"""
        const socket = await connected('/', {{ transports: {transports} }});
        socket.on('question', (value, buffer, answer) => answer('answered', value, buffer));
        socket.emit('ask-me', 42, bytes(9));
        const [word, value, buffer] = await once(socket, 'answer');
        return [word, value, numbers(buffer), await call(socket, 'message-with-ack', 'x')];
    """) == ["answered", 42, [9], "x"]


@EACH_TRANSPORT
def test_a_burst_comes_whole_and_in_order(page, transports):
    assert page.run(f"""
        const socket = await connected('/', {{ transports: {transports} }});
        const coming = collect(socket, 'burst-item', 500);
        socket.emit('burst', 500);
        return (await coming).every(([number], index) => number === index);
    """) is True


def test_messages_cross_the_upgrade_in_order(page):
    assert page.run("""
        const socket = open_socket('/');
        const coming = collect(socket, 'message-back', 300);
        let upgrades = 0;
        await once(socket, 'connect');
        socket.io.engine.on('upgrade', () => { upgrades += 1; });
        for (let number = 0; number < 300; number += 1) {
            socket.emit('message', number);
            if (number % 30 === 0) await new Promise((next) => setTimeout(next));
        }
        const heard = await coming;
        await upgraded(socket);
        return heard.every(([number], index) => number === index);
    """) is True


def test_namespaces_share_one_connection(page):
    assert page.run("""
        const manager = new io.Manager(SERVER, { reconnectionDelay: 20 });
        const names = ['/', '/custom', '/dynamic-1', '/dynamic-2'];
        const joined = names.map((name) => manager.socket(name));
        await Promise.all(joined.map((socket) => once(socket, 'connect')));
        const answers = await Promise.all(joined.map((socket, index) => call(socket, 'message-with-ack', names[index])));
        const ids = new Set(joined.map((socket) => socket.id));
        joined[1].disconnect();
        answers.push(await call(joined[0], 'message-with-ack', 'still here'), ids.size);
        joined.forEach((socket) => socket.disconnect());
        return answers;
    """) == ["/", "/custom", "/dynamic-1", "/dynamic-2", "still here", 4]


@pytest.mark.parametrize(("namespace", "auth", "expected"), [
    ("/denied", "{ token: 'no' }", ["Not authorized", {"code": "E_DENIED"}]),
    ("/nowhere", "{}", ["Invalid namespace", None]),
])
def test_connect_error_has_message_and_data(page, namespace, auth, expected):
    assert page.run(f"""
        const socket = open_socket('{namespace}', {{ auth: {auth} }});
        const [error] = await once(socket, 'connect_error');
        return [error.message, error.data ?? null];
    """) == expected


def test_who_was_refused_may_connect_again_with_the_right_token(page):
    assert page.run("""
        const socket = open_socket('/denied', { auth: { token: 'no' } });
        await once(socket, 'connect_error');
        socket.auth = { token: 'letmein' };
        socket.connect();
        await once(socket, 'connect');
        return await call(socket, 'message-with-ack', 'in');
    """) == "in"


@EACH_TRANSPORT
@pytest.mark.parametrize("event", ["kick", "kick-close"])
def test_a_kick_is_an_io_server_disconnect(page, transports, event):
    assert page.run(f"""
        const socket = await connected('/', {{ transports: {transports} }});
        socket.emit('{event}');
        return (await once(socket, 'disconnect'))[0];
    """) == "io server disconnect"


@EACH_TRANSPORT
def test_who_leaves_is_noticed(page, transports):
    assert page.run(f"""
        const watching = await connected('/');
        await call(watching, 'join', 'observers');
        const leaving = await connected('/', {{ transports: {transports} }});
        const id = leaving.id;
        const heard = once(watching, 'peer-disconnected');
        leaving.disconnect();
        const [name, reason] = await heard;
        return [name === id, reason];
    """) in ([True, "client namespace disconnect"], [True, "transport close"])


@EACH_TRANSPORT
def test_rooms(page, transports):
    assert page.run(f"""
        const first = await connected('/', {{ transports: {transports} }});
        const second = await connected('/');
        for (const socket of [first, second]) await call(socket, 'join', 'room');
        const all = Promise.all([once(first, 'room-message'), once(second, 'room-message')]);
        first.emit('room-emit', 'room', 'all');
        const heard = await all;
        const other = once(second, 'room-message');
        first.emit('room-broadcast', 'room', 'other');
        return [...heard, await other];
    """) == [["all"], ["all"], ["other"]]


@EACH_TRANSPORT
def test_an_idle_connection_stays(page, transports):
    assert page.run(f"""
        const socket = await connected('/', {{ transports: {transports} }});
        const id = socket.id;
        for (let pings = 0; pings < 4; pings += 1) await once(socket.io.engine, 'ping').catch(() => {{}});
        return socket.connected && socket.id === id && await call(socket, 'message-with-ack', 'here');
    """) == "here"


@EACH_TRANSPORT
def test_it_comes_back_after_its_connection_was_closed(page, transports):
    assert page.run(f"""
        const socket = await connected('/', {{ transports: {transports} }});
        const id = socket.id;
        const again = once(socket, 'connect');
        socket.io.engine.close();
        await again;
        return [!socket.recovered, socket.id !== id, await call(socket, 'message-with-ack', 'again')];
    """) == [True, True, "again"]


def test_it_comes_back_after_the_server_was_killed(chromium):
    with FixtureServer() as server:
        chromium.open(server, LATEST).run("window.socket = await connected('/'); window.gone = once(socket, 'disconnect');")
        server.kill()
        chromium.run("await gone; window.again = once(socket, 'connect');")
        server.start()
        assert chromium.run("await again; return await call(socket, 'message-with-ack', 'again');") == "again"
        chromium.run("socket.disconnect();")


@EACH_TRANSPORT
def test_it_comes_back_when_the_browser_is_online_again(chromium, server, transports):
    chromium.open(server, LATEST).run(f"""
        window.socket = await connected('/', {{ transports: {transports} }});
        window.gone = once(socket, 'disconnect');
    """)
    chromium.online(False)
    chromium.run("await gone; window.again = once(socket, 'connect');")
    chromium.online(True)
    assert chromium.run("await again; return await call(socket, 'message-with-ack', 'again');") == "again"
    chromium.run("socket.disconnect();")


# Connection state recovery

RECOVER = """
    const socket = await connected('/', { transports: %s });
    const sender = await connected('/');
    await call(socket, 'join', 'fans');
    await call(socket, 'set-data', 'kept');
    const id = socket.id;
    const heard = [];
    socket.on('room-message', (round, text) => heard.push([round, text]));  // And the offset.
    const rounds = [];
    for (let round = 0; round < 2; round += 1) {
        // While it is away it must not come back before the others have spoken.
        socket.io.reconnection(false);
        const gone = once(socket, 'disconnect');
        socket.io.engine.close();
        await gone;
        sender.emit('room-emit', 'fans', round, 'one');
        sender.emit('room-emit', id, round, 'two');
        await call(sender, 'message-with-ack', 'sent');
        const again = once(socket, 'connect');
        socket.io.reconnection(true);
        socket.connect();
        await again;
        const { rooms, data } = await call(socket, 'whoami');
        rounds.push([socket.recovered, socket.id === id, rooms, data]);
    }
    return [rounds, heard];
"""


@pytest.mark.parametrize("version", [LATEST, *OLDER])
@EACH_TRANSPORT
def test_socket_recovered_after_engine_close(chromium, recovering, version, transports):
    rounds, heard = chromium.open(recovering, version).run(RECOVER % transports)
    assert rounds == [[True, True, ["fans"], {"value": "kept"}]] * 2
    assert heard == [[0, "one"], [0, "two"], [1, "one"], [1, "two"]]
    chromium.run("sockets.forEach((socket) => socket.disconnect());")


def test_binary_that_was_missed_is_recovered(chromium, recovering):
    assert chromium.open(recovering, LATEST).run("""
        const socket = await connected('/');
        const sender = await connected('/');
        const id = socket.id;
        socket.io.reconnection(false);
        const gone = once(socket, 'disconnect');
        socket.io.engine.close();
        await gone;
        sender.emit('room-emit', id, bytes(1, 2, 3));
        await call(sender, 'message-with-ack', 'sent');
        const heard = once(socket, 'room-message');
        socket.connect();
        return [numbers((await heard)[0]), socket.recovered];
    """) == [[1, 2, 3], True]


def test_it_recovers_when_the_browser_is_online_again(chromium, recovering):
    chromium.open(recovering, LATEST).run("""
        window.socket = await connected('/');
        window.id = socket.id;
        window.gone = once(socket, 'disconnect');
    """)
    chromium.online(False)
    chromium.run("await gone; window.again = once(socket, 'connect');")
    chromium.online(True)
    assert chromium.run("await again; return [socket.recovered, socket.id === id];") == [True, True]


def test_who_disconnects_on_purpose_is_not_recovered(chromium, recovering):
    assert chromium.open(recovering, LATEST).run("""
        const socket = await connected('/');
        const id = socket.id;
        socket.disconnect();
        const again = once(socket, 'connect');
        socket.connect();
        await again;
        return [socket.recovered, socket.id !== id];
    """) == [False, True]


@pytest.mark.parametrize("version", OLDER)
@EACH_TRANSPORT
def test_older_clients_do_the_main_things(chromium, server, version, transports):
    assert chromium.open(server, version).run(f"""
        const socket = open_socket('/', {{ transports: {transports}, auth: {{ a: 1 }} }});
        const [auth] = await once(socket, 'auth');
        socket.emit('message', bytes(5), 'text');
        const [buffer, text] = await once(socket, 'message-back');
        const acked = await call(socket, 'message-with-ack', 'x');
        socket.disconnect();
        return [auth, numbers(buffer), text, acked];
    """) == [{"a": 1}, [5], "text", "x"]
