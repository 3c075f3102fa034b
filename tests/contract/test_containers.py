"""What the image and the Compose file promise, read from the files: no container engine needed."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
SECRET = re.compile(r"(?i)(password|secret|token|_key)")


def instructions() -> list[tuple[str, str]]:
    """Answer the Dockerfile's instructions in order, continued lines joined."""
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [
        (word.upper(), rest.strip()) for word, _, rest in (line.partition(" ") for line in lines)
    ]


def arguments(instruction: str) -> list[str]:
    """Answer the arguments of all instructions of one kind."""
    return [rest for word, rest in instructions() if word == instruction]


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    """The Compose file, anchors resolved and variables not."""
    content: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
    return content


# --- the image ------------------------------------------------------------------------------------


def test_stages_start_from_a_pinned_slim_python() -> None:
    stages = arguments("FROM")
    assert len(stages) == 3
    for stage in stages:
        assert re.fullmatch(r"python:3\.1[1-9](\.\d+)?-slim-[a-z]+ AS \w+", stage), stage
    # All must be the same Python: the environment that one stage makes points at another's.
    assert len({stage.split()[0] for stage in stages}) == 1


def test_packages_are_installed_from_hashes_and_nothing_is_compiled() -> None:
    installs = [line for line in arguments("RUN") if re.search(r"\bpip\b.* install\b", line)]
    assert installs
    for line in installs:
        assert "--require-hashes" in line
        assert "--only-binary :all:" in line
        assert re.search(r"requirements(-node)?\.lock", line)


def test_it_does_not_run_as_root() -> None:
    last_stage = instructions()[max(i for i, (w, _) in enumerate(instructions()) if w == "FROM") :]
    users = [rest for word, rest in last_stage if word == "USER"]
    assert len(users) == 1
    user, _, group = users[0].partition(":")
    assert int(user) >= 10_000
    assert int(group) >= 10_000
    # Nothing that follows could become root again.
    after = last_stage[[word for word, _ in last_stage].index("USER") :]
    assert {word for word, _ in after}.isdisjoint({"RUN", "COPY", "ADD"})


def test_health_is_asked_with_what_the_image_has() -> None:
    (check,) = arguments("HEALTHCHECK")
    command = json.loads(check[check.index("[") :])
    assert command[:2] == ["python", "-c"]
    compile(command[2], "healthcheck", "exec")
    assert "/healthz" in command[2]


def test_commands_are_lists_so_that_signals_arrive() -> None:
    for word in ("ENTRYPOINT", "CMD"):
        (command,) = arguments(word)
        assert json.loads(command)


def test_what_is_copied_exists_and_is_let_in() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in ignored
    for line in arguments("COPY"):
        if line.startswith("--from="):
            continue
        for name in line.split()[:-1]:
            assert (ROOT / name).exists(), name
            let_in = {f"!{one}" for one in (name, *Path(name).parents)}
            assert let_in & set(ignored), name


def test_the_image_holds_no_secret() -> None:
    for line in [*arguments("ENV"), *arguments("ARG")]:
        assert not SECRET.search(line), line


# --- the Compose file -----------------------------------------------------------------------------


def test_it_runs_the_database_the_schema_the_application_and_the_worker(
    compose: dict[str, Any],
) -> None:
    services = compose["services"]
    assert set(services) == {"database", "migrate", "app", "worker"}
    assert services["database"]["image"].startswith("postgres:18")
    for name in ("app", "worker"):
        waits = services[name]["depends_on"]
        assert waits["database"]["condition"] == "service_healthy"
        assert waits["migrate"]["condition"] == "service_completed_successfully"


def test_the_data_outlives_the_container(compose: dict[str, Any]) -> None:
    database = compose["services"]["database"]
    (mount,) = database["volumes"]
    volume, _, path = mount.partition(":")
    assert volume in compose["volumes"]
    # From version 18 on the image keeps its data one level up from where it used to.
    assert path == "/var/lib/postgresql"
    assert "pg_isready" in database["healthcheck"]["test"]


def test_secrets_come_from_outside_and_have_no_default(compose: dict[str, Any]) -> None:
    found = 0
    for service in compose["services"].values():
        for name, value in service["environment"].items():
            if SECRET.search(name) or SECRET.search(value):
                found += 1
                assert re.search(r"\$\{\w+:\?[^}]+\}", value), name
                assert not re.search(r"\$\{\w+:?-", value), name
    assert found >= 5


def test_nothing_listens_to_the_world_or_may_do_more_than_it_needs(
    compose: dict[str, Any],
) -> None:
    for name, service in compose["services"].items():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", [])), name
        assert not service.get("privileged")
        if name != "database":
            assert service["read_only"] is True
            assert service["cap_drop"] == ["ALL"]
            assert service["security_opt"] == ["no-new-privileges:true"]


def test_commands_are_commands_of_ours(compose: dict[str, Any]) -> None:
    services = compose["services"]
    assert {name: services[name]["command"][0] for name in ("migrate", "app", "worker")} == {
        "migrate": "migrate",
        "app": "serve",
        "worker": "worker",
    }
