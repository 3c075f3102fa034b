// Keeps the gate's page, so that it opens without a network. Filled in by service-worker.ts.
const CACHE = 'gate-__VERSION__'
const PAGE = '/gate'
const PATIENCE_MS = 1500
const FILES = __FILES__

self.addEventListener('install', (event) => {
  event.waitUntil(
    caches
      .open(CACHE)
      .then((cache) => cache.addAll([...FILES, new Request(PAGE, { cache: 'reload' })]))
      .then(() => self.skipWaiting()),
  )
})

self.addEventListener('activate', (event) => {
  event.waitUntil(
    caches
      .keys()
      .then((names) => names.filter((name) => name.startsWith('gate-') && name !== CACHE))
      .then((old) => Promise.all(old.map((name) => caches.delete(name))))
      .then(() => self.clients.claim()),
  )
})

self.addEventListener('fetch', (event) => {
  const url = new URL(event.request.url)
  if (event.request.method !== 'GET' || url.origin !== self.location.origin) return
  if (event.request.mode === 'navigate' && url.pathname.startsWith(PAGE)) {
    // The network's page is newer; the kept one is there when nothing answers, or not soon enough.
    const patience = AbortSignal.timeout(PATIENCE_MS)
    event.respondWith(fetch(PAGE, { signal: patience }).catch(() => caches.match(PAGE)))
  } else if (FILES.includes(url.pathname)) {
    event.respondWith(caches.match(url.pathname).then((kept) => kept ?? fetch(event.request)))
  }
})
