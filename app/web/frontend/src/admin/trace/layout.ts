/** Where the boxes of a graph stand; reckoned by dagre in a worker. */
import type { Spot } from './graph'

export interface Asked {
  lots: string[]
  edges: [string, string][]
  /** Of every box. */
  width: number
  height: number
}

export interface Laid {
  width: number
  height: number
  spots: [string, Spot][]
  /** The bends of each edge, in the order in which edges were given. */
  ways: Spot[][]
}

let worker: Worker | null = null
let last: Promise<unknown> = Promise.resolve()

/** Lay a graph out; one at a time, in the order in which it is asked. */
export function layOut(asked: Asked): Promise<Laid> {
  worker ??= new Worker(new URL('./layout.worker.ts', import.meta.url), { type: 'module' })
  const mine = worker
  const next = last.then(
    () =>
      new Promise<Laid>((resolve, reject) => {
        mine.onmessage = ({ data }: MessageEvent<Laid>) => resolve(data)
        mine.onerror = (event) => reject(new Error(event.message))
        mine.postMessage(asked)
      }),
  )
  last = next.catch(() => undefined)
  return next
}

/** Start the worker while the server still thinks. */
export function warmUp(): void {
  worker ??= new Worker(new URL('./layout.worker.ts', import.meta.url), { type: 'module' })
}
