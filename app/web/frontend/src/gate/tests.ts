/** Quick tests at the gate: enter what was measured, and show what the market's devices push. */
import { computed, shallowRef } from 'vue'
import { newId } from '@/shared/ids'
import type { components } from '@/shared/openapi.gen'
import { Refused, Unreachable } from './device'
import { device, inspector, lineNow, names, now, reachable, state, sync } from './gate'
import { AGAINST, type Method, readOff, type Reading, seriesOf, standingOf } from './quicktest'
import * as store from './store'
import type { KeptSample } from './store'

export type Sample = components['schemas']['RecentSample']
type Recent = components['schemas']['RecentOut']

/** Goods that were sent to the test, or held: somebody takes a sample of them. */
export interface Waiting {
  line: string
  at: number
  plate: string
  shown: store.LineShown
}

export interface Entry {
  number: string
  massG: number
  product: number | null
  method: string
  reading: Reading
  device: string
}

const DAYS_MS = 3 * 24 * 3_600_000
const LIVE_EVERY_MS = 5_000
const IDLE_EVERY_MS = 30_000
const TO_TEST: readonly string[] = ['HOLD', 'ADMIT_AFTER_TEST']
/** Codes without goods in the books: there is no lot that a test could be kept for. */
const UNTESTABLE: readonly string[] = ['foreign', 'unreadable', 'forged', 'test']

/** What the server told last, as it told it. */
export const live = shallowRef<Sample[]>([])
/** Whether that is of just now: the screen says when it is not. */
export const isLive = shallowRef(false)
export const waiting = shallowRef<Waiting[]>([])
const own = shallowRef<KeptSample[]>([])
/** Why the books did not take what was entered here, by sample. */
export const problems = shallowRef<ReadonlyMap<string, NonNullable<store.KeptDecision['problem']>>>(new Map())
/** What waits by the server's books, which know of other gates; null before it told. */
let toldWaiting: Recent['waiting'] | null = null
let askedAt = -Infinity
/** Since when a line is known to have arrived there: what was told before says nothing of it. */
const arrived = new Map<string, number>()
let tag = ''

export const methods = computed<Method[]>(() => names.value.methods)

/** All samples: the market's as the server tells them, and those that it does not know yet. */
export const samples = computed<Sample[]>(() => {
  const told = new Set(live.value.map((one) => one.number))
  return [...own.value.filter((one) => !told.has(one.number)).map(asTold), ...live.value]
})

function asTold(one: KeptSample): Sample {
  return {
    sample: one.number,
    number: one.number,
    product: one.product ?? 0,
    product_name: one.title,
    status: one.status,
    repeats_left: one.left,
    place_name: null,
    taken_at: new Date(one.at).toISOString(),
    tests: one.tests.map((test) => ({
      test: test.test,
      method: test.series.split(' ')[0]!,
      outcome: test.outcome,
      substance: test.series.split(' ')[1] || null,
      value: test.value || null,
      source: null,
      device: null,
      tested_by_name: '',
      place_name: null,
      tested_at: new Date(test.at).toISOString(),
    })),
  }
}

/** Whether the server knows a sample; what it does not know lies here to be sent. */
export const isTold = (number: string): boolean => live.value.some((one) => one.number === number)

/** A sample as this gate took it, or as the market knows it: any gate may enter the repeat. */
export function repeatable(told: Sample): KeptSample {
  const here = own.value.find((one) => one.number === told.number)
  const known = new Set(told.tests.map((one) => one.test))
  // What was entered a moment ago counts for the next repeat, before the market tells of it.
  const since = problems.value.has(told.number) ? [] : (here?.tests ?? []).filter((one) => !known.has(one.test))
  return {
    line: null,
    serial: null,
    ...here,
    number: told.number,
    product: told.product || null,
    title: told.product_name,
    at: Date.parse(told.taken_at),
    tests: [
      ...told.tests.map((test) => ({
        test: test.test,
        series: seriesOf(test.method, { substance: test.substance }),
        outcome: test.outcome,
        value: test.value ?? '',
        at: Date.parse(test.tested_at),
      })),
      ...since,
    ],
    status: told.status,
    left: told.repeats_left,
  }
}

export async function readKept(): Promise<void> {
  const since = now() - DAYS_MS
  own.value = await store.samplesSince(since)
  const decisions = await store.decisionsSince(since)
  const told = decisions.filter((one) => one.sample)
  problems.value = new Map(told.filter((one) => one.problem).reverse().map((one) => [one.sample!, one.problem!]))
  const good = new Set(told.filter((one) => one.state !== 'refused').map((one) => one.sample))
  const taken = new Set(own.value.filter((one) => good.has(one.number)).map((one) => one.line))
  const here = decisions
    .filter((one) => !one.sample && one.state !== 'refused')
    .flatMap((one) => {
      const { body } = JSON.parse(one.statement) as { body: { lines: { id: string }[] } }
      const lines = one.lines.map((shown, at) => ({ line: body.lines[at]!.id, at: one.at, plate: one.plate, shown }))
      if (one.state === 'taken') for (const { line } of lines) if (!arrived.has(line)) arrived.set(line, performance.now())
      return lines
    })
    .filter((one) => TO_TEST.includes(one.shown.decision) && !UNTESTABLE.includes(one.shown.code))
  const there = new Set(toldWaiting?.map((one) => one.line))
  const known = new Set(here.map((one) => one.line))
  waiting.value = [
    ...here.filter((one) => there.has(one.line) || (arrived.get(one.line) ?? Infinity) > askedAt),
    ...(toldWaiting ?? []).filter((one) => !known.has(one.line)).map(fromBooks),
  ].filter((one) => !taken.has(one.line))
}

function fromBooks(told: Recent['waiting'][number]): Waiting {
  const title = told.product_name
  return {
    line: told.line,
    at: Date.parse(told.inspected_at),
    plate: told.plate ?? '',
    shown: {
      title,
      colour: 'amber',
      code: '',
      decision: told.decision as store.LineShown['decision'],
      serial: null,
      ...(told.product ? { products: [{ id: told.product, name: title }] } : {}),
    },
  }
}

/** Propose what to write on the bag: the day, this device, and its own count. */
export async function nextNumber(): Promise<string> {
  const day = new Date(now() + 8 * 3_600_000).toISOString().slice(5, 10).replace('-', '')
  const count = ((await store.read('sequence')) ?? 0) + 1
  return `${day}-${device.value!.id.slice(-4)}-${count}`.toUpperCase()
}

/** Say what an entry comes to here and now, before anything is kept. */
export function judgeEntry(entry: Pick<Entry, 'method' | 'reading'>, sample: KeptSample | null) {
  const method = methods.value.find((one) => one.code === entry.method)
  const outcome = method && readOff(method, entry.reading)
  if (!outcome) return null
  const tests = [...(sample?.tests ?? []), { series: seriesOf(entry.method, entry.reading), outcome }]
  return { outcome, ...standingOf(tests, repeatsOf) }
}

function repeatsOf(series: string): number {
  return methods.value.find((one) => one.code === series.split(' ')[0])?.repeats ?? 0
}

/** Keep a sample, with what was measured of it unless a device will push that. */
export async function enter(about: Waiting | KeptSample, entry: Entry, measured: boolean): Promise<boolean> {
  const enrolled = device.value
  if (!enrolled) return false
  const former = 'number' in about ? about : null
  const judged = measured ? judgeEntry(entry, former) : null
  const at = now()
  const test = newId(at)
  const named = 'shown' in about ? about.shown.products?.find((one) => one.id === entry.product)?.name : null
  const sample: KeptSample = {
    number: entry.number,
    line: about.line,
    serial: 'shown' in about ? about.shown.serial : about.serial,
    product: entry.product,
    title: 'shown' in about ? (named ?? about.shown.title) : about.title,
    at: former?.at ?? at,
    tests: former?.tests ?? [],
    status: judged?.status ?? former?.status ?? 'sampled',
    left: judged?.left ?? former?.left ?? 0,
  }
  if (judged) {
    const value = String(entry.reading.value ?? '')
    sample.tests = [...sample.tests, { series: seriesOf(entry.method, entry.reading), outcome: judged.outcome, test, value, at }]
  }
  const body = {
    line: about.line,
    number: entry.number,
    mass_g: entry.massG,
    layer: (await store.read('layer')) ?? 'wholesale_market',
    product: entry.product,
    tester: inspector.value,
    device_at: new Date().toISOString(),
    measured: judged && {
      method: entry.method,
      reading: entry.reading,
      device: entry.device ? { serial: entry.device } : null,
    },
  }
  await store.write('testing', {
    method: entry.method,
    substance: entry.reading.substance ?? '',
    device: entry.device,
    massG: entry.massG,
  })
  const shown = { plate: '', lines: [], sample: sample.number }
  await state(enrolled, { test }, at, body, shown, { sample })
  await readKept()
  return judged !== null && AGAINST.includes(judged.status)
}

/** Ask what is new; mostly nothing is, and the answer is empty. */
async function fetchLive(): Promise<void> {
  const line = lineNow()
  if (!line) return
  const begun = performance.now()
  try {
    const answer = await line.get('/gate/tests', tag ? { 'If-None-Match': tag } : {})
    isLive.value = true
    // Whoever hears the server again has things to send.
    if (!reachable.value) void sync()
    askedAt = begun
    if (answer.status === 304) return await readKept()
    const recent = (await answer.json()) as Recent
    live.value = recent.samples
    toldWaiting = recent.waiting
    tag = answer.headers.get('etag') ?? ''
    for (const one of live.value) await store.settleSample(one.number, one.status, one.repeats_left)
    await readKept()
  } catch (error) {
    if (!(error instanceof Unreachable || error instanceof Refused)) throw error
    isLive.value = false
    if (error instanceof Unreachable) reachable.value = false
  }
}

/** Keep asking: often while somebody looks, else now and then. Answers the end of it. */
export function watchLive(looksAt: () => boolean): () => void {
  let asked = -Infinity
  let asking = false
  const ask = async (): Promise<void> => {
    const every = looksAt() ? LIVE_EVERY_MS : IDLE_EVERY_MS
    if (asking || document.hidden || performance.now() - asked < every) return
    asking = true
    asked = performance.now()
    await fetchLive().finally(() => (asking = false))
  }
  const timer = setInterval(() => void ask(), LIVE_EVERY_MS / 5)
  return () => clearInterval(timer)
}

/** Begin anew after the device was enrolled for another gate. */
export function forgetLive(): void {
  tag = ''
  live.value = []
  toldWaiting = null
  askedAt = -Infinity
  isLive.value = false
}

