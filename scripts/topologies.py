#!/usr/bin/env python3
"""Redis as the world runs it, on free ports of 127.0.0.1, with the users of Deploy/redis.

  topologies.py start standalone|sentinel|cluster FOLDER [tls]
                                          FOLDER/env then has REDIS_URL (administrator) and SERVICE_REDIS_URL (what the
                                          service may do, no more); tls: FOLDER/server.pem is every server's certificate
  topologies.py stop FOLDER
  topologies.py primary FOLDER [KEY]      the port of the primary (in a cluster: of the one that has the key)
  topologies.py kill|freeze|resume|restart FOLDER PORT     by SIGKILL, SIGSTOP, SIGCONT; restart returns once it answers
  topologies.py failover FOLDER [KEY]     by order, with both servers up; returns when it is done
  topologies.py reshard FOLDER SLOTS      moves so many slots from the first primary to the second, by redis-cli
  topologies.py move FOLDER KEY           moves the key's slot to another primary
  topologies.py check FOLDER              in a cluster: fails unless all slots are served and no slot is on its way

sentinel: a primary, two replicas, three sentinels. cluster: three primaries with a replica each.
"""

import contextlib
import json
import os
import pathlib
import secrets
import signal
import subprocess
import sys
import time

from ports import free_ports

DEPLOY = pathlib.Path(__file__).resolve().parents[1] / "Deploy/redis"
PRIMARY = "holdfast"


def until(condition, what, seconds=30):
    deadline = time.monotonic() + seconds
    while not (answer := condition()):
        if time.monotonic() > deadline:
            raise SystemExit(f"topologies: {what}: not within {seconds} s")
        time.sleep(0.05)
    return answer


class Topology:
    def __init__(self, folder, state):
        self.folder, self.state = pathlib.Path(folder).resolve(), state

    @classmethod
    def load(cls, folder):
        return cls(folder, json.loads((pathlib.Path(folder) / "topology.json").read_text()))

    def __getattr__(self, name):
        return self.state[name]

    # MARK: Starting

    @classmethod
    def start(cls, kind, folder, tls=""):
        folder = pathlib.Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        names = ["ADMIN", "SERVICE", "REPLICA", "SENTINEL", "SENTINEL_ADMIN", "SENTINEL_SERVICE"]
        count = {"standalone": 1, "sentinel": 3, "cluster": 6}[kind]
        ports = free_ports(2 * count + 3)
        self = cls(folder, {
            "kind": kind, "passwords": {name: secrets.token_hex(16) for name in names},
            "servers": ports[:count], "buses": ports[count:2 * count],
            "sentinels": ports[-3:] if kind == "sentinel" else [], "tls": tls == "tls",
        })
        self.folder.joinpath("topology.json").write_text(json.dumps(self.state))
        if self.tls:
            self._make_certificate()
        for port, bus in zip(self.servers, self.buses):
            self._configure_server(port, bus)
        for port in self.servers:
            self._launch(port)
        getattr(self, f"_join_{kind}")()
        self._write_env()
        return self

    def _acl(self, port, *files):
        text = "".join((DEPLOY / file).read_text() for file in files)
        for name, password in self.passwords.items():
            text = text.replace(f"@{name}_PASSWORD@", password)
        path = self.folder / str(port) / "users.acl"
        path.write_text(text)
        return path

    def _make_certificate(self):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                        "-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout",
                        self.folder / "server.key", "-out", self.folder / "server.pem"], check=True, capture_output=True)

    def _listen(self, port):
        """Where a server or a sentinel listens, and how it speaks to the others."""
        if not self.tls:
            return ["bind 127.0.0.1", f"port {port}"]
        return ["bind 127.0.0.1", "port 0", f"tls-port {port}", f"tls-cert-file {self.folder}/server.pem",
                f"tls-key-file {self.folder}/server.key", f"tls-ca-cert-file {self.folder}/server.pem",
                "tls-auth-clients no", "tls-replication yes"]

    def _configure_server(self, port, bus):
        home = self.folder / str(port)
        home.mkdir(exist_ok=True)
        lines = self._listen(port) + [
            f"dir {home}", "save \"\"", "appendonly no", "daemonize yes",
            f"pidfile {home}/pid", f"logfile {home}/log", f"aclfile {self._acl(port, 'users.acl', 'replication.acl')}",
            "maxmemory-policy noeviction", "maxclients 4000", "repl-diskless-sync-delay 0",
            "masteruser replica", f"masterauth {self.passwords['REPLICA']}",
        ]
        if self.kind == "cluster":
            lines += ["cluster-enabled yes", f"cluster-port {bus}", "cluster-node-timeout 1500",
                      f"cluster-config-file {home}/nodes.conf", "cluster-replica-validity-factor 0"]
        if self.kind == "cluster" and self.tls:
            lines += ["tls-cluster yes"]
        if self.kind == "sentinel" and port != self.servers[0]:
            lines += [f"replicaof 127.0.0.1 {self.servers[0]}"]
        (home / "redis.conf").write_text("\n".join(lines) + "\n")

    def _launch(self, port, *arguments):
        subprocess.run(["redis-server", self.folder / str(port) / "redis.conf", *arguments], check=True,
                       stdout=subprocess.DEVNULL)
        until(lambda: self.ask(port, "PING") == "PONG", f"port {port} answering")

    def _join_standalone(self):
        pass

    def _join_sentinel(self):
        until(lambda: "connected_slaves:2" in self.ask(self.servers[0], "INFO", "replication"), "replicas connecting")
        for port in self.sentinels:
            home = self.folder / str(port)
            home.mkdir(exist_ok=True)
            (home / "redis.conf").write_text("\n".join(self._listen(port) + [
                f"dir {home}", "daemonize yes", f"pidfile {home}/pid",
                f"logfile {home}/log", f"aclfile {self._acl(port, 'sentinel.acl')}",
                f"sentinel monitor {PRIMARY} 127.0.0.1 {self.servers[0]} 2", f"sentinel auth-user {PRIMARY} sentinel",
                f"sentinel auth-pass {PRIMARY} {self.passwords['SENTINEL']}",
                f"sentinel down-after-milliseconds {PRIMARY} 1000", f"sentinel failover-timeout {PRIMARY} 5000",
                f"sentinel sentinel-pass {self.passwords['SENTINEL_ADMIN']}",
            ]) + "\n")
            self._launch(port, "--sentinel")
        for port in self.sentinels:
            until(lambda: self._sentinel_field(port, "num-other-sentinels") == "2"
                  and self._sentinel_field(port, "num-slaves") == "2", "sentinels finding each other")

    def _join_cluster(self):
        nodes = [f"127.0.0.1:{port}" for port in self.servers]
        self.cluster("create", *nodes, "--cluster-replicas", "1", "--cluster-yes")
        until(self.is_whole, "the cluster joining")
        until(lambda: all("master_link_status:down" not in self.ask(port, "INFO", "replication")
                          for port in self.servers) and len(self.primaries()) == 3, "the replicas following")

    def _write_env(self):
        hosts = {"standalone": self.servers[:1], "sentinel": self.sentinels, "cluster": self.servers[:3]}[self.kind]
        hosts = ",".join(f"127.0.0.1:{port}" for port in hosts)
        scheme = {"standalone": "", "sentinel": "+sentinel", "cluster": "+cluster"}[self.kind]
        scheme = ("rediss" if self.tls else "redis") + scheme
        path = {"standalone": "/0", "sentinel": f"/{PRIMARY}/0", "cluster": "/0"}[self.kind]
        secret = self.passwords["SENTINEL_SERVICE"]
        query = f"?sentinel_user=holdfast&sentinel_password={secret}" if self.kind == "sentinel" else ""
        admin = f"{scheme}://default:{self.passwords['ADMIN']}@{hosts}{path}{query}"
        service = f"{scheme}://holdfast:{self.passwords['SERVICE']}@{hosts}{path}{query}"
        (self.folder / "env").write_text(f"REDIS_URL='{admin}'\nSERVICE_REDIS_URL='{service}'\n")
        self.state |= {"url": admin, "service_url": service}
        (self.folder / "topology.json").write_text(json.dumps(self.state))

    def stop(self):
        for port in self.servers + self.sentinels:
            self.signal(port, signal.SIGKILL)

    # MARK: Asking

    def _environment(self, port):
        name = "SENTINEL_ADMIN" if port in self.sentinels else "ADMIN"
        return {"PATH": os.environ["PATH"], "REDISCLI_AUTH": self.passwords[name]}

    def _cli(self, *arguments):
        tls = ["--tls", "--cacert", self.folder / "server.pem"] if self.tls else []
        return ["redis-cli", *tls, *map(str, arguments)]

    def ask(self, port, *command):
        with contextlib.suppress(subprocess.TimeoutExpired):
            return subprocess.run(self._cli("-p", port, *command), env=self._environment(port),
                                  capture_output=True, text=True, check=False, timeout=10).stdout.strip()
        return ""

    def cluster(self, *arguments):
        result = subprocess.run(self._cli("--no-auth-warning", "--cluster", *arguments), env=self._environment(0),
                                capture_output=True, text=True, check=False)
        if result.returncode != 0:
            raise SystemExit(f"topologies: redis-cli --cluster {arguments[0]}: {result.stdout[-2000:]}{result.stderr}")

    def _sentinel_field(self, port, field):
        words = self.ask(port, "SENTINEL", "MASTER", PRIMARY).splitlines()
        return dict(zip(words[::2], words[1::2])).get(field)

    def pid(self, port):
        with contextlib.suppress(FileNotFoundError, ValueError):
            return int((self.folder / str(port) / "pid").read_text())

    def is_up(self, port):
        pid = self.pid(port)
        with contextlib.suppress(FileNotFoundError):
            return bool(pid) and pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] in "RSD"
        return False

    def nodes(self):
        """The cluster as the first node that is up sees it: id, port, flags and slots of each."""
        port = next(port for port in self.servers if self.is_up(port))
        found = []
        for line in self.ask(port, "CLUSTER", "NODES").splitlines():
            words = line.split()
            found.append({"id": words[0], "port": int(words[1].split("@")[0].rsplit(":", 1)[1]), "flags": words[2],
                          "primary": words[3], "slots": [word for word in words[8:] if not word.startswith("[")],
                          "moving": any(word.startswith("[") for word in words[8:])})
        return found

    def primaries(self):
        return [node for node in self.nodes() if "master" in node["flags"] and node["slots"]]

    def is_whole(self):
        return all("cluster_state:ok" in self.ask(port, "CLUSTER", "INFO") and not any(
            node["moving"] for node in self.nodes()) for port in self.servers if self.is_up(port))

    def owner(self, key):
        slot = int(self.ask(next(port for port in self.servers if self.is_up(port)), "CLUSTER", "KEYSLOT", key))
        for node in self.primaries():
            for words in node["slots"]:
                first, _, last = words.partition("-")
                if int(first) <= slot <= int(last or first):
                    return slot, node
        raise SystemExit(f"topologies: nobody owns slot {slot}")

    def primary(self, key=""):
        if self.kind == "standalone":
            return self.servers[0]
        if self.kind == "sentinel":
            port = next(port for port in self.sentinels if self.is_up(port))
            return int(self.ask(port, "SENTINEL", "get-master-addr-by-name", PRIMARY).splitlines()[1])
        return self.owner(key)[1]["port"]

    def service_address(self, database):
        """The address of a database; a cluster has one only."""
        if self.kind == "cluster":
            return self.service_url
        address, mark, query = self.service_url.partition("?")
        return f"{address.rsplit('/', 1)[0]}/{database}{mark}{query}"

    def command(self, database, *command):
        """Runs a command at every primary, as the administrator."""
        ports = [node["port"] for node in self.primaries()] if self.kind == "cluster" else [self.primary()]
        select = [] if self.kind == "cluster" else ["-n", database]
        return "\n".join(self.ask(port, *select, *command) for port in ports)

    # MARK: Breaking

    def signal(self, port, number):
        pid = self.pid(port)
        if pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
                if number == signal.SIGKILL:
                    until(lambda: not pathlib.Path(f"/proc/{pid}").exists() or not self.is_up(port), "the end")
        if number == signal.SIGKILL:
            (self.folder / str(port) / "pid").unlink(missing_ok=True)

    def restart(self, port):
        self.signal(port, signal.SIGKILL)
        self._launch(port)

    def failover(self, key=""):
        before = self.primary(key)
        if self.kind == "sentinel":
            self.ask(self.sentinels[0], "SENTINEL", "FAILOVER", PRIMARY)
        else:
            owner = self.owner(key)[1]
            replica = next(node for node in self.nodes() if node["primary"] == owner["id"])
            self.ask(replica["port"], "CLUSTER", "FAILOVER")
        until(lambda: self.primary(key) != before, "the failover")

    def reshard(self, slots):
        source, target = self.primaries()[:2]
        self.cluster("reshard", f"127.0.0.1:{source['port']}", "--cluster-from", source["id"], "--cluster-to",
                     target["id"], "--cluster-slots", slots, "--cluster-yes")

    def move(self, key):
        """What redis-cli does for one slot, one key at a time, so that the slot is between two nodes for a while."""
        slot, source = self.owner(key)
        target = next(node for node in self.primaries() if node["id"] != source["id"])
        self.ask(target["port"], "CLUSTER", "SETSLOT", slot, "IMPORTING", source["id"])
        self.ask(source["port"], "CLUSTER", "SETSLOT", slot, "MIGRATING", target["id"])
        while names := self.ask(source["port"], "CLUSTER", "GETKEYSINSLOT", slot, 1):
            answer = self.ask(source["port"], "MIGRATE", "127.0.0.1", target["port"], names, 0, 5000, "AUTH2",
                              "default", self.passwords["ADMIN"])
            if answer not in ("OK", "NOKEY"):
                raise SystemExit(f"topologies: MIGRATE: {answer}")
        for node in [target, *(node for node in self.primaries() if node["id"] != target["id"])]:
            self.ask(node["port"], "CLUSTER", "SETSLOT", slot, "NODE", target["id"])


def main(command, *arguments):
    if command == "start":
        Topology.start(*arguments)
        return
    topology = Topology.load(arguments[0])
    match command:
        case "stop": topology.stop()
        case "primary": print(topology.primary(*arguments[1:]))
        case "kill": topology.signal(int(arguments[1]), signal.SIGKILL)
        case "freeze": topology.signal(int(arguments[1]), signal.SIGSTOP)
        case "resume": topology.signal(int(arguments[1]), signal.SIGCONT)
        case "restart": topology.restart(int(arguments[1]))
        case "failover": topology.failover(*arguments[1:])
        case "reshard": topology.reshard(int(arguments[1]))
        case "move": topology.move(arguments[1])
        case "check": until(topology.is_whole, "the cluster being whole")
        case _: raise SystemExit(__doc__)


if __name__ == "__main__":
    if len(sys.argv) < 3:
        raise SystemExit(__doc__)
    main(*sys.argv[1:])
