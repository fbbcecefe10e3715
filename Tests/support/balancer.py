"""HAProxy with the configuration of Deploy/, in front of three instances of a cluster."""

import os
import subprocess
import urllib.error
import urllib.request

from cluster import ROOT, until
from ports import free_port

FOLDER = ROOT / "Deploy/haproxy"


class Balancer:
    """Use as a context manager. Has a `url`, so that fans take it for an instance."""

    def __init__(self, cluster, stickiness=True):
        self._cluster, self._kind = cluster, "sticky" if stickiness else "anywhere"
        self.port = free_port()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self):
        self._log = (self._cluster.folder / f"haproxy-{self._kind}.log").open("ab")
        addresses = {
            f"HOLDFAST_{number}": f"127.0.0.1:{instance.port}"
            for number, instance in enumerate(self._cluster.instances, start=1)
        }
        self._process = subprocess.Popen(
            ["haproxy", "-db", "-f", FOLDER / "common.cfg", "-f", FOLDER / f"{self._kind}.cfg"],
            env={"PATH": os.environ["PATH"], f"HOLDFAST_{self._kind.upper()}": f"127.0.0.1:{self.port}"} | addresses,
            stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log,
        )
        until(self._answers, what="HAProxy answering")
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._process.wait()
        self._log.close()

    def _answers(self):
        assert self._process.poll() is None, "HAProxy ended; is the package installed?"
        try:
            with urllib.request.urlopen(f"{self.url}/health/live", timeout=2) as answer:
                return answer.status == 200
        except (urllib.error.URLError, OSError):
            return False
