"""Messages: pasted or from a file, scored by a real service, with the spans that made the score."""

import csv
import io
import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from ...conftest import Service
from .conftest import OpenPage

pytestmark = pytest.mark.slow

SPAM = "WINNER!! Claim your free prize now, call 09012345678"
ASTRAL = "😂𝒳 free entry 😂😂 in a weekly draw, e\u0301t voilà 👩‍👩‍👧 call 09012345678 now"
HARMLESS = "See you at six, mum"
SIGNS = "😂😂 !!"
FOREIGN = "Kommst du heute Abend noch vorbei?"
INJECTION = (
    "<img src=x onerror=\"document.title='hit'\"><script>document.title='hit'</script> free prize"
)


def open_messages(open_page: OpenPage, service: Service, model: str = "spam", **how: Any) -> Page:
    page = open_page(f"{service.url}/", **how)
    page.locator("select[name=model]").select_option(model)
    expect(page.locator(".about em")).to_have_text(model)
    return page


def score(page: Page, *texts: str) -> None:
    """Paste messages, and wait for their explanations."""
    page.locator("textarea").fill("\n".join(texts))
    page.get_by_role("button", name=re.compile("^Score ")).click()
    expect(page.locator(".result")).to_have_count(len(texts))


def upload(page: Page, content: bytes, name: str = "mine.csv") -> None:
    page.set_input_files(
        "input[type=file]", {"name": name, "mimeType": "text/csv", "buffer": content}
    )


def drop(page: Page, content: str, name: str) -> None:
    """Drop a file onto the field of messages."""
    dropped = page.evaluate_handle(
        """([content, name]) => {
            const dropped = new DataTransfer();
            dropped.items.add(new File([content], name));
            return dropped;
        }""",
        [content, name],
    )
    for event in ("dragover", "drop"):
        page.locator("textarea").dispatch_event(event, {"dataTransfer": dropped})


def download(page: Page, delimiter: str = ",") -> list[list[str]]:
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Download as CSV").click()
    content = Path(waiting.value.path()).read_bytes()
    assert content.startswith(b"\xef\xbb\xbf")
    file = io.StringIO(content.decode("utf-8-sig"), newline="")
    return list(csv.reader(file, strict=True, delimiter=delimiter))


def test_what_made_the_scores_is_marked(service: Service, open_page: OpenPage) -> None:
    texts = [SPAM, ASTRAL, HARMLESS, SIGNS, FOREIGN, INJECTION]
    page = open_messages(open_page, service)
    score(page, *texts)
    expect(page.locator(".sum")).to_have_count(len(texts) - 1)
    body = {"texts": texts, "explain": 20}
    results = service.post("/classify/spam", json=body).json()["results"]
    for text, result, row in zip(texts, results, page.locator(".result").all(), strict=True):
        assert row.locator(".text").text_content() == text
        found = row.locator("mark").all_text_contents()
        spans = [(one["start"], one["end"]) for one in result["explanation"]["spans"]]
        assert set(found) <= {text[start:end] for start, end in spans}
        raised, lowered = (
            {
                text[one["start"] : one["end"]]
                for one in result["explanation"]["spans"]
                if (one["contribution"] > 0) is is_raised
            }
            for is_raised in (True, False)
        )
        assert set(row.locator("mark.raises").all_text_contents()) <= raised
        assert set(row.locator("mark.lowers").all_text_contents()) <= lowered
        strongest = max(result["explanation"]["spans"], key=lambda one: one["contribution"])
        if result["label"] == "spam":
            assert text[strongest["start"] : strongest["end"]] in found
            expect(row.locator(".badge")).to_have_text("flagged")
    badges = page.locator(".badge").all_text_contents()
    assert badges[:4] == ["flagged", "flagged", "not flagged", "nothing to judge"]
    expect(page.locator(".result").nth(3)).to_contain_text("No word has a letter")
    expect(page.locator(".result").nth(4)).to_contain_text("knows few of these words")
    # What was submitted is text, never elements.
    assert page.title() == "Messages · Dandelion"
    assert page.locator(".results img, .results script").count() == 0
    # What is not seen is said, too.
    page.locator(".result").first.locator("summary").click()
    shown = page.locator(".result").first.locator("tbody tr").count()
    assert shown == 3 + len(results[0]["explanation"]["spans"])


def test_each_text_has_its_own_direction(service: Service, open_page: OpenPage) -> None:
    page = open_messages(open_page, service)
    score(page, "سلام (free)!", HARMLESS)
    expect(page.locator(".sum")).to_have_count(2)
    directions = "elements => elements.map((one) => getComputedStyle(one).direction)"
    assert page.locator(".result .text").evaluate_all(directions) == ["rtl", "ltr"]


LINE = """(mark) => {
    const { borderBottomStyle, borderBottomWidth } = getComputedStyle(mark);
    return [borderBottomStyle, parseFloat(borderBottomWidth)];
}"""


def test_marks_differ_by_more_than_their_colours(service: Service, open_page: OpenPage) -> None:
    """By the style of their lines, and the strength by its width; the legend shows both."""
    page = open_messages(open_page, service)
    score(page, SPAM, HARMLESS)
    expect(page.locator(".sum")).to_have_count(2)
    for name, words, style in (
        ("raises", "raised it", "solid"),
        ("lowers", "lowered it", "dashed"),
    ):
        legend = page.locator(".legend span", has_text=words).locator("mark")
        shown = legend.evaluate_all(f"marks => marks.map({LINE})")
        assert [line for line, _ in shown] == [style] * 3
        widths = [width for _, width in shown]
        assert widths == sorted(set(widths))
        marks = page.locator(f".results mark.{name}").evaluate_all(f"marks => marks.map({LINE})")
        assert marks
        assert all(one in shown for one in marks)


def test_results_are_narrowed_and_sorted(service: Service, open_page: OpenPage) -> None:
    page = open_messages(open_page, service)
    score(page, HARMLESS, SPAM, SIGNS)
    page.get_by_role("button", name="1 flagged", exact=True).click()
    expect(page.locator(".result")).to_have_count(1)
    expect(page.locator(".text")).to_have_text(SPAM)
    page.get_by_role("button", name="1 flagged", exact=True).click()
    page.get_by_label("Highest scores first").check()
    expect(page.locator(".text").first).to_have_text(SPAM)
    expect(page.locator(".text").last).to_have_text(SIGNS)


def test_messages_may_have_several_lines(service: Service, open_page: OpenPage) -> None:
    page = open_messages(open_page, service)
    page.locator("textarea").fill("Hello,\nsee you\n\n\nBye\n")
    button = page.get_by_role("button", name=re.compile("^Score "))
    expect(button).to_have_text("Score 2 messages")
    page.locator("select[name=separation]").select_option("lines")
    expect(button).to_have_text("Score 3 messages")
    page.locator("select[name=separation]").select_option("one")
    expect(button).to_have_text("Score 1 message")


def test_few_blank_lines_join_no_messages(service: Service, open_page: OpenPage) -> None:
    page = open_messages(open_page, service)
    lines = [f"Message {number}" for number in range(12)]
    page.locator("textarea").fill("\n".join([*lines[:5], "", *lines[5:]]))
    expect(page.get_by_role("button", name="Score 12 messages")).to_be_enabled()
    expect(page.locator(".separation")).to_contain_text("There are blank lines")
    page.locator("select[name=separation]").select_option("blocks")
    expect(page.get_by_role("button", name="Score 2 messages")).to_be_enabled()
    expect(page.locator(".separation")).not_to_contain_text("There are blank lines")


def test_a_long_message_is_folded(service: Service, open_page: OpenPage) -> None:
    page = open_messages(open_page, service)
    score(page, "word " * 3000, HARMLESS, "x" * 100_001)
    long = page.locator(".result").first
    folded = long.bounding_box()
    assert folded is not None
    assert folded["height"] < 400
    long.get_by_role("button", name="Show all 14,999 characters").click()
    expect(long.get_by_role("button", name="Show less")).to_have_attribute("aria-expanded", "true")
    unfolded = long.bounding_box()
    assert unfolded is not None
    assert unfolded["height"] > folded["height"]
    expect(page.locator(".result").last).to_contain_text("longer than the 100,000 characters")


def test_a_score_below_the_threshold_never_looks_equal(
    service: Service, open_page: OpenPage
) -> None:
    page = open_messages(open_page, service)
    shown = page.evaluate(
        """async () => {
            const { scoreNextTo } = await import("./static/page/format.js");
            const values = [0.87381, 0.87397, 0.9, 0.0001, 0.99999];
            return values.map((value) => scoreNextTo(value, 0.87396));
        }"""
    )
    assert shown == ["<0.874", "0.874", "0.900", "<0.001", ">0.999"]


def test_durations_have_no_sixtieth_second(service: Service, open_page: OpenPage) -> None:
    page = open_messages(open_page, service)
    shown = page.evaluate(
        """async () => {
            const { duration } = await import("./static/page/format.js");
            return [0.4, 59.4, 59.6, 119.7, 3599.8].map(duration);
        }"""
    )
    assert shown == ["less than a second", "59 s", "1 min 0 s", "2 min 0 s", "1 h 0 min"]


def test_more_than_two_labels(service: Service, open_page: OpenPage) -> None:
    page = open_messages(open_page, service, "cyberbullying_type")
    score(page, HARMLESS, SIGNS)
    expected = service.post("/classify/cyberbullying_type", json={"texts": [HARMLESS]}).json()
    (result,) = expected["results"]
    row = page.locator(".result").first
    expect(row.locator(".badge")).to_have_text(result["label"])
    row.get_by_text("Score of each label").click()
    assert row.locator("details").last.locator("tr").count() == len(result["scores"])
    rows = download(page)
    assert rows[1][:2] == [HARMLESS, result["label"]]
    # The label of a text without content has a probability, which is none of the text.
    response = service.post("/classify/cyberbullying_type", json={"texts": [SIGNS]}).json()
    assert response["results"][0]["score"] > 0
    without = page.locator(".result").last
    expect(without.locator(".badge")).to_have_text("nothing to judge")
    expect(without.locator(".meter, details, mark")).to_have_count(0)


def test_the_card_says_what_a_model_is_not_for(service: Service, open_page: OpenPage) -> None:
    page = open_messages(open_page, service)
    expect(page.locator(".about")).to_contain_text("E-mail is out of scope")
    page.get_by_role("button", name="Read the whole card").click()
    card = page.locator("dialog[open]")
    assert card.locator("td").count() > 50
    assert "|" not in card.inner_text().replace("|x|", "")
    page.keyboard.press("Escape")
    expect(card).to_have_count(0)


ROWS = [
    ["id", "Message text", "when", "note"],
    ["007", f"{SPAM}; really", "2026-11-26", '=HYPERLINK("http://x.example")'],
    ["008", 'Two lines,\nand "quotes", 😂', "", "-1.5"],
    ["009", "", " kept ", "@home"],
]


def as_csv(rows: list[list[str]], **options: Any) -> str:
    file = io.StringIO()
    csv.writer(file, **options).writerows(rows)
    return file.getvalue()


FILES = {
    "comma": as_csv(ROWS).encode("utf-8-sig"),
    "semicolon": as_csv(ROWS, delimiter=";", lineterminator="\n").encode(),
    "UTF-16": as_csv(ROWS, delimiter="\t").encode("utf-16"),
    "big-endian": b"\xfe\xff" + as_csv(ROWS).encode("utf-16-be"),
}


def test_a_csv_file_is_scored(service: Service, open_page: OpenPage) -> None:
    page = open_messages(open_page, service)
    texts = [row[1] for row in ROWS[1:]]
    expected = service.post("/classify/spam", json={"texts": texts}).json()["results"]
    for name, content in FILES.items():
        upload(page, content, name)
        expect(page.locator(".file strong")).to_have_text(name)
        expect(page.locator("select[name=column]")).to_have_value("1")
        page.get_by_role("button", name="Score 3 messages").click()
        expect(page.locator(".outcome > [role=status]")).to_have_text("Done: 3 messages")
        page.get_by_label(re.compile("Safe for spreadsheets")).uncheck()
        rows = download(page, {"semicolon": ";", "UTF-16": "\t"}.get(name, ","))
        assert rows[0] == [*ROWS[0], "label", "score", "decision", "dandelion_note"]
        for row, kept, result in zip(rows[1:], ROWS[1:], expected, strict=True):
            assert row[:4] == kept
            assert row[4] == result["label"]
            assert (float(row[5]) if row[5] else None) == result["score"]
        assert [row[6] for row in rows[1:]] == ["positive", "negative", "none"]
        assert rows[3][7] == "no_content"


def test_a_file_can_be_scored_again_and_again(service: Service, open_page: OpenPage) -> None:
    page = open_messages(open_page, service)
    added = ["label", "score", "decision", "note"]
    columns = ["text", *added, "dandelion_note (2)", *(f"dandelion_{name}" for name in added)]
    upload(page, as_csv([columns, [HARMLESS, *columns[1:]]]).encode())
    page.get_by_role("button", name="Score 1 message").click()
    header, row = download(page)
    numbers = [2, 2, 2, 3]
    new = [f"dandelion_{name} ({at})" for name, at in zip(added, numbers, strict=True)]
    assert header == [*columns, *new]
    assert row[:-4] == [HARMLESS, *columns[1:]]


def test_cells_that_a_spreadsheet_would_run_are_defused(
    service: Service, open_page: OpenPage
) -> None:
    page = open_messages(open_page, service)
    upload(page, as_csv(ROWS).encode())
    page.get_by_role("button", name="Score 3 messages").click()
    expect(page.get_by_label("2 cells that would run as a formula")).to_be_checked()
    notes = [row[3] for row in download(page)[1:]]
    assert notes == [f"'{ROWS[1][3]}", "-1.5", "'@home"]


def test_a_file_of_a_spreadsheet_in_another_language(service: Service, open_page: OpenPage) -> None:
    """The line that names the separator is no row, and a decimal comma makes no formula."""
    page = open_messages(open_page, service)
    rows = [
        ["id", "text", "sum", "note"],
        ["1", "Grüße, free", "-0,5", "＝1+1"],
        ["2", "5 €", "-1.234,50", "-"],
    ]
    content = as_csv(rows, delimiter=";").encode("windows-1252", "replace")
    for start in (b"", b"sep=;\r\n", b"\xef\xbb\xbf"):  # the mark of UTF-8, before none
        upload(page, start + content)
        expect(page.locator("select[name=column]")).to_have_value("1")
        page.get_by_role("button", name="Score 2 messages").click()
        expect(page.get_by_label("1 cell that would run as a formula")).to_be_checked()
        found = download(page, ";")
        assert found[0][:4] == rows[0]
        assert [row[:3] for row in found[1:]] == [row[:3] for row in rows[1:]]
        assert [row[3] for row in found[1:]] == ["?1+1", "'-"]
    upload(page, b"sep=;\ntext;id\na;b;1\n")
    expect(page.locator(".source [role=alert]")).to_contain_text("Row 3 has 3 fields")


BROKEN = {
    b"": "no row below the first one",
    b"text\n": "no row below the first one",
    b'text,id\n"open,1\n': "quotation mark",
    b"PK\x03\x04" + bytes(range(256)): "save the sheet as CSV",
    b"Hello\nYes, I do\n": "the first row names 1 column",
    b"text,id\na,b,1\n": "Row 2 has 3 fields, but the first row names 2 columns",
}


def test_a_broken_file_is_refused(service: Service, open_page: OpenPage) -> None:
    page = open_messages(open_page, service)
    for content, message in BROKEN.items():
        upload(page, content)
        expect(page.locator(".source [role=alert]")).to_contain_text(message)


def test_another_column_can_be_chosen(service: Service, open_page: OpenPage) -> None:
    page = open_messages(open_page, service)
    drop(page, "a,comment_text,id\nthis is the longest of them,short,1\n", "dropped.csv")
    expect(page.locator(".file strong")).to_have_text("dropped.csv")
    expect(page.locator("select[name=column]")).to_have_value("1")
    upload(page, "text,b,text\n1,the longest of them: 5 € for a café,2\n".encode("windows-1252"))
    expect(page.locator("select[name=column]")).to_have_value("1")
    expect(page.locator(".sample")).to_contain_text("5 € for a café")
    page.locator("select[name=column]").select_option("text (2)")
    expect(page.locator(".sample")).to_contain_text("2")
    page.get_by_role("button", name="Remove").click()
    expect(page.locator("textarea")).to_be_visible()


def test_a_large_file_can_be_cancelled(service: Service, open_page: OpenPage) -> None:
    """The third request is held until the user has cancelled."""
    page = open_messages(open_page, service)
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)
        if len(held) < 3:
            route.continue_()

    page.route("**/classify/**", hold)
    rows = [["text", "id"], *([HARMLESS, str(number)] for number in range(5000))]
    upload(page, as_csv(rows).encode())
    page.get_by_role("button", name="Score 5,000 messages").click()
    expect(page.locator("progress")).to_have_js_property("value", 2048)
    expect(page.locator(".progress-line")).to_contain_text("2,048 of 5,000 messages")
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator(".notice")).to_contain_text("2,048 of 5,000 messages scored")
    page.unroute("**/classify/**")
    found = download(page)
    assert [row[1] for row in found[1:]] == [row[1] for row in rows[1:]]
    assert [row[5] for row in found[1:]].count("not scored") == 5000 - 2048
