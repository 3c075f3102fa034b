/**
 * The server's API, typed from its OpenAPI description (schemas/openapi.json, `npm run build`).
 *
 * A refusal is a problem document (RFC 9457) with a stable code and what to do next in two
 * languages; `Refusal` carries it to whoever shows it.
 */
import createClient, { type Middleware } from 'openapi-fetch'
import { Clock } from './clock'
import type { paths } from './openapi.gen'
import { fieldsOf, figuresOf } from './refusal'
import type { Language } from './time'

export interface Problem {
  code: string
  status: number
  zh: { title: string; next_step: string }
  en: { title: string; next_step: string }
  facts?: Record<string, unknown>
  errors?: { pointer: string; code: string; message: string }[]
  request_id?: string
}

export class Refusal extends Error {
  constructor(readonly problem: Problem) {
    super(problem.code)
  }
}

/** There was no answer at all: no network, or no server. */
export class Unreachable extends Error {}

/** The `Date` of an answer has no fractions of its second, and the way here took a while. */
const DATE_EXACT_MS = 5_000

const clock = new Clock()

/** The present instant by the server's clock, as the wire writes it. */
export function serverNow(): string {
  return new Date(clock.now()).toISOString()
}

/** Whether this device's clock is so wrong that its owner should know. */
export function clockIsOff(): boolean {
  return clock.minutesOff() !== null
}

/** Let a good answer pass; throw what else it says. */
export async function check(response: Response): Promise<void> {
  const said = Date.parse(response.headers.get('date') ?? '')
  if (!Number.isNaN(said)) clock.learn(said, DATE_EXACT_MS)
  if (response.ok) return
  const problem: unknown = await response.clone().json().catch(() => null)
  if (problem && typeof problem === 'object' && 'code' in problem) throw new Refusal(problem as Problem)
  throw new Unreachable(`${response.status}`)
}

const refusals: Middleware = {
  async onResponse({ response }) {
    await check(response)
    return undefined
  },
  onError({ error }) {
    return error instanceof Refusal ? error : new Unreachable(String(error))
  },
}

export const api = createClient<paths>({ baseUrl: '/', credentials: 'same-origin' })
api.use(refusals)

/** What went wrong; it is said in words where it is drawn, in the language of that moment. */
export type Failure = Refusal | Unreachable

export interface Said {
  title: string
  next: string
  /** How much, where a number would help. */
  figures: string[]
  /** The fields to look at, where some are to blame. */
  fields: string
}

/** Let a failure pass that a person can be told of; throw what else there is: a bug. */
export function asFailure(error: unknown): Failure {
  if (error instanceof Refusal || error instanceof Unreachable) return error
  throw error
}

/** Say a failure to a person: what is wrong and what to do next. */
export function explain(error: unknown, language: Language): Said {
  const failure = asFailure(error)
  if (failure instanceof Refusal) {
    const { problem } = failure
    const { title, next_step: next } = problem[language]
    return { title, next, figures: figuresOf(problem, language), fields: fieldsOf(problem, language) }
  }
  const [title, next] =
    language === 'zh'
      ? ['连不上服务器', '请检查网络后再试，已填的内容不会丢失']
      : ['The server cannot be reached', 'Check the network and try again; nothing that you typed is lost']
  return { title: title!, next: next!, figures: [], fields: '' }
}
