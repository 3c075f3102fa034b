"""`ypt key`: the secret that seals, and the keys that sign. As the database's owner."""

import base64
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from sqlalchemy.ext.asyncio import AsyncSession

from app.bundle import root
from app.bundle import service as bundles
from app.bundle.rules import KEYSET_LIFE
from app.commands.console import (
    REFUSED,
    AsJson,
    ComplaintError,
    answer,
    complaining,
    settings,
    table,
    with_books,
)
from app.core import ids
from app.core.clock import system_clock
from app.core.errors import Text
from app.core.sealing import KEY_BYTES, Vault
from app.signing import service
from app.signing.keys import IssuerClass, PublicKey
from app.signing.rules import NoSigningKey

OWNER: Final = "none"
"""Not the server's role, which may read keys and not make them."""

DAYS: Final = 90
PUBLISH_AHEAD_DAYS: Final = 7
LIFE_H_MAX: Final = 8_784
"""Longest life of anything that is signed: a certificate's 366 days, in hours."""

app = typer.Typer(no_args_is_help=True, help="The sealing secret, and the signing keys.")


@app.command("secret")
def secret(as_json: AsJson = False) -> None:
    """Draw a secret for YPT_SECRET_KEY; it is stored nowhere."""
    drawn = base64.b64encode(ids.secret(KEY_BYTES)).decode()
    answer({"secret": drawn}, as_json, lambda console: console.print(drawn, soft_wrap=True))


@app.command("new")
def new(
    issuer_class: Annotated[
        IssuerClass, typer.Option("--class", help="What it may sign.")
    ] = IssuerClass.TICKET,
    days: Annotated[int, typer.Option(min=1, max=3_660, help="For how long it signs.")] = DAYS,
    publish_ahead: Annotated[
        int | None,
        typer.Option(
            min=0, max=366, help="Days it is public before it signs; 7, and 0 for a first key."
        ),
    ] = None,
    at_once: Annotated[
        bool, typer.Option("--now", help="The same as --publish-ahead 0: an emergency.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Create the next signing key of a class."""
    with complaining(as_json):
        chosen = settings()

        async def work(session: AsyncSession) -> dict[str, Any]:
            known = await service.list_keys(session)
            first = not any(key.issuer_class is issuer_class for key in known)
            ahead = 0 if at_once else publish_ahead
            if ahead is None:
                ahead = 0 if first else PUBLISH_AHEAD_DAYS
            now = system_clock()
            kid = await service.create_key(
                session,
                vault=Vault(chosen.secret_bytes),
                now=now,
                issuer_class=issuer_class,
                ttl_h_max=LIFE_H_MAX,
                days=days,
                publish_ahead_days=ahead,
            )
            keys = {key.kid: key for key in await service.list_keys(session)}
            return _shown(keys[kid], now)

        value = with_books(work, chosen, role=OWNER)
        answer(value, as_json, lambda console: _tell(console, [value]))


@app.command("list")
def show_all(as_json: AsJson = False) -> None:
    """List the public halves of all keys."""
    with complaining(as_json):

        async def work(session: AsyncSession) -> list[dict[str, Any]]:
            now = system_clock()
            return [_shown(key, now) for key in await service.list_keys(session)]

        found = with_books(work, settings())
        answer(found, as_json, lambda console: _tell(console, found))


@app.command("drop")
def drop(
    kid: Annotated[int, typer.Argument(min=1, help="Number of the key.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Stop trusting a key: what it signed counts only if the books know it."""
    with complaining(as_json):
        if not yes:
            question = f"密钥 {kid} 将不再被信任，无法恢复 · Drop key {kid} for good?"
            typer.confirm(question, abort=True, err=True)

        async def work(session: AsyncSession) -> dict[str, Any]:
            now = system_clock()
            await service.drop_key(session, kid, now=now)
            keys = {key.kid: key for key in await service.list_keys(session)}
            return _shown(keys[kid], now)

        value = with_books(work, settings(), role=OWNER)
        answer(value, as_json, lambda console: _tell(console, [value]))


RootFile = Annotated[Path, typer.Argument(help="The file of the root key's private half.")]


@app.command("root")
def make_root(path: RootFile, as_json: AsJson = False) -> None:
    """Make the root key that signs keysets for gates; keep it off every server, in two copies."""
    with complaining(as_json):
        try:
            public_key = root.make(path).hex()
        except OSError as error:
            raise ComplaintError(
                Text(f"无法写入 {path}", f"Cannot write {path}"),
                Text("请换一个不存在的文件名", "Name a file that does not exist yet"),
                exit_code=REFUSED,
                facts={"reason": type(error).__name__},
                code="root-key-not-written",
            ) from error
        value = {"path": str(path), "public_key": public_key}
        answer(value, as_json, lambda console: console.print(public_key, soft_wrap=True))


@app.command("publish")
def publish(path: RootFile, as_json: AsJson = False) -> None:
    """Sign the registry with the root key, for thirty days; then build all bundles anew."""
    with complaining(as_json):
        chosen = settings()
        try:
            private_key = root.read(path)
        except (OSError, ValueError) as error:
            raise ComplaintError(
                Text(f"无法读取根密钥 {path}", f"Cannot read the root key {path}"),
                Text("请核对文件；新建请用 ypt key root", "Check the file; ypt key root makes one"),
                exit_code=REFUSED,
                facts={"reason": type(error).__name__},
                code="root-key-unreadable",
            ) from error

        async def work(session: AsyncSession) -> dict[str, Any]:
            now = system_clock()
            version = await bundles.publish_keyset(session, private_key, now=now)
            try:
                built = await bundles.build_all(session, now, vault=Vault(chosen.secret_bytes))
            except NoSigningKey:  # The status key may come after the first keyset.
                built = 0
            return {"version": version, "expires_at": now + KEYSET_LIFE, "bundles": built}

        value = with_books(work, chosen, role=OWNER)
        answer(value, as_json, lambda console: console.print(value))


def _shown(key: PublicKey, now: datetime) -> dict[str, Any]:
    return {
        "kid": key.kid,
        "state": _state(key, now),
        "class": key.issuer_class.value,
        "algorithm": key.algorithm.value,
        "public_key": key.public_key.hex(),
        "use_from": key.use_from,
        "sign_until": key.sign_until,
        "verify_until": key.verify_until,
        "dropped_at": key.dropped_at,
    }


def _state(key: PublicKey, now: datetime) -> str:
    """Say what a key is good for now."""
    if key.dropped_at is not None and key.dropped_at <= now:
        return "dropped"
    if now < key.use_from:
        return "published"
    if now < key.sign_until:
        return "signing"
    return "verifying" if now < key.verify_until else "ended"


def _tell(console: Console, keys: list[dict[str, Any]]) -> None:
    columns = ("kid", "state", "class", "use_from", "sign_until", "verify_until", "public_key")
    rows = ([key[column] for column in columns] for key in keys)
    console.print(table(Text("签名密钥", "Signing keys"), columns, rows))
