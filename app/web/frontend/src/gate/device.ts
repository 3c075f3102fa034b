/**
 * The device's key and its signed requests: app/bundle/device.py describes them.
 *
 * The key is made here, is not extractable, and never leaves the browser.
 */
import type { components } from '@/shared/openapi.gen'
import { hexOf, sha256 } from './bundle'
import type { Clock } from '@/shared/clock'
import type { Told } from '@/shared/refusal'
import type { Language } from '@/shared/time'
import type { EnrolledDevice } from './store'

export type Problem = { code: string } & Told & Record<Language, { title: string; next_step: string }>

/** The server said no, and why. */
export class Refused extends Error {
  constructor(
    readonly status: number,
    readonly problem: Problem,
  ) {
    super(problem.code)
  }
}

/** There was no answer. */
export class Unreachable extends Error {}

const ANSWER_MS_MAX = 8_000
const encoder = new TextEncoder()
const STATEMENT = 'ypt-gate-statement-1\n'

export async function makeKeys(): Promise<{ keys: CryptoKeyPair; algorithm: EnrolledDevice['algorithm'] }> {
  const use: KeyUsage[] = ['sign', 'verify']
  try {
    const keys = (await crypto.subtle.generateKey('Ed25519', false, use)) as CryptoKeyPair
    return { keys, algorithm: 'ed25519' }
  } catch {
    const keys = await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, false, use)
    return { keys, algorithm: 'ecdsa-p256' }
  }
}

export async function publicKeyOf(keys: CryptoKeyPair): Promise<string> {
  return hexOf(await crypto.subtle.exportKey('raw', keys.publicKey))
}

async function sign(keys: CryptoKeyPair, message: string): Promise<string> {
  const algorithm = keys.privateKey.algorithm.name === 'ECDSA' ? { name: 'ECDSA', hash: 'SHA-256' } : 'Ed25519'
  return hexOf(await crypto.subtle.sign(algorithm, keys.privateKey, encoder.encode(message)))
}

/** Sign a decision for later: it may lie here for hours. */
export function signStatement(keys: CryptoKeyPair, statement: string): Promise<string> {
  return sign(keys, STATEMENT + statement)
}

export async function ask(path: string, init: RequestInit = {}): Promise<Response> {
  let response: Response
  try {
    response = await fetch(path, { signal: AbortSignal.timeout(ANSWER_MS_MAX), ...init })
  } catch (error) {
    throw new Unreachable(String(error))
  }
  // 304: what is known here is still so.
  if (response.ok || response.status === 304) return response
  const problem = (await response.json().catch(() => null)) as Problem | null
  if (problem?.code) throw new Refused(response.status, problem)
  throw new Unreachable(String(response.status))
}

/** Sends signed requests, and learns the server's time from the answers. */
export class Line {
  constructor(
    readonly device: EnrolledDevice,
    readonly keys: CryptoKeyPair,
    private readonly clock: Clock,
    private readonly learnt: (serverAt: string) => void,
  ) {}

  async get(path: string, headers: Record<string, string> = {}): Promise<Response> {
    return this.send('GET', path, '', { headers })
  }

  async post<T>(path: string, body: unknown, signal?: AbortSignal): Promise<T> {
    return (await (await this.send('POST', path, JSON.stringify(body), signal ? { signal } : {})).json()) as T
  }

  private async send(method: string, path: string, body: string, init: RequestInit): Promise<Response> {
    try {
      return await this.once(method, path, body, init)
    } catch (error) {
      const told = error instanceof Refused && error.problem.facts?.['server_at']
      if (typeof told !== 'string') throw error
      // Our clock was off by more than the server bears: now we know by how much.
      this.learnt(told)
      return this.once(method, path, body, init)
    }
  }

  private async once(method: string, path: string, body: string, init: RequestInit): Promise<Response> {
    const stamp = String(Math.floor(this.clock.now() / 1000))
    const digest = await sha256(encoder.encode(body))
    const message = ['ypt-gate-1', this.device.id, stamp, method, path, digest].join('\n')
    const headers: Record<string, string> = {
      ...(init.headers as Record<string, string> | undefined),
      'X-Ypt-Device': this.device.id,
      'X-Ypt-Timestamp': stamp,
      'X-Ypt-Signature': await sign(this.keys, message),
    }
    if (body) headers['Content-Type'] = 'application/json'
    return ask(path, { ...init, method, headers, ...(body ? { body } : {}) })
  }
}

export async function enrol(
  id: string,
  code: string,
  name: string,
  algorithm: EnrolledDevice['algorithm'],
  publicKey: string,
): Promise<components['schemas']['EnrolledOut']> {
  const response = await ask(`/gate/devices/${id}`, {
    method: 'PUT',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ code, name, algorithm, public_key: publicKey }),
  })
  return (await response.json()) as components['schemas']['EnrolledOut']
}
