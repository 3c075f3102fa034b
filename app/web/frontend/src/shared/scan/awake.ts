/** Keep the lamp of the screen on while there is something to look at; answers the undo. */
export function stayAwake(): () => void {
  let lock: WakeLockSentinel | null = null
  const take = async (): Promise<void> => {
    if (document.hidden) return
    lock = (await navigator.wakeLock?.request('screen').catch(() => null)) ?? null
  }
  document.addEventListener('visibilitychange', take)
  void take()
  return () => {
    document.removeEventListener('visibilitychange', take)
    void lock?.release()
  }
}
