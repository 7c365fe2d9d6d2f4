"""The server's web page in a real Chromium: asks, streams, stops, keeps, copies, fits a telephone, obeys its own policy.

  web_page.py --url http://127.0.0.1:8080 [--key KEY] [--screenshots FOLDER]

Needs the Python package playwright and Debian's chromium."""

import argparse
import pathlib
import sys

from playwright.sync_api import expect, sync_playwright

MARKDOWN = ("# Title\n\nSome **bold**, *slanted* and `code`.\n\n- one\n  - deeper\n- two\n\n1. first\n2. second\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n"
            "```cpp\nint main() { return 0; }\n```\n\n> said\n\n[good](https://example.org) [bad](javascript:alert(1)) <img src=x onerror=alert(1)>")


class Page:
    def __init__(self, browser, options, **context):
        self.context = browser.new_context(**context)
        self.page = self.context.new_page()
        self.page.set_default_timeout(60_000)
        self.complaints = []
        self.page.on("console", lambda message: message.type == "error" and self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", self.see_request)
        self.url = options.url.rstrip("/")
        self.options = options

    def see_request(self, request):
        if not request.url.startswith((self.url, "blob:", "data:")):
            self.complaints.append(f"asks another host: {request.url}")

    def open(self, path="/"):
        self.page.goto(self.url + path)
        if self.options.key:
            expect(self.page.locator("#key-dialog")).to_be_visible()
            self.page.fill("#key", self.options.key)
            self.page.click("#key-dialog .primary")
            self.complaints.clear()  # that a key was wanted is written to the console
        expect(self.page.locator("#model option").first).to_be_attached()

    def shoot(self, name):
        if self.options.screenshots:
            folder = pathlib.Path(self.options.screenshots)
            folder.mkdir(parents=True, exist_ok=True)
            self.page.screenshot(path=folder / f"{name}.png")

    def ask(self, text):
        self.page.fill("#prompt", text)
        self.page.press("#prompt", "Enter")

    def close(self):
        assert not self.complaints, self.complaints
        self.context.close()


def chats(browser, options):
    view = Page(browser, options, viewport={"width": 1200, "height": 800}, color_scheme="dark")
    view.open()
    page = view.page
    page.click("#options summary")
    page.fill("#max-tokens", "60")
    page.fill("#temperature", "0")
    page.click("#options summary")
    view.shoot("empty")
    view.ask("Write a short list of three fruits.")
    expect(page.locator(".question .bubble")).to_have_text("Write a short list of three fruits.")
    expect(page.locator(".answer:not(.running) .caption")).to_contain_text("tok/s")
    first = page.locator(".answer .text").text_content()
    assert first.strip(), "the answer is empty"
    view.shoot("answer-dark")
    page.click("#theme")
    view.shoot("answer-light")

    # Stopped in the middle: what came is kept and said to be stopped.
    page.click("#options summary")
    page.fill("#max-tokens", "")
    page.click("#options summary")
    view.ask("Tell a very long story about a miller and his daughter, with many chapters.")
    expect(page.locator(".answer.running .text").last).not_to_have_text("")
    page.click("#send")
    expect(page.locator(".answer .caption").last).to_contain_text("stopped by you")

    # The chat is still there after the page was loaded again.
    page.reload()
    expect(page.locator("#chats .open").first).to_have_text("Write a short list of three fruits.")
    page.locator("#chats .open").first.click()
    expect(page.locator(".answer .text").first).to_have_text(first)
    expect(page.locator(".question")).to_have_count(2)
    page.on("dialog", lambda dialog: dialog.accept())
    page.locator("#chats li").first.hover()
    page.locator("#chats .remove").first.click()
    expect(page.locator("#chats .open")).to_have_count(0)
    view.close()


def renders(browser, options):
    """Markdown becomes elements, and what is hostile in it becomes text."""
    view = Page(browser, options, viewport={"width": 1200, "height": 800})
    view.context.grant_permissions(["clipboard-read", "clipboard-write"])
    view.open()
    page = view.page
    page.evaluate("""async (text) => {
      const {showMarkdown} = await import('/web/markdown.js');
      const target = document.createElement('div');
      target.id = 'rendered';
      document.getElementById('messages').replaceChildren(target);
      target.className = 'answer text';
      // As it streams: every beginning of the text.
      for (let end = 1; end <= text.length; ++end) showMarkdown(target, text.slice(0, end));
      const whole = document.createElement('div');
      showMarkdown(whole, text);
      if (whole.innerHTML !== target.innerHTML) throw new Error('streamed and whole differ');
    }""", MARKDOWN)
    found = page.locator("#rendered")
    for selector, text in (("h3", "Title"), ("strong", "bold"), ("em", "slanted"), ("p code", "code"), ("ul ul li", "deeper"), ("ol li >> nth=1", "second"),
                           ("td >> nth=1", "2"), ("pre", "int main() { return 0; }"), ("blockquote", "said"), ("a", "good")):
        expect(found.locator(selector).first).to_contain_text(text)
    expect(found.locator("a")).to_have_count(1)
    expect(found.locator("img")).to_have_count(0)
    expect(found).to_contain_text("<img src=x onerror=alert(1)>")
    found.locator(".code .copy").click()
    expect(found.locator(".code .copy")).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == "int main() { return 0; }"
    refused = page.evaluate("""() => new Promise((resolve) => {
      document.addEventListener('securitypolicyviolation', (event) => resolve(event.violatedDirective));
      const script = document.createElement('script');
      script.textContent = 'window.broken = true';
      document.body.append(script);
      setTimeout(() => resolve('nothing'), 2000);
    })""")
    assert refused.startswith("script-src"), refused
    view.complaints = [text for text in view.complaints if "Content Security Policy" not in text and "Content-Security-Policy" not in text]
    view.close()


def fits_a_telephone(browser, options):
    view = Page(browser, options, viewport={"width": 360, "height": 740}, device_scale_factor=2, has_touch=True, is_mobile=True)
    view.open()
    page = view.page
    view.ask("Hello!")
    expect(page.locator(".answer:not(.running) .caption")).to_contain_text("tokens")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "wider than the screen"
    view.shoot("telephone")
    page.click("#toggle-list")
    expect(page.locator("#chats .open").first).to_be_visible()
    view.shoot("telephone-list")
    view.close()


def shows_status(browser, options):
    view = Page(browser, options, viewport={"width": 1200, "height": 900}, color_scheme="dark")
    view.open("/#status")
    page = view.page
    expect(page.locator(".figure .value").first).not_to_have_text("–")
    expect(page.locator("#charts .card")).to_have_count(4)
    expect(page.locator("#models tbody tr").first).to_be_visible()
    page.wait_for_timeout(4000)
    assert int(page.locator(".figure .value").first.inner_text().replace(",", "")) > 0, "no request was counted"
    view.shoot("status-dark")
    page.click("#theme")
    view.shoot("status-light")
    view.close()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", required=True)
    parser.add_argument("--key", default="")
    parser.add_argument("--screenshots", default="")
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    options = parser.parse_args()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=options.chromium, args=["--no-sandbox"])
        for part in (chats, renders, fits_a_telephone, shows_status):
            part(browser, options)
            print(f"{part.__name__}: as it should be")
        browser.close()


if __name__ == "__main__":
    sys.exit(main())
