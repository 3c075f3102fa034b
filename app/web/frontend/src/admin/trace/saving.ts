/** A trace as files: the two tables as they are shown, and everything as the server streams it. */
import { api, type Problem, Refusal, Unreachable } from '@/shared/api'
import { useWords } from '../words'
import { csv, neighbours, type Graph, type GraphNode } from './graph'

const LINES = 'application/x-ndjson'
const REVOKE_AFTER_MS = 1000
const IN_GRAMS: readonly string[] = ['mass', 'left', 'shareG']
const LOTS = ['no', 'lot', 'side', 'steps', 'product', 'count', 'how', 'holder', 'village', 'mass', 'left', 'shareG', 'part', 'end', 'from', 'to']
export const FLOWS = ['from', 'to', 'count', 'mass', 'shareG', 'proof']

function save(name: string, content: string, type: string): void {
  const link = document.createElement('a')
  link.href = URL.createObjectURL(new Blob([content], { type }))
  link.download = name
  link.click()
  setTimeout(() => URL.revokeObjectURL(link.href), REVOKE_AFTER_MS)
}

/** Read a stream to its end; of one that broke off, nothing is kept: part would look like all. */
async function lines(lot: string, direction: 'back' | 'forward'): Promise<string> {
  const { data } = await api.GET('/lots/{lot_id}/trace', {
    params: { path: { lot_id: lot }, query: { direction } },
    headers: { Accept: LINES },
    parseAs: 'text',
  })
  const text = data as unknown as string
  const last = text.slice(text.trimEnd().lastIndexOf('\n') + 1)
  if (last.startsWith('{"end"') && last.endsWith('\n')) return text
  if (last.startsWith('{"problem"')) throw new Refusal((JSON.parse(last) as { problem: Problem }).problem)
  throw new Unreachable('broken off')
}

/** Save everything behind or ahead of a lot, or both, one stream after the other. */
export async function saveAll(lot: string, way: 'both' | 'back' | 'forward'): Promise<void> {
  const asked = way === 'both' ? (['back', 'forward'] as const) : [way]
  const streams = await Promise.all(asked.map((direction) => lines(lot, direction)))
  save(`trace-${way}-${lot}.ndjson`, streams.join(''), LINES)
}

export function useSaving() {
  const { t, say, roles } = useWords()

  function who(node: GraphNode): string {
    if (node.holder) return node.holder.name
    return node.count > 1 ? roles(node.roles) || t('trace.severalHolders') : t('trace.walkIn')
  }

  function end(node: GraphNode): string {
    return node.end === null ? '' : t(`trace.${node.end}`)
  }

  const numbersOf = (graph: Graph) => new Map(graph.nodes.map((node) => [node.lot, node.no]))
  const sortedBy = (numbers: Map<string, number>) => (lots: readonly string[]) =>
    lots.map((lot) => numbers.get(lot)!).sort((a, b) => a - b)
  const head = (columns: readonly string[]) => columns.map((column) => t(`column.${column}`) + (IN_GRAMS.includes(column) ? ' (g)' : ''))

  function saveLots(graph: Graph): void {
    const sorted = sortedBy(numbersOf(graph))
    const near = neighbours(graph)
    const rows = graph.nodes.map((node) => [
      node.no,
      node.lot,
      t(`trace.side.${node.side}`),
      node.depth,
      node.product_name,
      node.count,
      node.origin && say('origin', node.origin),
      who(node),
      node.village,
      node.mass_g,
      node.remaining_g,
      node.share_g,
      node.share === null ? null : node.share.toFixed(6),
      end(node),
      sorted(near.before.get(node.lot)!).join(' '),
      sorted(near.after.get(node.lot)!).join(' '),
    ])
    save(`lots-${graph.asked}.csv`, csv([head(LOTS), ...rows]), 'text/csv')
  }

  function saveFlows(graph: Graph): void {
    const numbers = numbersOf(graph)
    const rows = graph.edges.map((edge) => [
      numbers.get(edge.src)!,
      numbers.get(edge.dst)!,
      edge.count,
      edge.mass_g,
      edge.share_g,
      t(`proof.${edge.proof}`),
    ])
    save(`flows-${graph.asked}.csv`, csv([head(FLOWS), ...rows]), 'text/csv')
  }

  return { who, end, saveLots, saveFlows, numbersOf, sortedBy }
}
