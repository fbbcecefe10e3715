"""What the page does when something ends: a hold, an order, a pass, a session, an instance."""

import asyncio

from cluster import PASSWORD
from fans import Fan as Program

SALE = {"opensAt": None, "maxSeatsPerUser": 4}


def test_an_expired_hold_is_told_and_the_seat_is_free_again(service, ada, ben):
    event = service.create_event(sale=SALE | {"holdSeconds": 3})
    ben.sign_in()
    ben.enter(event)
    ada.sign_in()
    ada.enter(event)
    seat, section, row = ada.choose_free_seat()
    ben.look_at_row(section, row)
    ben.sees(seat, "locked")
    ada.until(lambda: ada.selected() == [], "the seat is not taken away")
    assert "time for your seats is over" in ada.part("seat-message").text
    ada.sees(seat, "available")
    ben.sees(seat, "available")
    assert ada.script_errors() == []


def test_a_declined_payment_leaves_the_seats_and_another_way_to_pay(service, ada):
    event = service.create_event()
    ada.sign_in()
    ada.enter(event)
    seat, *_ = ada.choose_free_seat()
    ada.press("checkout")
    ada.click(ada.part("method-sandbox-decline"))
    ada.press("pay")
    assert "declined" in ada.part("checkout-message").text

    # Whoever wanders off finds the way back to the unpaid order.
    ada.go_to_event(event)
    ada.click(ada.part("unpaid"))
    ada.click(ada.part("method-sandbox-slow"))
    ada.press("pay")
    assert "Paying" in ada.part("paying").text
    assert not ada.part("method-sandbox").is_enabled()
    result = ada.part("result")
    ada.until(lambda: result.get_attribute("data-status") == "paid", "the payment does not succeed")
    assert ada.find(f'[data-seat-id="{seat}"]')
    assert "checkout-message" not in ada.shown_test_ids()


def test_an_order_that_is_not_paid_in_time_says_so_by_itself(service, ada):
    event = service.create_event(sale=SALE | {"holdSeconds": 4})
    ada.sign_in()
    ada.enter(event)
    ada.choose_free_seat()
    ada.press("checkout")
    ada.part("pay")
    ada.until(lambda: ada.find('[data-testid="result"][data-status="expired"]'), "the page does not see the end")
    ada.press("to-event")
    ada.until(ada.seats_are_live, "the seats are not shown again")


def test_a_pass_that_ends_leads_back_to_the_door(service, ada):
    event = service.create_event(queue=service.open_queue(passSeconds=8))
    ada.sign_in()
    ada.enter(event)
    assert "You can join the queue again" in ada.part("door-message").text
    ada.press("enter")
    ada.until(ada.seats_are_live, "no second way in")


def test_a_paused_sale_says_so_to_those_who_choose(service, ada):
    event = service.create_event()
    ada.sign_in()
    ada.enter(event)
    ada.choose_free_seat()
    service.command("event", "pause", event)
    assert "paused" in ada.part("seats-not-open").text
    service.command("event", "open", event)
    ada.until(lambda: "seats-not-open" not in ada.shown_test_ids(), "the sale does not go on")
    ada.give_back()


def test_signing_out_everywhere_reaches_this_browser_and_the_person_comes_back_to_their_page(service, ada):
    event = service.create_event()
    ada.sign_in()
    ada.enter(event)

    async def from_another_device():
        program = await Program().login(service.instances[1], ada.user)
        await program.http(service.instances[1], "POST", "/api/v1/auth/logout/all", {})

    asyncio.run(from_another_device())
    assert "signed out on all devices" in ada.part("sign-in-message").text
    ada.part("field-user_id").send_keys(ada.user)
    ada.part("field-password").send_keys(PASSWORD)
    ada.press("sign-in-submit")
    ada.until(ada.seats_are_live, "the person does not come back to the seats")


def test_a_token_that_is_refused_is_renewed_without_a_word(ada):
    ada.sign_in()
    ada.driver.execute_script("""
        const session = JSON.parse(sessionStorage.getItem('holdfast.session'));
        session.accessToken = session.accessToken.slice(0, -8) + 'AAAAAAAA';
        sessionStorage.setItem('holdfast.session', JSON.stringify(session));
    """)
    ada.driver.refresh()
    ada.until(ada.is_connected, "the socket does not connect with a new token")
    ada.press("nav-tickets")
    ada.part("tickets-page")
    assert ada.find('[data-testid="sign-out"]')


def test_a_lobby_stays_a_lobby_until_places_are_drawn(service, ada):
    sale = SALE | {"holdSeconds": 60, "opensAt": "2099-01-01T00:00:00.000Z"}
    event = service.create_event(open=False, sale=sale, queue=service.open_queue(mode="lobby", maxActive=1))
    ada.sign_in()
    ada.go_to_event(event)
    ada.press("enter")
    assert "drawn by lot" in ada.part("lobby-text").text
    others = service.tokens(2)
    for token in others:
        asyncio.run(Program(token).http(service.instances[1], "POST", f"/api/queue/check/{event}"))
    # The message about the others carries no place: it must not turn the lobby into a queue without numbers.
    ada.until(lambda: "3 people" in ada.part("lobby-text").text, "the others are not counted")
    service.command("event", "open", event)
    # Between the waiting room and the seats the page shows neither for a moment.
    def places():
        return [place for place in ada.find('[data-testid="queue-position"]') if place.text.isdigit()]

    ada.until(lambda: ada.seats_are_live() or places(), "the drawn place is not shown")


def test_an_instance_that_leaves_hands_over_without_losing_the_seats(service, ada):
    event = service.create_event()
    instance = service.start()
    ada.sign_in(instance.url)
    ada.enter(event)
    seat, section, row = ada.choose_free_seat()
    port = instance.port
    assert instance.terminate() == 0
    ada.until(lambda: ada.banner() == "reconnecting", "the banner does not tell of the lost instance")
    # The load balancer's part: another instance answers at the same address.
    service.start(port=port)
    ada.until(lambda: ada.banner() == "hidden", "the page does not come back", 40)
    ada.until(lambda: ada.selected() == [seat], "the seat does not come back")
    ada.look_at_row(section, row)
    ada.sees(seat, "mine")
    ada.give_back()
