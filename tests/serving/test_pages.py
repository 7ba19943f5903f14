"""The pages in a real Chromium: both languages, keyboard, phone, odd ids, nothing from other hosts."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from string import Formatter
from urllib.parse import quote

import httpx
import pytest
from fastapi import FastAPI
from fastapi.responses import HTMLResponse
from selenium.webdriver import ActionChains, Chrome, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import Select, WebDriverWait

from features.warnings import CODES
from serving import page_frame, page_plots, standing
from serving.page_docs import fields_of, type_of
from serving.page_frame import HEADERS
from serving.pages import SORTS, pages
from serving.problems import Problem
from serving.words import WORDS, speaker
from tests.browser import PHONE, browser, chromium, colours, faults, hosts, requests, serving, size
from tests.page_source import BROKEN, ODD, SCRIPT, Plant, items, records, version

__all__ = ["browser", "chromium"]

TEMPLATES = Path(page_frame.__file__).parent / "templates"
PATHS = {
    "lots": "/",
    "lot": "/lots/" + quote(ODD, safe=""),
    "model": "/model",
    "check": "/check",
    "checked": "/check?lot=T-2026-4821",
    "docs": "/docs",
}
CONTRAST = """
const luminance = (text) => {
  const [r, g, b] = text.match(/[\\d.]+/g).slice(0, 3).map((c) => c / 255)
    .map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const behind = (element) => {
  const colour = getComputedStyle(element).backgroundColor;
  return /, 0\\)$/.test(colour) && element.parentElement ? behind(element.parentElement) : colour;
};
return [...document.querySelectorAll(arguments[0])].filter((e) => e.innerText).map((e) => {
  const [one, two] = [luminance(getComputedStyle(e).color), luminance(behind(e))].sort();
  return [e.innerText, (Math.max(one, two) + 0.05) / (Math.min(one, two) + 0.05)];
});
"""


@dataclass
class Served:
    """A plant's pages and where they are."""

    plant: Plant
    at: str


def app_of(plant: Plant) -> FastAPI:
    app = FastAPI(title="lot-risk", docs_url=None, redoc_url=None)
    app.include_router(pages(plant))

    @app.get("/v1/lots", summary="Stored scores of open lots")
    async def lots(min_risk: float | None = None) -> dict[str, list[str]]:
        return {"items": []}

    return app


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    plant = Plant()
    with serving(app_of(plant)) as at:
        yield Served(plant, at)


def heading(browser: Chrome) -> str:
    return browser.find_element(By.TAG_NAME, "h1").text


def answer(browser: Chrome) -> str:
    return browser.find_element(By.CSS_SELECTOR, ".verdict .answer").text


def focused(browser: Chrome) -> WebElement:
    return browser.switch_to.active_element


def tab_to(browser: Chrome, css: str, *, most: int = 60) -> WebElement:
    """Where the tab key comes by, as somebody without a mouse gets there."""
    for _ in range(most):
        ActionChains(browser).send_keys(Keys.TAB).perform()
        if browser.execute_script("return document.activeElement.matches(arguments[0])", css):
            return focused(browser)
    raise AssertionError(f"{most} tabs did not reach {css}")


def left_for(browser: Chrome, part: str) -> None:
    WebDriverWait(browser, 10).until(lambda _: part in browser.current_url)


def sideways(browser: Chrome) -> int:
    """Pixels by which the page is wider than its window."""
    wide = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
    return int(browser.execute_script(wide))


def unnamed(browser: Chrome) -> list[str]:
    """Ids that are there twice, inputs without a label, headings of tables without a scope, inline style and script."""
    found: list[str] = browser.execute_script(
        """
        const ids = [...document.querySelectorAll("[id]")].map((e) => e.id);
        const fields = "input:not([type=hidden]), select, textarea";
        const inputs = [...document.querySelectorAll(fields)].filter((e) => !e.labels.length);
        const heads = document.querySelectorAll("th:not([scope])");
        const inline = document.querySelectorAll("[style], style, script:not([src])");
        const twice = ids.filter((id, at) => ids.indexOf(id) !== at);
        return [...twice, ...[...inputs, ...heads, ...inline].map((e) => e.outerHTML)];
        """
    )
    return found


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("name", PATHS)
def test_a_page_is_whole_and_comes_from_here_alone(browser: Chrome, served: Served, name: str, language: str) -> None:
    path = PATHS[name]
    browser.get(f"{served.at}{path}{'&' if '?' in path else '?'}lang={language}")
    assert browser.find_element(By.TAG_NAME, "html").get_attribute("lang") == {"en": "en", "zh": "zh-Hans"}[language]
    assert browser.title.endswith(" · tablets")
    assert len(browser.find_elements(By.TAG_NAME, "h1")) == 1
    assert unnamed(browser) == []
    assert faults(browser) == []
    assert hosts(requests(browser)) == {served.at.removeprefix("http://")}


def test_what_comes_from_elsewhere_or_stands_inline_is_caught(browser: Chrome) -> None:
    app = FastAPI()

    @app.get("/")
    async def bad() -> HTMLResponse:
        content = "<p style='color: red'>x</p><script>1</script><input><img src='http://127.0.0.2:9/x.png'>"
        return HTMLResponse(content, headers=HEADERS)

    with serving(app) as at:
        browser.get(at)
        complaints = " ".join(faults(browser))
        assert len(unnamed(browser)) == 3
    assert "Content Security Policy" in complaints
    assert "127.0.0.2" in complaints


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("name", PATHS)
def test_a_phone_never_scrolls_sideways(browser: Chrome, served: Served, name: str, language: str) -> None:
    size(browser, PHONE)
    path = PATHS[name]
    browser.get(f"{served.at}{path}{'&' if '?' in path else '?'}lang={language}")
    assert sideways(browser) == 0


def test_a_page_too_wide_for_a_phone_is_caught(browser: Chrome, served: Served) -> None:
    size(browser, PHONE)
    browser.get(served.at + "/check")
    browser.execute_script("document.querySelector('h1').className = ''; document.querySelector('input').size = 90;")
    browser.execute_script("document.querySelector('.row').style.width = '500px'")
    assert sideways(browser) > 0


def test_the_first_stop_of_the_keyboard_skips_to_the_content(browser: Chrome, served: Served) -> None:
    browser.get(served.at + "/model")
    ActionChains(browser).send_keys(Keys.TAB).perform()
    assert focused(browser).text == "Skip to the content"
    focused(browser).send_keys(Keys.ENTER)
    assert focused(browser).get_attribute("id") == "content"


def test_lots_are_filtered_by_keyboard(browser: Chrome, served: Served) -> None:
    browser.get(served.at + "/")
    tab_to(browser, "[name=product]").send_keys("P12")
    tab_to(browser, "[name=decision]").send_keys("I")
    tab_to(browser, "[name=min_percent]").send_keys("10 %", Keys.ENTER)
    left_for(browser, "min_percent")
    assert served.plant.asked[-1]["filters"] == {"product": "P12", "decision": "inspect", "min_risk": "0.1"}
    assert "customer=" not in browser.current_url
    shown = {row.text for row in browser.find_elements(By.CSS_SELECTOR, ".lots .decision")}
    assert shown == {"Inspect"}
    assert browser.find_element(By.NAME, "product").get_attribute("value") == "P12"


def test_lots_are_sorted_by_keyboard_and_say_so(browser: Chrome, served: Served) -> None:
    browser.get(served.at + "/?product=P12")
    tab_to(browser, "th[aria-sort] a")
    assert browser.find_element(By.CSS_SELECTOR, "th[aria-sort]").get_attribute("aria-sort") == "descending"
    tab_to(browser, "th a[href*=expected_cost]").send_keys(Keys.ENTER)
    left_for(browser, "sort=-expected_cost")
    assert served.plant.asked[-1]["sort"] == "-expected_cost"
    tab_to(browser, "th[aria-sort] a").send_keys(Keys.ENTER)
    left_for(browser, "sort=expected_cost")
    asked = served.plant.asked[-1]
    assert (asked["sort"], asked["filters"]) == ("expected_cost", {"product": "P12"})
    assert browser.find_element(By.CSS_SELECTOR, "th[aria-sort]").get_attribute("aria-sort") == "ascending"


def test_a_phone_sorts_by_a_list(browser: Chrome, served: Served) -> None:
    size(browser, PHONE)
    browser.get(served.at + "/")
    Select(browser.find_element(By.NAME, "sort")).select_by_value("lot_id")
    browser.find_element(By.CSS_SELECTOR, ".filters button").click()
    left_for(browser, "sort=lot_id")
    assert served.plant.asked[-1]["sort"] == "lot_id"


def test_the_next_page_goes_on_where_the_first_ended(browser: Chrome, served: Served) -> None:
    browser.get(served.at + "/?product=P12&min_percent=0.1")
    browser.get(served.at + "/")
    browser.find_element(By.CSS_SELECTOR, "[rel=next]").click()
    left_for(browser, "cursor=")
    assert served.plant.asked[-1]["cursor"] == "25"
    assert browser.find_element(By.CSS_SELECTOR, "tbody th").text == items()[26]["lot_id"]


@pytest.mark.parametrize("lot_id", [ODD, SCRIPT])
def test_an_odd_id_is_a_link_that_works_and_never_code(browser: Chrome, served: Served, lot_id: str) -> None:
    browser.get(served.at + "/")
    browser.find_element(By.LINK_TEXT, lot_id).click()
    left_for(browser, "/lots/")
    assert heading(browser) == f"Lot {lot_id}"
    assert lot_id in browser.title
    browser.find_element(By.LINK_TEXT, "中文").click()
    left_for(browser, "lang=zh")
    assert heading(browser) == f"批次 {lot_id}"
    assert faults(browser) == []


def test_a_scanner_gets_one_answer_after_the_other(browser: Chrome, served: Served) -> None:
    browser.get(served.at + "/check")
    for lot_id, said in [
        ("T-2026-4821", "Hold"),
        (ODD, "Hold"),
        ("T-2026-4800", "Inspect"),
        ("T-2026-4471", "Release"),
    ]:
        assert focused(browser).get_attribute("name") == "lot"
        focused(browser).send_keys(lot_id, Keys.ENTER)
        WebDriverWait(browser, 10).until(lambda _, lot_id=lot_id: browser.title.startswith(lot_id))
        assert answer(browser) == said
    height = browser.find_element(By.CSS_SELECTOR, ".verdict .answer").rect["height"]
    assert height > 120, "an answer is read from two metres"


def test_a_scan_while_the_focus_is_elsewhere_is_not_lost(browser: Chrome, served: Served) -> None:
    browser.get(served.at + "/check?lot=T-2026-4821")
    browser.find_element(By.TAG_NAME, "footer").click()
    browser.execute_script("document.activeElement.blur()")
    ActionChains(browser).send_keys("T-2026-4800", Keys.ENTER).perform()
    left_for(browser, "lot=T-2026-4800")
    assert answer(browser) == "Inspect"


def test_check_works_without_script(browser: Chrome, served: Served) -> None:
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    browser.get(served.at + "/check?lang=zh")
    focused(browser).send_keys("T-2026-4821", Keys.ENTER)
    left_for(browser, "lot=T-2026-4821")
    assert answer(browser) == "扣留"
    assert focused(browser).get_attribute("name") == "lot"


@pytest.mark.parametrize(
    ("lot_id", "said", "status"),
    [("nothing-like-it", "Unknown lot", 404), ("T-2026-4772", "Cannot assess", 200), (BROKEN, "Cannot assess", 503)],
)
def test_what_is_not_known_never_looks_like_a_release(
    browser: Chrome, served: Served, lot_id: str, said: str, status: int
) -> None:
    browser.get(f"{served.at}/check?lot={lot_id}")
    verdict = browser.find_element(By.CSS_SELECTOR, ".verdict")
    assert answer(browser) == said
    assert "d-cannot_assess" in str(verdict.get_attribute("class"))
    assert verdict.value_of_css_property("border-top-style") == "dashed"
    browser.get(f"{served.at}/check?lot=T-2026-4471")
    released = browser.find_element(By.CSS_SELECTOR, ".verdict")
    assert released.value_of_css_property("border-top-style") == "solid"
    assert httpx.get(f"{served.at}/check", params={"lot": lot_id}).status_code == status


HELD = {
    "decision": "hold",
    "says": "Keep the lot back: Its customer is on hold",
    "rules": [{"rule": "customer_hold", "action": "hold", "text": "Its customer is on hold", "what": ["<hold> is 1"]}],
    "unknown": [{"state": "not_open", "outcome": "cannot_assess", "text": "It was scrapped", "detail": "on Monday"}],
}
RELEASED = "T-2026-4471"


@pytest.mark.parametrize("path", [f"/check?lot={RELEASED}", f"/lots/{RELEASED}"])
def test_a_lot_that_a_rule_holds_is_held_whatever_its_risk(browser: Chrome, path: str) -> None:
    with serving(app_of(Plant(gated={RELEASED: HELD}))) as at:
        browser.get(at + path)
        assert answer(browser) == "Hold"
        assert "d-hold" in str(browser.find_element(By.CSS_SELECTOR, ".verdict").get_attribute("class"))
        assert browser.find_element(By.CSS_SELECTOR, ".verdict .do").text == HELD["says"]
        told = browser.find_element(By.CSS_SELECTOR, ".gate").text
        assert [one for one in ("<hold> is 1", "It was scrapped", "on Monday") if one not in told] == []
        assert "It is not recorded and releases nothing" in browser.find_element(By.TAG_NAME, "main").text
        assert faults(browser) == []
        browser.get(f"{at}{path}{'&' if '?' in path else '?'}lang=zh")
        assert answer(browser) == "扣留"
        assert "未作记录" in browser.find_element(By.TAG_NAME, "main").text


@pytest.mark.parametrize(("path", "status"), [(f"/check?lot={RELEASED}", 503), (f"/lots/{RELEASED}", 200)])
def test_where_the_gate_can_decide_nothing_no_page_releases(path: str, status: int) -> None:
    plant = Plant(gated={RELEASED: Problem("not_recorded", "database lotrisk.db: <gone>")})
    with serving(app_of(plant)) as at:
        page = httpx.get(at + path)
    assert page.status_code == status and "database lotrisk.db: &lt;gone&gt;" in page.text
    verdict = page.text.partition('class="verdict')[2].partition('<p class="about">')[0]
    assert "Cannot assess" in verdict and "d-release" not in verdict and "Release" not in verdict


def test_the_list_says_that_its_decisions_are_by_risk_alone(served: Served) -> None:
    assert "by risk alone" in httpx.get(served.at + "/?lang=en").text
    assert "仅按风险" in httpx.get(served.at + "/?lang=zh").text


def test_an_unknown_lot_has_a_page_that_says_so(browser: Chrome, served: Served) -> None:
    browser.get(served.at + "/lots/" + quote("<b>gone</b>/1", safe=""))
    assert heading(browser) == "Unknown lot <b>gone</b>/1"
    assert answer(browser) == "Unknown lot"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", ["/", "/check?lot=T-2026-4821", "/check?lot=T-2026-4800", "/check?lot=T-2026-4471"])
def test_decisions_are_readable(browser: Chrome, served: Served, path: str, scheme: str) -> None:
    colours(browser, scheme)
    browser.get(served.at + path)
    found = browser.execute_script(CONTRAST, ".decision, .verdict p, .verdict dt, .verdict dd, .about, .tip, th, label")
    assert len(found) > 3
    assert [(text, ratio) for text, ratio in found if ratio < 4.5] == []


def test_pale_text_is_caught(browser: Chrome, served: Served) -> None:
    browser.get(served.at + "/")
    browser.execute_script("document.querySelector('.decision').style.color = '#d66'")
    assert min(ratio for _, ratio in browser.execute_script(CONTRAST, ".decision")) < 4.5


def test_decisions_differ_by_shape_and_word_not_by_colour_alone(browser: Chrome, served: Served) -> None:
    browser.get(served.at + "/")
    browser.get(served.at + "/?sort=risk")
    seen = {}
    for path in ("/", "/?sort=risk"):
        browser.get(served.at + path)
        for one in browser.find_elements(By.CSS_SELECTOR, ".decision"):
            shape = one.find_element(By.TAG_NAME, "svg").get_attribute("innerHTML")
            seen.setdefault(one.text, set()).add(shape)
    browser.get(served.at + "/check?lot=T-2026-4772")
    seen["Cannot assess"] = {browser.find_element(By.CSS_SELECTOR, ".answer svg").get_attribute("innerHTML")}
    assert set(seen) == {"Release", "Inspect", "Hold", "Cannot assess"}
    assert len(set.union(*seen.values())) == 4


def test_warnings_are_told_when_the_keyboard_reaches_them(browser: Chrome, served: Served) -> None:
    browser.get(served.at + "/?product=P10")
    bubble = browser.find_element(By.CSS_SELECTOR, ".bubble")
    assert not bubble.is_displayed()
    tab_to(browser, ".tip")
    assert bubble.text.splitlines() == [
        "Nothing of this lot is known in a table",
        "A value that the model has not seen",
    ]


def test_a_chosen_language_is_kept(browser: Chrome, served: Served) -> None:
    browser.get(served.at + "/model")
    assert heading(browser) == "Model"
    browser.find_element(By.LINK_TEXT, "中文").click()
    left_for(browser, "lang=zh")
    browser.get(served.at + "/")
    assert heading(browser) == "待判批次风险"


def test_the_site_says_the_language_until_somebody_chooses(browser: Chrome) -> None:
    with serving(app_of(Plant(language="zh"))) as at:
        browser.get(at + "/model?lang=klingon")
        assert heading(browser) == "模型"


def test_a_lot_page_tells_all_that_is_known(browser: Chrome, served: Served) -> None:
    browser.get(served.at + PATHS["lot"])
    titles = [section.text for section in browser.find_elements(By.TAG_NAME, "h2")]
    assert titles == [
        "Warnings",
        "Why",
        "Risk over time",
        "Measurements against limits",
        "The lot",
        "What went into it",
        "What came back",
        "Shipments",
        "Dispositions",
        "Outcome",
    ]
    assert "2 of 15 values lie outside their limits." in browser.page_source
    assert len(browser.find_elements(By.CSS_SELECTOR, "svg.plot")) == 2
    up, down = (browser.find_elements(By.CSS_SELECTOR, f".effect-bar .{way}") for way in ("up", "down"))
    assert (len(up), len(down)) == (3, 2)
    assert up[0].rect["x"] > down[0].rect["x"]
    assert "<b>two</b> cartons" in browser.find_element(By.TAG_NAME, "body").text


def test_a_supplier_lot_leads_to_the_lots_that_used_it(browser: Chrome, served: Served) -> None:
    browser.get(served.at + PATHS["lot"])
    browser.find_element(By.LINK_TEXT, "S-880/A").click()
    left_for(browser, "supplier_lot=")
    assert served.plant.asked[-1]["filters"] == {"supplier_lot": "S-880/A"}


def test_a_refused_bundle_is_told_where_it_is_seen(browser: Chrome) -> None:
    with serving(app_of(Plant(refused=True))) as at:
        browser.get(at + "/model")
        assert "card.json is no JSON" in browser.find_elements(By.CSS_SELECTOR, ".version")[-1].text
        box = browser.find_element(By.CSS_SELECTOR, "[role=alert]")
        assert "golden row 3" in box.text
        assert "Version 4 goes on scoring." in box.text
        assert box.rect["y"] < 200


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", ("Not told apart", "Challenger because: fewer false alarms", "Promoted because: asked for by")),
        ("zh", ("无法区分优劣", "挑战原因：fewer false alarms", "晋升原因：asked for by")),
    ],
)
def test_the_challenger_stands_beside_the_champion_with_reasons_and_figures(
    served: Served, language: str, words: tuple[str, ...]
) -> None:
    page = httpx.get(served.at + f"/model?lang={language}").text
    assert [word for word in words if word not in page] == []
    assert "by &lt;quality&gt;" in page and "-0.0012" in page and "[-0.0041, +0.0017]" in page


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", ("logistic regression", "supplier only", "supplier lot kept apart", "14 failures: says little")),
        ("zh", ("逻辑回归", "仅供应商历史", "supplier lot kept apart", "失效 14 次")),
    ],
)
def test_what_the_model_is_held_against_stands_in_one_table_with_the_difference(
    served: Served, language: str, words: tuple[str, ...]
) -> None:
    page = httpx.get(served.at + f"/model?lang={language}").text
    assert [word for word in words if word not in page] == []
    assert page.count(words[-1]) == 1
    assert "-0.050" in page and "[-0.060, +0.004]" in page
    assert "check that it is known before &lt;as_of&gt;" in page


def test_a_challenger_that_does_not_score_is_told_and_without_one_nothing_is() -> None:
    for plant, told in ((Plant(refused=True), True), (Plant(bare=True), False)):
        with serving(app_of(plant)) as at:
            page = httpx.get(at + "/model?lang=en").text
            assert ("Version 2 lacks a feature" in page, "The challenger does not score" in page) == (told, told)
            assert ('id="h-challenger"' in page) == told


def test_before_there_is_a_model_pages_say_what_to_do(browser: Chrome) -> None:
    with serving(app_of(Plant(bare=True))) as at:
        browser.get(at + "/")
        assert "lotrisk train" in browser.find_element(By.CSS_SELECTOR, ".box").text
        assert {one.text for one in browser.find_elements(By.CSS_SELECTOR, ".decision")} == {"Cannot assess"}
        browser.get(at + "/model")
        assert "lotrisk monitor" in browser.find_element(By.TAG_NAME, "main").text
        assert "does not meet the rule of promotion" in browser.page_source
        browser.get(at + PATHS["lot"])
        assert answer(browser) == "Cannot assess"
        assert faults(browser) == []


def test_with_nothing_scored_the_page_says_when_that_comes(browser: Chrome) -> None:
    with serving(app_of(Plant(empty=True))) as at:
        browser.get(at + "/")
        assert "No open lots are scored yet" in browser.find_element(By.CSS_SELECTOR, ".box").text
        browser.get(at + "/?product=X")
        assert "No lot matches these filters." in browser.page_source


def test_a_filter_that_cannot_be_used_is_a_page_with_the_problem(served: Served) -> None:
    found = httpx.get(served.at + "/?cursor=broken")
    assert found.status_code == 422
    assert "is not one of ours" in found.text
    assert found.headers["content-type"].startswith("text/html")


def test_the_last_day_shipped_is_still_in_and_a_day_that_is_none_is_left_to_the_api(served: Served) -> None:
    assert httpx.get(served.at + "/?shipped_from=2026-11-01&shipped_to=2026-11-30").status_code == 200
    assert served.plant.asked[-1]["filters"] == {"shipped_from": "2026-11-01", "shipped_to": "2026-12-01"}
    told = httpx.get(served.at + "/?shipped_to=soon&min_percent=lots").text
    assert served.plant.asked[-1]["filters"] == {"shipped_to": "soon", "min_risk": "lots"}
    assert 'value="soon"' in told


def test_static_files_are_kept_by_browsers_and_no_others_are_given(served: Served) -> None:
    style = re.search(r"/static/pages\.css\?v=\w+", httpx.get(served.at + "/").text)
    assert style
    assert "immutable" in httpx.get(served.at + style[0]).headers["cache-control"]
    assert httpx.get(served.at + "/static/..%2Fpages.py").status_code == 404


def test_the_api_page_lists_routes_and_no_pages(served: Served) -> None:
    told = httpx.get(served.at + "/docs").text
    assert "/v1/lots" in told
    assert "min_risk" in told
    assert "/check</" not in told.split("<main")[1]


def test_an_api_document_is_told_in_words() -> None:
    record = {"type": "object", "properties": {"lot": {}, "measurements": {}}, "required": ["lot"]}
    assert type_of({"anyOf": [{"type": "string"}, record]}) == ("string | {lot, measurements}", "")
    assert type_of({"type": "array", "items": {"$ref": "#/components/schemas/Result"}}) == ("list of Result", "Result")
    assert type_of({"type": ["string", "null"]}) == ("string | null", "")
    assert type_of({"type": "integer", "minimum": 0, "maximum": 20}) == ("integer ≥ 0 ≤ 20", "")
    assert [(field["name"], field["required"]) for field in fields_of(record)] == [
        ("lot", True),
        ("measurements", False),
    ]


def test_links_stand_below_the_root_of_a_proxy() -> None:
    with serving(app_of(Plant()), root_path="/quality") as at:
        told = httpx.get(at + "/").text
    assert 'href="/quality/check"' in told
    assert 'href="/check"' not in told


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


def test_both_languages_say_everything_with_the_same_values() -> None:
    assert {key for key, text in WORDS.items() if not (text.en and text.zh)} == set()
    assert {key for key, text in WORDS.items() if placeholders(text.en) != placeholders(text.zh)} == set()


def test_every_word_of_a_template_exists_and_none_is_left_over() -> None:
    sources = [path.read_text("utf-8") for path in TEMPLATES.iterdir()]
    sources += [Path(page_plots.__file__).read_text("utf-8")]
    said = " ".join(sources)
    asked = set(re.findall(r"""\b(?:t|say)\(f?["']([\w.\- ]+)["']\s*[,)]""", said))
    assert asked - set(WORDS) == set()
    quoted = set(re.findall(r"""["']([\w.\-]+)["']""", said))
    families = tuple(set(re.findall(r"""["'](\w[\w.]*\.)(?:\{|["'] ~)""", said)))
    assert {key for key in WORDS if key not in quoted and not key.startswith(families)} == {"site_id"}


def test_every_warning_decision_and_order_has_words() -> None:
    say = speaker("zh")
    assert [code for code in CODES if f"warning.{code}" not in WORDS] == []
    assert {sort.removeprefix("-") for sort in SORTS} == set(standing.SORTS)
    assert all(say(f"sort.{sort}") for sort in SORTS)
    with pytest.raises(KeyError):
        say("warning.nobody_wrote_this")


@pytest.mark.parametrize("language", ["en", "zh"])
def test_plots_take_fonts_and_colours_from_the_page(language: str) -> None:
    known = records()
    drawn = [
        page_plots.risk_over_time(known["history"], language=language, zone="Europe/Ljubljana"),
        page_plots.measurements(known["measurements"], language=language),
        page_plots.reliability(version("1", promote=True)["figures"]["reliability"]["bins"], language=language),
    ]
    for plot in drawn:
        assert re.search(r"style=|font-family|<style|xlink|DejaVu|w\d+w", plot) is None
        assert set(re.findall(r'(?:fill|stroke)="(#\w+)"', plot)) == set()
        assert plot.startswith("<svg") and "<title" in plot and "<desc" in plot
    assert "烘箱温度" in drawn[1]
    ids = [name for plot in drawn for name in re.findall(r' id="([^"]+)"', plot)]
    assert len(ids) == len(set(ids))


def test_a_characteristic_name_is_text_whatever_it_holds() -> None:
    row = records()["measurements"][0] | {"characteristic": "$a_1$ <b> & 批次"}
    assert "$a_1$ &lt;b&gt; &amp; 批次" in page_plots.measurements([row], language="en")


def test_without_anything_to_draw_there_is_no_plot() -> None:
    unlimited = [row for row in records()["measurements"] if row["within"] is None]
    assert page_plots.measurements(unlimited, language="en") == ""
    assert page_plots.risk_over_time([], language="en", zone="UTC") == ""
    assert page_plots.performance([], language="en") == ""
    assert page_plots.reliability([], language="en") == ""


def test_a_month_whose_lots_nobody_scored_is_not_called_too_young() -> None:
    month = dict.fromkeys(("predicted", "realised", "realised_low", "realised_high")) | {"judged": 5, "mature": 5}
    told = month | {"month": "2026-02", "predicted": 0.1, "realised": 0.2}
    months = [month | {"month": "2026-01"}, told]
    assert "too young" not in page_plots.performance(months, language="en")
    assert "too young" in page_plots.performance([*months, month | {"month": "2026-03", "mature": 0}], language="en")
