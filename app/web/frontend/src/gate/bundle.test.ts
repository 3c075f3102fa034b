import { describe, expect, it } from 'vitest'
import shared from '../../../../../schemas/bundle-vectors.json'
import { byNoble, byWebCrypto } from '@/shared/keys'
import { openBundle, type ShardKind, statusOf, UnfitError } from './bundle'

interface Asked {
  kind: string
  issued_at: string
  index: number
  status: number | null
}

// The very file that the server's own tests read.
describe.each([
  ['WebCrypto', byWebCrypto],
  ['noble', byNoble],
])('shared bundles with %s', (_, check) => {
  it.each(shared.vectors)('$name', async (vector) => {
    const contents = new Map(
      Object.entries(vector.shards as Record<string, string>).map(([name, content]) => [
        name,
        Uint8Array.from(Buffer.from(content, 'base64')),
      ]),
    )
    const about = { market: shared.market, at: Date.parse(vector.at), kept: vector.kept }
    const opening = openBundle(shared.root_key, vector.keyset, vector.meta, contents, about, check)
    const answer = await opening.then(
      () => 'taken',
      (error: unknown) => {
        if (!(error instanceof UnfitError)) throw error
        return error.reason
      },
    )
    expect(answer).toBe(vector.answer)
    if (answer !== 'taken') return
    const bundle = await opening
    for (const asked of (vector.statuses ?? []) as Asked[]) {
      const status = statusOf(bundle, asked.kind as ShardKind, Date.parse(asked.issued_at), asked.index)
      expect(status, JSON.stringify(asked)).toBe(asked.status)
    }
  })
})
