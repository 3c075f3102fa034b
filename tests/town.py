"""A town whose platform is run through HTTP: an operator with a cookie, who registers the others.

Every answer that anybody receives is kept, to be searched for the numbers, phones and addresses
that were typed into the platform: none may come back.
"""

import itertools
import json
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from typing import Any
from uuid import UUID

import httpx
from sqlalchemy import text

from app.core.db import Database
from app.core.ids import uuid7
from app.core.sealing import Vault
from app.party import identifiers

PASSWORD = "leeks-at-dawn-418"
COOKIE = "__Host-ypt_session"
RUGAO = "320682101"

Json = dict[str, Any]


class Typist:
    """Makes numbers that are valid and never the same, and remembers what was typed."""

    def __init__(self) -> None:
        self.secrets: list[str] = []
        self._count = itertools.count(1)

    def phone(self) -> str:
        return self._typed(f"1387{next(self._count):07d}")

    def id_number(self) -> str:
        first = f"32068219700101{next(self._count):03d}"
        return self._typed(first + identifiers.resident_id_check_character(first))

    def address(self) -> str:
        return self._typed(f"韭菜巷{next(self._count) + 7000}号后院")

    def uscc(self, start: str = "91320682") -> str:
        first_8 = f"MA7N{next(self._count):04d}"
        first = start + first_8 + identifiers.organisation_check_character(first_8)
        return first + identifiers.uscc_check_character(first)

    def _typed(self, value: str) -> str:
        self.secrets.append(value)
        return value


@dataclass
class Actor:
    """Somebody with a cookie, a key, or neither, who keeps what was answered."""

    client: httpx.AsyncClient
    answers: list[str]
    headers: dict[str, str] = field(default_factory=dict)
    party: UUID | None = None
    login: str = ""

    async def send(self, method: str, path: str, body: Json | None = None) -> httpx.Response:
        content = None if body is None else json.dumps(body)  # as ASCII: surrogates can be sent
        headers = self.headers | ({} if body is None else {"content-type": "application/json"})
        answer = await self.client.request(method, path, content=content, headers=headers)
        self.client.cookies.clear()  # each actor shows only what is its own
        self.answers.append(answer.text)
        return answer

    async def get(self, path: str) -> httpx.Response:
        return await self.send("GET", path)

    async def put(self, path: str, body: Json) -> httpx.Response:
        return await self.send("PUT", path, body)

    async def post(self, path: str, body: Json) -> httpx.Response:
        return await self.send("POST", path, body)

    async def delete(self, path: str) -> httpx.Response:
        return await self.send("DELETE", path)

    def with_key(self, secret: str) -> "Actor":
        return Actor(self.client, self.answers, {"authorization": f"Bearer {secret}"}, self.party)


@dataclass
class Town:
    """The platform with its operator, and ways to make others."""

    client: httpx.AsyncClient
    database: Database
    vault: Vault
    typist: Typist
    answers: list[str]
    operator: Actor

    @property
    def public(self) -> Actor:
        return Actor(self.client, self.answers)

    def person(self, kind: str = "FARMER", **members: Any) -> Json:
        return {
            "form": "natural",
            "name": "欧阳小明",
            "id_number": self.typist.id_number(),
            "phone": self.typist.phone(),
            "address": self.typist.address(),
            "division_code": RUGAO,
            "roles": [role(kind)],
        } | members

    def firm(self, kind: str = "SUPERMARKET", **members: Any) -> Json:
        return {
            "form": "legal",
            "name": "如皋文峰超市",
            "uscc": self.typist.uscc(),
            "phone": self.typist.phone(),
            "division_code": RUGAO,
            "roles": [role(kind)],
        } | members

    async def registered(self, body: Json, by: Actor | None = None) -> UUID:
        party = uuid7()
        answer = await (by or self.operator).put(f"/parties/{party}", body)
        assert answer.status_code == 201, answer.text
        return party

    async def account(self, party: UUID, login: str | None = None, by: Actor | None = None) -> str:
        login = login or f"login-{uuid7().hex}"
        body = {"party": str(party), "login": login, "password": PASSWORD}
        answer = await (by or self.operator).put(f"/accounts/{uuid7()}", body)
        assert answer.status_code == 201, answer.text
        return login

    async def signed_in(self, login: str, password: str = PASSWORD) -> Actor:
        answer = await self.public.post("/sessions", {"login": login, "password": password})
        assert answer.status_code == 201, answer.text
        cookie: Any = SimpleCookie(answer.headers["set-cookie"])
        headers = {"cookie": f"{COOKIE}={cookie[COOKIE].value}"}
        party = UUID(answer.json()["party"])
        return Actor(self.client, self.answers, headers, party, login)

    async def actor(self, body: Json, by: Actor | None = None) -> Actor:
        return await self.signed_in(await self.account(await self.registered(body, by)))

    async def market(self, name: str = "如皋农产品批发市场") -> Actor:
        return await self.actor(self.firm("MARKET", name=name))

    async def regulator(self, division_code: str = "320682") -> Actor:
        body = self.firm("REGULATOR", name="市场监督管理局", uscc=self.typist.uscc("11320682"))
        body["roles"] = [role("REGULATOR", division_code=division_code)]
        return await self.actor(body)

    async def place(
        self, *, party: UUID | None, kind: str = "market", inside: int | None = None
    ) -> tuple[int, UUID]:
        public_id = uuid7()
        async with self.database.transaction() as session:
            place_id = await session.scalar(
                text(
                    "INSERT INTO place (public_id, kind, name, parent_id, party_id, division_code,"
                    " valid_from) VALUES (:public_id, :kind, '场所', :inside,"
                    " (SELECT id FROM party WHERE public_id = :party), '320682101', '2020-01-01')"
                    " RETURNING id"
                ),
                {"public_id": public_id, "kind": kind, "inside": inside, "party": party},
            )
        assert place_id is not None
        return place_id, public_id

    async def rows(self, query: str, **values: Any) -> list[Any]:
        async with self.database.reading() as session:
            return list((await session.execute(text(query), values)).all())

    async def execute(self, statement: str, **values: Any) -> None:
        async with self.database.transaction() as session:
            await session.execute(text(statement), values)


def role(kind: str, **members: Any) -> Json:
    return {"kind": kind, "valid_from": "2026-01-01"} | members


def code_of(answer: httpx.Response) -> str:
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    body = answer.json()
    assert body["status"] == answer.status_code
    return str(body["code"])


def without_request_id(answer: httpx.Response) -> Json:
    return {key: value for key, value in answer.json().items() if key != "request_id"}
