/** Turns what was tapped into requests: pure, so that tests can look at every request. */
import type { components } from '@/shared/openapi.gen'
import type { Step } from './outbox'

type Schemas = components['schemas']
export type Ticket = Schemas['TicketOut']
export type Lot = Schemas['LotOut']
export type Basis = Schemas['Basis']

export interface Quantity {
  quantity: string
  unit: string
  packNetG: number | null
  massG: number
}

export interface DraftLine extends Quantity {
  product: number
  name: string
  priceFen: number | null
  priceUnit: string | null
  /** The lot to take it from, where that was chosen by hand. */
  lot: string | null
}

export type Buyer =
  | { kind: 'party'; party: string; name: string }
  /** Oneself: goods move between one's own stalls and stores, and stay one's own (调拨). */
  | { kind: 'own'; party: string; place: string }
  | { kind: 'walk-in' }

/** A ticket that is being written; it is kept on the phone until it is issued. */
export interface Draft {
  id: string
  lines: DraftLine[]
  buyer: Buyer | null
  market: string | null
  stall: string | null
  handOver: Schemas['HandOver'] | null
  plate: string | null
}

/** Where a producer's goods come from when they were cut, caught or laid today. */
export interface Harvest {
  origin: 'harvest' | 'catch' | 'lay'
  plot: string | null
  divisionCode: string | null
  /** On what the promise rests; null where the goods need another document. */
  bases: Basis[] | null
}

const GRAMS = { 公斤: 1000, 斤: 500 } as const
export type MassUnit = keyof typeof GRAMS

/** A quantity in one of the two units that everybody weighs in. */
export function inUnit(amount: number, unit: MassUnit): Quantity {
  return { quantity: String(amount), unit, packNetG: null, massG: Math.round(amount * GRAMS[unit]) }
}

/** Grams as a quantity in kilograms, exactly. */
export function inKilograms(massG: number): Quantity {
  return { quantity: (massG / GRAMS.公斤).toString(), unit: '公斤', packNetG: null, massG }
}

/** Write a quantity as the wire has it. */
function said({ quantity, unit, packNetG }: Quantity): object {
  return { quantity, unit, ...(packNetG === null ? {} : { pack_net_g: packNetG }) }
}

/** A line of a ticket from what was tapped. */
export function lineOf(product: { id: number; name: string }, quantity: Quantity, lot: string | null = null): DraftLine {
  return { product: product.id, name: product.name, ...quantity, priceFen: null, priceUnit: null, lot }
}

/** Begin a ticket like a former one. */
export function again(ticket: Ticket, id: string): Draft {
  return {
    id,
    lines: ticket.lines.map((line) => ({
      product: line.product,
      name: line.trade_name,
      quantity: line.quantity,
      unit: line.unit,
      packNetG: line.pack_net_g,
      massG: line.mass_g,
      priceFen: line.price_fen,
      priceUnit: line.price_unit,
      lot: null,
    })),
    buyer: buyerOf(ticket),
    market: ticket.market,
    stall: ticket.stall,
    handOver: ticket.hand_over,
    plate: ticket.plate,
  }
}

function buyerOf({ kind, buyer, note }: Ticket): Buyer {
  if (!buyer) return { kind: 'walk-in' }
  if (kind === 'transfer') return { kind: 'own', party: buyer.party, place: note ?? '' }
  return { kind: 'party', party: buyer.party, name: buyer.name }
}

/** What makes two tickets the same to a person: to whom, what, how much. */
function likeness(ticket: Ticket): string {
  const lines = ticket.lines.map((line) => [line.product, line.mass_g])
  // To which of one's own places goods move is what tells one transfer from another.
  return JSON.stringify([ticket.buyer?.party ?? null, ticket.kind === 'transfer' ? ticket.note : null, lines])
}

/** Former sales worth a card each: the newest of each kind, at most so many. */
export function cards(sold: readonly Ticket[], most: number): Ticket[] {
  const seen = new Map<string, Ticket>()
  for (const ticket of sold) {
    if (ticket.status === 'voided' || ticket.kind === 'return') continue
    if (!seen.has(likeness(ticket))) seen.set(likeness(ticket), ticket)
  }
  return [...seen.values()].slice(0, most)
}

/** A product that somebody grows or sells. */
export interface Own {
  id: number
  name: string
  leftG: number
  /** When a ticket was last issued for it, if one is at hand. */
  soldAt: string | null
}

/** Products of one's own: what is in stock first, then what was sold last. `sold` is newest first. */
export function ownProducts(stock: readonly Lot[], sold: readonly Ticket[]): Own[] {
  const own = new Map<number, Own>()
  const of = (id: number, name: string): Own => {
    const known = own.get(id) ?? { id, name, leftG: 0, soldAt: null }
    own.set(id, known)
    return known
  }
  for (const lot of stock) of(lot.product, lot.product_name).leftG += lot.remaining_g
  for (const ticket of sold) {
    if (ticket.status === 'voided' || ticket.kind === 'return') continue
    for (const line of ticket.lines) of(line.product, line.trade_name).soldAt ??= ticket.issued_at
  }
  const newest = (one: Own, other: Own): number => (other.soldAt ?? '').localeCompare(one.soldAt ?? '')
  return [...own.values()].sort((one, other) => Number(other.leftG > 0) - Number(one.leftG > 0) || newest(one, other))
}

/** What this party usually sells of a product at a time: the median of its former lines. */
export function usualMass(sold: readonly Ticket[], product: number): number | null {
  const masses = sold
    .filter((ticket) => ticket.status !== 'voided')
    .flatMap((ticket) => ticket.lines.filter((line) => line.product === product))
    .map((line) => line.mass_g)
    .sort((a, b) => a - b)
  return masses.length ? masses[Math.floor(masses.length / 2)]! : null
}

/** Whether what is in stock suffices for all lines. */
export function stockSuffices(lines: readonly DraftLine[], stock: readonly Lot[]): boolean {
  const left = new Map<number, number>()
  for (const lot of stock)
    if (!lot.on_hold) left.set(lot.product, (left.get(lot.product) ?? 0) + lot.remaining_g)
  for (const line of lines) left.set(line.product, (left.get(line.product) ?? 0) - line.massG)
  return [...left.values()].every((rest) => rest >= 0)
}

/**
 * The requests that issue a ticket.
 *
 * From stock, the server chooses the oldest lots. Fresh goods become a lot and, where the law knows
 * one for them, get a certificate first; the ticket then takes exactly those.
 */
export function issueSteps(
  draft: Draft,
  harvest: Harvest | null,
  newId: () => string,
  soldAt: string,
  deviceAt: string,
): Step[] {
  const steps: Step[] = []
  const { buyer } = draft
  if (!buyer) throw new TypeError('a ticket without a buyer is not finished')
  const lines = draft.lines.map((line) => {
    let from = line.lot
    if (harvest && from === null) {
      from = newId()
      const { plot, divisionCode, origin } = harvest
      const where = plot ? { plot } : { division_code: divisionCode }
      steps.push({
        path: `/lots/${from}`,
        body: { origin, product: line.product, ...said(line), ...where, occurred_at: soldAt },
      })
      if (harvest.bases) steps.push(certifyStep(newId(), 'conformity_producer', from, line, harvest.bases, soldAt))
    }
    return {
      product: line.product,
      trade_name: line.name,
      ...said(line),
      ...(line.priceFen === null ? {} : { price_fen: line.priceFen, price_unit: line.priceUnit ?? line.unit }),
      ...(from === null ? {} : { draws: [{ lot: from }] }),
    }
  })
  const body = {
    ...(buyer.kind === 'own' ? { kind: 'transfer', note: buyer.place } : {}),
    buyer: buyer.kind === 'walk-in' ? { walk_in: true } : { party: buyer.party },
    lines,
    ...(draft.handOver ? { hand_over: draft.handOver } : {}),
    ...(draft.market ? { market: draft.market } : {}),
    ...(draft.stall ? { stall: draft.stall } : {}),
    ...(draft.plate ? { plate: draft.plate } : {}),
    sold_at: soldAt,
    device_at: deviceAt,
  }
  return [...steps, { path: `/tickets/${draft.id}`, body }]
}

/** The request that issues a certificate. */
export function certifyStep(
  id: string,
  kind: Schemas['CertificateKind'],
  lot: string,
  quantity: Quantity,
  bases: readonly Basis[],
  issuedAt: string,
): Step {
  return {
    path: `/certificates/${id}`,
    body: { kind, lot, ...said(quantity), bases, issued_at: issuedAt },
  }
}

/** Grams in so many parts that are equal to the gram; the first ones carry what is left over. */
export function equalParts(massG: number, count: number): number[] {
  const whole = Math.floor(massG / count)
  return Array.from({ length: count }, (_, no) => whole + (no < massG % count ? 1 : 0))
}

/** The requests that split a lot, with a certificate for each part where the law asks for one. */
export function splitSteps(
  lot: Lot,
  count: number,
  bases: readonly Basis[] | null,
  newId: () => string,
  at: string,
): Step[] {
  const parts = equalParts(lot.remaining_g, count).map((massG) => ({ lot: newId(), of: inKilograms(massG) }))
  const split: Step = {
    path: `/splits/${newId()}`,
    body: { lot: lot.lot, parts: parts.map((part) => ({ lot: part.lot, ...said(part.of) })), occurred_at: at },
  }
  if (!bases) return [split]
  return [
    split,
    ...parts.map((part) => certifyStep(newId(), 'conformity_purchaser', part.lot, part.of, bases, at)),
  ]
}

/** Whether the law knows a conformity certificate for goods of this kind. */
export function isCertifiable(product: Pick<Schemas['ProductOut'], 'requirements'>): boolean {
  return product.requirements.some((one) => one.requirement === 'conformity_certificate')
}

/**
 * Whether whoever splits this lot must certify the parts: a purchaser, for goods of others (APQSL
 * art. 39). The whole's certificate does not pass on to them.
 */
export function needsOwnCertificate(
  lot: Lot,
  product: Pick<Schemas['ProductOut'], 'requirements'>,
  me: Pick<Schemas['MeOut'], 'party' | 'roles'>,
): boolean {
  return me.roles.includes('COLLECTOR') && lot.producer !== me.party && isCertifiable(product)
}

/** Whether lots of several producers come together, which needs the second form. */
export function isMixed(lots: readonly Lot[]): boolean {
  return lots.some((lot) => lot.mixed) || new Set(lots.map((lot) => lot.producer)).size > 1
}
