/** The ticket that is being written. It survives a killed app; it goes when it is issued. */
import { ref, watch } from 'vue'
import { draftKey, keepDraft, readDraft } from '@/shared/draft'
import { newId } from '@/shared/ids'
import { useSession } from '@/shared/session'
import { waiting } from './outbox'
import type { Draft } from './plan'

const session = useSession()
const keyNow = (): string | null => session.me && draftKey(session.me, 'ticket')

/** Of whoever is signed in; nobody has none. */
export const draft = ref<Draft | null>(null)

// At once, so that nobody sees another's, and nothing is lost between two taps.
watch(
  keyNow,
  (key) => (draft.value = key === null ? null : readDraft<Draft>(key)),
  { immediate: true, flush: 'sync' },
)
watch(
  draft,
  (now) => {
    const key = keyNow()
    if (key !== null) keepDraft(key, now)
  },
  { deep: true, flush: 'sync' },
)

// What was sent is finished, though the program was killed before it could say so.
watch(
  waiting,
  (jobs) => {
    if (jobs.some((job) => job.id === draft.value?.id)) draft.value = null
  },
  { flush: 'sync' },
)

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
