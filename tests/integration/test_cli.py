"""`ypt`: what each command answers, complains about, and never tells."""

import asyncio
import base64
import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest
from pydantic import SecretStr
from typer.main import get_command

from app import cli
from app.core.db import Database
from app.core.settings import Settings
from app.signing import token
from app.signing.token import Claims, Flags, TokenType
from tests.conftest import START, TEST_SECRET, Server
from tests.story import Books, tell
from tests.terminal import Said, say

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 60

Ypt = Callable[..., Said]


@pytest.fixture
def ypt(database_url: str) -> Ypt:
    """Run commands on a migrated database of the test's own, as JSON."""
    env = {"YPT_DATABASE_URL": database_url, "YPT_SECRET_KEY": TEST_SECRET}

    def run(*arguments: str, typed: str = "", as_json: bool = True) -> Said:
        return say(*arguments, *(["--json"] if as_json else []), env=env, typed=typed)

    return run


@pytest.fixture
def empty_url(server: Server) -> Iterator[str]:
    """A database that nobody has migrated."""
    name = f"ypt_empty_{secrets.token_hex(4)}"

    async def execute(statement: str) -> None:
        connection = await asyncpg.connect(server.admin_url)
        await connection.execute(statement)
        await connection.close()

    asyncio.run(execute(f'CREATE DATABASE "{name}"'))
    yield server.url(name)
    asyncio.run(execute(f'DROP DATABASE "{name}" WITH (FORCE)'))


def commands(group: Any, *path: str) -> Iterator[tuple[str, Any]]:
    """Walk all commands (typer brings a click of its own, so types are of no help)."""
    if hasattr(group, "commands"):
        for name, command in group.commands.items():
            yield from commands(command, *path, name)
    else:
        yield " ".join(path), group


ALL = dict(commands(get_command(cli.app)))
NEEDS_BOOKS = {
    "migrate": [],
    "audit": [],
    "gate audit-draw": ["2026-06-18"],
    "key new": [],
    "key list": [],
    "key drop": ["1", "--yes"],
    "ledger show": [str(uuid4()), "purchases", "--month", "2026-06"],
    "ledger retention": [],
    "party list": [],
    "party show": [str(uuid4())],
    "party add": ["--name", "x", "--role", "FARMER", "--form", "natural", "--phone", "13800138000"],
    "party account": [str(uuid4()), "login"],
    "party api-key": [str(uuid4()), "--name", "x", "--scope", "lot.read"],
    "party role give": [str(uuid4()), "FARMER"],
    "party role end": [str(uuid4()), "1"],
    "recall list": [],
    "recall show": [str(uuid4())],
    "recall lots": [str(uuid4())],
    "recall scope": [str(uuid4())],
    "recall open": [
        str(uuid4()),
        *("--party", str(uuid4()), "--reason", "x", "--grade", "1", "--trigger", "test"),
    ],
    "recall close": [
        str(uuid4()),
        *("--party", str(uuid4()), "--outcome", "lifted", "--reason", "x"),
    ],
    "recall late": [],
    "recall export": [str(uuid4()), "recall.xlsx"],
    "limits import": [str(ROOT / "app/testing/data/limits.csv")],
    "warning list": [],
    "warning run": [],
    "workday": ["2031-10-11", "--working", "--source", "x"],
    "import tickets": [str(ROOT / "tests" / "data" / "tickets.csv"), "--seller", str(uuid4())],
    "trace": [str(uuid4())],
    "common-source": [str(uuid4())],
    "verify": ["1234"],
}


def test_every_command_answers_json_on_request() -> None:
    assert len(ALL) >= 18
    for name, command in ALL.items():
        options = {option for parameter in command.params for option in parameter.opts}
        assert "--json" in options, name
        assert command.help, name
    without = {"serve", "worker", "demo", "key secret", "key root", "key publish", "problems"}
    assert set(NEEDS_BOOKS) == set(ALL) - without


def test_help_names_the_commands() -> None:
    said = say("--help")
    assert said.code == 0
    for name in ("serve", "worker", "migrate", "demo", "party", "key", "trace", "verify"):
        assert name in said.out


# --- settings -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*NEEDS_BOOKS, "serve", "worker"])
def test_missing_settings_are_named_with_how_to_set_them(name: str) -> None:
    said = say(*name.split(), *NEEDS_BOOKS.get(name, []), "--json")
    assert said.code == 2
    assert said.json["code"] == "settings-unfit"
    assert set(said.json["facts"]) == {"YPT_DATABASE_URL", "YPT_SECRET_KEY"}
    assert "export YPT_SECRET_KEY=$(ypt key secret)" in said.err
    assert "Traceback" not in said.err


def test_unfit_settings_are_told_without_their_values() -> None:
    env = {"YPT_DATABASE_URL": "mysql://u:geheim@h/d", "YPT_SECRET_KEY": "geheim"}
    said = say("key", "list", "--json", env=env)
    assert said.code == 2
    assert said.json["code"] == "settings-unfit"
    assert "geheim" not in said.out + said.err
    env["YPT_DATABASE_URL"] = "postgresql://h/d"
    said = say("key", "list", env=env)
    assert said.code == 2
    assert said.out == ""
    assert "YPT_SECRET_KEY" in said.err
    assert "geheim" not in said.err


@pytest.mark.parametrize("name", NEEDS_BOOKS)
def test_a_database_out_of_reach_is_no_traceback(name: str) -> None:
    env = {
        "YPT_DATABASE_URL": "postgresql://u:geheim@127.0.0.1:1/d",
        "YPT_SECRET_KEY": TEST_SECRET,
    }
    said = say(*name.split(), *NEEDS_BOOKS[name], "--json", env=env, typed="long enough 1234\n")
    assert said.code == 3, said.err
    assert said.json["code"] == "database-out-of-reach"
    assert "geheim" not in said.out + said.err


# --- serve --------------------------------------------------------------------------------------


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_serve_answers_until_it_is_told_to_stop(database_url: str, workers: int) -> None:
    port = free_port()
    options = ["--port", str(port), "--workers", str(workers), "--json"]
    process = subprocess.Popen(
        [sys.executable, "-m", "app.cli", "serve", *options],
        cwd=ROOT,
        env=os.environ | {"YPT_DATABASE_URL": database_url, "YPT_SECRET_KEY": TEST_SECRET},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        answer = healthz(port)
        # Who claims to be a proxy is not believed, and the server does not tell what it is.
        assert "server" not in answer.headers
        assert answer.json() == {"status": "ok"}
    finally:
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode in {0, -signal.SIGTERM}, err
    assert json.loads(out) == {"host": "127.0.0.1", "port": port, "workers": workers}
    assert "Traceback" not in err
    logged = [json.loads(line) for line in err.splitlines()]
    assert {"serving", "request"} <= {line["event"] for line in logged}


def healthz(port: int) -> httpx.Response:
    """Ask until somebody answers."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        with contextlib.suppress(httpx.TransportError):
            return httpx.get(f"http://127.0.0.1:{port}/healthz", trust_env=False)
        time.sleep(0.1)
    pytest.fail("nobody answers")


def test_serve_tells_that_the_port_is_taken(database_url: str) -> None:
    env = {"YPT_DATABASE_URL": database_url, "YPT_SECRET_KEY": TEST_SECRET}
    with closing(socket.socket()) as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        said = say("serve", "--port", str(other.getsockname()[1]), "--json", env=env)
    assert (said.code, said.json["code"]) == (3, "port-taken")


# --- migrate --------------------------------------------------------------------------------------


@pytest.mark.slow
def test_migrate_makes_an_empty_database_ready(empty_url: str) -> None:
    env = {"YPT_DATABASE_URL": empty_url, "YPT_SECRET_KEY": TEST_SECRET}
    said = say("key", "list", "--json", env=env)
    assert (said.code, said.json["code"]) == (3, "not-migrated")
    behind = say("migrate", "--check", "--json", env=env)
    assert behind.code == 1
    assert behind.json["from"] is None
    assert behind.json["current"] is False
    made = say("migrate", "--json", env=env)
    assert made.code == 0
    assert made.json["current"] is True
    assert made.json["from"] is None
    checked = say("migrate", "--check", "--json", env=env)
    assert checked.code == 0
    assert checked.json["from"] == checked.json["head"]
    assert say("key", "list", "--json", env=env).json == []


# --- parties --------------------------------------------------------------------------------------

USCC = "91320613MA7NT90DXJ"


def add(ypt: Ypt, *more: str, name: str = "示范公司", uscc: str = USCC) -> Said:
    return ypt("party", "add", "--name", name, "--uscc", uscc, "--role", "OPERATOR", *more)


def test_the_first_operator_comes_from_the_terminal(ypt: Ypt) -> None:
    party_id = str(uuid4())
    made = add(ypt, "--id", party_id, "--from", "2026-01-01")
    assert made.code == 0, made.err
    assert made.json["new"] is True
    assert made.json["id"] == party_id
    assert made.json["kinds"] == ["OPERATOR"]
    again = add(ypt, "--id", party_id, "--from", "2026-01-01")
    assert (again.code, again.json["new"]) == (0, False)
    other = add(ypt, "--id", party_id, "--from", "2026-01-01", name="另一家")
    assert (other.code, other.json["code"]) == (1, "id-reused")
    assert "先前已提交过，这次内容不同" in other.err
    assert "Something else was sent under this number before" in other.err
    opened = ypt("party", "account", party_id, "boss", typed="a long password 1\n")
    assert opened.code == 0, opened.err
    assert opened.json["party"] == party_id
    assert "a long password 1" not in opened.out + opened.err


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--uscc", "91320613MA7NT90DXX"], "uscc-invalid"),
        (["--form", "natural", "--phone", "123"], "phone-invalid"),
        (["--form", "natural"], "number-missing"),
        ([], "number-missing"),
        (["--uscc", USCC, "--role", "REGULATOR"], "jurisdiction-missing"),
        (["--uscc", USCC, "--place", str(uuid4())], "unknown-place"),
    ],
)
def test_a_party_that_cannot_be_is_refused(ypt: Ypt, arguments: list[str], code: str) -> None:
    said = ypt("party", "add", "--name", "x", "--role", "STALL", *arguments)
    assert (said.code, said.json["code"]) == (1, code)
    assert ypt("party", "list").json == []


def test_typing_errors_are_told_back_and_numbers_stay_masked(ypt: Ypt) -> None:
    said = ypt(
        *["party", "add", "--form", "natural", "--name", "王示范", "--role", "FARMER"],
        *["--phone", "138 0013 8000", "--ask-id-number", "--division", "320682105218"],
        typed="11010519491231002x\n",
    )
    assert said.code == 0, said.err
    assert said.json["notes"]
    shown = ypt("party", "show", said.json["id"])
    told = said.out + said.err + shown.out + shown.err
    assert shown.json["file"]["phone_masked"] == "138****8000"
    assert "13800138000" not in told
    assert "19491231" not in told


def test_parties_are_listed_and_shown(ypt: Ypt) -> None:
    first = add(ypt).json["id"]
    second = add(ypt, name="[red]红[/] 公司", uscc="91320682MA7NT92D28").json["id"]
    assert [party["id"] for party in ypt("party", "list").json] == [second, first]
    assert [party["id"] for party in ypt("party", "list", "--name", "示范").json] == [first]
    assert ypt("party", "list", "--role", "FARMER").json == []
    assert len(ypt("party", "list", "--role", "OPERATOR", "--most", "1").json) == 1
    as_table = ypt("party", "list", as_json=False)
    assert as_table.code == 0
    assert "[red]红[/] 公司" in as_table.out, "names are no markup"
    assert ypt("party", "show", first, as_json=False).out.count("OPERATOR") == 1
    said = ypt("party", "show", str(uuid4()))
    assert (said.code, said.json["code"]) == (1, "unknown-party")


def test_roles_are_given_and_ended(ypt: Ypt) -> None:
    party = add(ypt).json["id"]
    given = ypt("party", "role", "give", party, "REGULATOR", "--jurisdiction", "3206")
    assert given.json["new"] is True
    assert sorted(given.json["kinds"]) == ["OPERATOR", "REGULATOR"]
    again = ypt("party", "role", "give", party, "REGULATOR", "--jurisdiction", "3206")
    assert again.json["new"] is False
    ended = ypt("party", "role", "end", party, "1", "--to", "2099-01-01")
    assert ended.json["file"]["roles"][0]["valid_to"] == "2099-01-01"
    for arguments, code in (
        (["give", party, "REGULATOR"], "jurisdiction-missing"),
        (["end", party, "9"], "unknown-role"),
        (["end", party, "2", "--to", "2020-01-01"], "role-dates-invalid"),
    ):
        said = ypt("party", "role", *arguments)
        assert (said.code, said.json["code"]) == (1, code)


def test_weak_passwords_and_taken_logins_are_refused(ypt: Ypt) -> None:
    party = add(ypt).json["id"]
    weak = ypt("party", "account", party, "boss", typed="short\n")
    assert (weak.code, weak.json["code"]) == (1, "password-weak")
    assert ypt("party", "account", party, "boss", typed="a long password 1\n").code == 0
    taken = ypt("party", "account", party, "BOSS", typed="a long password 2\n")
    assert (taken.code, taken.json["code"]) == (1, "login-taken")


def test_keys_of_machines_can_do_no_more_than_their_party(ypt: Ypt) -> None:
    party = add(ypt).json["id"]
    made = ypt("party", "api-key", party, "--name", "scale", "--scope", "lot.read")
    assert made.code == 0, made.err
    assert made.json["secret"].startswith("ypt_")
    assert made.json["scopes"] == ["lot.read"]
    for scope, code in (
        ("lot.write", "scope-not-yours"),
        ("api-key.manage", "scope-not-yours"),
        ("fly", "unknown-scope"),
    ):
        said = ypt("party", "api-key", party, "--name", "x", "--scope", scope)
        assert (said.code, said.json["code"]) == (1, code)


# --- keys -----------------------------------------------------------------------------------------


def test_a_secret_is_fresh_and_fits_the_setting() -> None:
    drawn = [say("key", "secret", "--json").json["secret"] for _ in range(2)]
    assert drawn[0] != drawn[1]
    assert len(base64.b64decode(drawn[0], validate=True)) == 32
    plain = say("key", "secret")
    assert len(base64.b64decode(plain.out.strip(), validate=True)) == 32


def test_signing_keys_are_made_listed_and_dropped(ypt: Ypt) -> None:
    first = ypt("key", "new")
    assert first.code == 0, first.err
    assert (first.json["kid"], first.json["state"]) == (1, "signing")
    second = ypt("key", "new").json
    assert (second["kid"], second["state"]) == (2, "published"), "readers learn of it before"
    assert ypt("key", "new", "--class", "log").json["state"] == "signing"
    assert ypt("key", "new", "--publish-ahead", "0").json["state"] == "signing"
    assert ypt("key", "new", "--now").json["state"] == "signing"
    assert [key["kid"] for key in ypt("key", "list").json] == [1, 2, 3, 4, 5]
    dropped = ypt("key", "drop", "1", "--yes")
    assert dropped.json["state"] == "dropped"
    assert ypt("key", "drop", "1", "--yes").json == dropped.json
    said = ypt("key", "drop", "99", "--yes")
    assert (said.code, said.json["code"]) == (1, "signing-key-unknown")
    assert ypt("key", "list", as_json=False).out.count("ed25519") == 0
    told = ypt("key", "list")
    assert "private" not in told.out


def test_a_root_key_is_made_once_and_signs_keysets(ypt: Ypt, tmp_path: Path) -> None:
    path = str(tmp_path / "root-key")
    made = say("key", "root", path, "--json")
    assert made.code == 0, made.err
    assert len(bytes.fromhex(made.json["public_key"])) == 32
    assert Path(path).stat().st_mode & 0o777 == 0o600
    again = say("key", "root", path, "--json")
    assert (again.code, again.json["code"]) == (1, "root-key-not-written")
    ypt("key", "new")
    assert [ypt("key", "publish", path).json["version"] for _ in range(2)] == [1, 2]
    assert ypt("key", "publish", path).json["bundles"] == 0, "nobody has a device yet"
    for wrong in (tmp_path / "none", tmp_path / "short"):
        (tmp_path / "short").write_text("00")
        said = ypt("key", "publish", str(wrong))
        assert (said.code, said.json["code"]) == (1, "root-key-unreadable")


def test_dropping_a_key_is_asked_about(ypt: Ypt) -> None:
    ypt("key", "new")
    said = ypt("key", "drop", "1", typed="n\n")
    assert said.code == 1
    assert ypt("key", "list").json[0]["state"] == "signing"


# --- books ----------------------------------------------------------------------------------------


def test_what_is_not_in_the_books_cannot_be_traced(ypt: Ypt) -> None:
    for reference, code in (
        (str(uuid4()), "unknown-lot"),
        ("0000-0000-0000-0", "unknown-reference"),
        ("nonsense", "unknown-reference"),
        ("http://127.0.0.1:8000/t/123", "unknown-reference"),
    ):
        for direction in ("--back", "--forward"):
            said = ypt("trace", reference, direction)
            assert (said.code, said.json["code"]) == (1, code)


def test_ways_and_common_sources_of_what_is_not_there(ypt: Ypt) -> None:
    lots = [str(uuid4()), str(uuid4())]
    for words in (("trace", lots[0], "--to", lots[1]), ("common-source", *lots)):
        said = ypt(*words)
        assert (said.code, said.json["code"]) == (1, "unknown-lot")
    said = ypt("trace", lots[0], "--lines")
    assert (said.code, said.json["code"]) == (1, "unknown-lot")


async def _tell_books(url: str) -> Books:
    database = Database(Settings(database_url=url, secret_key=SecretStr(TEST_SECRET)))
    try:
        async with database.transaction() as session:
            return await tell(session)
    finally:
        await database.close()


def test_what_is_in_the_books_is_traced_in_every_way(ypt: Ypt, database_url: str) -> None:
    books = asyncio.run(_tell_books(database_url))
    lot = {name: str(books.public[name]) for name in ("A", "C", "W", "t-C")}
    way = ypt("trace", lot["A"], "--to", lot["C"])
    assert (way.code, way.json["share_g"]) == (0, 30_000)
    assert "通州区" in ypt("trace", lot["A"], "--to", lot["C"], as_json=False).out
    nothing = ypt("trace", lot["C"], "--to", lot["A"], as_json=False)
    assert (nothing.code, nothing.out.split()[0]) == (0, "没有路径")
    common = ypt("common-source", lot["C"], lot["W"])
    assert [each["reaches"] for each in common.json["sources"]] == [2, 2]
    assert "2/2" in ypt("common-source", lot["C"], lot["W"], as_json=False).out
    said = ypt("common-source", lot["t-C"])
    assert (said.code, said.json["code"]) == (1, "not-a-lot")
    said = ypt("trace", lot["C"], "--limit", "3")
    assert (said.code, said.json["code"]) == (1, "trace-too-large")
    for reference in (lot["C"], lot["t-C"]):
        lines = ypt("trace", reference, "--lines", as_json=False).out.splitlines()
        assert [*json.loads(lines[0]), *json.loads(lines[-1])] == ["trace", "end"]


def signed_by_nobody() -> str:
    claims = Claims(
        type=TokenType.TICKET,
        kid=7,
        serial=1,
        issued_at=START,
        ttl_h=96,
        product=18,
        quantity_dg=10,
        origin=None,
        issuer=1,
        flags=Flags(0),
        status_index=1,
    )
    return token.digits(token.encode_payload(claims), bytes(64))


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        ("nonsense", "unrecognised"),
        ("x" * 5_000, "unrecognised"),
        ("a\0b", "unrecognised"),
        ("http://127.0.0.1:8000/t/123", "unreadable"),
        ("https://127.0.0.1:8000/t/" + "4" * 246, "foreign-host"),
        ("12345678901234567890", "foreign-code"),
        ("http://127.0.0.1:8000/t/" + signed_by_nobody(), "needs-online-check"),
    ],
)
def test_what_is_no_ticket_is_let_in_nowhere(ypt: Ypt, text: str, finding: str) -> None:
    said = ypt("verify", text)
    assert said.code == 1, said.err
    assert said.json["decision"] in {"HOLD", "REFUSE"}
    assert [found["code"] for found in said.json["findings"]] == [finding]
    assert said.json["claims"] is None


def test_a_picture_without_a_code_is_told(ypt: Ypt, tmp_path_factory: Any) -> None:
    folder = tmp_path_factory.mktemp("pictures")
    (folder / "text.png").write_text("no picture")
    said = ypt("verify", str(folder / "text.png"))
    assert (said.code, said.json["code"]) == (1, "picture-unreadable")


def test_empty_books_are_in_order(ypt: Ypt) -> None:
    said = ypt("audit")
    assert said.code == 0
    assert said.json == {"tickets": 0, "certificates": 0, "lots": 0, "faults": 0, "named": []}


def test_refusals_are_explained() -> None:
    everything = say("problems", "--json")
    assert everything.code == 0
    assert len(everything.json) > 50
    one = say("problems", "lot-exhausted", "--json")
    assert one.json["status"] == 409
    assert one.json["zh"]["next_step"]
    said = say("problems", "no-such-code", "--json")
    assert (said.code, said.json["code"]) == (1, "unknown-problem")
    assert "lot-exhausted" in say("problems").out


def test_wrong_use_is_told_on_standard_error() -> None:
    for arguments in (["fly"], ["key", "drop", "x"], ["serve", "--port", "0"], ["trace"]):
        said = say(*arguments)
        assert said.code == 2
        assert said.out == ""


def test_a_day_without_a_draw_has_nothing_to_show_for_it(ypt: Ypt) -> None:
    said = ypt("gate", "audit-draw", "2020-01-01")
    assert said.code == 1
    assert said.json["lines"] == 0
    assert "0 commitments" in said.json["faults"][0]
    spoken = ypt("gate", "audit-draw", "2020-01-01", as_json=False)
    assert "0 commitments" in spoken.out
