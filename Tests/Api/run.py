"""Plays /openapi.json against an instance with schemathesis: no answer may be a 5xx or break the schema.

    run.py RESULTS_FOLDER

Exits with schemathesis' status. Needs the environment of the journeys (Tests/support/cluster.py) and `st` on the path.
"""

import json
import pathlib
import subprocess
import sys
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "Tests/support"), str(ROOT / "scripts")]
from cluster import PASSWORD, Cluster  # noqa: E402

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
# These may end the session of who calls them, so they are played last and with nobody's hopes.
LEAVING = (
    r"^/api/(auth/logout|v1/auth/(logout|logout/all|sessions/rotate|sessions/\{session_id\})"
    r"|session/user/\{user_id\}(/\{session_id\})?|admin/users/\{user_id\})$"
)
# A hundred scrypt hashes say no more about a schema than ten, and take a minute.
HASHING = r"^/api/auth/(register|login)$"


def post(url, body):
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def play(cluster, user, results, name, *filters, examples, stays=False):
    url = cluster.instances[0].url
    token = post(url + "/api/auth/login", {"user_id": user, "password": PASSWORD})["access_token"]
    command = [
        "st", "run", url + "/openapi.json", "--url", url, "--header", f"Authorization: Bearer {token}",
        "--checks", CHECKS, "--phases", "examples,coverage,fuzzing", "--max-examples", str(examples), "--seed", "1",
        "--workers", "1", "--continue-on-failure", "--suppress-health-check", "all", "--warnings", "off",
        "--request-timeout", "20", "--report", "junit", "--report-junit-path", str(results / f"api-{name}.xml"), *filters,
    ]
    status = subprocess.run(command, check=False).returncode
    if stays:
        # Otherwise most of what was played was answered 401.
        check = urllib.request.Request(url + "/api/auth/me", headers={"Authorization": f"Bearer {token}"})
        urllib.request.urlopen(check).close()
    return status


def main():
    results = pathlib.Path(sys.argv[1])
    with Cluster(MAX_SESSIONS_PER_USER=1000) as cluster:
        cluster.create_user("operator", "super_admin")
        cluster.create_user("leaver", "super_admin")
        cluster.create_event()
        cluster.create_event(queue=cluster.open_queue())
        statuses = [
            play(cluster, "operator", results, "all", "--exclude-path-regex", f"{LEAVING}|{HASHING}",
                 stays=True, examples=30),
            play(cluster, "operator", results, "hashing", "--include-path-regex", HASHING, examples=5),
            play(cluster, "leaver", results, "leaving", "--include-path-regex", LEAVING, examples=20),
        ]
        return max(statuses)


if __name__ == "__main__":
    sys.exit(main())
