import { describe, expect, it } from 'vitest'
import { fieldsOf, figuresOf, membersOf } from './refusal'

describe('numbers of a refusal', () => {
  it('says how much may still be taken, in both units', () => {
    const told = { facts: { wanted_g: 801, taken_g: 200, allowed_g: 600, sample: 'x' } }
    expect(figuresOf(told, 'zh')).toEqual([
      '还可以取：0.6\u00a0公斤（1.2\u00a0斤）',
      '这次要：0.801\u00a0公斤（1.602\u00a0斤）',
      '已经取过：0.2\u00a0公斤（0.4\u00a0斤）',
    ])
    expect(figuresOf(told, 'en')[0]).toBe('May still be taken: 0.6\u00a0kg (1.2\u00a0jin)')
  })

  it('says a difference without its sign, and which row', () => {
    expect(figuresOf({ facts: { line: 2, difference_g: -500 } }, 'zh')).toEqual(['第几种货：2', '相差：0.5\u00a0公斤（1\u00a0斤）'])
  })

  it('says nothing of ids', () => {
    expect(figuresOf({ facts: { line: '0199', lot: '0199' } }, 'zh')).toEqual([])
    expect(figuresOf({}, 'en')).toEqual([])
  })
})

describe('fields of a refusal', () => {
  const told = { errors: [{ pointer: '/phone' }, { pointer: '/lines/0/quantity' }, { pointer: '/lines/1' }, { pointer: '/phone' }] }

  it('are named as the forms call them', () => {
    expect(membersOf(told)).toEqual(['phone', 'quantity', 'lines'])
    expect(fieldsOf(told, 'zh')).toBe('手机号、数量、货品')
    expect(fieldsOf(told, 'en')).toBe('phone, quantity, goods')
  })

  it('are left out where no form has them', () => {
    expect(fieldsOf({ errors: [{ pointer: '' }, { pointer: '/device_at' }] }, 'zh')).toBe('')
  })
})
