"""The Web client in a real browser, against a running service.

Settings come from the environment, which `conftest.py` fills in when nothing is set:

- ``HOLDFAST_URL``         the service, such as ``http://127.0.0.1:8080``
- ``HOLDFAST_TEST_USERS``  two people: ``user:password,user:password``
- ``HOLDFAST_TEST_EVENT``  the id of an open event with free seats
- ``HOLDFAST_TEST_WAIT_SECONDS``  how long being let in may take (60)
- ``CHROMIUM``, ``CHROMEDRIVER``  the browser and its driver (``/usr/bin/chromium``, ``/usr/bin/chromedriver``)

Every wait is for something visible; nothing sleeps. Each test gives back the seats it held and did not buy.
"""

import os
from contextlib import contextmanager
from datetime import datetime

import pytest
from selenium import webdriver
from selenium.common.exceptions import NoSuchElementException, StaleElementReferenceException
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select, WebDriverWait

URL = os.environ.get("HOLDFAST_URL", "").rstrip("/")
USERS = [tuple(pair.split(":", 1)) for pair in os.environ.get("HOLDFAST_TEST_USERS", "").split(",") if ":" in pair]
EVENT = os.environ.get("HOLDFAST_TEST_EVENT", "")
ADMISSION_SECONDS = float(os.environ.get("HOLDFAST_TEST_WAIT_SECONDS", "60"))
ANSWER_SECONDS = 20

# Runs before the page's own scripts: remembers its sockets, so that a test can cut them, and which parts of the
# event's page were shown, however briefly.
PROBE = """
window.probe = { sockets: [], seen: [] };
const Native = window.WebSocket;
window.WebSocket = class extends Native {
    constructor(...given) { super(...given); window.probe.sockets.push(this); }
};
new MutationObserver(() => {
    for (const part of ['door', 'waiting-room', 'seats']) {
        if (document.querySelector(`[data-testid="${part}"]`) && window.probe.seen.at(-1) !== part) window.probe.seen.push(part);
    }
}).observe(document, { childList: true, subtree: true });
"""


class Fan:
    """A person at a browser of their own."""

    def __init__(self, driver, user, password):
        self.driver = driver
        self.user = user
        self.password = password

    # Looking

    def until(self, condition, why, seconds=ANSWER_SECONDS):
        wait = WebDriverWait(
            self.driver,
            seconds,
            poll_frequency=0.05,
            ignored_exceptions=(NoSuchElementException, StaleElementReferenceException),
        )
        return wait.until(lambda _: condition(), f"{self.user}: {why}")

    def find(self, selector):
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def part(self, test_id, seconds=ANSWER_SECONDS):
        def shown():
            found = [element for element in self.find(f'[data-testid="{test_id}"]') if element.is_displayed()]
            return found[0] if found else None

        return self.until(shown, f"{test_id} is not shown", seconds)

    def press(self, test_id):
        """Clicks once the button is there, enabled and in view."""
        button = self.until(lambda: self._enabled(test_id), f"{test_id} cannot be pressed")
        self.click(button)

    def _enabled(self, test_id):
        button = self.part(test_id)
        return button if button.is_enabled() else None

    def click(self, element):
        self.driver.execute_script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", element)
        element.click()

    def seat_status(self, seat):
        found = self.find(f'[data-testid="seat"][data-seat-id="{seat}"]')
        return found[0].get_attribute("data-status") if found else None

    def sees(self, seat, status, seconds=ANSWER_SECONDS):
        self.until(lambda: self.seat_status(seat) == status, f"seat {seat} does not turn {status}", seconds)

    def selected(self):
        script = """return [...document.querySelectorAll('[data-testid="selected-seat"]')].map((item) => item.dataset.seatId)"""
        return self.driver.execute_script(script)

    def banner(self):
        return self.driver.execute_script("return document.getElementById('connection-banner').dataset.state")

    def is_connected(self):
        return self.driver.execute_script("return document.documentElement.dataset.connection") == "connected"

    def hold_end(self):
        clock = self.part("hold-countdown")
        return datetime.fromisoformat(clock.get_attribute("data-expires-at").replace("Z", "+00:00"))

    # Doing

    def sign_in(self):
        self.driver.get(URL + "/")
        self.part("field-user_id").send_keys(self.user)
        self.part("field-password").send_keys(self.password)
        self.press("sign-in-submit")
        self.part("sign-out")
        self.until(self.is_connected, "the socket does not connect")

    def go_to_event(self):
        self.driver.execute_script("location.hash = arguments[0]", f"#/events/{EVENT}")
        self.until(lambda: self.find(f'[data-testid="event-page"][data-event-id="{EVENT}"]'), "the event is not shown")

    def enter(self):
        """From the event's door to its seats, through the waiting room unless this person is inside already."""
        self.go_to_event()
        self.until(lambda: self.driver.execute_script("return window.probe.seen.length > 0"), "no part of the event is shown")
        if self.find('[data-testid="door"]'):
            self.press("enter")
        self.until(self.seats_are_live, "the seats are not shown", ADMISSION_SECONDS)
        if self.selected():
            self.give_back()

    def seats_are_live(self):
        return self.find('#seats[data-ready="true"]') and self.find('[data-testid="seat"]')

    def choose_free_seat(self, avoiding=()):
        """Chooses the first free seat in the list, row by row, and waits until it is this person's."""
        for section in [option.get_attribute("value") for option in Select(self.part("seat-section")).options]:
            Select(self.part("seat-section")).select_by_value(section)
            for row in [option.get_attribute("value") for option in Select(self.part("seat-row")).options]:
                Select(self.part("seat-row")).select_by_value(row)
                for button in self.find('[data-testid="seat"][data-status="available"]'):
                    seat = button.get_attribute("data-seat-id")
                    if seat in avoiding:
                        continue
                    self.click(button)
                    self.sees(seat, "mine")
                    self.until(lambda: self.selected() == [seat], "the choice is not listed")
                    return seat, section, row
        raise AssertionError("the event has no free seat")

    def look_at_row(self, section, row):
        Select(self.part("seat-section")).select_by_value(section)
        Select(self.part("seat-row")).select_by_value(row)

    def give_back(self):
        self.press("clear-selection")
        self.until(lambda: self.selected() == [], "the seats are not given back")
        self.until(
            lambda: self.find('[data-testid="checkout"][data-settled="true"]'), "giving back is not confirmed"
        )

    def set_network(self, up):
        self.driver.execute_cdp_cmd("Network.enable", {})
        conditions = {"offline": not up, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
        self.driver.execute_cdp_cmd("Network.emulateNetworkConditions", conditions)

    def cut_sockets(self):
        self.driver.execute_script("for (const socket of window.probe.sockets) socket.close()")

    def script_errors(self):
        return [entry["message"] for entry in self.driver.get_log("browser") if entry.get("source") == "javascript"]


@contextmanager
def open_browser(user, password):
    options = webdriver.ChromeOptions()
    options.binary_location = os.environ.get("CHROMIUM", "/usr/bin/chromium")
    for argument in ("--headless=new", "--disable-dev-shm-usage", "--disable-gpu", "--window-size=1280,900"):
        options.add_argument(argument)
    if os.geteuid() == 0:
        # Chromium's sandbox refuses to run as root.
        options.add_argument("--no-sandbox")
    options.set_capability("goog:loggingPrefs", {"browser": "SEVERE"})
    service = webdriver.ChromeService(os.environ.get("CHROMEDRIVER", "/usr/bin/chromedriver"))
    driver = webdriver.Chrome(service=service, options=options)
    try:
        driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": PROBE})
        yield Fan(driver, user, password)
    finally:
        driver.quit()


@pytest.fixture
def ada():
    with open_browser(*USERS[0]) as fan:
        yield fan


@pytest.fixture
def ben():
    with open_browser(*USERS[1]) as fan:
        yield fan


def test_from_sign_in_to_a_paid_ticket_while_another_sees_the_seat_turn(ada, ben):
    ben.sign_in()
    ben.enter()

    ada.sign_in()
    ada.enter()
    seen = ada.driver.execute_script("return window.probe.seen")
    # Whoever comes through the door waits, if only until the next tick; a pass from before leads straight to the seats.
    assert seen[-1] == "seats"
    assert "door" not in seen or "waiting-room" in seen, seen

    seat, section, row = ada.choose_free_seat()
    ben.look_at_row(section, row)
    ben.sees(seat, "locked")

    ada.press("checkout")
    ada.part("pay")
    ben.sees(seat, "reserved")
    ada.press("pay")
    result = ada.part("result")
    ada.until(lambda: result.get_attribute("data-status") == "paid", "the payment does not succeed")

    ada.press("to-tickets")
    paid = f'[data-testid="ticket"][data-status="paid"] [data-seat-id="{seat}"]'
    ada.until(lambda: ada.find(paid), "the paid seat is not among the tickets")
    assert ben.seat_status(seat) == "reserved"
    assert ada.script_errors() == []
    assert ben.script_errors() == []


def test_the_banner_tells_of_a_lost_connection_and_everything_comes_back(ada, ben):
    ben.sign_in()
    ben.enter()
    ada.sign_in()
    ada.enter()
    mine, section, row = ada.choose_free_seat()
    assert ada.banner() == "hidden"

    ada.cut_sockets()
    ada.until(lambda: ada.banner() == "reconnecting", "the banner does not tell of the lost socket")
    ada.until(lambda: ada.banner() == "hidden", "the socket does not come back")
    ada.until(ada.seats_are_live, "the seats do not come back")
    ada.sees(mine, "mine")

    ada.set_network(up=False)
    ada.until(lambda: ada.banner() == "offline", "the banner does not tell of the lost network")
    # What happens meanwhile must be seen on return.
    other, other_section, other_row = ben.choose_free_seat(avoiding=(mine,))
    ada.set_network(up=True)
    ada.until(lambda: ada.banner() == "hidden", "the connection does not come back")
    ada.until(ada.seats_are_live, "the seats do not come back")
    ada.sees(mine, "mine")
    assert ada.selected() == [mine]
    ada.look_at_row(other_section, other_row)
    ada.sees(other, "locked")

    ada.give_back()
    ben.give_back()
    ada.sees(other, "available")


def test_a_reload_keeps_the_seats_and_their_time(ada):
    ada.sign_in()
    ada.enter()
    seat, section, row = ada.choose_free_seat()
    end = ada.hold_end()

    ada.driver.refresh()
    ada.until(ada.seats_are_live, "the seats do not come back")
    ada.until(lambda: ada.selected() == [seat], "the choice does not come back")
    ada.look_at_row(section, row)
    ada.sees(seat, "mine")
    assert abs((ada.hold_end() - end).total_seconds()) < 1, "the hold's time was reset"
    # Back where they were without passing the door or the queue again.
    assert "waiting-room" not in ada.driver.execute_script("return window.probe.seen")

    ada.give_back()
    ada.sees(seat, "available")
    assert ada.script_errors() == []
