/** What codes are called, asked once for each and shared by all screens. */
import { reactive } from 'vue'
import { useI18n } from 'vue-i18n'
import { api, Refusal } from '@/shared/api'

const CITY_DIGITS = 4
const CODE_DIGITS = 6
const divisions = reactive(new Map<string, string>())

/** The name of a division, from the county down; its code until that is known, or if nothing bears it now. */
export function divisionName(code: string): string {
  if (!divisions.has(code)) {
    divisions.set(code, code)
    void ask(code)
  }
  return divisions.get(code)!
}

/** Says offices: a place, and which of its two departments; `code` is empty where nobody knows the place. */
export function useOffices() {
  const { t } = useI18n()
  return (code: string | null, department: string): string =>
    [code && divisionName(code), t(`department.${department}`)].filter(Boolean).join(' · ')
}

async function ask(code: string): Promise<void> {
  // Offices of a whole city or province are written with its first digits.
  const padded = code.length <= CITY_DIGITS ? code.padEnd(CODE_DIGITS, '0') : code
  try {
    const { data } = await api.GET('/divisions/{code}', { params: { path: { code: padded } } })
    divisions.set(code, data!.name)
  } catch (error) {
    // What the network refused is asked again by the next screen; what has no name keeps its code.
    if (!(error instanceof Refusal)) divisions.delete(code)
  }
}
