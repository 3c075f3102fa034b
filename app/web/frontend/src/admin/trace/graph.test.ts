import { describe, expect, it } from 'vitest'
import { csv, join, neighbours, reach, step, type Picture } from './graph'

const node = (lot: string, depth: number, mass_g: number | null, share_g: number | null) => ({
  lot,
  depth,
  mass_g,
  share_g,
  count: 1,
  product: 1,
  product_name: '韭菜',
  origin: 'split' as const,
  end: null,
  roles: null,
  holder: null,
  village: null,
  remaining_g: 0,
  within_g: 0,
})
const edge = (src: string, dst: string) => ({ src, dst, count: 1, mass_g: 1, share_g: 1, proof: 'proved' as const })

const back: Picture = {
  direction: 'back',
  lot: 'M',
  lots_total: 3,
  nodes: [node('A', 1, 600, 250), node('B', 1, 600, 150), node('M', 0, 400, 400)],
  edges: [edge('A', 'M'), edge('B', 'M')],
  beyond: null,
}
const forward: Picture = {
  direction: 'forward',
  lot: 'M',
  lots_total: 5,
  nodes: [node('M', 0, 400, 400), node('S', 1, 200, 100), { ...node('T', 1, null, null), count: 3 }],
  edges: [edge('M', 'S'), edge('M', 'T')],
  beyond: null,
}

describe('a graph', () => {
  const graph = join([back, forward])

  it('has every node once, numbered, with its share', () => {
    expect(graph.nodes.map((one) => [one.no, one.lot, one.side, one.depth, one.share])).toEqual([
      [1, 'A', 'back', -1, 0.625],
      [2, 'B', 'back', -1, 0.375],
      [3, 'M', 'asked', 0, 1],
      [4, 'S', 'forward', 1, 0.5],
      [5, 'T', 'forward', 1, null],
    ])
    expect(graph.lots).toBe(7)
    expect(graph.edges).toHaveLength(4)
  })

  it('knows ancestors and descendants', () => {
    const near = neighbours(graph)
    expect(reach('S', near.before)).toEqual(new Set(['S', 'M', 'A', 'B']))
    expect(reach('A', near.after)).toEqual(new Set(['A', 'M', 'S', 'T']))
  })

  it('is walked by arrow keys', () => {
    const near = neighbours(graph)
    const spots = new Map([
      ['A', { x: 0, y: 0 }],
      ['B', { x: 0, y: 9 }],
      ['M', { x: 5, y: 8 }],
      ['S', { x: 9, y: 0 }],
      ['T', { x: 9, y: 9 }],
    ])
    expect(step('M', 'ArrowLeft', near, spots)).toBe('B')
    expect(step('M', 'ArrowRight', near, spots)).toBe('T')
    expect(step('T', 'ArrowUp', near, spots)).toBe('S')
    expect(step('S', 'ArrowUp', near, spots)).toBe('S')
    expect(step('S', 'ArrowDown', near, spots)).toBe('T')
    expect(step('A', 'ArrowLeft', near, spots)).toBe('A')
  })
})

it('writes cells that no spreadsheet takes for formulas', () => {
  expect(csv([['=1+1', 'a,b', 'say "no"', -3, null]])).toBe('\ufeff\'=1+1,"a,b","say ""no""",-3,\r\n')
})
