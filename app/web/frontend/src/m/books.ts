/**
 * What this party sold, has and may sign, as far as the phone knows.
 *
 * The last answers stay on the phone until its owner signs out, so that a ticket can be written
 * without a network; whether it can be issued is decided by the server when it gets there.
 */
import { ref, shallowRef, type ShallowRef } from 'vue'
import { api, Unreachable } from '@/shared/api'
import type { components } from '@/shared/openapi.gen'
import type { Me } from '@/shared/session'
import type { Basis, Lot, Ticket } from './plan'

type Schemas = components['schemas']
export type Form = Schemas['FormOut']
export type Place = Schemas['PlaceOut']
export type Product = Schemas['ProductOut']
type Brief = Pick<Schemas['ProductBrief'], 'id' | 'name'>

/** What is kept under it goes when its owner signs out. */
export const PREFIX = 'm-'
/** Tickets of each side that are at hand without a network. */
export const TICKETS_MOST = 60
const STOCK_MOST = 200
const RECENT_MOST = 8

/** Whether the last look had no answer and what is shown is from before. */
export const stale = ref(false)

function kept<T>(name: string, empty: T): { value: ShallowRef<T>; load: (ask: () => Promise<T | undefined>) => Promise<T> } {
  const value = shallowRef<T>(empty) as ShallowRef<T>
  return {
    value,
    async load(ask) {
      try {
        value.value = (await ask()) ?? empty
        localStorage.setItem(PREFIX + name, JSON.stringify(value.value))
        stale.value = false
      } catch (error) {
        const before = localStorage.getItem(PREFIX + name)
        if (!(error instanceof Unreachable) || before === null) throw error
        value.value = JSON.parse(before) as T
        stale.value = true
      }
      return value.value
    },
  }
}

const soldBook = kept<Ticket[]>('sold', [])
const stockBook = kept<Lot[]>('stock', [])
const formBook = kept<Form[]>('forms', [])
const placeBook = kept<Place[]>('places', [])
const boughtBook = kept<Ticket[]>('bought', [])
const meBook = kept<Me | null>('me', null)
const fileBook = kept<Schemas['PartyOut'] | null>('file', null)

export const sold = soldBook.value
export const bought = boughtBook.value
export const stock = stockBook.value
export const forms = formBook.value
export const places = placeBook.value
export const file = fileBook.value

export const loadSold = () =>
  soldBook.load(async () => (await api.GET('/tickets', { params: { query: { side: 'sold', limit: TICKETS_MOST } } })).data)
export const loadBought = () =>
  boughtBook.load(async () => (await api.GET('/tickets', { params: { query: { side: 'bought', limit: TICKETS_MOST } } })).data)
export const loadStock = () =>
  stockBook.load(async () => (await api.GET('/lots', { params: { query: { limit: STOCK_MOST } } })).data)
export const loadForms = () => formBook.load(async () => (await api.GET('/certificate-forms')).data)
export const loadPlaces = () =>
  placeBook.load(async () => (await api.GET('/places', { params: { query: { own: true } } })).data)
export const loadFile = (party: string) =>
  fileBook.load(async () => (await api.GET('/parties/{party_id}', { params: { path: { party_id: party } } })).data)

/** Whoever is signed in; without a network, whoever was when there was one. */
export const loadMe = (ask: () => Promise<Me | null>) => meBook.load(async () => (await ask()) ?? undefined)

/** Whoever signed in is known without a network until they sign out, or the server knows them no more. */
export function rememberMe(me: Me | null): void {
  if (!me) return localStorage.removeItem(`${PREFIX}me`)
  // A sign-in that ended by itself left the books here; another party finds none of them.
  const owner = localStorage.getItem(`${PREFIX}party`)
  if (owner !== null && owner !== (me.party ?? '')) forget()
  localStorage.setItem(`${PREFIX}party`, me.party ?? '')
  localStorage.setItem(`${PREFIX}me`, JSON.stringify(me))
}

/** A ticket; where there is no network, as the lists of this phone last had it. */
export async function loadTicket(id: string): Promise<Ticket | null> {
  try {
    const answer = await api.GET('/tickets/{ticket_id}', { params: { path: { ticket_id: id } } })
    stale.value = false
    return answer.data ?? null
  } catch (error) {
    if (!(error instanceof Unreachable)) throw error
    const lists = await Promise.allSettled([loadSold(), loadBought()])
    const seen = lists.flatMap((list) => (list.status === 'fulfilled' ? list.value : []))
    const found = seen.find((ticket) => ticket.ticket === id)
    if (!found) throw error
    return found
  }
}

/** A product with the documents that it needs. */
export function loadProduct(id: number): Promise<Product | null> {
  return kept<Product | null>(`product-${id}`, null).load(
    async () => (await api.GET('/products/{product_id}', { params: { path: { product_id: id } } })).data,
  )
}

function remembered<T>(name: string, otherwise: T): T {
  const text = localStorage.getItem(PREFIX + name)
  return text === null ? otherwise : (JSON.parse(text) as T)
}

/** Products that were chosen on this phone, newest first. */
export function recentProducts(): Brief[] {
  return remembered<Brief[]>('recent', [])
}

export function rememberProduct({ id, name }: Brief): void {
  const others = recentProducts().filter((one) => one.id !== id)
  localStorage.setItem(`${PREFIX}recent`, JSON.stringify([{ id, name }, ...others].slice(0, RECENT_MOST)))
}

/** What the promise rested on last time, as far as the form still offers it; its first basis else. */
export function usualBases(form: Form): Basis[] {
  const offered = basesOf(form).map((basis) => basis.code)
  const before = remembered<Basis[]>('bases', []).filter((basis) => offered.includes(basis))
  return before.length ? before : offered.slice(0, 1)
}

export function rememberBases(bases: readonly Basis[]): void {
  localStorage.setItem(`${PREFIX}bases`, JSON.stringify(bases))
}

export function basesOf(form: Form): { code: Basis; zh: string; en: string }[] {
  return form.wording['bases'] as { code: Basis; zh: string; en: string }[]
}

export function promiseOf(form: Form): { zh: string; en: string }[] {
  return form.wording['promise'] as { zh: string; en: string }[]
}

/** Leave nothing of a party on a phone that somebody else will use. */
export function forget(): void {
  for (const name of Object.keys(localStorage)) if (name.startsWith(PREFIX)) localStorage.removeItem(name)
  // Kept by the service worker (shared/sw.js), which an insecure address has not.
  void globalThis.caches?.delete('codes-m')
  sold.value = []
  bought.value = []
  stock.value = []
  places.value = []
  file.value = null
}
