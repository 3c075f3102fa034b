/** The gate's state and its verbs: look at a code, decide, send, fetch the list. */
import { computed, reactive, ref, shallowRef } from 'vue'
import { Clock } from '@/shared/clock'
import { newId } from '@/shared/ids'
import { verify } from '@/shared/keys'
import type { components } from '@/shared/openapi.gen'
import { type Claims, digitsOf, parse, UnreadableError } from '@/shared/token'
import { type Bundle, namedShards, type Names, namesIn, openBundle, statusOf, UnfitError } from './bundle'
import { enrol, Line, makeKeys, type Problem, publicKeyOf, Refused, signStatement, Unreachable } from './device'
import { AGAINST } from './quicktest'
import { type Colour, type Decision, freshness, judge, type Judgement, judgeUnreadable, verdictOf } from './judge'
import * as store from './store'
import type { Draft, EnrolledDevice, KeptDecision, KeptSample, LineShown } from './store'

type Verdict = components['schemas']['VerdictOut']
type BundleAnswer = components['schemas']['BundleOut']
type UploadAnswer = components['schemas']['UploadOut']

export interface Looked {
  text: string
  claims: Claims | null
  judgement: Judgement
  /** What the books said, where there was a network. */
  verdict: Verdict | null
  lookedUp: boolean
}

const SHORT_CODE = /^[0-9A-HJ-KM-NP-TV-Z-\s]{13,20}$/i
/** What small labels say: `/c/` leads to a ticket, `/b/` to what a blank label was bound to. */
const SHORT_PATH = /^\/[bc]\/(.+)$/
const CHECK_MS_MAX = 4_000
const BATCH = 25
const SYNC_EVERY_MS = 30_000
const LIST_EVERY_MS = 5 * 60_000
const COLOURS: Readonly<Record<string, Colour>> = {
  ADMIT: 'green',
  RELEASED_BY_REGULATOR: 'green',
  ADMIT_AFTER_TEST: 'amber',
  HOLD: 'red',
  REFUSE: 'red',
}

export const device = shallowRef<EnrolledDevice | null>(null)
export const bundle = shallowRef<Bundle | null>(null)
export const inspector = ref('')
export const draft = reactive<Draft>({ plate: '', lines: [] })
export const isTruck = ref(false)
export const toUpload = ref(0)
export const reachable = ref(navigator.onLine)
export const believed = ref(true)
export const unfit = ref<string | null>(null)
export const minutesOff = ref<number | null>(null)
export const changed = ref(0)
/** Moves on every half minute, so that ages on the screen do. */
export const tick = ref(0)

let clock = new Clock()
let line: Line | null = null
/** The signed line to the server, once the device is enrolled. */
export const lineNow = (): Line | null => line
let syncing: Promise<void> | null = null
let again = false
let listAt = 0

export const now = (): number => clock.now()
export const listState = computed(() => (tick.value, freshness(bundle.value, clock.now(), clock.state())))
export const names = computed<Names>(() => (bundle.value ? namesIn(bundle.value) : { products: {}, counties: {}, methods: [], substances: [] }))

/** Take up what the device has kept; works without any network. */
export async function open(): Promise<void> {
  clock = new Clock(await store.read('clock'))
  minutesOff.value = clock.minutesOff()
  inspector.value = (await store.read('inspector')) ?? ''
  Object.assign(draft, (await store.read('draft')) ?? { plate: '', lines: [] })
  isTruck.value = draft.lines.length > 0 || draft.plate !== ''
  device.value = (await store.read('device')) ?? null
  unfit.value = (await store.read('refusedBundle')) ?? null
  await connect()
  if (device.value) await openKeptBundle(device.value)
  await count()
  setInterval(() => void sync(), SYNC_EVERY_MS)
  addEventListener('online', () => void sync())
  document.addEventListener('visibilitychange', () => document.hidden || void sync())
  void sync()
}

async function connect(): Promise<void> {
  const keys = await store.read('keys')
  line = device.value && keys ? new Line(device.value, keys, clock, learn) : null
}

function learn(serverAt: string): void {
  void store.write('clock', clock.learn(Date.parse(serverAt)))
  minutesOff.value = clock.minutesOff()
  tick.value++
}

async function openKeptBundle(enrolled: EnrolledDevice): Promise<void> {
  const kept = await store.read('bundle')
  if (!kept) return
  const contents = await store.shardsByName(namedShards(kept.meta).map((one) => one.sha256))
  // What was in order when it came is opened as of then: how old it is by now, the verdict says.
  const at = Date.parse((JSON.parse(kept.meta.document) as { issued_at: string }).issued_at)
  const about = { market: enrolled.market.place, at, kept: kept.versions }
  bundle.value = await openBundle(enrolled.rootKey, kept.keyset, kept.meta, contents, about).catch((error: unknown) => {
    if (!(error instanceof UnfitError)) throw error
    unfit.value = error.reason
    return null
  })
}

// --- enrolment -----------------------------------------------------------------------------------

/** Enrol with a code. The key is kept before it is sent, so that a lost answer can be asked for again. */
export async function enrolWith(code: string, name: string): Promise<void> {
  let pending = await store.read('pending')
  if (!pending) {
    pending = { id: newId(), ...(await makeKeys()) }
    await store.write('pending', pending)
  }
  let answer
  try {
    answer = await enrol(pending.id, code, name, pending.algorithm, await publicKeyOf(pending.keys))
  } catch (error) {
    if (!(error instanceof Refused)) throw error
    const { code: why } = error.problem
    // With another code the browser that had no answer is still the same one.
    if (why !== 'enrolment-code-wrong') await store.forget('pending')
    // By a former code it did arrive: this is an enrolment of its own.
    if (why !== 'id-reused') throw error
    return enrolWith(code, name)
  }
  const enrolled: EnrolledDevice = {
    id: answer.device,
    name: answer.name,
    market: answer.market,
    gate: answer.gate,
    algorithm: pending.algorithm,
    rootKey: answer.root_key,
    publicUrl: answer.public_url,
  }
  await store.keepDevice(enrolled, pending.keys)
  bundle.value = null
  device.value = enrolled
  believed.value = true
  learn(answer.server_at)
  await connect()
  listAt = 0
  await sync()
}

export async function keepInspector(name: string): Promise<void> {
  inspector.value = name.trim()
  await store.write('inspector', inspector.value)
}

// --- looking -------------------------------------------------------------------------------------

/** Whether only the books know what this stands for: a short code, typed or in an address of ours. */
function isShortCode(told: string, publicUrl: string): boolean {
  const base = publicUrl.replace(/\/+$/, '')
  const code = (told.startsWith(base) && SHORT_PATH.exec(told.slice(base.length))?.[1]) || told
  return SHORT_CODE.test(code) && code.replace(/[\s-]/g, '').length === 13
}

/** Judge a text by what is on this device; takes milliseconds. */
export async function look(text: string): Promise<Looked> {
  const enrolled = device.value
  const told = text.trim()
  const looked: Looked = { text: told, claims: null, judgement: judgeUnreadable('foreign-address'), verdict: null, lookedUp: false }
  if (!enrolled) return looked
  if (isShortCode(told, enrolled.publicUrl))
    return { ...looked, judgement: judgeUnreadable('short-code') }
  try {
    const parsed = parse(digitsOf(told, [enrolled.publicUrl]))
    const { claims } = parsed
    const at = clock.now()
    const signature = await verify(parsed, bundle.value?.keys ?? [], at)
    const kind = claims.type === 'origin-certificate' ? 'certificate' : 'ticket'
    const status = bundle.value ? statusOf(bundle.value, kind, claims.issuedAt, claims.statusIndex) : null
    const admittedAt = signature === 'valid' ? await store.admittedAt(String(claims.serial)) : null
    const samples = signature === 'valid' ? await store.samplesOf(String(claims.serial)) : []
    const testedAgainst = samples.some((one) => AGAINST.includes(one.status))
    const known = { signature, claims, status, bundle: bundle.value, now: at, clock: clock.state(), admittedAt, testedAgainst }
    const judgement = judge(known)
    // Nothing that a forged code says is shown.
    return { ...looked, claims: signature === 'valid' || signature === 'test' ? claims : null, judgement }
  } catch (error) {
    if (!(error instanceof UnreadableError)) throw error
    return { ...looked, judgement: judgeUnreadable(error.reason) }
  }
}

/** Ask the books as well; what this device knows to be wrong stays wrong. */
export async function lookUp(looked: Looked): Promise<Looked> {
  if (!line || !reachable.value || looked.judgement.headline.code === 'forged') return { ...looked, lookedUp: true }
  try {
    const body = { id: newId(clock.now()), text: looked.text, plate: draft.plate || null }
    const verdict = await line.post<Verdict>('/gate/checks', body, AbortSignal.timeout(CHECK_MS_MAX))
    learn(verdict.scanned_at)
    const colour = COLOURS[verdict.decision] ?? 'grey'
    const own = looked.judgement.findings.filter((one) => one.colour === 'red')
    const judgement = verdictOf([...own, { code: `books.${verdict.decision}`, colour }])
    return { ...looked, judgement, verdict, lookedUp: true }
  } catch (error) {
    if (error instanceof Refused) {
      believed.value = error.problem.code !== 'device-not-believed'
      return { ...looked, lookedUp: true }
    }
    if (!(error instanceof Unreachable)) throw error
    reachable.value = false
    return { ...looked, lookedUp: true }
  }
}

/** What a list calls the goods of a code. */
export function titleOf(looked: Looked): string {
  const ticket = looked.verdict?.ticket
  if (ticket) return ticket.lines.map((one) => one.trade_name).join('、')
  const product = looked.claims?.product
  return (product && names.value.products[product]) || ''
}

// --- deciding ------------------------------------------------------------------------------------

export async function decide(looked: Looked, decision: Decision): Promise<void> {
  const told = looked.verdict?.ticket?.lines.map((one) => ({ id: one.product, name: one.trade_name }))
  const claimed = looked.claims?.product
  const products = told ?? (claimed ? [{ id: claimed, name: titleOf(looked) }] : [])
  const shown: LineShown = {
    title: titleOf(looked),
    colour: looked.judgement.colour,
    code: looked.judgement.headline.code,
    decision,
    serial: looked.claims ? String(looked.claims.serial) : null,
    ...(products.length ? { products } : {}),
  }
  const made = { body: { id: newId(clock.now()), text: looked.text, decided_offline: decision }, shown }
  if (isTruck.value) {
    draft.lines.push(made)
    await keepDraft()
  } else {
    await finish('', [made])
  }
}

/** What is watched by the screen cannot be kept as it is. */
const plain = <T>(content: T): T => JSON.parse(JSON.stringify(content)) as T

export async function keepDraft(): Promise<void> {
  await store.write('draft', plain(draft))
}

/** The whole vehicle is done: one statement with all its lines. */
export async function finishTruck(): Promise<void> {
  if (draft.lines.length) await finish(draft.plate.trim(), draft.lines, true)
  Object.assign(draft, { plate: '', lines: [] })
  await keepDraft()
  isTruck.value = false
}

async function finish(plate: string, lines: Draft['lines'], clearDraft = false): Promise<void> {
  const enrolled = device.value
  if (!enrolled) return
  const at = clock.now()
  const inspection = newId(at)
  const body = {
    inspector: inspector.value,
    ...(plate ? { plate } : {}),
    device_at: new Date().toISOString(),
    lines: lines.map((one) => ({ ...one.body })),
  }
  const about = { plate, lines: plain(lines.map((one) => one.shown)) }
  await state(enrolled, { inspection }, at, body, about, { clearDraft })
}

/** Make a statement for good: kept with the next number, signed, and sent as soon as it can be. */
export async function state(
  enrolled: EnrolledDevice,
  subject: { inspection: string } | { test: string },
  at: number,
  body: unknown,
  about: Pick<KeptDecision, 'plate' | 'lines' | 'sample'>,
  beside: { clearDraft?: boolean; sample?: KeptSample } = {},
): Promise<void> {
  const kept = await store.addDecision(
    (sequence) => ({
      inspection: 'test' in subject ? subject.test : subject.inspection,
      at,
      statement: JSON.stringify({ v: 1, device: enrolled.id, sequence, ...subject, body }),
      signature: null,
      state: 'waiting',
      verdict: null,
      cases: 0,
      problem: null,
      ...about,
    }),
    beside,
  )
  await signed(kept)
  await count()
  void sync()
}

async function signed(decision: KeptDecision): Promise<string> {
  if (decision.signature) return decision.signature
  const keys = await store.read('keys')
  const signature = await signStatement(keys!, decision.statement)
  await store.changeDecision(decision.inspection, { signature })
  return signature
}

async function count(): Promise<void> {
  toUpload.value = await store.countWaiting()
  changed.value++
}

// --- sending and fetching ------------------------------------------------------------------------

/** Send what waits and fetch a newer list; one at a time, however often it is called. */
export function sync(): Promise<void> {
  tick.value++
  again = syncing !== null
  syncing ??= exchange().finally(() => {
    syncing = null
    if (again && reachable.value) void sync()
  })
  return syncing
}

async function exchange(): Promise<void> {
  if (!line) return
  try {
    await sendWaiting(line)
    if (Date.now() - listAt > LIST_EVERY_MS || !bundle.value) await fetchBundle(line)
    reachable.value = true
    believed.value = true
  } catch (error) {
    if (error instanceof Refused) {
      reachable.value = true
      if (error.problem.code === 'device-not-believed') believed.value = false
    } else if (error instanceof Unreachable) reachable.value = false
    else throw error
  }
}

async function sendWaiting(to: Line): Promise<void> {
  for (;;) {
    // Another enrolment's statements are not ours to send.
    const own = (await store.waiting()).filter((one) => one.statement.includes(`"device":"${to.device.id}"`))
    const batch = own.slice(0, BATCH)
    if (!batch.length) return
    const statements = await Promise.all(
      batch.map(async (one) => ({ statement: one.statement, signature: await signed(one) })),
    )
    const answer = await to.post<UploadAnswer>('/gate/uploads', { sent_at: new Date().toISOString(), statements })
    for (const [at, outcome] of answer.outcomes.entries()) {
      await store.changeDecision(batch[at]!.inspection, {
        state: outcome.state === 'refused' ? 'refused' : 'taken',
        verdict: (outcome.decision as Decision | null) ?? null,
        cases: outcome.cases,
        problem: outcome.problem as Problem | null,
      })
      const { test } = outcome
      if (test) await store.settleSample(test.number, test.status, test.repeats_left)
    }
    learn(answer.server_at)
    reachable.value = true
    await count()
  }
}

/** Fetch the newest list; one that is not in order is left, and the older one kept. */
async function fetchBundle(from: Line): Promise<void> {
  const answer = (await (await from.get('/gate/bundle')).json()) as BundleAnswer
  learn(answer.server_at)
  listAt = Date.now()
  const former = await store.read('bundle')
  const versions = former?.versions ?? { keyset: 0, meta: 0 }
  try {
    const wanted = [...new Set(namedShards(answer.meta).map((one) => one.sha256))]
    const contents = await store.shardsByName(wanted)
    for (const name of wanted)
      if (!contents.has(name))
        contents.set(name, new Uint8Array(await (await from.get(`/gate/bundle/shards/${name}`)).arrayBuffer()))
    const about = { market: from.device.market.place, at: clock.now(), kept: versions }
    const read = await openBundle(from.device.rootKey, answer.keyset, answer.meta, contents, about)
    const kept = { keyset: read.keysetVersion, meta: read.version }
    await store.keepBundle({ keyset: answer.keyset, meta: answer.meta, versions: kept }, contents)
    bundle.value = read
    unfit.value = null
  } catch (error) {
    if (!(error instanceof UnfitError)) throw error
    unfit.value = error.reason
    await store.write('refusedBundle', error.reason)
  }
}

/** Fetch the list now, because somebody asks for it. */
export async function refresh(): Promise<void> {
  listAt = 0
  await sync()
}
