/** The ticket that is being written. It survives a killed app; it goes when it is issued. */
import { ref, watch } from 'vue'
import { newId } from '@/shared/ids'
import { waiting } from './outbox'
import type { Draft } from './plan'

const KEPT = 'm-draft'

function read(): Draft | null {
  const text = localStorage.getItem(KEPT)
  return text === null ? null : (JSON.parse(text) as Draft)
}

export const draft = ref<Draft | null>(read())

watch(
  draft,
  (now) => {
    if (now) localStorage.setItem(KEPT, JSON.stringify(now))
    else localStorage.removeItem(KEPT)
  },
  // At once, so that nothing is lost between two taps.
  { deep: true, flush: 'sync' },
)

// What was sent is finished, though the program was killed before it could say so.
watch(waiting, (jobs) => {
  if (jobs.some((job) => job.id === draft.value?.id)) draft.value = null
})

export function emptyDraft(): Draft {
  return {
    id: newId(),
    lines: [],
    buyer: null,
    market: null,
    stall: null,
    handOver: null,
    plate: null,
  }
}
