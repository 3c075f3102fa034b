import { beforeEach, expect, it, vi } from 'vitest'
import { computed } from 'vue'

const kept = new Map<string, string>()
vi.stubGlobal('localStorage', { getItem: (key: string) => kept.get(key) ?? null, setItem: (key: string, value: string) => kept.set(key, value) })
vi.stubGlobal('document', { documentElement: { lang: '' } })
vi.stubGlobal('window', { addEventListener: () => undefined })
const { isSaid, language, switchLanguage, t: say, useLanguage, useTexts } = await import('./language')

beforeEach(() => {
  useLanguage('zh')
  useTexts({ zh: { hello: '你好，{name}：{count} 斤', unit: { box: '箱' } }, en: { hello: 'Hello {name}', unit: { box: 'box' } } })
})

it('says a text with its parameters, and nothing for one that is missing', () => {
  expect(say('hello', { name: '王{count}', count: 0 })).toBe('你好，王{count}：0 斤')
  expect(say('hello', { name: null })).toBe('你好，： 斤')
})

it('says the language that is chosen, and keeps the choice', () => {
  const shown = computed(() => say('unit.box'))
  expect(shown.value).toBe('箱')
  switchLanguage()
  expect([shown.value, language.value, kept.get('language'), document.documentElement.lang]).toEqual(['box', 'en', 'en', 'en'])
})

it.each(['unit', 'unit.none', 'unit.box.none', 'none.at.all', 'unit.constructor', 'unit.box.length'])('has no text %s: it is its key', (key) => {
  expect(isSaid(key)).toBe(false)
  expect(say(key)).toBe(key)
})
