/**
 * The ticket token, version 1: docs/token.md, the same checks in the same order as the server.
 *
 * Nothing here checks a signature (see keys.ts), so nothing that is read here may be shown before.
 */

export const DIGITS_MAX = 300
export const PAYLOAD_BYTES = 38
export const SIGNATURE_BYTES = 64
const TICK_MS = 600_000
const EPOCH_MS = Date.UTC(2024, 0, 1)
const ORIGIN_MAX = 10n ** 12n
const DOMAIN = new TextEncoder().encode('JSNY-TICKET-v1\0')

export type Unreadable =
  | 'empty'
  | 'too-long'
  | 'not-digits'
  | 'leading-zero'
  | 'wrong-size'
  | 'unknown-version'
  | 'unknown-type'
  | 'field-out-of-range'
  | 'foreign-address'

export type TokenType = 'origin-certificate' | 'ticket' | 'test'
export type Flag =
  | 'self-tested'
  | 'entrusted-test'
  | 'internal-quality-control'
  | 'self-promise'
  | 'test-attached'
  | 'repacked'

const TYPES: Readonly<Record<number, TokenType>> = { 1: 'origin-certificate', 2: 'ticket', 15: 'test' }
const FLAGS: readonly Flag[] = [
  'self-tested',
  'entrusted-test',
  'internal-quality-control',
  'self-promise',
  'test-attached',
  'repacked',
]

/** What a token says; instants in milliseconds, quantity in tenths of a kilogram. */
export interface Claims {
  type: TokenType
  kid: number
  serial: bigint
  issuedAt: number
  ttlHours: number
  product: number
  quantityDg: number
  origin: string | null
  issuer: number
  flags: Flag[]
  statusIndex: number
}

export interface Parsed {
  claims: Claims
  payload: Uint8Array<ArrayBuffer>
  signature: Uint8Array<ArrayBuffer>
}

export class UnreadableError extends Error {
  constructor(readonly reason: Unreadable) {
    super(reason)
  }
}

/** The first instant at which a token no longer counts. */
export function expiresAt(claims: Claims): number {
  return claims.issuedAt + claims.ttlHours * 3_600_000
}

/** The bytes that a token's signature is made over. */
export function signingInput(payload: Uint8Array): Uint8Array<ArrayBuffer> {
  const input = new Uint8Array(DOMAIN.length + payload.length)
  input.set(DOMAIN)
  input.set(payload, DOMAIN.length)
  return input
}

/**
 * Take the digits out of an address that begins with exactly one of the pinned URLs.
 *
 * Nothing is normalised: a look-alike site would use just another case, port or user name.
 */
export function digitsOf(address: string, pinned: readonly string[]): string {
  for (const base of pinned) {
    const start = `${base.replace(/\/+$/, '')}/t/`
    if (address.startsWith(start)) {
      const digits = address.slice(start.length)
      contentOf(digits)
      return digits
    }
  }
  throw new UnreadableError('foreign-address')
}

/** Read digits back; accepts exactly the one spelling that a writer produces. */
export function parse(digits: string): Parsed {
  const content = contentOf(digits)
  const payload = content.slice(0, PAYLOAD_BYTES)
  const signature = content.slice(PAYLOAD_BYTES)
  const head = payload[0]!
  if (head >> 4 !== 1) throw new UnreadableError('unknown-version')
  const type = TYPES[head & 15]
  if (!type) throw new UnreadableError('unknown-type')
  return { claims: claimsOf(type, payload), payload, signature }
}

function claimsOf(type: TokenType, payload: Uint8Array<ArrayBuffer>): Claims {
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength)
  const kid = view.getUint16(1)
  const serial = view.getBigUint64(3)
  const ticks = (view.getUint8(11) << 16) | view.getUint16(12)
  const ttlHours = view.getUint16(14)
  const origin = (BigInt(view.getUint8(24)) << 32n) | BigInt(view.getUint32(25))
  const bits = view.getUint8(33)
  if (!kid || serial >= 1n << 63n || !ttlHours || origin >= ORIGIN_MAX)
    throw new UnreadableError('field-out-of-range')
  return {
    type,
    kid,
    serial,
    issuedAt: EPOCH_MS + ticks * TICK_MS,
    ttlHours,
    product: view.getUint32(16),
    quantityDg: view.getUint32(20),
    origin: origin ? origin.toString().padStart(12, '0') : null,
    issuer: view.getUint32(29),
    flags: FLAGS.filter((_, bit) => bits & (1 << bit)),
    statusIndex: view.getUint32(34),
  }
}

/** Count characters as every other language does, up to a limit; JavaScript's own count is of UTF-16. */
function characters(text: string, most: number): number {
  return text.length < most ? text.length : [...text.slice(0, 2 * most)].length
}

function contentOf(digits: string): Uint8Array<ArrayBuffer> {
  if (!digits) throw new UnreadableError('empty')
  // Before BigInt, whose time grows faster than the text.
  if (characters(digits, DIGITS_MAX + 1) > DIGITS_MAX) throw new UnreadableError('too-long')
  if (!/^[0-9]+$/.test(digits)) throw new UnreadableError('not-digits')
  if (digits.startsWith('0')) throw new UnreadableError('leading-zero')
  const hex = BigInt(digits).toString(16)
  const size = PAYLOAD_BYTES + SIGNATURE_BYTES
  if (hex.length !== 2 * size + 1 || !hex.startsWith('1')) throw new UnreadableError('wrong-size')
  const content = new Uint8Array(size)
  for (let at = 0; at < size; at++) content[at] = parseInt(hex.slice(1 + 2 * at, 3 + 2 * at), 16)
  return content
}
