/** What a screen reads and writes: under way, done, or failed with words for it. */
import { ref, shallowRef, type Ref, type ShallowRef } from 'vue'
import { asFailure, type Failure } from '@/shared/api'

export interface Task<T> {
  value: ShallowRef<T | null>
  busy: Ref<boolean>
  failure: ShallowRef<Failure | null>
  /** Run it; whether it succeeded. Of runs that overlap the last one counts. */
  run: () => Promise<boolean>
}

export function useTask<T>(work: () => Promise<T>): Task<T> {
  const value = shallowRef<T | null>(null)
  const busy = ref(false)
  const failure = shallowRef<Failure | null>(null)
  let latest = 0

  async function run(): Promise<boolean> {
    const mine = ++latest
    busy.value = true
    failure.value = null
    try {
      const answer = await work()
      if (mine === latest) value.value = answer
      return true
    } catch (error) {
      const failed = asFailure(error)
      if (mine === latest) failure.value = failed
      return false
    } finally {
      if (mine === latest) busy.value = false
    }
  }

  return { value, busy, failure, run }
}
