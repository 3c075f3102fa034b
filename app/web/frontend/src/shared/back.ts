/**
 * What the phone's back button closes before it leaves a page.
 *
 * While something is open the history has one entry more, with the address of the page. Going back
 * takes it away and closes what was opened last; what is closed otherwise takes it away itself.
 */
import { nextTick, onUnmounted, watch } from 'vue'

const open: (() => void)[] = []
/** Whether the extra entry is on its way out. */
let leaving = false

// An entry that another page took over is none of ours any more.
const isExtra = (): boolean => (history.state as { over?: string } | null)?.over === location.href

function settle(): void {
  if (leaving) return
  if (open.length && !isExtra()) history.pushState({ ...history.state, over: location.href }, '')
  if (!open.length && isExtra()) {
    leaving = true
    history.back()
  }
}

addEventListener('popstate', () => {
  // Whoever comes forward, or back from a page that was opened from a sheet, finds nothing open.
  if (!isExtra()) {
    if (!leaving) open.at(-1)?.()
    leaving = false
  }
  // What cannot be closed yet stays open, and is in the way of the next step back as well.
  void nextTick(settle)
})

/** Close something when somebody goes back, for as long as it is open. */
export function closesOnBack(isOpen: () => boolean, close: () => void): void {
  const closer = (): void => close()
  function note(now: boolean): void {
    const at = open.indexOf(closer)
    if (at >= 0) open.splice(at, 1)
    if (now) open.push(closer)
    void nextTick(settle)
  }
  watch(isOpen, note, { immediate: true })
  onUnmounted(() => note(false))
}
