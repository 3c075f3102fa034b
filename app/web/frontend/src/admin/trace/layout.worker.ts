/** Lays a graph out beside the page, so that the page stays answerable meanwhile. */
import { Graph, layout } from '@dagrejs/dagre'
import type { Asked, Laid } from './layout'

const MANY = 120

self.onmessage = ({ data }: MessageEvent<Asked>) => {
  const graph = new Graph()
  graph.setGraph({ rankdir: 'LR', nodesep: 14, ranksep: 110, marginx: 16, marginy: 16, ranker: 'longest-path' })
  graph.setDefaultEdgeLabel(() => ({}))
  for (const lot of data.lots) graph.setNode(lot, { width: data.width, height: data.height })
  for (const [src, dst] of data.edges) graph.setEdge(src, dst)
  // Among very many boxes fewer crossings are not worth the second that looking for them takes.
  layout(graph, { disableOptimalOrderHeuristic: data.lots.length > MANY })
  const { width = 0, height = 0 } = graph.graph() as { width?: number; height?: number }
  const laid: Laid = {
    width,
    height,
    spots: data.lots.map((lot) => {
      const { x, y } = graph.node(lot) as { x: number; y: number }
      return [lot, { x, y }]
    }),
    ways: data.edges.map(([src, dst]) => (graph.edge(src, dst) as { points: { x: number; y: number }[] }).points),
  }
  self.postMessage(laid)
}
