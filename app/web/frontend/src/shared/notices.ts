/** What this person was told and has not read; the counter is one for all screens of a program. */
import { computed, ref } from 'vue'
import { api, Refusal, Unreachable } from './api'
import type { components } from './openapi.gen'

export type Notice = components['schemas']['NoticeOut']

const unread = ref({ count: 0, more: false })
/** As it stands in a badge; empty where all is read. */
export const unreadWords = computed(() => (unread.value.count ? `${unread.value.count}${unread.value.more ? '+' : ''}` : ''))

/** Look what is new; without an answer the counter stays as it was. */
export async function countUnread(): Promise<void> {
  try {
    unread.value = (await api.GET('/notices/unread')).data!
  } catch (error) {
    if (!(error instanceof Unreachable || error instanceof Refusal)) throw error
  }
}

/** Mark a notice as read, or it and all that came `earlier`; what came later was not seen. */
export async function markRead(notice: number, earlier = false): Promise<void> {
  const params = { path: { notice_id: notice }, query: { earlier } }
  // Kept alive: a link that is followed at the same moment leaves the page.
  unread.value = (await api.PUT('/notices/{notice_id}/read', { params, keepalive: true })).data!
}
