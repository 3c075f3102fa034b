/** What codes are called, asked once for each and shared by all screens. */
import { reactive } from 'vue'
import { api, Refusal } from '@/shared/api'
import { t } from '@/shared/language'

const CITY_DIGITS = 4
const CODE_DIGITS = 6

const TAIL_CHARS = 8

/** Nobody reads an id; by its end two are told apart. */
export const tailOf = (id: string): string => `…${id.slice(-TAIL_CHARS)}`

/** Answers names; the code, said as `untold` says, until its name is known or if nothing bears it now. */
function naming<Code>(ask: (code: Code) => Promise<string>, untold: (code: Code) => string = String): (code: Code) => string {
  const known = reactive(new Map<Code, string>()) as Map<Code, string>
  const learn = async (code: Code) => {
    try {
      known.set(code, await ask(code))
    } catch (error) {
      // What the network refused is asked again by the next screen; what has no name keeps its code.
      if (!(error instanceof Refusal)) known.delete(code)
    }
  }
  return (code) => {
    if (!known.has(code)) {
      known.set(code, untold(code))
      void learn(code)
    }
    return known.get(code)!
  }
}

/** The name of a division, from the county down. */
export const divisionName = naming(async (code: string) => {
  // Offices of a whole city or province are written with its first digits.
  const padded = code.length <= CITY_DIGITS ? code.padEnd(CODE_DIGITS, '0') : code
  const { data } = await api.GET('/divisions/{code}', { params: { path: { code: padded } } })
  return data!.name
})

export const productName = naming(async (id: number) => {
  const { data } = await api.GET('/products/{product_id}', { params: { path: { product_id: id } } })
  return data!.name
})

export const placeName = naming(async (id: string) => {
  const { data } = await api.GET('/places/{place_id}', { params: { path: { place_id: id } } })
  return data!.name
}, tailOf)

export const partyName = naming(async (id: string) => {
  const { data } = await api.GET('/parties/{party_id}', { params: { path: { party_id: id } } })
  return data!.name
}, tailOf)

/** Says offices: a place, and which of its two departments; `code` is empty where nobody knows the place. */
export function useOffices() {
  return (code: string | null, department: string): string =>
    [code && divisionName(code), t(`department.${department}`)].filter(Boolean).join(' · ')
}
