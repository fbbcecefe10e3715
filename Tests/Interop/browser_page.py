"""A page of another origin in headless Chromium, with the bundle of socket.io-client on it.

The bundles travel inside wheels of nicegui; they are fetched once, with pip, into .holdfast, and never committed.
"""

import fcntl
import http.server
import json
import os
import subprocess
import sys
import threading
import zipfile

from fixture_server import ROOT
from selenium import webdriver

WHEELS = {"4.8.1": "3.18.0", "4.7.5": "2.0.0", "4.6.1": "1.2.0"}
BUNDLES = ROOT / ".holdfast/socket.io-client"

# Promises for what the client tells by events; every socket that a test opens is its own connection.
HELPERS = """
window.sockets = [];
window.open_socket = (path, options = {}) => {
    const socket = io(SERVER + path, {
        forceNew: true, reconnectionDelay: 20, reconnectionDelayMax: 100, randomizationFactor: 0, ...options,
    });
    sockets.push(socket);
    return socket;
};
window.once = (emitter, name) => new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no ${name}`)), 12000);
    emitter.once(name, (...heard) => { clearTimeout(timer); resolve(heard); });
});
window.connected = async (path, options) => {
    const socket = open_socket(path, options);
    await once(socket, 'connect');
    return socket;
};
window.call = (socket, ...event) => socket.timeout(12000).emitWithAck(...event);
window.collect = (socket, name, count) => new Promise((resolve, reject) => {
    const heard = [];
    const timer = setTimeout(() => reject(new Error(`${heard.length} of ${count} ${name}`)), 12000);
    const listener = (...given) => {
        heard.push(given);
        if (heard.length === count) { clearTimeout(timer); socket.off(name, listener); resolve(heard); }
    };
    socket.on(name, listener);
});
window.bytes = (...values) => new Uint8Array(values).buffer;
window.numbers = (buffer) => [...new Uint8Array(buffer)];
window.upgraded = (socket) => socket.io.engine.transport.name === 'websocket' ? Promise.resolve()
    : once(socket.io.engine, 'upgrade');
"""


def bundle(version):
    path = BUNDLES / f"{version}.js"
    BUNDLES.mkdir(parents=True, exist_ok=True)
    with (BUNDLES / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # Several processes run tests.
        if not path.exists():
            wheel = f"nicegui=={WHEELS[version]}"
            subprocess.run(
                [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:", "-d", BUNDLES, wheel],
                check=True,
            )
            (archive,) = BUNDLES.glob(f"nicegui-{WHEELS[version]}-*.whl")
            with zipfile.ZipFile(archive) as files:
                source = files.read("nicegui/static/socket.io.min.js").decode()
            assert f"Socket.IO v{version}" in source[:200], source[:200]
            path.write_text(source)
            archive.unlink()
    return path.read_text()


class Page:
    """Use as a context manager; `run` executes JavaScript and returns what it returns."""

    def __init__(self):
        pages = {}

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                body = pages.get(self.path)
                self.send_response(200 if body else 404)
                self.send_header("Content-Type", "text/javascript" if self.path.endswith(".js") else "text/html")
                self.end_headers()
                self.wfile.write((body or "").encode())

            def log_message(self, *_):
                pass

        self._pages = pages
        self._origin = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._origin.serve_forever, daemon=True).start()

    def __enter__(self):
        options = webdriver.ChromeOptions()
        options.binary_location = os.environ.get("CHROMIUM", "/usr/bin/chromium")
        for argument in ("--headless=new", "--disable-dev-shm-usage", "--disable-gpu"):
            options.add_argument(argument)
        if os.geteuid() == 0:
            options.add_argument("--no-sandbox")  # Chromium's sandbox refuses to run as root.
        service = webdriver.ChromeService(os.environ.get("CHROMEDRIVER", "/usr/bin/chromedriver"))
        self.driver = webdriver.Chrome(service=service, options=options)
        self.driver.set_script_timeout(30)
        return self

    def __exit__(self, *_):
        self.driver.quit()
        self._origin.shutdown()

    def open(self, server, version):
        self._pages[f"/{version}.js"] = bundle(version)
        self._pages[f"/{version}"] = (
            f"<!doctype html><title>{version}</title><link rel=icon href='data:,'><script src='/{version}.js'></script>"
            f"<script>const SERVER = {json.dumps(server.url)};{HELPERS}</script>"
        )
        self.online(True)
        self.driver.get(f"http://127.0.0.1:{self._origin.server_port}/{version}")
        return self

    def run(self, script):
        answer = self.driver.execute_async_script(
            "const done = arguments[arguments.length - 1];"
            f"(async () => {{ {script} }})().then((value) => done({{ value }}),"
            " (error) => done({ error: String(error && error.stack || error) }));"
        )
        assert "error" not in answer, answer["error"]
        return answer.get("value")

    def online(self, is_online):
        self.driver.set_network_conditions(offline=not is_online, latency=0, throughput=-1)
