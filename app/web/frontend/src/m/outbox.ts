/**
 * What was decided on this phone and is on its way to the server.
 *
 * A job is written down before it is sent, with the ids of all that it will make, and is struck out
 * when the server has it. A lost network, a killed app or a second tab sends it again: the server
 * answers a repeat as it answered the first time, so nothing is lost and nothing is there twice.
 */
import { type DBSchema, type IDBPDatabase, openDB } from 'idb'
import { ref, shallowRef } from 'vue'
import { check, type Problem, Refusal, Unreachable } from '@/shared/api'
import { newId } from '@/shared/ids'

export interface Step {
  path: string
  /** JSON, or a photo. */
  body: object | Blob
}

export interface Job {
  id: string
  /** Whose it is: another person who signs in on this phone does not send it. */
  party: string
  /** What to call it in a list, as the person reads it. */
  title: string
  madeAt: number
  steps: Step[]
  /** Screen to show when it is done. */
  then: string
}

/** A job as it is kept: its requests to the letter, so that a repeat is the very same request. */
export interface Kept extends Omit<Job, 'steps'> {
  steps: { path: string; body: string | Blob }[]
  /** Why the server did not take it, if it refused. */
  problem?: Problem
}

interface Schema extends DBSchema {
  jobs: { key: string; value: Kept }
}

const RETRY_MS = 15_000
const TOO_MANY = 429
const NOT_SIGNED_IN = 401
const SERVER_FAULT = 500

/** Jobs of whoever is signed in that are not at the server yet, oldest first. */
export const waiting = shallowRef<Kept[]>([])
/** Whether this phone's store was looked into since somebody signed in. */
export const looked = ref(false)

/** Whether the server no longer knows who this is; what waits is sent after signing in again. */
export const signedOut = ref(false)

let owner: string | null = null
let database: Promise<IDBPDatabase<Schema>> | undefined
let sending: Promise<unknown> = Promise.resolve()

function open(): Promise<IDBPDatabase<Schema>> {
  database ??= openDB<Schema>('m-outbox', 1, {
    upgrade: (db) => void db.createObjectStore('jobs', { keyPath: 'id' }),
  })
  return database
}

async function refresh(): Promise<void> {
  const all = await (await open()).getAll('jobs')
  waiting.value = all.filter((job) => job.party === owner).sort((a, b) => a.madeAt - b.madeAt)
  looked.value = true
}

async function put({ path, body }: Kept['steps'][number]): Promise<void> {
  const response = await fetch(path, {
    method: 'PUT',
    credentials: 'same-origin',
    headers: { 'Content-Type': body instanceof Blob ? body.type : 'application/json' },
    body,
  }).catch((error: unknown) => {
    throw new Unreachable(String(error))
  })
  await check(response)
}

/** Whether the same request may well be taken later. */
function passes(error: unknown): boolean {
  if (error instanceof Unreachable) return true
  if (!(error instanceof Refusal)) return false
  const { status } = error.problem
  if (status === NOT_SIGNED_IN) signedOut.value = true
  return status >= SERVER_FAULT || status === TOO_MANY || status === NOT_SIGNED_IN
}

async function sendNow(job: Kept): Promise<void> {
  for (const step of job.steps) await put(step)
  await (await open()).delete('jobs', job.id)
}

/** One after the other: a later job may need what an earlier one makes. */
function inTurn<T>(work: () => Promise<T>): Promise<T> {
  const mine = sending.then(work, work)
  sending = mine.catch(() => undefined)
  return mine
}

/**
 * Write a job down and send it.
 *
 * Answers false where the server cannot be reached: the job waits here and is sent again. Throws a
 * refusal and forgets the job, for whoever asked is still at the form and can mend it.
 */
export async function submit(job: Job): Promise<boolean> {
  const kept: Kept = {
    ...job,
    steps: job.steps.map(({ path, body }) => ({ path, body: body instanceof Blob ? body : JSON.stringify(body) })),
  }
  await (await open()).put('jobs', kept)
  return inTurn(async () => {
    try {
      await sendNow(kept)
      return true
    } catch (error) {
      if (passes(error)) return false
      await (await open()).delete('jobs', job.id)
      throw error
    } finally {
      await refresh()
    }
  })
}

/** Send again whatever waits; what is refused stays, with the reason, until somebody looks at it. */
export function sendWaiting(): Promise<void> {
  return inTurn(async () => {
    await refresh()
    for (const job of waiting.value.filter((one) => !one.problem)) {
      try {
        await sendNow(job)
      } catch (error) {
        if (passes(error)) break
        if (!(error instanceof Refusal)) throw error
        await (await open()).put('jobs', { ...job, problem: error.problem })
      }
    }
    await refresh()
  })
}

/** Give a job up. */
export async function discard(id: string): Promise<void> {
  await (await open()).delete('jobs', id)
  await refresh()
}

/** Send a job as something new: what was sent first under its id is there, and is something else. */
export async function sendAnew(job: Kept): Promise<void> {
  const id = newId()
  const anew = (text: string): string => text.replaceAll(job.id, id)
  const steps = job.steps.map(({ path, body }) => ({ path: anew(path), body: body instanceof Blob ? body : anew(body) }))
  const { problem: _, ...sent } = job
  await (await open()).put('jobs', { ...sent, id, steps, then: anew(job.then) })
  await discard(job.id)
  await sendWaiting()
}

/** Whose jobs are shown and sent from now on. */
export async function belongTo(party: string | null): Promise<void> {
  owner = party
  signedOut.value = false
  looked.value = false
  await (party ? sendWaiting() : refresh())
}

/** Try again when the network is back, when somebody looks, and now and then. */
export function keepTrying(): void {
  const retry = (): void => {
    if (owner && document.visibilityState === 'visible' && waiting.value.some((job) => !job.problem))
      void sendWaiting()
  }
  addEventListener('online', retry)
  document.addEventListener('visibilitychange', retry)
  setInterval(retry, RETRY_MS)
}
