"""The main job from end to end: the command that a new user types, with nothing made up for it."""

import io
import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import zxingcpp
from PIL import Image

from app.core import embedded
from app.demo import scenario
from app.demo.main_job import QR_ONLY
from tests.conftest import TEST_SECRET
from tests.terminal import say

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 120

pytestmark = pytest.mark.slow

Json = Any


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def command(port: int, data_dir: Path, *more: str) -> list[str]:
    options = ["demo", "--json", "--port", str(port), "--data-dir", str(data_dir)]
    return [sys.executable, "-m", "app.cli", *options, *more]


def run(
    port: int, data_dir: Path, *more: str, env: dict[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command(port, data_dir, *more),
        cwd=ROOT,
        env=os.environ | (env or {}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


def processes_of(data_dir: Path) -> list[str]:
    """Answer the command lines of the processes that name a directory."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = entry.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:  # it has just ended
            continue
        if str(data_dir) in line:
            found.append(line)
    return found


@dataclass(frozen=True)
class Twice:
    """The main job, played twice in one data directory."""

    data_dir: Path
    port: int
    first: Json
    second: Json
    first_err: str
    first_s: float
    second_s: float


@pytest.fixture(scope="module")
def data_dir() -> Iterator[Path]:
    parent = embedded.memory_directory()
    yield parent / "data"
    shutil.rmtree(parent, ignore_errors=True)


@pytest.fixture(scope="module")
def played(data_dir: Path) -> Twice:
    port = free_port()
    answers = []
    for _ in range(2):
        began = time.monotonic()
        done = run(port, data_dir, "--once")
        assert done.returncode == 0, done.stderr
        assert processes_of(data_dir) == [], "everything it started it also stopped"
        answers.append((json.loads(done.stdout), done.stderr, time.monotonic() - began))
    (first, first_err, first_s), (second, _, second_s) = answers
    return Twice(data_dir, port, first, second, first_err, first_s, second_s)


@pytest.fixture
def job(played: Twice) -> Json:
    return played.first


# --- what it tells --------------------------------------------------------------------------------


def test_the_answer_has_the_members_that_were_promised(job: Json) -> None:
    assert set(job) >= {
        "certificates",
        "tickets",
        "verdict",
        "trace_back",
        "trace_forward",
        "seconds",
    }
    assert set(job["verdict"]) == {"decision", "findings"}
    for ticket in job["tickets"]:
        assert set(ticket) >= {"id", "code", "url", "decoded"}
    for source in job["trace_back"]["sources"]:
        assert set(source) == {"lot", "village", "producer", "mass_g"}
    assert all(seconds >= 0 for seconds in job["seconds"].values())


def test_every_code_reads_as_its_address(played: Twice, job: Json) -> None:
    assert len(job["tickets"]) == 8
    for ticket in job["tickets"]:
        assert ticket["decoded"] == ticket["url"]
        assert ticket["url"].startswith(f"http://127.0.0.1:{played.port}/t/")
        # Read once more, here: the file on the disk is what was read there.
        with Image.open(io.BytesIO(Path(ticket["picture"]).read_bytes())) as picture:
            pixels = np.asarray(picture.convert("L"))
            (found,) = zxingcpp.read_barcodes(pixels, formats=QR_ONLY)
        assert found.text == ticket["url"]
    assert len({ticket["url"] for ticket in job["tickets"]}) == 8
    assert len({ticket["code"] for ticket in job["tickets"]}) == 8


def test_three_farmers_certify_and_the_collector_certifies_anew(job: Json) -> None:
    grams = [farm.jin * 500 for farm in scenario.FARMS]
    assert [(row["kind"], row["mass_g"]) for row in job["certificates"]] == [
        *(("conformity_producer", mass_g) for mass_g in grams),
        ("conformity_purchaser", sum(grams)),
    ]
    assert job["refusal"] == {"code": "merge-needs-certificate"}


def test_the_gate_admits_and_says_why(job: Json) -> None:
    assert job["verdict"]["decision"] == "ADMIT"
    assert [finding["code"] for finding in job["verdict"]["findings"]] == ["in-the-books"]


def test_the_school_finds_three_plots_and_every_gram(job: Json) -> None:
    sources = job["trace_back"]["sources"]
    assert {source["lot"] for source in sources} == {str(farm.lot) for farm in scenario.FARMS}
    assert {source["village"] for source in sources} == {
        "如皋市白蒲镇合兴村委会",
        "如皋市磨头镇顾沈村委会",
        "如皋市搬经镇丁许村委会",
    }
    assert sorted(source["mass_g"] for source in sources) == [15_000, 20_000, 25_000]
    assert sum(source["mass_g"] for source in sources) == job["trace_back"]["mass_g"] == 60_000
    # The school never dealt with the farmers, who are people: it sees them masked.
    assert {source["producer"] for source in sources} == {"王**", "顾**", "冒**"}
    assert job["trace_back"]["completeness"]["share_to_producer"] == 1


def test_the_regulator_finds_every_holder(job: Json) -> None:
    forward = job["trace_forward"]
    exposed = {holder["holder"]: holder["exposed_g"] for holder in forward["holders"]}
    share = (scenario.FARMS[0].jin * 500, sum(farm.jin * 500 for farm in scenario.FARMS))
    for actor, mass_kg in (
        (scenario.STALL, scenario.ACCEPTED_KG),
        (scenario.SECOND_STALL, scenario.TO_SECOND_STALL_KG),
        (scenario.SCHOOL, scenario.TO_SCHOOL_KG),
    ):
        assert exposed[actor.name] == pytest.approx(mass_kg * 1000 * share[0] / share[1], abs=1)
    assert exposed["王示范"] == share[0], "by full name: whoever answers for the city may know"
    assert exposed[None] == 625, "walk-ins, together"
    (way,) = forward["in_transit"]
    assert (way["buyer"], way["mass_g"]) == ("陈示范", scenario.TO_CATERER_KG * 1000)


def test_the_stall_sent_a_part_back(job: Json) -> None:
    statuses = {ticket["buyer"]: ticket["status"] for ticket in job["tickets"]}
    assert statuses[scenario.STALL.name] == "accepted_in_part"
    assert statuses[scenario.SECOND_STALL.name] == "issued", "one-sided: claimed, not proved"
    assert statuses[scenario.SCHOOL.name] == "accepted"
    assert statuses[None] == "issued"


def test_the_books_add_up(job: Json) -> None:
    assert job["audit"] == {"tickets": 8, "certificates": 4, "lots": 12, "faults": 0}


def test_people_read_tables_on_standard_error(played: Twice) -> None:
    for title in ("合格证", "一票通", "门岗判定", "追溯来源", "追踪去向", "耗时"):
        assert title in played.first_err
    assert "Mixing goods of different producers needs a new conformity certificate" in (
        played.first_err
    )
    assert "Traceback" not in played.first_err


# --- the second time ------------------------------------------------------------------------------


def test_the_second_run_repeats_nothing(played: Twice) -> None:
    first, second = played.first, played.second
    assert first["created"] > 30
    assert second["created"] == 0
    for name in ("certificates", "tickets", "verdict", "trace_back", "trace_forward", "audit"):
        assert second[name] == first[name], name
    assert second["refusal"] is None


def test_the_second_run_takes_less_time(played: Twice) -> None:
    assert sum(played.second["seconds"].values()) < sum(played.first["seconds"].values())


def test_the_secret_is_for_its_owner_only(played: Twice) -> None:
    secret = played.data_dir / "secret-key"
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    assert secret.read_text() not in played.first_err


# --- and then it serves ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def served(played: Twice) -> Iterator[str]:
    """The demonstration, serving, on another port; its books' address for commands."""
    port = free_port()
    process = subprocess.Popen(
        command(port, played.data_dir),
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if line == "}\n":
            break
    again = json.loads("".join(lines))
    assert again["created"] == 1, "another port makes other addresses: one new scan"
    yield f"http://127.0.0.1:{port}"
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, err
    assert out == ""
    for actor in scenario.ACTORS:
        assert actor.login in err
    assert scenario.PASSWORD in err
    assert "/docs" in err
    assert processes_of(played.data_dir) == []


def test_it_serves_and_lets_the_actors_in(served: str) -> None:
    assert httpx.get(f"{served}/healthz", trust_env=False).json() == {"status": "ok"}
    for actor in scenario.ACTORS:
        with httpx.Client(base_url=served, trust_env=False) as client:
            credentials = {"login": actor.login, "password": scenario.PASSWORD}
            assert client.post("/sessions", json=credentials).status_code == 201
            me = client.get("/me").json()
            assert (me["roles"], me["person"]) == ([actor.role], actor.person)
    for helper in scenario.HELPERS:
        with httpx.Client(base_url=served, trust_env=False) as client:
            credentials = {"login": helper.phone, "password": scenario.PASSWORD}
            answer = client.post("/sessions", json=credentials)
            assert answer.is_success is helper.has_come
            if helper.has_come:
                told = (answer.json()["person"], answer.json()["duty"])
                assert told == (helper.name, helper.duty)


def test_commands_read_the_same_books(served: str, played: Twice) -> None:
    server = embedded.start(played.data_dir / "postgresql")
    env = {
        "YPT_DATABASE_URL": server.url("yipiaotong_demo"),
        "YPT_SECRET_KEY": (played.data_dir / "secret-key").read_text(),
        "YPT_PUBLIC_URL": f"http://127.0.0.1:{played.port}",
    }

    def ypt(*arguments: str) -> tuple[int, Json]:
        said = say(*arguments, "--json", env=env)
        return said.code, said.json

    tickets = {ticket["buyer"]: ticket for ticket in played.first["tickets"]}
    school, caterer = tickets[scenario.SCHOOL.name], tickets["陈示范"]
    code, verdict = ypt("verify", caterer["url"])
    assert (code, verdict["decision"]) == (0, "ADMIT")
    assert verdict["ticket"] == caterer["id"]
    assert verdict["claims"]["quantity_dg"] == scenario.TO_CATERER_KG * 10
    # The picture on the disk was drawn for the port of the last run.
    code, verdict = ypt("verify", school["picture"], "--public-url", served)
    assert code == 1
    assert "already-accepted" in {finding["code"] for finding in verdict["findings"]}
    forged = school["url"][:-1] + ("1" if school["url"][-1] != "1" else "2")
    code, verdict = ypt("verify", forged)
    assert (code, verdict["decision"]) == (1, "REFUSE")
    assert {finding["code"] for finding in verdict["findings"]} == {"bad-signature"}
    assert verdict["claims"] is None
    for reference in (school["code"], school["id"], school["url"]):
        code, back = ypt("trace", reference)
        assert code == 0
        assert sorted(source["mass_g"] for source in back["sources"]) == [15_000, 20_000, 25_000]
    code, ahead = ypt("trace", str(scenario.FARMS[0].lot), "--forward")
    assert code == 0
    assert len(ahead["holders"]) == len(played.first["trace_forward"]["holders"])
    certificate = played.first["certificates"][0]
    code, ahead = ypt("trace", certificate["code"], "--forward")
    assert ahead["lot"] == certificate["lot"]
    server.stop()


# --- what stands in its way -----------------------------------------------------------------------


def complaint(done: "subprocess.CompletedProcess[str]") -> str:
    assert done.returncode == 3, done.stderr
    assert "Traceback" not in done.stderr
    said = json.loads(done.stdout)
    assert said["zh"]["next_step"]
    assert said["en"]["title"] in done.stderr
    return str(said["code"])


def test_a_port_that_is_taken_is_told_before_anything_begins(tmp_path: Path) -> None:
    with closing(socket.socket()) as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        done = run(other.getsockname()[1], tmp_path / "data", "--once")
    assert complaint(done) == "port-taken"
    assert not (tmp_path / "data").exists()


def test_a_data_directory_that_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert complaint(run(free_port(), tmp_path / "file", "--once")) == "data-directory-unfit"


def test_another_secret_is_told(played: Twice) -> None:
    done = run(free_port(), played.data_dir, "--once", env={"YPT_SECRET_KEY": TEST_SECRET})
    assert complaint(done) == "another-secret"


def test_real_parties_are_left_alone(database_url: str, tmp_path: Path) -> None:
    env = {"YPT_DATABASE_URL": database_url, "YPT_SECRET_KEY": TEST_SECRET}
    party = ["--name", "真公司", "--uscc", "91320613MA7NT90DXJ", "--role", "OPERATOR"]
    assert say("party", "add", *party, env=env).code == 0
    for more in ([], ["--fresh"]):
        done = run(free_port(), tmp_path / "data", "--once", *more, env=env)
        assert complaint(done) == "not-a-demonstration"
    assert len(say("party", "list", "--json", env=env).json) == 1


def test_it_plays_in_a_database_that_was_named_and_begins_afresh(
    database_url: str, tmp_path: Path
) -> None:
    env = {"YPT_DATABASE_URL": database_url}
    played = []
    for more in ([], ["--fresh"]):
        done = run(free_port(), tmp_path / "data", "--once", *more, env=env)
        assert done.returncode == 0, done.stderr
        played.append(json.loads(done.stdout))
    assert not (tmp_path / "data" / "postgresql").exists()
    first, fresh = played
    assert fresh["created"] == first["created"]
    assert [ticket["id"] for ticket in fresh["tickets"]] == [
        ticket["id"] for ticket in first["tickets"]
    ]
    assert fresh["tickets"][0]["code"] != first["tickets"][0]["code"]
