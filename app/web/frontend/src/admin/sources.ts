/** Where a rule comes from, for whoever reads Chinese: the data tell it in both languages at once. */

const HAN = /\p{Script=Han}/u
const ENGLISH = /[a-z]{3}/
const STANDARD = /^(GB|NY|SN|SC|DB)[ /\d]/

/** Answer the laws and standards that a source names; nothing where it names none in Chinese. */
export function chineseSource(text: string): string {
  return text
    .replace(/\([^()\p{Script=Han}]*[A-Za-z][^()\p{Script=Han}]*\)/gu, '')
    .split(/[;；:：]/)
    .map((part) => part.trim())
    .filter((part) => HAN.test(part) || STANDARD.test(part))
    .map((part) => part.replace(/ ?arts?\. (\d+)( ff\.)?/g, '第$1条'))
    .filter((part) => !ENGLISH.test(part))
    .join('；')
}
