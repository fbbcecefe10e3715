"""The service with one safeguard removed, to show that the test of the fault notices.

`HOLDFAST_MUTANT` names one; `make test-fault-mutants` runs each with its tests, which then have to fail. The product has
no switch for any of this: the database of the test gets a trigger that undoes the safeguard's work, a proxy puts other
text into a script on its way to Redis, or an instance gets a setting that makes it hurry.
"""

import os

from cluster import Cluster
from wire import Wire

FORGETS = """
CREATE FUNCTION mutant() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
CREATE TRIGGER mutant BEFORE INSERT OR UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION mutant();
"""

# name: what is gone; the tests that have to notice, and what they say then; and the change: SQL, a pair of script texts of
# one length, or settings
MUTANTS = {
    "no-fence": (
        "the last grant that bought a seat is forgotten",
        {
            "test_instances.py::test_an_instance_stopped_past_its_holds_life_sells_nothing_that_another_bought_since":
                "Refused: 201",
        },
        FORGETS.format(table="seat_fences"),
    ),
    "no-epoch": (
        "a new life of the seat state gets the number of the last one",
        {
            "test_redis.py::test_a_hold_of_before_a_wipe_buys_nothing_that_was_granted_since":
                "Refused: 201",
        },
        """
        CREATE FUNCTION mutant() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            NEW.epoch := OLD.epoch; RETURN NEW; END $$;
        CREATE TRIGGER mutant BEFORE UPDATE ON seat_epochs FOR EACH ROW EXECUTE FUNCTION mutant();
        """,
    ),
    "no-key": (
        "answers are not remembered under their idempotency keys",
        {
            "test_postgres.py::test_an_order_whose_commit_was_cut_off_is_found_again_under_its_key":
                "Refused: 409",
            "test_instances.py::test_an_instance_killed_at_any_step_leaves_an_order_that_another_finishes_once":
                "Refused: 409",
        },
        FORGETS.format(table="idempotency_keys"),
    ),
    "no-outbox": (
        "what Redis must be told is not written down",
        {
            "test_instances.py::test_an_instance_killed_between_commit_and_telling_redis_leaves_no_seat_open":
                "the seat shown as sold did not happen",
            "test_instances.py::"
            "test_instances_killed_at_random_moments_of_ordering_and_paying_lose_nothing_but_their_sockets":
                "shows as sold what is not",
            "test_redis.py::test_redis_stopped_for_half_a_minute_in_a_sale_costs_nothing_but_that_time":
                "shows as sold what is not",
        },
        FORGETS.format(table="outbox"),
    ),
    "no-log": (
        "the log of seat messages keeps one message",
        {
            "test_redis.py::test_a_seat_map_misses_no_message_while_subscriptions_are_killed_over_and_over":
                "assert [{'eventId'",
        },
        (b"local LOG_LENGTH = 1024", b"local LOG_LENGTH = 1   "),
    ),
    "no-end": (
        "that a session has ended is not written down",
        {
            "test_sessions.py::test_redis_back_from_an_old_file_lets_nobody_in_who_was_signed_out":
                "is signed in again",
            "test_sessions.py::test_a_replica_promoted_behind_its_primary_lets_nobody_in_who_was_signed_out":
                "is signed in again",
            "test_sessions.py::test_instances_that_start_on_an_old_redis_let_nobody_in_who_was_signed_out":
                "assert 200 == 401",
        },
        """
        CREATE FUNCTION mutant() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            NEW.revoked_at := NULL; RETURN NEW; END $$;
        CREATE TRIGGER mutant BEFORE UPDATE ON refresh_families FOR EACH ROW EXECUTE FUNCTION mutant();
        """,
    ),
    "no-notice": (
        "an instance refuses before the balancer has noticed that it leaves",
        {
            "test_leaving.py::test_a_rolling_restart_under_load_loses_nothing_and_answers_no_request_with_5xx[anywhere]":
                "no request is lost or answered 5xx",
        },
        {"DRAIN_NOTICE_SECONDS": "0"},
    ),
    "no-sync": (
        "PostgreSQL acknowledges a commit before it is on disk",
        {
            "test_postgres.py::test_postgresql_crashed_in_the_middle_of_a_sale_keeps_all_it_acknowledged":
                "was acknowledged and is not written down",
        },
        """
        DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET synchronous_commit = off', current_database()); END $$;
        """,
    ),
    "no-refund": (
        "money for seats that somebody else has bought stays",
        {
            "test_payments.py::test_money_that_comes_after_the_seats_were_sold_to_another_goes_back_once":
                "the money going back did not happen",
        },
        """
        CREATE FUNCTION mutant() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF NEW.status LIKE 'refund%' THEN NEW.status := OLD.status; END IF; RETURN NEW; END $$;
        CREATE TRIGGER mutant BEFORE UPDATE ON payments FOR EACH ROW EXECUTE FUNCTION mutant();
        """,
    ),
    "no-place": (
        "the order of a queue is written down the other way round",
        {
            "test_redis.py::test_redis_wiped_in_the_middle_of_a_sale_costs_nobody_an_order_or_a_place":
                " stood at ",
        },
        """
        CREATE FUNCTION mutant() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            NEW.qseq := 1000000 - NEW.qseq; RETURN NEW; END $$;
        CREATE TRIGGER mutant BEFORE INSERT ON queue_entries FOR EACH ROW EXECUTE FUNCTION mutant();
        """,
    ),
}


def apply(monkeypatch):
    """Makes every cluster of this test the mutant that the environment names, if it names one.

    Yields while the test runs; a script that was to be changed must have passed by.
    """
    name = os.environ.get("HOLDFAST_MUTANT")
    if not name:
        yield
        return
    *_, change = MUTANTS[name]
    start, migrate = Cluster.start, Cluster.migrate
    wires = []

    def start_with_settings(self, *arguments, **settings):
        return start(self, *arguments, **settings | change)

    def start_with_scripts(self, *arguments, **settings):
        wire = Wire(self.environment["REDIS_URL"]).__enter__()  # Ends with the process.
        wire.replacement = change
        wires.append(wire)
        return start(self, *arguments, **settings | {"REDIS_URL": wire.through(self.environment["REDIS_URL"])})

    def migrate_and_change(self):
        migrate(self)
        self.sql(change)

    if isinstance(change, dict):
        monkeypatch.setattr(Cluster, "start", start_with_settings)
    elif isinstance(change, tuple):
        monkeypatch.setattr(Cluster, "start", start_with_scripts)
    else:
        monkeypatch.setattr(Cluster, "migrate", migrate_and_change)
    yield
    assert not wires or any(wire.replaced for wire in wires), f"no script has the text {change[0]}"


def main():
    for name, (_, tests, _) in MUTANTS.items():
        for test, notice in tests.items():
            print(name, test, notice)
