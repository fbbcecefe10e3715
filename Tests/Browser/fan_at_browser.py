"""A person at a browser of their own, driven by selenium. Every wait is for something visible; nothing sleeps."""

import os
from contextlib import contextmanager
from datetime import datetime

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
        const isShown = document.querySelector(`[data-testid="${part}"]`);
        if (isShown && window.probe.seen.at(-1) !== part) window.probe.seen.push(part);
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
        return button if button.is_enabled() and button.get_attribute("aria-busy") != "true" else None

    def click(self, element):
        self.driver.execute_script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", element)
        element.click()

    def seat_status(self, seat):
        found = self.find(f'[data-testid="seat"][data-seat-id="{seat}"]')
        return found[0].get_attribute("data-status") if found else None

    def sees(self, seat, status, seconds=ANSWER_SECONDS):
        self.until(lambda: self.seat_status(seat) == status, f"seat {seat} does not turn {status}", seconds)

    def selected(self):
        script = "return [...document.querySelectorAll(arguments[0])].map((item) => item.dataset.seatId)"
        return self.driver.execute_script(script, '[data-testid="selected-seat"]')

    def banner(self):
        return self.driver.execute_script("return document.getElementById('connection-banner').dataset.state")

    def is_connected(self):
        return self.driver.execute_script("return document.documentElement.dataset.connection") == "connected"

    def hold_end(self):
        clock = self.part("hold-countdown")
        return datetime.fromisoformat(clock.get_attribute("data-expires-at").replace("Z", "+00:00"))

    # Doing

    def sign_in(self, address=URL):
        self.driver.get(address + "/")
        self.part("field-user_id").send_keys(self.user)
        self.part("field-password").send_keys(self.password)
        self.press("sign-in-submit")
        self.part("sign-out")
        self.until(self.is_connected, "the socket does not connect")

    def go_to_event(self, event=EVENT):
        self.driver.execute_script("location.hash = arguments[0]", f"#/events/{event}")
        self.until(lambda: self.find(f'[data-testid="event-page"][data-event-id="{event}"]'), "the event is not shown")

    def enter(self, event=EVENT):
        """From the event's door to its seats, through the waiting room unless this person is inside already."""
        self.go_to_event(event)
        is_shown = "return window.probe.seen.length > 0"
        self.until(lambda: self.driver.execute_script(is_shown), "no part of the event is shown")
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

    def shown_test_ids(self):
        return {part.get_attribute("data-testid") for part in self.find("[data-testid]") if part.is_displayed()}

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
