/** What a screen reads and writes: under way, done, or failed with words for it. */
import { ref, shallowRef, type Ref, type ShallowRef } from 'vue'
import { explain, Refusal } from '@/shared/api'
import type { Language } from '@/shared/time'
import { useWords } from './words'

export interface Failure {
  title: string
  next: string
}

export interface Task<T> {
  value: ShallowRef<T | null>
  busy: Ref<boolean>
  failure: Ref<Failure | null>
  /** Run it; whether it succeeded. Of runs that overlap the last one counts. */
  run: () => Promise<boolean>
}

export function useTask<T>(work: () => Promise<T>): Task<T> {
  const { t, language } = useWords()
  const value = shallowRef<T | null>(null)
  const busy = ref(false)
  const failure = ref<Failure | null>(null)
  let latest = 0

  function said(error: unknown): Failure {
    const arrived = error instanceof Refusal && error.problem.code === 'id-reused'
    return arrived ? { title: t('reused.title'), next: t('reused.next') } : explain(error, language.value as Language)
  }

  async function run(): Promise<boolean> {
    const mine = ++latest
    busy.value = true
    failure.value = null
    try {
      const answer = await work()
      if (mine === latest) value.value = answer
      return true
    } catch (error) {
      if (mine === latest) failure.value = said(error)
      return false
    } finally {
      if (mine === latest) busy.value = false
    }
  }

  return { value, busy, failure, run }
}
