/** Group a short code for the eye, as paper and public pages do: `XXXX-XXXX-XXXX-X`. */
export function showCode(code: string): string {
  return code.match(/.{1,4}/gu)?.join('-') ?? ''
}
