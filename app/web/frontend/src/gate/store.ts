/**
 * What the device keeps: IndexedDB, so that nothing is lost when the page, the browser or the phone
 * dies. A decision is written before anything else is done with it.
 */
import { type DBSchema, type IDBPDatabase, openDB } from 'idb'
import type { KeptClock } from '@/shared/clock'
import type { Signed } from './bundle'
import type { Problem } from './device'
import type { Colour, Decision } from './judge'
import type { Fact, SampleStatus } from './quicktest'

export interface EnrolledDevice {
  id: string
  name: string
  market: { place: string; name: string }
  gate: { place: string; name: string }
  algorithm: 'ed25519' | 'ecdsa-p256'
  rootKey: string
  publicUrl: string
}

/** A line of a vehicle, as it will be sent. */
export interface LineBody {
  id: string
  text: string
  decided_offline: Decision
}

/** What lists show of a line. */
export interface LineShown {
  title: string
  colour: Colour
  code: string
  decision: Decision
  serial: string | null
  /** Of a ticket with several; which of them a test is about, the tester says. */
  products?: { id: number; name: string }[]
}

/** A sample that this gate took, with what is known of it here. */
export interface KeptSample {
  number: string
  /** Null where another gate took it: its number says which goods. */
  line: string | null
  /** Of the ticket's token, by which the goods are known again. */
  serial: string | null
  product: number | null
  title: string
  at: number
  tests: (Fact & { test: string; value: string; at: number })[]
  status: SampleStatus
  left: number
}

/** A statement that was made here: a decision about a vehicle, or a quick test. */
export interface KeptDecision {
  inspection: string
  sequence: number
  at: number
  statement: string
  /** Null until it is signed; whatever dies in between is signed at the next start. */
  signature: string | null
  state: 'waiting' | 'taken' | 'refused'
  plate: string
  lines: LineShown[]
  /** The number of the sample that the statement is about; null where it is about a vehicle. */
  sample?: string | null
  /** What the books say of it, once it was sent. */
  verdict: Decision | null
  cases: number
  /** Why they did not take it. */
  problem: Problem | null
}

export interface Draft {
  plate: string
  lines: { body: LineBody; shown: LineShown }[]
}

export interface KeptBundle {
  keyset: Signed
  meta: Signed
  versions: { keyset: number; meta: number }
}

interface Schema extends DBSchema {
  kept: { key: string; value: unknown }
  shards: { key: string; value: Uint8Array<ArrayBuffer> }
  decisions: {
    key: string
    value: KeptDecision
    indexes: { sequence: number; state: string; at: number }
  }
  admitted: { key: string; value: { serial: string; at: number } }
  samples: { key: string; value: KeptSample; indexes: { serial: string; at: number } }
}

interface Kept {
  device: EnrolledDevice
  keys: CryptoKeyPair
  pending: { id: string; keys: CryptoKeyPair; algorithm: EnrolledDevice['algorithm'] }
  clock: KeptClock
  inspector: string
  draft: Draft
  bundle: KeptBundle
  sequence: number
  refusedBundle: string
  layer: Layer
  /** What was last tested with: it rarely changes. */
  testing: { method: string; substance: string; device: string; massG: number }
}

/** Which kind of market tests here. */
export type Layer = 'wholesale_market' | 'retail_market'

let opened: Promise<IDBPDatabase<Schema>> | undefined

function database(): Promise<IDBPDatabase<Schema>> {
  opened ??= openDB<Schema>('gate', 3, {
    async upgrade(db, from, _to, tx) {
      if (from < 2) {
        const samples = db.createObjectStore('samples', { keyPath: 'number' })
        samples.createIndex('serial', 'serial')
        samples.createIndex('at', 'at')
      }
      if (from < 1) {
        db.createObjectStore('kept')
        db.createObjectStore('shards')
        db.createObjectStore('admitted', { keyPath: 'serial' })
        const decisions = db.createObjectStore('decisions', { keyPath: 'inspection' })
        decisions.createIndex('sequence', 'sequence')
        decisions.createIndex('state', 'state')
        decisions.createIndex('at', 'at')
      }
      // Of a refusal only the titles were kept.
      let at = await tx.objectStore('decisions').openCursor()
      for (; at; at = await at.continue()) {
        const { zh, en } = (at.value.problem ?? {}) as { zh?: unknown; en?: unknown }
        if (typeof zh !== 'string' || typeof en !== 'string') continue
        const problem = { code: '', zh: { title: zh, next_step: '' }, en: { title: en, next_step: '' } }
        await at.update({ ...at.value, problem })
      }
    },
  })
  return opened
}

export async function read<K extends keyof Kept>(key: K): Promise<Kept[K] | undefined> {
  return (await (await database()).get('kept', key)) as Kept[K] | undefined
}

export async function write<K extends keyof Kept>(key: K, value: Kept[K]): Promise<void> {
  await (await database()).put('kept', value, key)
}

export async function forget(key: keyof Kept): Promise<void> {
  await (await database()).delete('kept', key)
}

/**
 * Write a decision with the next sequence number, and what it lets in: all of it or nothing.
 *
 * The statement is written by the caller, who is told the number, inside the transaction.
 */
export async function addDecision(
  make: (sequence: number) => Omit<KeptDecision, 'sequence'>,
  { clearDraft = false, sample }: { clearDraft?: boolean; sample?: KeptSample } = {},
): Promise<KeptDecision> {
  const db = await database()
  const tx = db.transaction(['kept', 'decisions', 'admitted', 'samples'], 'readwrite', { durability: 'strict' })
  const kept = tx.objectStore('kept')
  const sequence = (((await kept.get('sequence')) as number | undefined) ?? 0) + 1
  const decision: KeptDecision = { ...make(sequence), sequence }
  await kept.put(sequence, 'sequence')
  await tx.objectStore('decisions').add(decision)
  for (const line of decision.lines)
    if (line.serial && line.decision === 'ADMIT')
      await tx.objectStore('admitted').put({ serial: line.serial, at: decision.at })
  if (sample) await tx.objectStore('samples').put(sample)
  if (clearDraft) await kept.delete('draft')
  await tx.done
  return decision
}

export async function changeDecision(inspection: string, change: Partial<KeptDecision>): Promise<void> {
  const db = await database()
  const tx = db.transaction('decisions', 'readwrite', { durability: 'strict' })
  const found = await tx.store.get(inspection)
  if (found) await tx.store.put({ ...found, ...change })
  await tx.done
}

/** What is still to be sent, oldest first. */
export async function waiting(): Promise<KeptDecision[]> {
  const found = await (await database()).getAllFromIndex('decisions', 'state', 'waiting')
  return found.sort((one, other) => one.sequence - other.sequence)
}

export async function countWaiting(): Promise<number> {
  return (await database()).countFromIndex('decisions', 'state', 'waiting')
}

export async function decisionsSince(at: number): Promise<KeptDecision[]> {
  const found = await (await database()).getAllFromIndex('decisions', 'at', IDBKeyRange.lowerBound(at))
  return found.reverse()
}

export async function admittedAt(serial: string): Promise<number | null> {
  return (await (await database()).get('admitted', serial))?.at ?? null
}

export async function samplesSince(at: number): Promise<KeptSample[]> {
  const found = await (await database()).getAllFromIndex('samples', 'at', IDBKeyRange.lowerBound(at))
  return found.reverse()
}

/** The samples of the goods of a ticket. */
export async function samplesOf(serial: string): Promise<KeptSample[]> {
  return (await database()).getAllFromIndex('samples', 'serial', serial)
}

/** Take over what the books say of a sample, if it was taken here. */
export async function settleSample(number: string, status: SampleStatus, left: number): Promise<void> {
  const tx = (await database()).transaction('samples', 'readwrite')
  const found = await tx.store.get(number)
  if (found && (found.status !== status || found.left !== left)) await tx.store.put({ ...found, status, left })
  await tx.done
}

export async function shardsByName(names: readonly string[]): Promise<Map<string, Uint8Array<ArrayBuffer>>> {
  const db = await database()
  const found = new Map<string, Uint8Array<ArrayBuffer>>()
  for (const name of names) {
    const content = await db.get('shards', name)
    if (content) found.set(name, content)
  }
  return found
}

/** Keep a bundle that was checked, and only its shards. */
export async function keepBundle(
  bundle: KeptBundle,
  contents: ReadonlyMap<string, Uint8Array<ArrayBuffer>>,
): Promise<void> {
  const db = await database()
  const tx = db.transaction(['kept', 'shards'], 'readwrite')
  for (const name of await tx.objectStore('shards').getAllKeys())
    if (!contents.has(name)) await tx.objectStore('shards').delete(name)
  for (const [name, content] of contents) await tx.objectStore('shards').put(content, name)
  await tx.objectStore('kept').put(bundle, 'bundle')
  await tx.objectStore('kept').delete('refusedBundle')
  await tx.done
}

/** Begin anew with another enrolment. What was not sent stays, and is shown. */
export async function keepDevice(device: EnrolledDevice, keys: CryptoKeyPair): Promise<void> {
  const db = await database()
  const tx = db.transaction('kept', 'readwrite', { durability: 'strict' })
  await tx.store.put(device, 'device')
  await tx.store.put(keys, 'keys')
  await tx.store.put(0, 'sequence')
  for (const key of ['pending', 'bundle', 'refusedBundle'] as const) await tx.store.delete(key)
  await tx.done
}
