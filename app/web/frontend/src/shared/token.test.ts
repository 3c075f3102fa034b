import { describe, expect, it } from 'vitest'
import shared from '../../../../../schemas/token-vectors.json'
import {
  byNoble,
  bytesOfHex,
  byWebCrypto,
  needsOnlineCheck,
  type PublicKey,
  type SignatureVerdict,
  verify,
} from './keys'
import { digitsOf, parse, UnreadableError } from './token'

const KEYS: PublicKey[] = shared.keys.map((key) => ({
  kid: key.kid,
  algorithm: key.algorithm,
  issuerClass: key.issuer_class as PublicKey['issuerClass'],
  publicKey: bytesOfHex(key.public_key),
  useFrom: Date.parse(key.use_from),
  signUntil: Date.parse(key.sign_until),
  verifyUntil: Date.parse(key.verify_until),
  droppedAt: key.dropped_at ? Date.parse(key.dropped_at) : null,
}))
const PERHAPS_NEWER = ['unknown-version', 'unknown-type']

// The very file that the server's own tests read: two readers, one answer.
describe.each([
  ['WebCrypto', byWebCrypto],
  ['noble', byNoble],
])('shared vectors with %s', (_, check) => {
  it.each(shared.vectors)('$name', async (vector) => {
    let answer: string
    let grey: boolean
    try {
      const parsed = parse(digitsOf(vector.address, shared.base_urls))
      const verdict: SignatureVerdict = await verify(parsed, KEYS, Date.parse(vector.at), check)
      answer = verdict
      grey = needsOnlineCheck(verdict)
      if (vector.claims) {
        const { claims } = parsed
        expect({
          type: claims.type,
          kid: claims.kid,
          serial: claims.serial.toString(),
          issued_at: new Date(claims.issuedAt).toISOString().replace('.000Z', 'Z'),
          ttl_h: claims.ttlHours,
          product: claims.product,
          quantity_dg: claims.quantityDg,
          origin: claims.origin,
          issuer: claims.issuer,
          flags: claims.flags,
          status_index: claims.statusIndex,
        }).toEqual(vector.claims)
      }
    } catch (error) {
      if (!(error instanceof UnreadableError)) throw error
      answer = error.reason
      grey = PERHAPS_NEWER.includes(error.reason)
    }
    expect([answer, grey]).toEqual([vector.answer, vector.cannot_verify])
  })
})
