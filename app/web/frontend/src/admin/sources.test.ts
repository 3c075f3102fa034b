import { describe, expect, it } from 'vitest'
import { chineseSource } from './sources'

describe('the source of a rule in Chinese', () => {
  it.each([
    ['食品安全法 (2021) 第六十四条 (FSL art. 64); band of 40-50 % is a design', '食品安全法 (2021) 第六十四条'],
    ['食品生产经营监督检查管理办法 art. 21 ff.: key inspection of C and D; shares are a design', '食品生产经营监督检查管理办法第21条'],
    ['农产品质量安全法 art. 29; 农药管理条例 art. 34', '农产品质量安全法第29条；农药管理条例第34条'],
    ['domain: 证大货小 (one certificate, more kilograms)', '证大货小'],
    ['GB 2763-2026 §4.48 (third-party transcription)', 'GB 2763-2026 §4.48'],
    [
      '食品安全法 (2021) 第六十四条、农产品质量安全法第三十七条：要求抽检，未定比例；比例为平台自定 (FSL art. 64 and APQSL art. 37 ask for sampling and set no share, which is a design)',
      '食品安全法 (2021) 第六十四条、农产品质量安全法第三十七条；要求抽检，未定比例；比例为平台自定',
    ],
    [
      '黄鳝检出恩诺沙星，待核实；月份为平台自定 (enrofloxacin is found in eels, not confirmed; months are a design)',
      '黄鳝检出恩诺沙星，待核实；月份为平台自定',
    ],
    ['食品安全抽样检验管理办法：核查处置 starts within 5 working days (not confirmed)', '食品安全抽样检验管理办法'],
    ['threshold of this platform, to be set by the authorities', ''],
  ])('of %s is %s', (text, told) => expect(chineseSource(text)).toBe(told))
})
