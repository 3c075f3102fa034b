/**
 * Grams as the trade says them. 公斤 and 斤 differ by a factor of two, and are confused daily: every
 * quantity on a screen shows both.
 */

export const GRAMS_PER_KG = 1000
export const GRAMS_PER_JIN = 500

const PLAIN = new Intl.NumberFormat('zh-CN', { maximumFractionDigits: 3 })

/** Say grams in both units: "300 公斤（600 斤）"; a number and its unit stay on one line. */
export function bothUnits(massG: number, language: 'zh' | 'en' = 'zh'): string {
  const kg = PLAIN.format(massG / GRAMS_PER_KG)
  const jin = PLAIN.format(massG / GRAMS_PER_JIN)
  return language === 'zh' ? `${kg}\u00a0公斤（${jin}\u00a0斤）` : `${kg}\u00a0kg (${jin}\u00a0jin)`
}

/**
 * Tell whether a quantity is about twice or half of what this party usually says: the sign of 斤
 * typed for 公斤, or the other way round.
 */
export function looksLikeUnitMixUp(massG: number, usualG: number | null): boolean {
  if (!usualG || !massG) return false
  const ratio = massG / usualG
  return Math.abs(ratio - 2) <= 0.1 || Math.abs(ratio - 0.5) <= 0.025
}

/** Read a number as people type it: full-width digits, a decimal comma's cousin, blanks. */
export function readNumber(text: string): number | null {
  const plain = text
    .normalize('NFKC')
    .replace(/[\s,]/g, '')
    .replace(/。/g, '.')
  return /^\d+(\.\d+)?$/.test(plain) ? Number(plain) : null
}
