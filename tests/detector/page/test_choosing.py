"""What the reader chooses, in a real browser: names, states, one link."""

from selenium.webdriver.common.keys import Keys

from tests.detector.page.browser import ROWS, SHOWS
from tests.detector.page.made import daemon, make_many
from tests.detector.top.made import bad_night, make_link, make_status


def test_links_are_found_by_name_and_by_pattern(browser):
    """Among a thousand links one looks for a site, or for part of a name."""
    with daemon(make_many(300)) as (_, server):
        browser.open(server.url)
        assert browser.run(ROWS) == 200
        field = browser.one("#pattern")

        field.send_keys("trunk-012")
        browser.wait(f"{ROWS} === 10")
        assert browser.text("#links-count") == "10 of 10 that match"

        field.clear()
        field.send_keys("site-0[12]/*")
        browser.wait(f"{ROWS} === 8")
        assert {name[:7] for name in browser.cells("link")} == {"site-01", "site-02"}
        browser.wait(SHOWS, "#embedding-words", "8 links")

        field.clear()
        field.send_keys("trunk-*")  # is of the whole name, and none begins so
        browser.wait(f"{ROWS} === 0")

        field.clear()
        field.send_keys("nowhere")
        browser.wait(f"{ROWS} === 0")
        assert browser.one("#no-links").text == "no link matches"

        field.clear()
        field.send_keys(" ")
        browser.wait(f"{ROWS} === 200")


def test_states_are_chosen_by_their_counts(browser):
    """One press shows all that is blocked, another takes it back."""
    with daemon(make_many(300)) as (_, server):
        browser.open(server.url)
        button = "//section[@id='counts']/button[contains(., 'blocked')]"
        blocked = browser.driver.find_element("xpath", button)

        blocked.click()
        browser.wait(f"{ROWS} === 7")
        assert set(browser.cells("state")) == {"blocked"}
        assert blocked.get_attribute("aria-pressed") == "true"
        assert browser.run("return location.hash") == "#state=blocked"

        blocked.click()
        browser.wait(f"{ROWS} === 200")
        assert blocked.get_attribute("aria-pressed") == "false"


def test_a_view_can_be_kept_and_sent(browser):
    """A colleague who gets the address sees the same."""
    with daemon(make_many(300)) as (_, server):
        browser.open(
            f"{server.url}/#state=unknown&state=silent&link=site-*&most=50&one=site-08%2Ftrunk-0008"
        )

        assert set(browser.cells("state")) == {"unknown", "silent"}
        assert browser.one("#pattern").get_attribute("value") == "site-*"
        assert browser.one("#most").get_attribute("value") == "50"
        assert browser.text("#one .head") == "site-08/trunk-0008"


def test_a_link_is_chosen_by_mouse_and_by_key_and_told_of_in_full(browser):
    """What the table cuts off is there, with how far the link is from each label."""
    status = bad_night()
    with daemon(status) as (_, server):
        browser.open(server.url)
        assert not browser.one("#one").is_displayed()

        browser.all("#rows tr")[2].click()
        assert browser.text("#one .head") == status.worst[2].link
        assert status.worst[2].reason in browser.text("#one dl")
        assert browser.text(".distances").startswith("capacity-limited")
        assert len(browser.texts(".distances > div")) == 4

        browser.one("#table").send_keys(Keys.ARROW_UP)
        assert browser.text("#one .head") == status.worst[1].link
        chosen = browser.one("#rows tr[aria-selected=true]")
        assert chosen.get_attribute("id") == browser.one("#table").get_attribute(
            "aria-activedescendant"
        )

        browser.one("#table").send_keys(Keys.ESCAPE)
        assert not browser.one("#one").is_displayed()

        browser.all("#events button")[0].click()
        assert browser.text("#one .head") == "site-12/trunk-7"


def test_a_chosen_link_is_followed_though_it_is_no_longer_listed(browser):
    """Whoever watches one link goes on seeing it when it is well again and a hundred are not."""
    name = "odd[1]*?"
    links = [make_link(f"a-{n}", "blocked") for n in range(60)] + [make_link(name, margin=0.77)]
    with daemon(make_status(worst=links)) as (_, server):
        browser.open(f"{server.url}/#most=50&one=odd%5B1%5D*%3F")

        assert browser.run(ROWS) == 50
        assert browser.text("#one .head") == name
        assert "0.77" in browser.text("#one dl")
