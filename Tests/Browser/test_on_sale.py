"""The Web client in a real browser, against a running service.

Settings come from the environment, which `conftest.py` fills in when nothing is set:

- ``HOLDFAST_URL``         the service, such as ``http://127.0.0.1:8080``
- ``HOLDFAST_TEST_USERS``  two people: ``user:password,user:password``
- ``HOLDFAST_TEST_EVENT``  the id of an open event with free seats
- ``HOLDFAST_TEST_WAIT_SECONDS``  how long being let in may take (60)
- ``CHROMIUM``, ``CHROMEDRIVER``  the browser and its driver (``/usr/bin/chromium``, ``/usr/bin/chromedriver``)

Every wait is for something visible; nothing sleeps. Each test gives back the seats it held and did not buy.
"""


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
