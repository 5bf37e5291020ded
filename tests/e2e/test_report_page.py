"""The report in a browser: it draws, shows its points, fits a phone, and makes no request."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from maskgit_lab.ablation.reading import find_runs, short_names
from maskgit_lab.ablation.studies import studies
from maskgit_lab.report.chapters import make_report
from maskgit_lab.report.pages import html_page
from synthetic_runs import SCHEDULES, make_everything

CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
DISTANCE = "#study-1-fd_classifier"
PAPER = 703  # pixels of a page of A4 between its margins
LOCAL = ("file:", "data:", "blob:")
SIZES = {"phone": (390, 844), "desktop": (1280, 900)}


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    runs = find_runs(make_everything(folder / "runs"))
    report = make_report(runs, studies(runs), short_names(runs), bootstrap=50, seed=0)
    (folder / "report.html").write_text(html_page(report))
    return folder / "report.html"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        yield (launched := playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS))
        launched.close()


class Opened:
    """A page, and all that went wrong on it."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.errors: list[str] = []
        self.requests: list[str] = []
        page.on("console", lambda message: self.errors.append(message.text))
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", lambda request: self.requests.append(request.url))

    def names(self, plot: str) -> set[str]:
        """The names of the traces that a figure shows."""
        return set(
            self.page.eval_on_selector(plot, "e => e.data.filter(t => t.visible !== false).map(t => t.name)"),
        )


@pytest.fixture(scope="module", params=SIZES)
def opened(request, browser, report) -> Iterator[Opened]:
    width, height = SIZES[request.param]
    page = browser.new_page(viewport={"width": width, "height": height})
    found = Opened(page)
    page.goto(report.as_uri())
    for plot in page.locator(".plot").all():
        plot.scroll_into_view_if_needed()
    page.wait_for_function("[...document.querySelectorAll('.plot')].every(e => e.querySelector('.main-svg'))")
    yield found
    page.close()


def test_every_schedule_is_drawn_in_ours_and_in_the_papers(opened):
    expected = {name.replace("_", " ") for name in SCHEDULES}
    assert opened.names(DISTANCE) - {"held-out images", "reconstructions"} == expected
    assert opened.names("#study-1-paper") == expected
    assert opened.page.locator(f"{DISTANCE} .scatterlayer .trace").count() >= 3 * len(SCHEDULES)
    assert set(opened.page.locator(".legend button").all_inner_texts()) == expected


@pytest.mark.parametrize(
    ("schedule", "steps", "value"), [("cosine", 8, "FD 7.61 (7.58 to 7.63)"), ("logarithmic", 4, "FD 171.")]
)
def test_hovering_shows_the_point(opened, schedule, steps, value):
    opened.page.locator(DISTANCE).scroll_into_view_if_needed()
    x, y = opened.page.eval_on_selector(
        DISTANCE,
        """(e, [name, steps]) => {
            const line = e.data.find(t => t.name === name && t.mode === "lines+markers"), i = line.x.indexOf(steps);
            const box = e.getBoundingClientRect(), {xaxis, yaxis} = e._fullLayout;
            return [box.x + xaxis._offset + xaxis.c2p(line.x[i]), box.y + yaxis._offset + yaxis.c2p(line.y[i])];
        }""",
        [schedule, steps],
    )
    opened.page.mouse.move(x, y + 12)
    opened.page.mouse.move(x, y)
    label = opened.page.locator(f"{DISTANCE} .hoverlayer .hovertext", has_text=f"{schedule}, T = {steps}")
    label.wait_for(timeout=5000)
    text = label.text_content()
    assert value in text and "2 seeds: 0, 1" in text and "n = 1,437 samples each" in text


def test_a_press_hides_a_schedule_in_every_figure(opened):
    button = opened.page.locator('.legend button[data-schedule="linear"]')
    button.click()
    assert all("linear" not in opened.names(plot) for plot in (DISTANCE, "#study-1-paper", "#study-1-recall"))
    assert button.get_attribute("aria-pressed") == "false"
    button.click()
    assert "linear" in opened.names(DISTANCE)


def test_nothing_is_wider_than_the_screen(opened):
    width = opened.page.viewport_size["width"]
    assert opened.page.evaluate("document.documentElement.scrollWidth") == width
    wide = opened.page.evaluate(
        """width => [...document.querySelectorAll("main > *, .plot, .plot .main-svg, .scroll, img, .ranks, .legend")]
            .filter(e => e.getBoundingClientRect().right > width + 1).map(e => e.outerHTML.slice(0, 80))""",
        width,
    )
    assert wide == []


def test_samples_are_shown_pixel_by_pixel(opened):
    images = opened.page.locator(".tiles img")
    assert images.count() == len(SCHEDULES)
    images.first.scroll_into_view_if_needed()
    opened.page.wait_for_function("document.querySelector('.tiles img').naturalWidth === 192")
    assert images.first.evaluate("e => getComputedStyle(e).imageRendering") == "pixelated"


def test_there_are_no_errors_and_no_requests(opened):
    assert opened.errors == []
    assert opened.requests and all(url.startswith(LOCAL) for url in opened.requests)


def brightness(page: Page, selector: str, colour: str) -> float:
    """Of a computed colour, from 0 to 1."""
    text = page.eval_on_selector(selector, f"e => getComputedStyle(e).{colour}")
    return sum(int(part) for part in re.findall(r"\d+", text)[:3]) / (3 * 255)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_lines_and_axes_can_be_read_on_a_light_and_on_a_dark_page(browser, report, scheme):
    page = browser.new_page(viewport={"width": 1280, "height": 900}, color_scheme=scheme)
    page.goto(report.as_uri())
    page.wait_for_selector(f"{DISTANCE} .main-svg")
    paper, is_dark = brightness(page, "body", "backgroundColor"), scheme == "dark"
    assert (paper < 0.2) == is_dark
    texts = ("body", "h4", "figcaption p", ".fact span", ".warnings li", ".legend button", "th", "td", ".ranks text")
    for selector in (*texts, ".switch"):
        assert abs(brightness(page, selector, "color") - paper) > 0.4, selector
    assert abs(brightness(page, f"{DISTANCE} .xtick text", "fill") - paper) > 0.4
    lines = page.eval_on_selector_all(
        f"{DISTANCE} .js-line", "several => several.map(e => getComputedStyle(e).stroke).join(' ')"
    )
    black, white = "rgb(0, 0, 0)", "rgb(242, 244, 247)"
    assert (white in lines, black in lines) == (is_dark, not is_dark)
    assert page.eval_on_selector(".legend [data-schedule=linear] path", "e => getComputedStyle(e).stroke") == (
        white if is_dark else black
    )
    page.close()


def test_on_paper_nothing_is_cut_hidden_or_dark(browser, report, tmp_path):
    page = browser.new_page(viewport={"width": 1280, "height": 900}, color_scheme="dark")
    page.goto(report.as_uri())
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print")
    page.set_viewport_size({"width": PAPER, "height": 1030})
    assert page.evaluate("document.documentElement.scrollWidth") <= PAPER
    cut = page.evaluate(
        """width => [...document.querySelectorAll(".plot .main-svg, table, .ranks, .legend, img, dd")]
            .filter(e => e.getBoundingClientRect().right > width + 1).map(e => e.outerHTML.slice(0, 80))""",
        PAPER,
    )
    assert cut == []
    assert page.locator("details:not([open])").count() == 0 and not page.locator(".switch").first.is_visible()
    assert page.eval_on_selector(".scroll", "e => getComputedStyle(e).overflowX") == "visible"
    lines = page.eval_on_selector_all(
        f"{DISTANCE} .js-line", "all => all.map(e => getComputedStyle(e).stroke).join(' ')"
    )
    assert "rgb(0, 0, 0)" in lines and brightness(page, "body", "color") < 0.3
    page.emulate_media(media="screen")
    page.set_viewport_size({"width": 1280, "height": 900})
    page.evaluate("window.dispatchEvent(new Event('afterprint'))")
    page.wait_for_function(
        f"document.querySelector('{DISTANCE} .main-svg').getBoundingClientRect().width < 600"  # as before on a screen
    )
    assert page.locator("details[open]").count() == 0
    page.close()


def test_the_map_turns_into_a_surface_and_back(browser, report):
    """On a page of its own: without a graphics card Chromium warns of its own slowness in three dimensions."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    opened = Opened(page)
    page.goto(report.as_uri())
    plot, button = "#study-1-surface-choice_temperature-cosine", page.locator(".switch").first
    button.click()
    page.wait_for_selector(f"{plot} .gl-container canvas, {plot} .no-webgl")
    assert page.eval_on_selector(plot, "e => e.data.map(t => t.type)") == ["surface", "scatter3d"]
    button.click()
    page.wait_for_selector(f"{plot} .heatmaplayer image")
    assert all(url.startswith(LOCAL) for url in opened.requests)
    page.close()
