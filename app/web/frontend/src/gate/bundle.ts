/**
 * Reads an offline bundle without trusting who delivers it: the steps of app/bundle/rules.py in the
 * same order. schemas/bundle-vectors.json holds both to it.
 */
import type { components } from '@/shared/openapi.gen'
import { bestCheck, bytesOfHex, type CheckSignature, type PublicKey } from '@/shared/keys'

type Method = components['schemas']['MethodOut']

const EPOCH = Date.UTC(2024, 0, 1)
const WEEK_MS = 7 * 24 * 3_600_000
const INDEX_MODULUS = 2 ** 32

export type Unfit =
  | 'malformed'
  | 'not-root-signed'
  | 'keyset-expired'
  | 'keyset-rolled-back'
  | 'unknown-signer'
  | 'wrong-signer'
  | 'bad-signature'
  | 'other-market'
  | 'expired'
  | 'rolled-back'
  | 'other-keyset'
  | 'shard-missing'
  | 'shard-tampered'

export class UnfitError extends Error {
  constructor(readonly reason: Unfit) {
    super(reason)
  }
}

export const Status = { valid: 0, revoked: 1, held: 2, consumed: 3 } as const
export type Status = (typeof Status)[keyof typeof Status]
export type ShardKind = 'ticket' | 'certificate' | 'names'

export interface Signed {
  document: string
  signature: string
  kid?: number
}

export interface NamedShard {
  kind: ShardKind
  week: number
  first: number
  entries: number
  bytes: number
  sha256: string
}

interface Meta {
  v: number
  market: string
  version: number
  issued_at: string
  expires_at: string
  keyset_sha256: string
  shards: NamedShard[]
}

interface KeysetDocument {
  v: number
  version: number
  expires_at: string
  keys: {
    kid: number
    algorithm: string
    issuer_class: PublicKey['issuerClass']
    public_key: string
    use_from: string
    sign_until: string
    verify_until: string
    dropped_at: string | null
  }[]
}

export interface Bundle {
  keys: PublicKey[]
  keysetVersion: number
  keysetExpiresAt: number
  version: number
  issuedAt: number
  expiresAt: number
  shards: (NamedShard & { content: Uint8Array })[]
}

export interface Names {
  products: Record<string, string>
  counties: Record<string, string>
  /** Quick methods with their bands, and what may be looked for. */
  methods: Method[]
  substances: string[]
}

const encoder = new TextEncoder()

/** Say which shards a meta names, before it is believed: to know what to fetch. */
export function namedShards(meta: Signed): NamedShard[] {
  return parsed<Meta>(meta.document).shards
}

/** Read a bundle, or throw an UnfitError with the first reason against it. */
export async function openBundle(
  rootKey: string,
  keyset: Signed,
  meta: Signed,
  contents: ReadonlyMap<string, Uint8Array<ArrayBuffer>>,
  about: { market: string; at: number; kept: { keyset: number; meta: number } },
  check?: CheckSignature,
): Promise<Bundle> {
  const verifies = check ?? (await bestCheck())
  const { keys, version, expiresAt } = await readKeyset(rootKey, keyset, about, verifies)
  await checkSigner(keys, meta, about.at, verifies)
  const read = parsed<Meta>(meta.document)
  if (read.market !== about.market) throw new UnfitError('other-market')
  if (!(about.at < Date.parse(read.expires_at))) throw new UnfitError('expired')
  if (!(read.version >= about.kept.meta)) throw new UnfitError('rolled-back')
  if (read.keyset_sha256 !== (await sha256(encoder.encode(keyset.document)))) throw new UnfitError('other-keyset')
  const shards = await Promise.all(
    read.shards.map(async (named) => {
      const content = contents.get(named.sha256)
      if (!content) throw new UnfitError('shard-missing')
      if ((await sha256(content)) !== named.sha256) throw new UnfitError('shard-tampered')
      return { ...named, content: await gunzip(content) }
    }),
  )
  return {
    keys,
    keysetVersion: version,
    keysetExpiresAt: expiresAt,
    version: read.version,
    issuedAt: Date.parse(read.issued_at),
    expiresAt: Date.parse(read.expires_at),
    shards,
  }
}

async function readKeyset(
  rootKey: string,
  keyset: Signed,
  about: { at: number; kept: { keyset: number } },
  verifies: CheckSignature,
): Promise<{ keys: PublicKey[]; version: number; expiresAt: number }> {
  if (!(await isSigned(bytesOfHex(rootKey), keyset, verifies))) throw new UnfitError('not-root-signed')
  const read = parsed<KeysetDocument>(keyset.document)
  const expiresAt = Date.parse(read.expires_at)
  if (!(about.at < expiresAt)) throw new UnfitError('keyset-expired')
  if (!(read.version >= about.kept.keyset)) throw new UnfitError('keyset-rolled-back')
  const keys = read.keys.map((key) => ({
    kid: key.kid,
    algorithm: key.algorithm,
    issuerClass: key.issuer_class,
    publicKey: bytesOfHex(key.public_key),
    useFrom: Date.parse(key.use_from),
    signUntil: Date.parse(key.sign_until),
    verifyUntil: Date.parse(key.verify_until),
    droppedAt: key.dropped_at === null ? null : Date.parse(key.dropped_at),
  }))
  return { keys, version: read.version, expiresAt }
}

async function checkSigner(keys: PublicKey[], meta: Signed, at: number, verifies: CheckSignature): Promise<void> {
  const key = keys.find((one) => one.kid === meta.kid)
  if (!key) throw new UnfitError('unknown-signer')
  const inUse = key.useFrom <= at && at < key.verifyUntil
  const dropped = key.droppedAt !== null && key.droppedAt <= at
  if (key.issuerClass !== 'status' || !inUse || dropped) throw new UnfitError('wrong-signer')
  if (!(await isSigned(key.publicKey, meta, verifies))) throw new UnfitError('bad-signature')
}

async function isSigned(
  publicKey: Uint8Array<ArrayBuffer>,
  signed: Signed,
  verifies: CheckSignature,
): Promise<boolean> {
  const signature = bytesOfHex(signed.signature)
  return signature.length === 64 && (await verifies(publicKey, encoder.encode(signed.document), signature))
}

function parsed<T extends { v: number }>(document: string): T {
  let read: T | null = null
  try {
    read = JSON.parse(document) as T
  } catch {
    throw new UnfitError('malformed')
  }
  if (read?.v !== 1) throw new UnfitError('malformed')
  return read
}

/** What the list says of a document; null where it says nothing, as of one signed after it was made. */
export function statusOf(bundle: Bundle, kind: ShardKind, issuedAt: number, index: number): Status | null {
  const week = Math.floor((issuedAt - EPOCH) / WEEK_MS)
  for (const shard of bundle.shards) {
    if (shard.kind !== kind || shard.week !== week) continue
    const place = (((index - shard.first) % INDEX_MODULUS) + INDEX_MODULUS) % INDEX_MODULUS
    if (place < shard.entries) return ((shard.content[Math.floor(place / 4)]! >> (2 * (place % 4))) & 3) as Status
  }
  return null
}

export function namesIn(bundle: Bundle): Names {
  const shard = bundle.shards.find((one) => one.kind === 'names')
  const nothing: Names = { products: {}, counties: {}, methods: [], substances: [] }
  return shard ? { ...nothing, ...(JSON.parse(new TextDecoder().decode(shard.content)) as Partial<Names>) } : nothing
}

export async function sha256(content: Uint8Array<ArrayBuffer>): Promise<string> {
  return hexOf(await crypto.subtle.digest('SHA-256', content))
}

export function hexOf(content: ArrayBuffer): string {
  return Array.from(new Uint8Array(content), (byte) => byte.toString(16).padStart(2, '0')).join('')
}

async function gunzip(content: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  const stream = new Blob([content]).stream().pipeThrough(new DecompressionStream('gzip'))
  return new Uint8Array(await new Response(stream).arrayBuffer())
}
