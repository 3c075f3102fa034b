/** Who acts for a party: what the programs ask of the server, and how a code is shown. */
import { api } from './api'
import type { components } from './openapi.gen'

type Schemas = components['schemas']
export type Member = Schemas['MemberOut']
export type Duty = Schemas['Duty']

const DUTIES = ['staff', 'gate', 'books', 'head'] as const satisfies readonly Duty[]

/** The duties that a business of these roles has; only a market has gates. */
export function dutiesOf(roles: readonly string[]): readonly Duty[] {
  return DUTIES.filter((duty) => duty !== 'gate' || roles.includes('MARKET'))
}

/** The code with its page, as a picture that another phone reads. */
export function pictureOf(claim: Schemas['ClaimCodeOut']): string {
  return `data:image/svg+xml,${encodeURIComponent(claim.qr_svg)}`
}

/** A code in groups of four, to be read aloud; spaces do not count when it is typed. */
export const spell = (code: string): string => code.replace(/(.{4})(?=.)/g, '$1 ')

export async function staffOf(party: string): Promise<Member[]> {
  const params = { path: { party_id: party } }
  return (await api.GET('/parties/{party_id}/staff', { params })).data!.staff
}

/** What is done to one member of a party's staff; each answers the member as it is then. */
export function memberOf(party: string, account: string) {
  const params = { path: { party_id: party, account_id: account } }
  const path = '/parties/{party_id}/staff/{account_id}' as const
  return {
    invite: async (body: Schemas['MemberIn']): Promise<Member> => (await api.PUT(path, { params, body })).data!,
    rename: async (name: string): Promise<Member> => (await api.PUT(`${path}/name`, { params, body: { name } })).data!,
    move: async (duty: Duty): Promise<Member> => (await api.PUT(`${path}/duty`, { params, body: { duty } })).data!,
    letIn: async (enabled: boolean): Promise<Member> =>
      (await api.PUT(`${path}/sign-in`, { params, body: { enabled } })).data!,
  }
}

/** Whether the invitation can still be taken up, by the server's clock. */
export const isWaiting = (member: Member, now: string): boolean =>
  member.state === 'invited' && member.claim !== null && Date.parse(member.claim.expires_at) > Date.parse(now)
