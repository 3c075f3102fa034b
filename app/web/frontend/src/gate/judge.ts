/**
 * What a code is worth without a network, in the words of a verdict.
 *
 * Green only where signature, list and clock are all in order. What cannot be known is amber or grey
 * and never green; what is known to be wrong is red however old the list is.
 */
import { needsOnlineCheck, type SignatureVerdict } from '@/shared/keys'
import { type Claims, expiresAt, type Unreadable } from '@/shared/token'
import { type Bundle, Status } from './bundle'
import type { ClockState } from '@/shared/clock'

export type Colour = 'green' | 'amber' | 'grey' | 'red'
export type Decision = 'ADMIT' | 'ADMIT_AFTER_TEST' | 'HOLD' | 'REFUSE'

export interface Finding {
  code: string
  colour: Colour
  facts?: Record<string, string | number>
}

export interface Judgement {
  colour: Colour
  /** The gravest finding; what the screen says in large letters. */
  headline: Finding
  findings: Finding[]
}

export type Freshness = 'none' | 'fresh' | 'stale' | 'unusable'

const HOUR_MS = 3_600_000
const STALE_MS = 24 * HOUR_MS
const UNUSABLE_MS = 72 * HOUR_MS
const GRAVITY: Readonly<Record<Colour, number>> = { green: 0, amber: 1, grey: 2, red: 3 }
const PERHAPS_NEWER: readonly Unreadable[] = ['unknown-version', 'unknown-type']

const SUGGESTED: Readonly<Record<Colour, Decision>> = {
  green: 'ADMIT',
  amber: 'ADMIT_AFTER_TEST',
  grey: 'HOLD',
  red: 'REFUSE',
}
/** Goods on hold stay where somebody can look at them. */
const KEPT_HERE: readonly string[] = ['held', 'test-against', 'books.HOLD']

/** The button that is under the thumb. */
export function suggestedFor(judgement: Judgement): Decision {
  return KEPT_HERE.includes(judgement.headline.code) ? 'HOLD' : SUGGESTED[judgement.colour]
}

export function freshness(bundle: Pick<Bundle, 'issuedAt' | 'keysetExpiresAt'> | null, now: number, clock: ClockState): Freshness {
  if (!bundle) return 'none'
  const age = now - bundle.issuedAt
  if (clock === 'jumped' || age > UNUSABLE_MS || now >= bundle.keysetExpiresAt) return 'unusable'
  return age > STALE_MS || clock === 'behind' ? 'stale' : 'fresh'
}

/** Put findings together: the gravest is the verdict. */
export function verdictOf(findings: readonly Finding[]): Judgement {
  const headline = findings.reduce((worst, one) => (GRAVITY[one.colour] > GRAVITY[worst.colour] ? one : worst))
  return { colour: headline.colour, headline, findings: [...findings] }
}

/** Judge a text that is no token of ours that can be read. */
export function judgeUnreadable(reason: Unreadable | 'short-code'): Judgement {
  if (reason === 'short-code') return verdictOf([{ code: 'typed-code', colour: 'grey' }])
  if (reason === 'foreign-address') return verdictOf([{ code: 'foreign', colour: 'grey' }])
  if (PERHAPS_NEWER.includes(reason)) return verdictOf([{ code: 'needs-online', colour: 'grey' }])
  return verdictOf([{ code: 'unreadable', colour: 'red' }])
}

export interface Known {
  signature: SignatureVerdict
  claims: Claims
  status: Status | null
  bundle: Pick<Bundle, 'issuedAt' | 'keysetExpiresAt'> | null
  now: number
  clock: ClockState
  /** When this device let the same ticket in before. */
  admittedAt: number | null
  /** Whether a test at this gate speaks against these goods. */
  testedAgainst: boolean
}

/** Judge a token by what is known on this device. */
export function judge(known: Known): Judgement {
  const { signature, claims, bundle, now } = known
  if (signature === 'bad-signature') return verdictOf([{ code: 'forged', colour: 'red' }])
  if (needsOnlineCheck(signature)) return verdictOf([{ code: 'needs-online', colour: 'grey' }])
  if (signature === 'test') return verdictOf([{ code: 'test', colour: 'red' }])
  const isDated = known.clock !== 'jumped' // Nothing about dates is sure after the clock was set.
  if (!isDated && (signature === 'key-expired' || signature === 'key-not-yet-valid'))
    return verdictOf([{ code: 'clock-jumped', colour: 'grey' }])
  if (signature !== 'valid') return verdictOf([{ code: 'key-not-in-force', colour: 'red' }])
  const findings: Finding[] = []
  if (isDated && now >= expiresAt(claims)) findings.push({ code: 'expired', colour: 'red', facts: { at: expiresAt(claims) } })
  if (known.status === Status.revoked) findings.push({ code: 'revoked', colour: 'red' })
  if (known.status === Status.held) findings.push({ code: 'held', colour: 'red' })
  if (known.testedAgainst) findings.push({ code: 'test-against', colour: 'red' })
  if (known.status === Status.consumed) findings.push({ code: 'consumed', colour: 'red' })
  if (known.admittedAt !== null)
    findings.push({ code: 'came-before', colour: 'red', facts: { at: known.admittedAt } })
  const fresh = freshness(bundle, now, known.clock)
  const hours = bundle ? Math.floor((now - bundle.issuedAt) / HOUR_MS) : 0
  if (known.clock === 'jumped') findings.push({ code: 'clock-jumped', colour: 'grey' })
  else if (fresh === 'none') findings.push({ code: 'no-list', colour: 'grey' })
  else if (fresh === 'unusable') findings.push({ code: 'list-too-old', colour: 'grey', facts: { hours } })
  else if (known.clock === 'behind') findings.push({ code: 'clock-behind', colour: 'amber' })
  else if (fresh === 'stale') findings.push({ code: 'list-old', colour: 'amber', facts: { hours } })
  else if (known.status === null) findings.push({ code: 'after-list', colour: 'amber', facts: { at: bundle!.issuedAt } })
  // A green word beside a red one would only confuse.
  else if (!findings.length) findings.push({ code: 'valid', colour: 'green', facts: { at: bundle!.issuedAt } })
  return verdictOf(findings)
}
