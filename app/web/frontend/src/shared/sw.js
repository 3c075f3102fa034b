// Keeps a program's page, so that it opens without a network. Filled in by service-worker.ts.
const PROGRAM = '__PROGRAM__'
const CACHE = `${PROGRAM}-__VERSION__`
const PAGE = `/${PROGRAM}`
const PATIENCE_MS = 1500
const FILES = __FILES__
// Codes of tickets that were shown, to be shown again at a gate where there is no network.
const CODES = `codes-${PROGRAM}`
const CODES_MOST = 60

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
      .then((names) => names.filter((name) => name.startsWith(`${PROGRAM}-`) && name !== CACHE))
      .then((old) => Promise.all(old.map((name) => caches.delete(name))))
      .then(() => self.clients.claim()),
  )
})

async function codeOf(request) {
  const cache = await caches.open(CODES)
  try {
    const answer = await fetch(request)
    if (answer.ok) {
      await cache.put(request.url, answer.clone())
      const [oldest, ...others] = await cache.keys()
      if (others.length >= CODES_MOST) await cache.delete(oldest)
    }
    return answer
  } catch (error) {
    const kept = await cache.match(request.url)
    if (kept) return kept
    throw error
  }
}

self.addEventListener('fetch', (event) => {
  const { origin, pathname } = new URL(event.request.url)
  if (event.request.method !== 'GET' || origin !== self.location.origin) return
  // A scope is a prefix of letters: `/m` would take `/merges` too.
  if (event.request.mode === 'navigate' && (pathname === PAGE || pathname.startsWith(`${PAGE}/`))) {
    // The network's page is newer; the kept one is there when nothing answers, or not soon enough.
    const patience = AbortSignal.timeout(PATIENCE_MS)
    event.respondWith(fetch(PAGE, { signal: patience }).catch(() => caches.match(PAGE)))
  } else if (FILES.includes(pathname)) {
    event.respondWith(caches.match(pathname).then((kept) => kept ?? fetch(event.request)))
  } else if (pathname.endsWith('/code.svg')) {
    event.respondWith(codeOf(event.request))
  }
})
