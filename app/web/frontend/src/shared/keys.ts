/**
 * Judges a token with the keys known to this device: docs/token.md, steps 6 to 11.
 *
 * WebCrypto verifies where it can; older web views lack Ed25519, and then @noble/ed25519 does. Fetched
 * on demand it would cost more than it weighs: the gate keeps all of its program on the device anyway.
 */
import { verifyAsync } from '@noble/ed25519'
import { type Parsed, signingInput, type TokenType } from './token'

const TICK_MS = 600_000

export interface PublicKey {
  kid: number
  algorithm: string
  issuerClass: 'ticket' | 'test' | 'status' | 'log'
  publicKey: Uint8Array<ArrayBuffer>
  useFrom: number
  signUntil: number
  verifyUntil: number
  droppedAt: number | null
}

export type SignatureVerdict =
  | 'valid'
  | 'test'
  | 'unknown-key'
  | 'bad-signature'
  | 'wrong-key-class'
  | 'key-dropped'
  | 'key-not-yet-valid'
  | 'key-expired'

export type CheckSignature = (
  publicKey: Uint8Array<ArrayBuffer>,
  message: Uint8Array<ArrayBuffer>,
  signature: Uint8Array<ArrayBuffer>,
) => Promise<boolean>

const SIGNED_BY: Readonly<Record<PublicKey['issuerClass'], readonly TokenType[]>> = {
  ticket: ['origin-certificate', 'ticket'],
  test: ['test'],
  status: [],
  log: [],
}

/** Words that mean "ask the server", never "forged". */
export function needsOnlineCheck(verdict: SignatureVerdict): boolean {
  return verdict === 'unknown-key' || verdict === 'key-dropped'
}

export const byWebCrypto: CheckSignature = async (publicKey, message, signature) => {
  const key = await crypto.subtle.importKey('raw', publicKey, 'Ed25519', false, ['verify'])
  return crypto.subtle.verify('Ed25519', key, signature, message)
}

export const byNoble: CheckSignature = (publicKey, message, signature) =>
  verifyAsync(signature, message, publicKey, { zip215: false }).catch(() => false)

let chosen: Promise<CheckSignature> | undefined

/** Choose once: can this browser import a key at all? */
export function bestCheck(): Promise<CheckSignature> {
  const known = Uint8Array.from({ length: 32 }, (_, at) => (at === 0 ? 1 : 0))
  chosen ??= Promise.resolve()
    .then(() => crypto.subtle.importKey('raw', known, 'Ed25519', false, ['verify']))
    .then(
      () => byWebCrypto,
      () => byNoble,
    )
  return chosen
}

/** Judge a token as of an instant; a forgery is called one whatever its key's dates are. */
export async function verify(
  parsed: Parsed,
  keys: readonly PublicKey[],
  at: number,
  check?: CheckSignature,
): Promise<SignatureVerdict> {
  const { claims, payload, signature } = parsed
  const key = keys.find((one) => one.kid === claims.kid)
  if (!key || key.algorithm !== 'ed25519') return 'unknown-key'
  const verifies = check ?? (await bestCheck())
  if (!(await verifies(key.publicKey, signingInput(payload), signature))) return 'bad-signature'
  if (!SIGNED_BY[key.issuerClass].includes(claims.type)) return 'wrong-key-class'
  if (key.droppedAt !== null && key.droppedAt <= at) return 'key-dropped'
  const firstTick = Math.floor(key.useFrom / TICK_MS) * TICK_MS
  if (claims.issuedAt < firstTick || at < key.useFrom) return 'key-not-yet-valid'
  if (claims.issuedAt >= key.signUntil || at >= key.verifyUntil) return 'key-expired'
  return claims.type === 'test' ? 'test' : 'valid'
}

export function bytesOfHex(hex: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(hex.match(/../g) ?? [], (pair) => parseInt(pair, 16))
}
