/** Names of what the API tells by its code; each is asked for once and shown when it is there. */
import { shallowReactive } from 'vue'
import { api } from '@/shared/api'

const DIVISION_DIGITS = 6
const known = shallowReactive(new Map<string, string>())

/** Answer a name, or the code until the name is known; a code without a name stays as it is. */
function named(kind: string, code: string, ask: () => Promise<string | undefined>): string {
  const key = `${kind} ${code}`
  if (!known.has(key)) {
    known.set(key, code)
    ask().then(
      (name) => name && known.set(key, name),
      // What is shown then is right, if not beautiful; the next screen asks again.
      () => known.delete(key),
    )
  }
  return known.get(key) ?? code
}

/** Say an area; a city may be told by its first four digits, as in a jurisdiction. */
export function divisionName(code: string): string {
  return named('division', code, async () => {
    const path = { code: code.padEnd(DIVISION_DIGITS, '0') }
    return (await api.GET('/divisions/{code}', { params: { path } })).data?.full_name
  })
}

export function productName(id: number): string {
  return named('product', String(id), async () => {
    const path = { product_id: id }
    return (await api.GET('/products/{product_id}', { params: { path } })).data?.name
  })
}
