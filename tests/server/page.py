"""The web page of `pith serve` in Debian's headless Chromium (packages chromium and
chromium-driver): what a person does with it.
    page.py PITH [SCREENSHOTS]

Screenshots are written to that directory."""

import os
import shutil
import subprocess
import sys
import tempfile

from browser import ENTER, ESCAPE, RIGHT, Browser
from service import Checks, Service, make_models

check = Checks()
ANSWER = "return document.querySelector('.message.assistant:last-child p:first-of-type').textContent"
IDLE = "return !document.getElementById('send').hidden"


def answer_to(browser, text):
    """Types the text, waits for the whole answer."""
    browser.type(browser.find("#prompt"), text + ENTER)
    browser.wait("return document.querySelector('.message.assistant') !== null")
    browser.wait(IDLE, 120)
    return browser.run(ANSWER)


def set_value(browser, name, value):
    browser.run("document.getElementById(arguments[0]).value = arguments[1]", name, value)


def load(browser, service, model):
    browser.open("http://%s:%d/" % service.address)
    check("the page lists models", browser.wait(
        "return document.querySelectorAll('#model option').length > 0"))
    set_value(browser, "model", model)
    for name, value in (("temperature", "0"), ("top_p", "1"), ("top_k", "0"),
                        ("max_tokens", "40")):
        set_value(browser, name, value)


def chat(service, shots):
    with Browser() as browser:
        load(browser, service, "chat")
        check("encoders are no models to chat with", not browser.run(
            "return [...document.querySelectorAll('#model option')].some(o => o.value === 'minilm')"))
        found = answer_to(browser, "Who are you?")
        body = {"model": "chat", "temperature": 0, "max_tokens": 40,
                "messages": [{"role": "user", "content": "Who are you?"}]}
        wanted = service.json("POST", "/v1/chat/completions", body)[2]
        message = wanted["choices"][0]["message"]
        check("an answer is what the API says", found == message["content"], (found, message))
        note = browser.run("return document.querySelector('.message.assistant .note').textContent")
        check("the answer's tokens are counted", note.startswith(
            str(wanted["usage"]["completion_tokens"]) + " token"), note)
        second = answer_to(browser, "And who is she?")
        body["messages"] += [message, {"role": "user", "content": "And who is she?"}]
        wanted = service.json("POST", "/v1/chat/completions", body)[2]["choices"][0]
        check("the second turn knows the first", second == wanted["message"]["content"],
              (second, wanted))
        markup = "<img src=x onerror=alert(1)> & <b>bold</b>"
        answer_to(browser, markup)
        shown = browser.run("const m = document.querySelectorAll('.message.user'); "
                            "const last = m[m.length - 1]; "
                            "return [last.textContent, last.querySelectorAll('img, b').length]")
        check("a text is shown as text", shown == [markup, 0], shown)
        if shots:
            browser.screenshot(os.path.join(shots, "page-desktop.png"))
        check("nothing went wrong in the page", browser.problems() == [], browser.problems())


def completion(service, shots):
    with Browser(390, 780, dark=True) as browser:
        load(browser, service, "tale")
        found = answer_to(browser, "Once upon a time")
        wanted = service.json("POST", "/v1/completions", {
            "model": "tale", "prompt": "Once upon a time", "temperature": 0,
            "max_tokens": 40})[2]["choices"][0]["text"]
        check("a model without a chat format continues the text", found == wanted, (found, wanted))
        check("the page says so", "continues the text" in browser.run(
            "return document.getElementById('log').textContent"))
        wide = browser.run("return document.documentElement.scrollWidth > window.innerWidth")
        check("a phone shows it without scrolling sideways", not wide)
        dark = browser.run("return getComputedStyle(document.body).backgroundColor")
        check("dark where the system is dark", dark == "rgb(24, 26, 25)", dark)
        if shots:
            browser.screenshot(os.path.join(shots, "page-phone-dark.png"))


def stopping(service):
    with Browser() as browser:
        load(browser, service, "chat")
        set_value(browser, "max_tokens", "100000")
        browser.devtools("Network.enable")  # a slow line: else the small model is done too soon
        browser.devtools("Network.emulateNetworkConditions", offline=False, latency=0,
                         downloadThroughput=4000, uploadThroughput=-1)
        browser.type(browser.find("#prompt"), "Tell me everything." + ENTER)
        check("an answer streams", browser.wait(
            "const p = document.querySelector('.message.assistant p'); "
            "return p !== null && p.textContent.length > 20 && !document.getElementById('stop').hidden"))
        browser.press(ESCAPE)
        check("Escape stops it", browser.wait(IDLE, 10))
        check("and the answer says so", "stopped" in browser.run(
            "return document.querySelector('.message.assistant').textContent"))
        check("the focus is back where one types", browser.run(
            "return document.activeElement.id") == "prompt")
        browser.click("#clear")
        check("a new conversation is empty", browser.run(
            "return document.getElementById('log').children.length") == 0)


def searching(service):
    documents = [{"id": "one", "text": "the wolf knocked at the door"},
                 {"id": "two", "text": "rain and salt"}]
    service.json("POST", "/collections/notes/documents", {"documents": documents})
    with Browser() as browser:
        load(browser, service, "chat")
        browser.click("#tab-search")
        check("collections are offered", browser.wait(
            "return document.getElementById('collection').value") == "notes")
        browser.type(browser.find("#query"), "a wolf at the door" + ENTER)
        browser.wait("return document.querySelector('#hits .message') !== null")
        texts = browser.run("return [...document.querySelectorAll('#hits .message')]"
                            ".map(m => m.querySelector('p').textContent)")
        wanted = service.json("POST", "/collections/notes/search",
                              {"query": "a wolf at the door"})[2]["results"]
        check("results are those of the API", texts == [r["text"] for r in wanted] and texts,
              texts)
        check("nothing went wrong in the page", browser.problems() == [], browser.problems())


def usage(service):
    with Browser() as browser:
        load(browser, service, "chat")
        browser.run("document.getElementById('tab-chat').focus()")
        browser.press(RIGHT)
        browser.press(RIGHT)
        check("arrow keys lead from tab to tab", browser.run(
            "return document.activeElement.id") == "tab-usage")
        browser.wait("return document.querySelector('#report td') !== null")
        rows = browser.run("return [...document.querySelectorAll('#report tbody tr')]"
                           ".map(r => [...r.children].map(c => c.textContent))")
        wanted = {row["model"]: str(row["generated_tokens"])
                  for row in service.json("GET", "/usage")[2]["usage"]}
        check("the usage is that of the ledger", {r[0]: r[5] for r in rows} == wanted,
              (rows, wanted))
        bars = browser.run("return [...document.querySelectorAll('#report rect')]"
                           ".map(r => Number(r.getAttribute('height')))")
        check("the chart has twelve bars, the last one highest", len(bars) == 12 and
              bars[-1] == max(bars) > 0, bars)


def keys(pith, models, directory):
    database = os.path.join(directory, "usage.db")
    key = subprocess.run([pith, "keys", "add", database, "anna", "--infer-per-hour", "2"],
                         check=True, capture_output=True, text=True).stdout.strip()
    with Service(pith, "--models", models, "--db", database) as service, Browser() as browser:
        browser.open("http://%s:%d/" % service.address)
        check("without a key the page says what is missing", browser.wait(
            "const m = document.querySelector('.message.failed'); return m && m.textContent"))
        check("and opens the field for it", browser.run("return document.getElementById('access').open"))
        browser.run("const k = document.getElementById('key'); k.value = arguments[0]; "
                    "k.dispatchEvent(new Event('change'))", key)
        check("with the key it lists models", browser.wait(
            "return document.querySelectorAll('#model option').length > 0"))
        set_value(browser, "model", "chat")
        set_value(browser, "max_tokens", "5")
        answer_to(browser, "One")
        answer_to(browser, "Two")
        answer_to(browser, "Three")
        check("an exhausted quota is told", browser.run(
            "return document.querySelector('.message.assistant.failed') !== null"))
        browser.click("#tab-usage")
        meter = browser.wait("const m = document.querySelector('#report meter'); "
                             "return m && [m.value, m.max]")
        check("the quota that is left is shown", meter == [0, 2], meter)


def main():
    pith = os.path.abspath(sys.argv[1])
    shots = os.path.abspath(sys.argv[2]) if len(sys.argv) > 2 else None
    if shutil.which("chromedriver") is None:
        print("skipped: chromedriver (Debian: chromium and chromium-driver)")
        return 0
    if shots:
        os.makedirs(shots, exist_ok=True)
    with tempfile.TemporaryDirectory() as directory:
        models = make_models(pith, directory)
        with Service(pith, "--models", models) as service:
            chat(service, shots)
            completion(service, shots)
            stopping(service)
            searching(service)
            usage(service)
        keys(pith, models, directory)
    return check.finish()


if __name__ == "__main__":
    sys.exit(main())
