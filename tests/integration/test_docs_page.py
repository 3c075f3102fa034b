"""The API's page: all that it loads comes from us, and our policy lets it run."""

import re
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

import httpx
import pytest

PAGE = "https://test/docs"
# Which directive of the policy rules over what an element loads.
DIRECTIVES = {("script", "src"): "script-src", ("link", "href"): "style-src", ("a", "href"): None}
TYPES = {
    ".js": "text/javascript",
    ".css": "text/css",
    ".png": "image/png",
    ".json": "application/json",
}


class Page(HTMLParser):
    """What a page loads, and what it would run without loading it."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.loads: list[tuple[str, str, str]] = []
        self.inline: list[str] = []
        self._script_without_source = False
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        for name, value in given.items():
            if name in {"src", "href", "action", "srcset", "data", "poster"}:
                self.loads.append((tag, name, value or ""))
            if name == "style" or name.startswith("on"):
                self.inline.append(f"{tag} {name}")
        if tag == "style" or (tag == "script" and "src" not in given):
            self.inline.append(tag)


def policy_of(answer: httpx.Response) -> dict[str, set[str]]:
    directives = answer.headers["content-security-policy"].split(";")
    return {name: set(values) for name, *values in map(str.split, directives)}


def is_local(url: str) -> bool:
    return urlsplit(urljoin(PAGE, url)).netloc == "test"


async def test_every_address_of_the_page_is_ours_and_may_be_loaded(
    client: httpx.AsyncClient,
) -> None:
    answer = await client.get("/docs")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    page, policy = Page(answer.text), policy_of(answer)
    assert {url.rpartition("/")[2] for _, _, url in page.loads} == {
        "swagger-ui.css",
        "swagger-ui-bundle.js",
        "docs.js",
        "favicon-32x32.png",
        "openapi.json",
    }
    for tag, name, url in page.loads:
        assert is_local(url), url
        loaded = await client.get(url)
        assert loaded.status_code == 200, url
        kind = TYPES["." + url.rpartition(".")[2]]
        # With nosniff, a browser runs no script and applies no sheet of another type.
        assert loaded.headers["content-type"].split(";")[0] == kind
        assert loaded.headers["x-content-type-options"] == "nosniff"
        directive = "img-src" if url.endswith(".png") else DIRECTIVES[tag, name]
        assert directive is None or "'self'" in policy[directive]


async def test_the_policy_is_strict_and_nothing_in_the_page_breaks_it(
    client: httpx.AsyncClient,
) -> None:
    answer = await client.get("/docs")
    policy = policy_of(answer)
    assert policy.pop("img-src") == {"'self'", "data:"}
    assert {name for name, values in policy.items() if values == {"'self'"}} == {
        "script-src",
        "style-src",
        "connect-src",
    }
    assert {name for name, values in policy.items() if values == {"'none'"}} == {
        "default-src",
        "form-action",
        "base-uri",
        "frame-ancestors",
    }
    assert len(policy) == 7
    assert Page(answer.text).inline == []


async def test_what_the_files_load_is_ours_too(client: httpx.AsyncClient) -> None:
    start = (await client.get("/static/docs.js")).text
    assert re.findall(r'url: "([^"]+)"', start) == ["/openapi.json"]
    assert "validatorUrl: null" in start
    assert "http" not in start
    sheet = (await client.get("/static/swagger-ui.css")).text
    assert "@import" not in sheet
    loaded = re.findall(r"url\(\s*[\"']?([^\"')]{5})", sheet)
    assert loaded
    assert set(loaded) == {"data:"}


async def test_other_pages_run_no_script(client: httpx.AsyncClient) -> None:
    for path in ("/", "/t/123", "/static/docs.js", "/healthz"):
        policy = policy_of(await client.get(path))
        assert policy["default-src"] == {"'none'"}
        assert "script-src" not in policy


@pytest.mark.parametrize(
    "path",
    [
        "/static/none.js",
        "/static/../pages.py",
        "/static/%2e%2e/routes.py",
        "/static/main.py",
        "/static/",
        "/redoc",
        "/docs/oauth2-redirect",
    ],
)
async def test_nothing_else_is_served(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
