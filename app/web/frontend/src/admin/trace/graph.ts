/**
 * A provenance graph as these screens show it: what the server folded, behind and ahead of one lot.
 * Pure, so that the drawing and the table are two views of the same thing.
 */
import type { components } from '@/shared/openapi.gen'

export type Picture = components['schemas']['PictureOut']
export type DrawnEdge = components['schemas']['DrawnEdgeOut']

export interface GraphNode extends Omit<components['schemas']['DrawnOut'], 'depth'> {
  /** Its number, oldest first, in the drawing as in the table. */
  no: number
  /** Whether it lies behind the lot in question, ahead of it, or is it. */
  side: 'back' | 'asked' | 'forward'
  /** Steps from the lot in question; negative behind it. */
  depth: number
  /** Behind: part of the asked lot that came from here. Ahead: part of this that stems from it. */
  share: number | null
}

export interface Graph {
  asked: string
  nodes: GraphNode[]
  edges: DrawnEdge[]
  /** Lots that are drawn, all together. */
  lots: number
  beyond: Picture['beyond']
}

/** Join what lies behind a lot and what lies ahead of it; they have the lot in common. */
export function join(pictures: readonly Picture[]): Graph {
  const asked = pictures[0]!.lot
  const askedG = pictures[0]!.nodes.find((node) => node.lot === asked)?.mass_g ?? null
  const back = pictures.find((one) => one.direction === 'back')
  const forward = pictures.find((one) => one.direction === 'forward')
  const behind = (back?.nodes ?? []).filter((node) => node.lot !== asked)
  const ahead = (forward?.nodes ?? []).filter((node) => node.lot !== asked)
  const middle = pictures[0]!.nodes.filter((node) => node.lot === asked)
  const part = (share: number | null, whole: number | null) => (share === null || !whole ? null : share / whole)
  const unnumbered: Omit<GraphNode, 'no'>[] = [
    ...behind.map((node) => ({ ...node, side: 'back' as const, depth: -node.depth, share: part(node.share_g, askedG) })),
    ...middle.map((node) => ({ ...node, side: 'asked' as const, depth: 0, share: 1 })),
    ...ahead.map((node) => ({ ...node, side: 'forward' as const, share: part(node.share_g, node.mass_g) })),
  ]
  const lots = pictures.reduce((sum, one) => sum + one.lots_total, 0) - (pictures.length - 1)
  return {
    asked,
    nodes: unnumbered.map((node, at) => ({ ...node, no: at + 1 })),
    edges: pictures.flatMap((one) => one.edges),
    lots,
    beyond: forward?.beyond ?? null,
  }
}

/** Nodes that lie before or after each, one step. */
export function neighbours(graph: Graph): { before: Map<string, string[]>; after: Map<string, string[]> } {
  const before = new Map<string, string[]>(graph.nodes.map((node) => [node.lot, []]))
  const after = new Map<string, string[]>(graph.nodes.map((node) => [node.lot, []]))
  for (const edge of graph.edges) {
    after.get(edge.src)?.push(edge.dst)
    before.get(edge.dst)?.push(edge.src)
  }
  return { before, after }
}

/** All that can be reached from a node, itself included. */
export function reach(from: string, next: Map<string, string[]>): Set<string> {
  const met = new Set([from])
  const open = [from]
  for (let node = open.pop(); node !== undefined; node = open.pop())
    for (const neighbour of next.get(node) ?? [])
      if (!met.has(neighbour)) {
        met.add(neighbour)
        open.push(neighbour)
      }
  return met
}

export interface Spot {
  x: number
  y: number
}

export type Arrow = 'ArrowLeft' | 'ArrowRight' | 'ArrowUp' | 'ArrowDown'

/**
 * Answer where an arrow key leads: left to what a node came from, right to what became of it (the
 * nearest in height), up and down within its column.
 */
export function step(
  from: string,
  arrow: Arrow,
  near: ReturnType<typeof neighbours>,
  spots: ReadonlyMap<string, Spot>,
): string {
  const here = spots.get(from)
  if (!here) return from
  const nearest = (lots: Iterable<string>, away: (spot: Spot) => number): string => {
    let best = from
    let least = Infinity
    for (const lot of lots) {
      const distance = away(spots.get(lot)!)
      if (distance > 0 && distance < least) [best, least] = [lot, distance]
    }
    return best
  }
  if (arrow === 'ArrowLeft') return nearest(near.before.get(from) ?? [], (spot) => 1 + Math.abs(spot.y - here.y))
  if (arrow === 'ArrowRight') return nearest(near.after.get(from) ?? [], (spot) => 1 + Math.abs(spot.y - here.y))
  const down = arrow === 'ArrowDown' ? 1 : -1
  return nearest(spots.keys(), (spot) => (Math.abs(spot.x - here.x) < 1 ? down * (spot.y - here.y) : 0))
}

/** Write rows as a file that spreadsheets open; what looks like a formula is made plain text. */
export function csv(rows: readonly (readonly (string | number | null)[])[]): string {
  const cell = (value: string | number | null) => {
    const text = typeof value === 'string' && /^[=+\-@\t\r]/.test(value) ? `'${value}` : String(value ?? '')
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
  }
  // The mark at the beginning tells Excel that this is UTF-8.
  return '\ufeff' + rows.map((row) => row.map(cell).join(',')).join('\r\n') + '\r\n'
}
