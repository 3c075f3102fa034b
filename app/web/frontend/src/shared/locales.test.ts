import { expect, it } from 'vitest'

const files = import.meta.glob<Record<string, unknown>>('/src/*/locales/*.json', {
  eager: true,
  import: 'default',
})

function keysOf(messages: Record<string, unknown>, at = ''): string[] {
  return Object.entries(messages).flatMap(([key, value]) =>
    typeof value === 'string' ? [at + key] : keysOf(value as Record<string, unknown>, `${at}${key}.`),
  )
}

const programs = [...new Set(Object.keys(files).map((path) => path.split('/')[2]!))]

it.each(programs)('%s says everything in Chinese and in English', (program) => {
  const zh = files[`/src/${program}/locales/zh.json`]!
  const en = files[`/src/${program}/locales/en.json`]!
  expect(keysOf(en).sort()).toEqual(keysOf(zh).sort())
})

it('finds the programs', () => {
  expect(programs.sort()).toEqual(['admin', 'gate', 'm', 'shared'])
})

const sources = import.meta.glob<string>('/src/*/**/*.{vue,ts}', { eager: true, query: '?raw', import: 'default' })

it.each(programs)('%s has every text that it asks for', (program) => {
  const known = new Set(['shared', program].flatMap((one) => keysOf(files[`/src/${one}/locales/zh.json`]!)))
  const asked = Object.entries(sources)
    .filter(([path]) => path.startsWith(`/src/${program}/`))
    .flatMap(([, source]) => [...source.matchAll(/\bt\('([\w.]+)'/g)].map((found) => found[1]!))
  expect(asked.filter((key) => !known.has(key))).toEqual([])
})

// Who reads these stands in a market hall; an office's own desk may speak of keys and feeds.
const JARGON = /pointer|json|uuid|http|schema|\bapi\b|\bids?\b|字段|参数|格式错误/i

it.each(['gate', 'm', 'shared'])('%s speaks to people', (program) => {
  const texts = ['zh', 'en'].flatMap((language) => textsOf(files[`/src/${program}/locales/${language}.json`]!))
  expect(texts.filter((text) => JARGON.test(text))).toEqual([])
})

function textsOf(messages: Record<string, unknown>): string[] {
  return Object.values(messages).flatMap((value) => (typeof value === 'string' ? [value] : textsOf(value as Record<string, unknown>)))
}
