import { expect, it } from 'vitest'
import {
  again,
  cards,
  type Draft,
  equalParts,
  inUnit,
  isMixed,
  issueSteps,
  type Lot,
  ownProducts,
  splitSteps,
  stockSuffices,
  type Ticket,
  usualMass,
} from './plan'

const AT = '2026-06-18T20:05:00.000Z'
let last = 0
const newId = (): string => `id-${++last}`

const lot = (over: Partial<Lot>): Lot =>
  ({ lot: 'lot', product: 7, remaining_g: 1000, on_hold: false, mixed: false, producer: 'a', ...over }) as Lot

const ticket = (massG: number, over: Partial<Ticket> = {}): Ticket =>
  ({
    status: 'accepted',
    kind: 'sale',
    buyer: { party: 'b', name: 'B' },
    hand_over: 'two_sided',
    market: null,
    stall: null,
    plate: null,
    lines: [
      {
        product: 7,
        trade_name: '韭菜',
        quantity: String(massG / 500),
        unit: '斤',
        pack_net_g: null,
        mass_g: massG,
        price_fen: 260,
        price_unit: '斤',
      },
    ],
    ...over,
  }) as Ticket

const draft = (over: Partial<Draft> = {}): Draft => ({ ...again(ticket(150_000), 'ticket-id'), ...over })

it('lists what is in stock before what was sold, the last sold first', () => {
  const line = (product: number, trade_name: string) => ({ ...ticket(1000).lines[0]!, product, trade_name })
  const stock = [
    lot({ product: 1, product_name: '大米', remaining_g: 300 }),
    lot({ product: 1, product_name: '大米', remaining_g: 200 }),
    lot({ product: 5, product_name: '蒜', remaining_g: 0 }),
  ]
  const sold = [
    ticket(1000, { issued_at: '2026-06-04T00:00:00Z', status: 'voided', lines: [line(8, '葱')] }),
    ticket(1000, { issued_at: '2026-06-03T00:00:00Z', kind: 'return', lines: [line(9, '姜')] }),
    ticket(1000, { issued_at: '2026-06-02T00:00:00Z', lines: [line(7, '韭菜'), line(1, '米')] }),
    ticket(1000, { issued_at: '2026-06-01T00:00:00Z', lines: [line(7, '青韭'), line(6, '菠菜')] }),
  ]
  expect(ownProducts(stock, sold)).toEqual([
    { id: 1, name: '大米', leftG: 500, soldAt: '2026-06-02T00:00:00Z' },
    { id: 7, name: '韭菜', leftG: 0, soldAt: '2026-06-02T00:00:00Z' },
    { id: 6, name: '菠菜', leftG: 0, soldAt: '2026-06-01T00:00:00Z' },
    { id: 5, name: '蒜', leftG: 0, soldAt: null },
  ])
})

it('moves goods between own places as a transfer, and repeats it as one', () => {
  const moved = draft({ buyer: { kind: 'own', party: 'me', place: '二号仓' } })
  const [step] = issueSteps(moved, null, newId, AT, AT)
  expect(step!.body).toMatchObject({ kind: 'transfer', note: '二号仓', buyer: { party: 'me' } })
  const former = ticket(1000, { kind: 'transfer', buyer: { party: 'me', name: 'Me' } as Ticket['buyer'], note: '二号仓' })
  expect(again(former, 'x').buyer).toEqual({ kind: 'own', party: 'me', place: '二号仓' })
  expect(cards([former, { ...former, note: '一号摊' }], 9)).toHaveLength(2)
})

it('repeats who, what, how much and at what price, and leaves the lots to the server', () => {
  expect(issueSteps(draft(), null, newId, AT, AT)).toEqual([
    {
      path: '/tickets/ticket-id',
      body: {
        buyer: { party: 'b' },
        lines: [
          { product: 7, trade_name: '韭菜', quantity: '300', unit: '斤', price_fen: 260, price_unit: '斤' },
        ],
        hand_over: 'two_sided',
        sold_at: AT,
        device_at: AT,
      },
    },
  ])
})

it('opens a lot and certifies it before fresh goods are sold', () => {
  last = 0
  const harvest = { origin: 'harvest', plot: null, divisionCode: '320682', bases: ['quality_control'] } as const
  const steps = issueSteps(draft(), { ...harvest, bases: [...harvest.bases] }, newId, AT, AT)
  expect(steps.map((step) => step.path)).toEqual(['/lots/id-1', '/certificates/id-2', '/tickets/ticket-id'])
  expect(steps[1]!.body).toMatchObject({ kind: 'conformity_producer', lot: 'id-1', quantity: '300', unit: '斤' })
  expect(steps[2]!.body).toMatchObject({ lines: [{ draws: [{ lot: 'id-1' }] }] })
})

it('sells fresh goods without a certificate where the law knows another document', () => {
  const harvest = { origin: 'catch', plot: 'p', divisionCode: null, bases: null } as const
  const steps = issueSteps(draft(), harvest, newId, AT, AT)
  expect(steps).toHaveLength(2)
  expect(steps[0]!.body).toMatchObject({ origin: 'catch', plot: 'p' })
})

it('shows each kind of former sale once, newest first, and none that was voided', () => {
  const sold = [ticket(1000), ticket(2000, { status: 'voided' }), ticket(1000), ticket(3000)]
  expect(cards(sold, 5).map((one) => one.lines[0]!.mass_g)).toEqual([1000, 3000])
})

it('knows what is usual by the median', () => {
  expect(usualMass([ticket(100), ticket(900), ticket(120)], 7)).toBe(120)
  expect(usualMass([], 7)).toBeNull()
})

it('counts stock that may move, per product', () => {
  const [line] = draft({ lines: [{ ...draft().lines[0]!, ...inUnit(1, '公斤') }] }).lines
  expect(stockSuffices([line!], [lot({})])).toBe(true)
  expect(stockSuffices([line!, line!], [lot({})])).toBe(false)
  expect(stockSuffices([line!], [lot({ on_hold: true })])).toBe(false)
})

it.each([
  [1000, 5, [200, 200, 200, 200, 200]],
  [1000, 3, [334, 333, 333]],
])('splits %d g into %d without losing a gram', (massG, count, parts) => {
  expect(equalParts(massG, count)).toEqual(parts)
})

it('certifies each part of a purchased lot', () => {
  expect(splitSteps(lot({}), 3, null, newId, AT)).toHaveLength(1)
  const steps = splitSteps(lot({}), 3, ['quality_control'], newId, AT)
  expect(steps).toHaveLength(4)
  expect(steps[0]!.body).toMatchObject({ parts: [{ quantity: '0.334' }, { quantity: '0.333' }, { quantity: '0.333' }] })
})

it('tells a mixture', () => {
  expect(isMixed([lot({}), lot({})])).toBe(false)
  expect(isMixed([lot({}), lot({ producer: 'b' })])).toBe(true)
  expect(isMixed([lot({}), lot({ mixed: true })])).toBe(true)
})
